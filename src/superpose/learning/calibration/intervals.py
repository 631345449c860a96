"""Intervals that hold a predicted number's true value with a stated probability, by split conformal prediction.

The residuals of ``n`` held-out rows, true less predicted, are sorted; the interval reaches from the residual of rank
``floor((n + 1) (1 - coverage) / 2)`` to that of rank ``ceil((n + 1) (1 + coverage) / 2)``, both counted from 1. If a
new row's residual is exchangeable with them, the interval holds its number with a probability of at least ``coverage``.

Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, JASA 113 (2018) 1094, sec. 2.2, with signed residuals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_COVERAGE", "NumberInterval", "conformal_reach", "fewest_residuals"]

Floats = NDArray[np.float64]

DEFAULT_COVERAGE: Final = 0.8


def conformal_reach(residuals: Floats, coverage: float = DEFAULT_COVERAGE) -> tuple[float, float]:
    """What to add to a prediction for the lower and the upper end of its interval.

    Args:
        residuals: true less predicted numbers of held-out rows, ``(n_rows,)``, at least one.
        coverage: above 0 and below 1.

    Of too few residuals for the ranks (see `fewest_residuals`) the outermost ones, whose coverage is less than asked.
    """
    ordered, n = np.sort(residuals), len(residuals)
    low = math.floor((n + 1) * (1.0 - coverage) / 2 + 1e-9)
    high = math.ceil((n + 1) * (1.0 + coverage) / 2 - 1e-9)
    return float(ordered[max(low, 1) - 1]), float(ordered[min(high, n) - 1])


def fewest_residuals(coverage: float) -> int:
    """Held-out rows without which the ranks do not exist: ``(n + 1) (1 - coverage) / 2 >= 1``."""
    return math.ceil(2.0 / (1.0 - coverage) - 1.0 - 1e-9)


@dataclass(frozen=True)
class NumberInterval:
    """The interval around each number that a model predicts.

    Attributes:
        coverage: share of new rows whose number it is meant to hold.
        below: what to add for its lower end; usually negative.
        above: what to add for its upper end, not less than ``below``.
        n_rows: held-out rows that gave it.
    """

    coverage: float
    below: float
    above: float
    n_rows: int

    def __post_init__(self) -> None:
        finite = math.isfinite(self.below) and math.isfinite(self.above)
        if not (0.0 < self.coverage < 1.0 and finite and self.below <= self.above):
            raise ValueError(
                f"coverage must be between 0 and 1, below and above finite and in order; got {self.coverage!r}, "
                f"{self.below!r}, {self.above!r}"
            )

    @classmethod
    def from_residuals(cls, coverage: float, residuals: Floats) -> Self:
        """The interval that held-out rows give.

        Args:
            coverage: above 0 and below 1.
            residuals: true less predicted numbers of rows that did not train the model, ``(n_rows,)``.

        Raises:
            ValueError: too few rows; says how many are needed.
        """
        needed = fewest_residuals(coverage)
        if len(residuals) < needed:
            raise ValueError(f"a coverage of {coverage:g} needs at least {needed} rows, got {len(residuals)}")
        return cls(coverage, *conformal_reach(residuals, coverage), len(residuals))

    def around(self, numbers: Floats) -> Floats:
        """Lower and upper end of each number's interval, ``(n_rows, 2)``."""
        return np.stack([numbers + self.below, numbers + self.above], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """The interval as JSON values."""
        return {"coverage": self.coverage, "below": self.below, "above": self.above, "n_rows": self.n_rows}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        below, above = float(description["below"]), float(description["above"])
        return cls(float(description["coverage"]), below, above, int(description["n_rows"]))
