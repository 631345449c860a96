"""How long to wait before the next attempt: exponential, bounded, and never the same for two jobs at once."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True)
class Backoff:
    """Pauses that double from ``first_s`` to ``longest_s``, each shortened by up to a half by chance.

    Jobs that failed together, because what they all need was away, thus do not come back together.
    """

    first_s: float = 1.0
    longest_s: float = 300.0

    def pause_s(self, n_failures: int, chance: float) -> float:
        """Seconds to wait after the ``n_failures``-th failure (from 1); ``chance`` lies in 0 .. 1.

        >>> [Backoff(1.0, 5.0).pause_s(n, 1.0) for n in (1, 2, 3, 4, 5)]
        [1.0, 2.0, 4.0, 5.0, 5.0]
        >>> Backoff(1.0, 5.0).pause_s(2, 0.0)
        1.0
        """
        whole_s = min(self.longest_s, self.first_s * 2.0 ** min(n_failures - 1, 60))
        return whole_s * (0.5 + 0.5 * chance)
