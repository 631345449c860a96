"""A circuit breaker: a backend that keeps failing is left alone for a while, then tried with one run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Breaker", "BreakerRules", "BreakerState"]

BreakerState: TypeAlias = Literal["closed", "open", "half-open"]
"""Runs go through; none do; one may, to see whether the backend is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When a breaker opens, and for how long.

    Attributes:
        n_failures: Failures in a row that open it.
        pause_s: How long it stays open at first, in seconds; each failed trial doubles that.
        longest_pause_s: At most so long.
    """

    n_failures: int = 3
    pause_s: float = 30.0
    longest_pause_s: float = 1800.0


class Breaker:
    """The breaker of one backend. For any number of threads.

    Args:
        rules: When it opens.
        now_s: What tells the time, in seconds that never go back.

    Source: M. Nygard, Release It!, "Circuit Breaker".

    >>> seconds = [0.0]
    >>> breaker = Breaker(BreakerRules(n_failures=2, pause_s=10.0), lambda: seconds[0])
    >>> breaker.failed(), breaker.failed(), breaker.state, breaker.allows()
    (None, None, 'open', False)
    >>> seconds[0] = 10.0
    >>> breaker.allows(), breaker.allows(), breaker.state  # one trial at a time
    (True, False, 'half-open')
    >>> breaker.succeeded(), breaker.state
    (None, 'closed')
    """

    def __init__(self, rules: BreakerRules, now_s: Callable[[], float]) -> None:
        self._rules, self._now_s = rules, now_s
        self._lock = threading.Lock()
        self._n_failures = 0
        self._pause_s = rules.pause_s
        self._open_until_s: float | None = None
        self._trial_until_s: float | None = None

    @property
    def state(self) -> BreakerState:
        """Where it stands now."""
        with self._lock:
            if self._open_until_s is None:
                return "closed"
            return "half-open" if self._now_s() >= self._open_until_s else "open"

    @property
    def is_ready(self) -> bool:
        """Whether `allows` would say yes; takes no trial."""
        with self._lock:
            return self._ready()

    def allows(self) -> bool:
        """Return whether a run may go to the backend now. While it is half open, the first who asks gets the trial; if
        nothing is heard of that, the next one after another pause."""
        with self._lock:
            if not self._ready():
                return False
            if self._open_until_s is not None:
                self._trial_until_s = self._now_s() + self._pause_s
            return True

    def succeeded(self) -> None:
        """Take note of a run that went well."""
        with self._lock:
            self._n_failures, self._open_until_s, self._trial_until_s = 0, None, None
            self._pause_s = self._rules.pause_s

    def failed(self) -> None:
        """Take note of a run that failed through the backend's fault."""
        with self._lock:
            self._n_failures += 1
            if self._open_until_s is not None and self._now_s() >= self._open_until_s:
                self._pause_s = min(2 * self._pause_s, self._rules.longest_pause_s)
                self._open_until_s, self._trial_until_s = self._now_s() + self._pause_s, None
            elif self._open_until_s is None and self._n_failures >= self._rules.n_failures:
                self._open_until_s = self._now_s() + self._pause_s

    def _ready(self) -> bool:
        now_s = self._now_s()
        if self._open_until_s is None:
            return True
        return now_s >= self._open_until_s and (self._trial_until_s is None or now_s >= self._trial_until_s)
