"""How much memory this process holds, and giving back what it does not use."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["TIDY_S", "give_back", "kept_tidy", "resident_bytes"]

TIDY_S = 15.0
"""Pause between two times that a server gives memory back."""

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Bytes of memory that the process holds now; where the system does not tell, the most that it ever held."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def give_back() -> None:
    """Return free memory to the system: Arrow's pool, and the C library's heaps where it can (glibc).

    glibc keeps a heap for each of many threads and returns only what is free at the end of one, so a server that reads
    a table now and then, in one thread or another, would hold ever more. Takes some milliseconds.
    """
    arrow = sys.modules.get("pyarrow")  # where it is not loaded it holds nothing
    if arrow is not None and hasattr(arrow, "default_memory_pool"):
        arrow.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def kept_tidy(period_s: float = TIDY_S) -> Iterator[None]:
    """Gives memory back now and then until the block ends."""
    ending = threading.Event()

    def tidy() -> None:
        while not ending.wait(period_s):
            give_back()

    thread = threading.Thread(target=tidy, name="superpose-memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
