"""How much memory a call needs, and how much there is."""

from __future__ import annotations

import os
from pathlib import Path

from superpose.engine.layouts import lane_bits_of, lanes_of, runs_wide
from superpose.engine.pool import get_threads
from superpose.errors import StateTooLargeError

__all__ = ["SMALL_BYTES", "available_memory", "check_memory", "memory_required"]

_BYTES_PER_ROW = 128  # a vector of real and one of imaginary parts
SMALL_BYTES = 64 << 20
"""Below this the free memory is not looked at."""


def memory_required(n_qubits: int, batch: int, *, dtype: str = "float64", gradients: bool = False) -> int:
    """Return the bytes that states take while a batch runs.

    A tile, 16 (float32) or 8 (float64) samples, has ``2**n_qubits`` rows of 128 bytes; for few samples or large
    states it is one sample and has a 16th or an 8th of that. Each thread works on one tile and its adjoint state, or
    the probabilities, at a time. With ``gradients``, the final states of the whole batch are kept between `forward`
    and `backward` too.
    """
    wide = runs_wide(n_qubits, batch, dtype)
    n_tiles = max(batch, 1) if wide else -(-max(batch, 1) // lanes_of(dtype))
    n_rows = 1 << (n_qubits - lane_bits_of(dtype) if wide else n_qubits)
    return (2 * min(n_tiles, get_threads()) + (n_tiles if gradients else 0)) * _BYTES_PER_ROW * n_rows


def available_memory() -> int:
    """Return the bytes that this process may still take: what the system has free, within its control group's limit."""
    free = _free_memory()
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            free = min(free, max(0, int(Path(limit).read_text()) - int(Path(used).read_text())))
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
    return free


def _free_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return 1 << 62  # unknown: let the allocation speak


def check_memory(needed: int, n_qubits: int, batch: int) -> None:
    """Refuse what does not fit, before anything is allocated.

    Raises:
        StateTooLargeError: ``needed`` bytes are more than there are.
    """
    if needed <= SMALL_BYTES:
        return
    free = available_memory()
    if needed > free:
        raise StateTooLargeError(
            f"A batch of {batch} states of {n_qubits} qubits needs {_text(needed)} of memory, {_text(free)} are free; "
            "use fewer qubits, a smaller batch or another backend.",
            n_qubits=n_qubits,
            batch=batch,
            needed_bytes=needed,
            available_bytes=free,
        )


def _text(n_bytes: int) -> str:
    size = float(min(n_bytes, 1 << 1000))  # more does not fit a float
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} PiB"
