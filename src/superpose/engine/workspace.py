"""Working memory of the kernels: taken for one call, given back and used again."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Shelf", "aligned", "aligned_array", "rounded"]

KEEP_BYTES = 256 << 20
"""Idle memory, of all shelves together, above which all of it is let go."""
SMALL_BYTES = 64 << 10
"""Sets of this size or less are not counted and need no lock."""

Array = npt.NDArray[Any]


LINE = 64


def aligned_array(size: int, dtype: Any) -> Array:
    """Return an array of this many elements, not set, that starts on a multiple of 64 bytes."""
    n_bytes = size * np.dtype(dtype).itemsize
    raw: Array = np.empty(n_bytes + LINE, dtype=np.uint8)
    skip = -raw.ctypes.data % LINE
    return raw[skip : skip + n_bytes].view(dtype)


def aligned(arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Return the arrays, copied where they do not start on a multiple of 64 bytes (as after a deep copy)."""
    out = []
    for array in arrays:
        if array.ctypes.data % LINE and array.size:
            moved = aligned_array(array.size, array.dtype)
            moved[:] = array
            out.append(moved)
        else:
            out.append(array)
    return tuple(out)


def rounded(size: int) -> int:
    """Return a size, at most a 16th larger, that programs of about equal needs share.

    So a new circuit on as many qubits takes over memory that the system has already given: the first touch of 16 MiB
    took 13 to 45 ms. What is added is never touched.
    """
    grain = 1 << max(size.bit_length() - 5, 0)
    return -(-size // grain) * grain


class Shelf:
    """Sets of arrays of given sizes and dtypes, each starting on a multiple of 64 bytes. For any number of threads.

    Shelves for equal arrays share them.
    """

    _idle: dict[Any, list[tuple[Array, ...]]] = {}  # noqa: RUF012  # shared on purpose, under the lock
    _idle_bytes = 0
    _lock = threading.Lock()

    def __init__(self, arrays: Sequence[tuple[int, Any]]) -> None:
        self._arrays = tuple((int(size), np.dtype(dtype)) for size, dtype in arrays)
        self._bytes = sum(size * dtype.itemsize + 64 for size, dtype in self._arrays)
        with Shelf._lock:
            self._own = Shelf._idle.setdefault(self._arrays, [])

    def new(self) -> tuple[Array, ...]:
        """Return a set that nobody else has; what it holds is not defined."""
        return tuple(aligned_array(size, dtype) for size, dtype in self._arrays)

    def new_array(self, place: int) -> Array:
        """Return one array of such a set."""
        return aligned_array(*self._arrays[place])

    def take(self) -> tuple[Array, ...]:
        """Return an idle set, or a new one."""
        if self._bytes <= SMALL_BYTES:
            try:
                return self._own.pop()  # one step of the interpreter: no other thread gets the same
            except IndexError:
                return self.new()
        with Shelf._lock:
            if self._own:
                Shelf._idle_bytes -= self._bytes
                return self._own.pop()
        return self.new()

    def give_back(self, arrays: tuple[Array, ...]) -> None:
        """Make a set idle; the caller must not use it any more."""
        if self._bytes <= SMALL_BYTES:
            self._own.append(arrays)  # as many as there were calls at once
            return
        with Shelf._lock:
            if Shelf._idle_bytes + self._bytes > KEEP_BYTES:
                for idle in Shelf._idle.values():
                    idle.clear()
                Shelf._idle_bytes = 0
            if self._bytes <= KEEP_BYTES // 4:
                self._own.append(arrays)
                Shelf._idle_bytes += self._bytes


def _after_fork() -> None:
    """Another thread may have held the lock when the process forked."""
    Shelf._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
