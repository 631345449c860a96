"""How far a call of `solve` is: methods that have ended, and the share of the one under way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from superpose.optimization.budgets import Budget, OnStep

__all__ = ["HowFar", "OnProgress", "Progress"]

EVERY_S: Final = 0.25
"""Seconds between two words about one method, at least."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a call of `solve` is.

    Attributes:
        method: Name of the method that runs, as in the answer's rows.
        number: Which of all it is, from 1.
        n_methods: All that run: the method that was asked for, controls, and a classical solver.
        fraction: Share of the whole call, 0 to below 1: each method counts alike, and the one under way by what it has
            used up more of, its time or its pieces or evaluations.
        eta_s: Seconds that are left: at the pace so far, and no more than the time limits leave; None while nothing is
            known.
    """

    method: str
    number: int
    n_methods: int
    fraction: float
    eta_s: float | None

    def to_json(self) -> dict[str, Any]:
        """What a progress event of a job holds: ``stage``, ``fraction`` and ``eta_s``."""
        stage = f"solving with {self.method}" if self.number == 1 else f"beside it {self.method}"
        if self.n_methods > 1:
            stage += f", {self.number} of {self.n_methods} methods"
        return {
            "stage": stage,
            "fraction": round(self.fraction, 4),
            "eta_s": None if self.eta_s is None else round(self.eta_s, 2),
        }


OnProgress = Callable[[Progress], None]


class HowFar:
    """Budgets of the methods of one call, one after the other, and what they tell.

    Args:
        limit_s: Seconds of each method.
        on_step: Called whenever a method looks up; what it raises ends the method.
        on_progress: Told how far the call is, at the beginning of each method and four times a second at most.
        clock: Tells seconds; injected in tests.
    """

    def __init__(
        self,
        limit_s: float,
        on_step: OnStep | None = None,
        on_progress: OnProgress | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.n_methods = 1
        self._limit_s, self._on_step, self._on_progress, self._clock = limit_s, on_step, on_progress, clock
        self._begun_s = self._told_s = clock()
        self._n_begun, self._name = 0, ""
        self._budget = Budget(limit_s, clock)

    def begin(self, name: str) -> Budget:
        """Return the budget of the next method; the one before has ended."""
        self._n_begun += 1
        self._name = name
        self._budget = Budget(self._limit_s, self._clock, self.look)
        self._tell(0.0)
        return self._budget

    def look(self) -> None:
        """Call ``on_step``, and tell how far the call is where the last word is old."""
        if self._on_step is not None:
            self._on_step()
        if self._clock() - self._told_s >= EVERY_S:
            self._tell(self._budget.share)

    def _tell(self, share: float) -> None:
        if self._on_progress is None or not self._n_begun:
            return
        self._told_s = self._clock()
        n_methods = max(self.n_methods, self._n_begun)
        fraction = min((self._n_begun - 1 + share) / n_methods, 0.99)
        most_s = self._budget.left_s + self._limit_s * (n_methods - self._n_begun)
        spent_s = self._told_s - self._begun_s
        pace_s = spent_s * (1 - fraction) / fraction if fraction > 0 and spent_s >= EVERY_S else None
        eta_s = None if pace_s is None else min(pace_s, most_s)
        self._on_progress(Progress(self._name, self._n_begun, n_methods, fraction, eta_s))
