"""How long a method may take: by the clock, and by counted steps."""

from __future__ import annotations

import time
from collections.abc import Callable

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

    @property
    def spent_s(self) -> float:
        """Seconds that have passed."""
        return self._clock() - self._start

    @property
    def left_s(self) -> float:
        """Seconds that are left, 0 at least."""
        return max(0.0, self.limit_s - self.spent_s)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        self.look()
        return self.left_s <= 0

    def look(self) -> None:
        """Call ``on_step``, as `is_over` does: for work that goes on whether time is over or not."""
        if self._on_step is not None:
            self._on_step()
