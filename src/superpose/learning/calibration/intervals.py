"""Intervals that hold a predicted number's true value with a stated probability, by split conformal prediction.

The residuals of ``n`` held-out rows, true less predicted, are sorted; the interval reaches from the residual of rank
``floor((n + 1) (1 - coverage) / 2)`` to that of rank ``ceil((n + 1) (1 + coverage) / 2)``, both counted from 1. If a
new row's residual is exchangeable with them, the interval holds its number with a probability of at least ``coverage``.
Where rows of one group (a patient) hang together each group weighs the same, see
`superpose.learning.calibration.ranks`, and the promise is for a row picked at random from those of a new group.

Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, JASA 113 (2018) 1094, sec. 2.2, with signed residuals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.ranks import bound_of, members_of

__all__ = ["DEFAULT_COVERAGE", "NumberInterval", "conformal_reach", "fewest_residuals"]

Floats = NDArray[np.float64]

DEFAULT_COVERAGE: Final = 0.8

_ROUNDING, _LEAST_ROUNDING = 1e-9, 1e-12
"""Of an interval's width, and of the number."""


def conformal_reach(
    residuals: Floats, coverage: float = DEFAULT_COVERAGE, groups: NDArray[np.integer] | None = None
) -> tuple[float, float]:
    """What to add to a prediction for the lower and the upper end of its interval.

    Args:
        residuals: true less predicted numbers of held-out rows, ``(n_rows,)``, at least one.
        coverage: above 0 and below 1.
        groups: which rows belong together, any integers ``(n_rows,)``; None if each stands for itself.

    Of too few residuals, or groups, for the ranks (see `fewest_residuals`) the outermost ones, whose coverage is less
    than asked.
    """
    share = (1.0 + coverage) / 2
    return -bound_of(-residuals, share, groups)[0], bound_of(residuals, share, groups)[0]


def fewest_residuals(coverage: float) -> int:
    """Held-out rows, or groups where they are known, without which the ranks do not exist:
    ``(n + 1) (1 - coverage) / 2 >= 1``.
    """
    return math.ceil(2.0 / (1.0 - coverage) - 1.0 - 1e-9)


@dataclass(frozen=True)
class NumberInterval:
    """The interval around each number that a model predicts.

    Attributes:
        coverage: share of new rows whose number it is meant to hold.
        below: what to add for its lower end; usually negative.
        above: what to add for its upper end, not less than ``below``.
        n_rows: held-out rows that gave it.
        n_groups: groups (patients) of those rows; None where they were not known, and each row counted for itself.
    """

    coverage: float
    below: float
    above: float
    n_rows: int
    n_groups: int | None = None

    def __post_init__(self) -> None:
        finite = math.isfinite(self.below) and math.isfinite(self.above)
        if not (0.0 < self.coverage < 1.0 and finite and self.below <= self.above):
            raise ValueError(
                f"coverage must be between 0 and 1, below and above finite and in order; got {self.coverage!r}, "
                f"{self.below!r}, {self.above!r}"
            )

    @classmethod
    def from_residuals(cls, coverage: float, residuals: Floats, groups: NDArray[np.integer] | None = None) -> Self:
        """The interval that held-out rows give.

        Args:
            coverage: above 0 and below 1.
            residuals: true less predicted numbers of rows that did not train the model, ``(n_rows,)``.
            groups: which rows belong together, any integers ``(n_rows,)``; None if each stands for itself.

        Raises:
            ValueError: too few rows, or groups; says how many are needed.
        """
        needed, n_groups = fewest_residuals(coverage), members_of(len(residuals), groups)[1]
        if n_groups < needed:
            unit = "rows" if groups is None else "groups of rows"
            raise ValueError(f"a coverage of {coverage:g} needs at least {needed} {unit}, got {n_groups}")
        reach = conformal_reach(residuals, coverage, groups)
        return cls(coverage, *reach, len(residuals), None if groups is None else n_groups)

    def around(self, numbers: Floats) -> Floats:
        """Lower and upper end of each number's interval, ``(n_rows, 2)``; wider by what rounding may make of a number.

        True numbers that are counts, of rows of few different kinds, lie at the very ends.
        """
        rounding = _ROUNDING * (self.above - self.below) + _LEAST_ROUNDING * np.abs(numbers)
        return np.stack([numbers + self.below - rounding, numbers + self.above + rounding], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """The interval as JSON values."""
        found = {"coverage": self.coverage, "below": self.below, "above": self.above, "n_rows": self.n_rows}
        return found if self.n_groups is None else {**found, "n_groups": self.n_groups}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        below, above, n_groups = float(description["below"]), float(description["above"]), description.get("n_groups")
        coverage, n_rows = float(description["coverage"]), int(description["n_rows"])
        return cls(coverage, below, above, n_rows, None if n_groups is None else int(n_groups))
