"""How long a method may take: by the clock, and by counted steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Budget", "OnStep"]

OnStep = Callable[[], None]
"""Called whenever a method looks up from its work; what it raises ends the method."""


class Budget:
    """Seconds from now on.

    Args:
        limit_s: Seconds that may pass.
        clock: Tells seconds; injected in tests.
        on_step: Called whenever a method asks whether its time is over, or looks up; what it raises ends it.
    """

    def __init__(
        self,
        limit_s: float,
        clock: Callable[[], float] = time.monotonic,
        on_step: OnStep | None = None,
    ) -> None:
        self.limit_s, self._clock, self._on_step = limit_s, clock, on_step
        self._start = clock()
        self._done, self._part = 0.0, (0.0, 1.0)

    @property
    def spent_s(self) -> float:
        """Seconds that have passed."""
        return self._clock() - self._start

    @property
    def left_s(self) -> float:
        """Seconds that are left, 0 at least."""
        return max(0.0, self.limit_s - self.spent_s)

    @property
    def share(self) -> float:
        """How much is used up, 0 to 1: of the time, or of what is counted, where that is more; never falls."""
        self._done = max(self._done, min(self.spent_s / self.limit_s, 1.0))
        return self._done

    def counted(self, share: float) -> None:
        """Hear how much of what is counted is done, 0 to 1, of the part under way."""
        begin, width = self._part
        self._done = max(self._done, begin + width * share)

    @contextmanager
    def part(self, k: int, n: int) -> Iterator[None]:
        """What is counted within is of part ``k``, from 0, of ``n`` equal ones; parts may have parts."""
        outer = begin, width = self._part
        self._part = begin + width * k / n, width / n
        self.counted(0.0)
        try:
            yield
        finally:
            self._part = outer

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        self.look()
        return self.left_s <= 0

    def look(self) -> None:
        """Call ``on_step``, as `is_over` does: for work that goes on whether time is over or not."""
        if self._on_step is not None:
            self._on_step()
