"""Working memory of the kernels: taken for one call of one thread, given back and used again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.engine.kernels import layout, slots
from superpose.engine.tape import Tape

__all__ = ["Workspace", "aligned", "give_back", "take"]

KEEP_BYTES = 256 << 20
"""Workspaces larger than this in sum are not kept."""


@dataclass(frozen=True, eq=False)
class Workspace:
    """Arrays that start on multiples of 64 bytes."""

    work: npt.NDArray[Any]
    wide: npt.NDArray[np.float64]
    block: npt.NDArray[np.int64]
    key: tuple[Any, ...]

    @property
    def nbytes(self) -> int:
        """Size of the arrays."""
        return self.work.nbytes + self.wide.nbytes + self.block.nbytes


_idle: list[Workspace] = []
_lock = threading.Lock()


def aligned(size: int, dtype: Any) -> npt.NDArray[Any]:
    """Return an array of this many elements, not set, that starts on a multiple of 64 bytes."""
    item = np.dtype(dtype).itemsize
    raw = np.empty(size * item + 64, dtype=np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + size * item].view(dtype)


def take(program: Tape, dtype: Any) -> Workspace:
    """Return a workspace for this tape that nobody else has."""
    key = (program.ints[layout.SIZE], program.ints[layout.SIZE_WIDE], dtype)
    with _lock:
        for place in range(len(_idle) - 1, -1, -1):
            if _idle[place].key == key:
                return _idle.pop(place)
    return Workspace(aligned(key[0], dtype), aligned(key[1], np.float64), aligned(slots.SIZE, np.int64), key)


def give_back(space: Workspace) -> None:
    """Keep the workspace for the next call, and forget the oldest ones beyond the limit."""
    if space.nbytes > KEEP_BYTES // 2:
        return
    with _lock:
        _idle.append(space)
        while sum(kept.nbytes for kept in _idle) > KEEP_BYTES:
            _idle.pop(0)
