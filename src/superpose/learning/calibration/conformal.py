"""Prediction sets that hold the true class with a stated probability, by split conformal prediction. NumPy only.

A score says how badly a class fits a row; over ``n`` held-out rows the scores of the true classes are sorted, and the
``ceil((n + 1) * coverage)``-th smallest is the threshold: a class is in a new row's set if its score is not above it.
If the new row comes from where the held-out rows came from, its true class is in its set with a probability of at least
``coverage``, whatever the model. The most probable class is always in, so no set is empty.

Rows of one patient are more alike than those of two. Where groups are known it is they that count: each weighs the
same, see `superpose.learning.calibration.ranks`, and the promise is for a row picked at random from a new group's.

Rows of few different kinds, as of categories alone, have scores at the very threshold, and the same row's probabilities
differ by rounding with the rows computed beside it: what is above the threshold by no more than that is in.

Source: Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world"; the finite-sample quantile as in
Angelopoulos and Bates 2021, arXiv 2107.07511, section 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.ranks import bound_of, members_of

__all__ = ["SCORES", "ConformalSets", "fewest_rows"]

Floats = NDArray[np.float64]

_ROUNDING, _LEAST_ROUNDING = 1e-5, 1e-14
"""By how much rounding may part the log odds of one row, those of a user's module in float32; and a score, at least."""


def _lac(probabilities: Floats) -> Floats:
    """``1 - p`` of each class.

    Source: Sadinle, Lei and Wasserman 2019, "Least ambiguous set-valued classifiers", arXiv 1609.00451.
    """
    return 1.0 - probabilities


def _aps(probabilities: Floats) -> Floats:
    """Sum of the probabilities of all classes that are not less probable, the class itself included; no random part.

    Source: Romano, Sesia and Candes 2020, "Classification with valid and adaptive coverage", arXiv 2006.02544, section
    2.2, without randomisation, which makes sets larger, never smaller.
    """
    n_classes = probabilities.shape[1]
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1)
    sums = np.cumsum(ranked, axis=1)
    for place in range(n_classes - 2, -1, -1):  # equally probable classes share the sum of the last of them
        tied = ranked[:, place] == ranked[:, place + 1]
        sums[tied, place] = sums[tied, place + 1]
    scores = np.empty_like(sums)
    np.put_along_axis(scores, order, sums, axis=1)
    return scores


SCORES: dict[str, Callable[[Floats], Floats]] = {"lac": _lac, "aps": _aps}
"""Scores ``(n_rows, n_classes)`` of probabilities, by name: "lac" gives the smallest sets on average, "aps" larger ones
that adapt better to rows that are hard."""


def fewest_rows(coverage: float) -> int:
    """Held-out rows, or groups where they are known, without which no threshold gives this coverage:
    ``ceil((n + 1) * coverage) <= n``.
    """
    n = max(1, math.floor(coverage / (1.0 - coverage)) - 1)
    while _rank(n, coverage) > n:
        n += 1
    return n


def _rank(n: int, coverage: float) -> int:
    """Which of ``n`` sorted scores is the threshold, from 1; a rounding error does not make it one more."""
    return math.ceil((n + 1) * coverage - 1e-9)


@dataclass(frozen=True)
class ConformalSets:
    """Prediction sets of one model.

    Attributes:
        method: a row of `SCORES`.
        coverage: how often a set holds the true class, at least.
        threshold: the largest score of a class that is in.
        n_rows: held-out rows that gave the threshold.
        n_groups: groups (patients) of those rows; None where they were not known, and each row counted for itself.
    """

    method: str
    coverage: float
    threshold: float
    n_rows: int
    n_groups: int | None = None

    def __post_init__(self) -> None:
        if self.method not in SCORES or not 0.0 < self.coverage < 1.0 or not math.isfinite(self.threshold):
            raise ValueError(
                f"method must be one of {', '.join(SCORES)}, coverage between 0 and 1, threshold finite; got "
                f"{self.method!r}, {self.coverage!r}, {self.threshold!r}"
            )

    @classmethod
    def from_rows(
        cls,
        method: str,
        coverage: float,
        probabilities: Floats,
        truth: NDArray[np.integer],
        groups: NDArray[np.integer] | None = None,
    ) -> Self:
        """The threshold that held-out rows give.

        Args:
            method: a row of `SCORES`.
            coverage: above 0 and below 1.
            probabilities: ``(n_rows, n_classes)``, of rows that neither trained nor calibrated the model.
            truth: index of each row's class, ``(n_rows,)``.
            groups: which rows belong together, any integers ``(n_rows,)``; None if each stands for itself.

        Raises:
            ValueError: too few rows, or groups; says how many are needed.
        """
        n, n_groups = len(truth), members_of(len(truth), groups)[1]
        if _rank(n_groups, coverage) > n_groups:
            unit = "rows" if groups is None else "groups of rows"
            raise ValueError(
                f"a coverage of {coverage:g} needs at least {fewest_rows(coverage)} {unit}, got {n_groups}"
            )
        scores = SCORES[method](probabilities)[np.arange(n), truth]
        return cls(method, coverage, bound_of(scores, coverage, groups)[0], n, None if groups is None else n_groups)

    def sets(self, probabilities: Floats) -> NDArray[np.bool_]:
        """Which classes are in each row's set, ``(n_rows, n_classes)``; the most probable one always is."""
        rounding = _ROUNDING * max(0.0, self.threshold * (1.0 - self.threshold)) + _LEAST_ROUNDING
        members = SCORES[self.method](probabilities) <= self.threshold + rounding
        members[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
        return members

    def to_dict(self) -> dict[str, Any]:
        """The sets' rule as JSON values."""
        return {
            "method": self.method,
            "coverage": self.coverage,
            "threshold": self.threshold,
            "n_rows": self.n_rows,
            **({} if self.n_groups is None else {"n_groups": self.n_groups}),
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        method, coverage = str(description["method"]), float(description["coverage"])
        threshold, n_rows = float(description["threshold"]), int(description["n_rows"])
        n_groups = description.get("n_groups")
        return cls(method, coverage, threshold, n_rows, None if n_groups is None else int(n_groups))
