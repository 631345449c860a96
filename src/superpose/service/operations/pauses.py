"""Python's collector of cyclic garbage, kept from stopping a server.

A full collection looks at every object of the process while nothing else runs: 40 to 60 ms for a server's, most of
which are modules, classes and tables that never go. Those are set aside (``gc.freeze``) once the server is ready, so
that a collection looks at what came since. Should that grow large too, as with a library that was loaded with the first
model that needs it, what survived a long collection is set aside as well. Objects set aside are still freed when nobody
refers to them; only cycles of them wait, for the hourly look at everything.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["LONG_S", "set_modules_aside", "short_pauses"]

#: A full collection that takes longer has its survivors set aside.
LONG_S: Final = 0.005
_EVERYTHING_S: Final = 3600.0
_MANY_MODULES: Final = 20

_n_modules: int | None = None  # at the time when objects were set aside last; None outside of ``short_pauses``


def set_modules_aside() -> None:
    """Set aside what is there now, should many modules have come since: with the first model that needs them, say.

    Costs nothing to speak of. Outside of ``short_pauses`` nothing happens.
    """
    global _n_modules
    if _n_modules is not None and len(sys.modules) >= _n_modules + _MANY_MODULES:
        _n_modules = len(sys.modules)
        gc.freeze()


@contextmanager
def short_pauses(
    *, every_s: float = _EVERYTHING_S, long_s: float = LONG_S, now_s: Callable[[], float] = time.perf_counter
) -> Iterator[None]:
    """Set aside all objects there are, and survivors of long collections, until the block ends.

    Where others have set objects aside before, as another server of this process, they stay so at the end.

    Args:
        every_s: how often everything is looked at again, which stops the process once for as long as it would have.
        long_s: a full collection that takes longer has its survivors set aside.
        now_s: what measures collections.
    """
    global _n_modules
    started_s = 0.0

    def watch(phase: str, facts: dict[str, Any]) -> None:
        nonlocal started_s
        if facts["generation"] != 2:
            return
        if phase == "start":
            started_s = now_s()
        elif now_s() - started_s > long_s:
            gc.freeze()

    ending = threading.Event()

    def look_again() -> None:
        while not ending.wait(every_s):
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    thread = threading.Thread(target=look_again, name="superpose-collector", daemon=True)
    is_first = gc.get_freeze_count() == 0
    gc.collect()
    gc.freeze()
    _n_modules = len(sys.modules)
    gc.callbacks.append(watch)
    thread.start()
    try:
        yield
    finally:
        _n_modules = None
        ending.set()
        thread.join()
        gc.callbacks.remove(watch)
        if is_first:
            gc.unfreeze()
