"""How much memory a call needs, and how much there is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from superpose.engine.layouts import lanes_of, runs_wide
from superpose.engine.pool import get_threads
from superpose.errors import StateTooLargeError

__all__ = ["ONE_AT_A_TIME_FROM", "SMALL_BYTES", "Returns", "available_memory", "check_memory", "memory_required"]

_BYTES_PER_ROW = 128  # a vector of real and one of imaginary parts
_WORKSPACE = 1 << 20  # sums, arguments and pieces of tables of one thread
SMALL_BYTES = 64 << 20
"""Below this the free memory is not looked at."""
ONE_AT_A_TIME_FROM = 20
"""From so many qubits on all threads share one state after the other, however many there are: less memory."""

Returns = Literal["expectations", "gradients", "states", "probabilities"]


def memory_required(
    n_qubits: int, batch: int, *, dtype: str = "float64", gradients: bool = False, returns: Returns = "expectations"
) -> int:
    """Return the bytes that states take while a batch runs.

    A state of ``2**n_qubits`` amplitudes takes 8 bytes per amplitude in float32, 16 in float64. Few samples, or large
    states, run one after the other on each thread, or, from 20 qubits on, on all threads together: forward each in one
    state, with `CompiledProgram.value_and_grad` in two. Other samples run in tiles of 16 (float32) or 8 (float64), in
    two states each. Final states and probabilities (8 bytes per basis state) that are returned come on top.

    Args:
        n_qubits, batch, dtype: As in `CompiledProgram`.
        gradients: The final states of the batch are kept between `forward` and `backward`, with two more per thread.
        returns: What comes back: "expectations", "gradients" (of `value_and_grad`), "states" or "probabilities" (of
            `sample` and `counts` too).
    """
    batch = max(batch, 1)
    wide = runs_wide(n_qubits, batch, dtype)
    state = (_BYTES_PER_ROW // lanes_of(dtype)) << n_qubits
    n_tiles = batch if wide else -(-batch // lanes_of(dtype))
    tile = state if wide else state * lanes_of(dtype)
    at_once = 1 if n_qubits >= ONE_AT_A_TIME_FROM else min(n_tiles, get_threads())
    if wide and returns in ("states", "probabilities"):
        at_once = 1
    forward = 1 if wide and not gradients and returns != "gradients" else 2
    results = {"states": state, "probabilities": 8 << n_qubits}.get(returns, 0) * batch
    kept = n_tiles * tile if gradients or (results and not wide) else 0
    workspace = _WORKSPACE * at_once if wide else 0
    return forward * at_once * tile + kept + results + workspace


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
