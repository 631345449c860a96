"""Token buckets: at most so many per minute for each of many names, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Buckets"]

_MAX_NAMES = 10_000


class Buckets:
    """A bucket per name that fills evenly; a full one holds a minute's worth, so bursts of that size are let through.

    Kept in memory, per process: a restart fills all buckets. The names unused for longest are forgotten first, which
    fills theirs.

    Args:
        now_s: what tells the time, in seconds.
        max_names: how many buckets there are at most.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic, *, max_names: int = _MAX_NAMES) -> None:
        self._now_s = now_s
        self._max_names = max_names
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name -> level, when it was so
        self._turn = threading.Lock()

    def take(self, name: str, per_minute: float) -> float | None:
        """Take one; None if there was one, else the seconds until there will be."""
        with self._turn:
            now_s = self._now_s()
            level, at_s = self._levels.pop(name, (per_minute, now_s))
            level = min(per_minute, level + (now_s - at_s) * per_minute / 60.0)
            taken = level >= 1.0
            self._levels[name] = (level - 1.0 if taken else level, now_s)
            if len(self._levels) > self._max_names:
                self._levels.popitem(last=False)
            return None if taken else (1.0 - level) * 60.0 / per_minute

    def __len__(self) -> int:
        """How many names are remembered."""
        return len(self._levels)
