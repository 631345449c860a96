"""Statistics over test cases: which model is right where the other is wrong, and how many cases a decision needs.

Each case counts once, so that cases are independent given the models; those of a group (a patient) are drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = [
    "CaseComparison",
    "PairedCases",
    "SeenCases",
    "cases_to_call_equal",
    "cases_to_decide",
    "compare_cases",
    "mcnemar",
]

POWER = 0.8
"""Probability with which the number of cases that is named would decide."""

_RESAMPLES = 2_000
_CASES_TIMES_RESAMPLES = 4_000_000
_FEWEST_RESAMPLES = 200

Floats = NDArray[np.float64]
Measure = Callable[[NDArray[np.integer], Floats], float]


@dataclass(frozen=True)
class PairedCases:
    """What two models say about the same test cases.

    Attributes:
        truth: class indices, ``(n_cases,)``.
        hybrid: probabilities of the hybrid model, ``(n_cases, n_classes)``.
        other: those of the other, the same shape.
        groups: which cases belong together, any integers ``(n_cases,)``; None if each stands for itself.
    """

    truth: NDArray[np.integer]
    hybrid: Floats
    other: Floats
    groups: NDArray[np.integer] | None = None

    @property
    def only_hybrid_right(self) -> int:
        """Cases that the hybrid model alone puts into their class."""
        return int(np.sum(self._right(self.hybrid) & ~self._right(self.other)))

    @property
    def only_other_right(self) -> int:
        """Cases that the other model alone puts into their class."""
        return int(np.sum(self._right(self.other) & ~self._right(self.hybrid)))

    def _right(self, probabilities: Floats) -> NDArray[np.bool_]:
        return np.asarray(probabilities.argmax(axis=1) == self.truth)


@dataclass(frozen=True)
class SeenCases:
    """What all variants of an experiment say about the same test cases.

    Attributes:
        truth: class indices, ``(n_cases,)``.
        probabilities: for each variant, ``(n_cases, n_classes)``; "hybrid" is one of them.
        groups: which cases belong together, any integers ``(n_cases,)``; None if each stands for itself.
        positive: index of the positive class, for metrics that have one.
        seed: of the bootstrap.
        places: the row of the table that each case is, ``(n_cases,)``.
    """

    truth: NDArray[np.integer]
    probabilities: Mapping[str, Floats]
    groups: NDArray[np.integer] | None = None
    positive: int = 1
    seed: int = 0
    places: NDArray[np.integer] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def against(self, variant: str) -> PairedCases:
        """The hybrid model and this variant."""
        return PairedCases(self.truth, self.probabilities["hybrid"], self.probabilities[variant], self.groups)


@dataclass(frozen=True)
class CaseComparison:
    """The hybrid model and another on the same test cases.

    Attributes:
        n_cases: cases, each counted once.
        only_hybrid_right, only_other_right: cases that one alone puts into their class.
        mcnemar_p: two-sided p value of McNemar's exact test on those two numbers, not yet corrected for the number
            of comparisons.
        difference: of the metric, hybrid minus other, over all cases at once.
        low, high: its bootstrap interval; None where the metric is not defined on every resample.
        to_decide: cases with which a difference of this share of right ones would be decided with probability 0.8;
            None where there is no difference.
        to_call_equal: cases with which the shares of right ones could be called equal within the margin with
            probability 0.8, if they are.
    """

    n_cases: int
    only_hybrid_right: int
    only_other_right: int
    mcnemar_p: float
    difference: float
    low: float | None
    high: float | None
    to_decide: int | None
    to_call_equal: int

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return dict(vars(self))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p value of McNemar's exact test: of the cases that one alone gets right, half should be each one's.

    Source: McNemar, Psychometrika 12 (1947) 153; exact by the binomial distribution.
    """
    from scipy import stats  # half a second, which is not spent to import this package

    together = only_first + only_second
    return 1.0 if together == 0 else float(stats.binomtest(only_first, together, 0.5).pvalue)


def cases_to_decide(only_first: int, only_second: int, n_cases: int, allowed_error: float) -> int | None:
    """How many paired cases would show the difference that these show, with probability 0.8.

    Args:
        only_first, only_second: cases that one alone gets right.
        n_cases: all cases.
        allowed_error: two-sided, of the comparison.

    Returns:
        None where the two numbers are equal: no number of cases shows a difference of 0.

    Source: Connor, Biometrics 43 (1987) 207, without continuity correction.
    """
    difference = (only_first - only_second) / n_cases
    if difference == 0.0:
        return None
    discordant = (only_first + only_second) / n_cases
    unlucky = float(ndtri(1.0 - allowed_error / 2.0)) * math.sqrt(discordant)
    wanted = float(ndtri(POWER)) * math.sqrt(max(discordant - difference**2, 0.0))
    return math.ceil(((unlucky + wanted) / difference) ** 2)


def cases_to_call_equal(discordant: float, margin: float, allowed_error: float) -> int:
    """How many paired cases would show that shares of right ones differ by less than ``margin``, if they are equal.

    Args:
        discordant: share of cases that one model alone gets right; at least one in 2,000 is assumed.
        margin: above 0.
        allowed_error: one-sided, of each of the two tests.

    Source: Liu et al., Stat. Med. 21 (2002) 231 (equivalence of paired proportions), at a true difference of 0.
    """
    both = float(ndtri(1.0 - allowed_error)) + float(ndtri(0.5 + POWER / 2.0))
    return math.ceil(max(discordant, 5e-4) * (both / margin) ** 2)


def compare_cases(
    cases: PairedCases, measure: Measure, *, margin: float, allowed_error: float, seed: int
) -> CaseComparison:
    """Compare two models on the same cases.

    Args:
        cases: what both say, at least two cases.
        measure: the metric, from truth and probabilities.
        margin: within which the models may be called equal.
        allowed_error: of this comparison alone, two-sided.
        seed: of the bootstrap.

    Cost: 200 to 2,000 times the metric on all cases, fewer the more cases there are.
    """
    n_cases = int(cases.truth.size)
    first, second = cases.only_hybrid_right, cases.only_other_right
    low, high = _bootstrap(cases, measure, allowed_error, seed)
    return CaseComparison(
        n_cases=n_cases,
        only_hybrid_right=first,
        only_other_right=second,
        mcnemar_p=mcnemar(first, second),
        difference=measure(cases.truth, cases.hybrid) - measure(cases.truth, cases.other),
        low=low,
        high=high,
        to_decide=cases_to_decide(first, second, n_cases, allowed_error),
        to_call_equal=cases_to_call_equal((first + second) / n_cases, margin, allowed_error),
    )


def _bootstrap(
    cases: PairedCases, measure: Measure, allowed_error: float, seed: int
) -> tuple[float, float] | tuple[None, None]:
    """Percentile interval of the metric's difference, cases (or whole groups) drawn with replacement."""
    rng, members = np.random.default_rng(seed), _members(cases)
    n_resamples = max(_FEWEST_RESAMPLES, min(_RESAMPLES, _CASES_TIMES_RESAMPLES // cases.truth.size))
    found = np.empty(n_resamples)
    for place in range(n_resamples):
        drawn = rng.integers(len(members), size=len(members))
        rows = drawn if cases.groups is None else np.concatenate([members[group] for group in drawn])
        truth = cases.truth[rows]
        found[place] = measure(truth, cases.hybrid[rows]) - measure(truth, cases.other[rows])
    if not np.all(np.isfinite(found)):
        return None, None  # a resample without one of the classes
    low, high = np.quantile(found, [allowed_error / 2.0, 1.0 - allowed_error / 2.0])
    return float(low), float(high)


def _members(cases: PairedCases) -> list[NDArray[np.integer]] | NDArray[np.integer]:
    """What is drawn: the cases, or for each group the places of its cases."""
    if cases.groups is None:
        return np.arange(cases.truth.size)
    _, place = np.unique(cases.groups, return_inverse=True)
    order = np.argsort(place, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(place[order])) + 1)
