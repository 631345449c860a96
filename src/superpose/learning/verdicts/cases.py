"""Statistics over test cases: which model is right where the other is wrong, and how many cases a decision needs.

Each case counts once, so that cases are independent given the models. Those of one group (a patient) are not: where
groups are known whole groups are drawn, tested and counted.
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
    "groups_to_call_equal",
    "groups_to_decide",
    "mcnemar",
    "mcnemar_of_groups",
]

POWER = 0.8
"""Probability with which the number of cases that is named would decide."""

_RESAMPLES = 2_000
_CASES_TIMES_RESAMPLES = 4_000_000
_FEWEST_RESAMPLES = 200

_MOST_SUMS = 200_000_000
"""Additions up to which the test of groups is exact; where it takes more, its statistic is taken for normal."""

_RARE = 5e-4
"""Share of cases that one model alone gets right, at least, where numbers of cases to call equal are worked out."""

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

    @property
    def of_groups(self) -> NDArray[np.int64] | None:
        """For each group how many more of its cases the hybrid model gets right than the other, ``(n_groups,)``; None
        where groups are not known.
        """
        if self.groups is None:
            return None
        more = self._right(self.hybrid).astype(np.int64) - self._right(self.other)
        members = np.unique(self.groups, return_inverse=True)[1]
        return np.bincount(members, weights=more).round().astype(np.int64)

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
        mcnemar_p: two-sided p value of McNemar's exact test on those two numbers, or of `mcnemar_of_groups`, not yet
            corrected for the number of comparisons.
        difference: of the metric, hybrid minus other, over all cases at once.
        low, high: its bootstrap interval; None where the metric is not defined on every resample.
        to_decide: cases, or groups of as many cases as these where they are known, with which a difference of this
            share of right ones would be decided with probability 0.8; None where there is no difference.
        to_call_equal: cases, or groups, with which the shares of right ones could be called equal within the margin
            with probability 0.8, if they are.
        n_groups: groups of the cases; None where they were not known, and each case was taken for itself.
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
    n_groups: int | None = None

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


def mcnemar_of_groups(differences: NDArray[np.integer]) -> float:
    """Two-sided p value of McNemar's test where cases of a group hang together, exact as his is.

    Were the models equally good, each group's difference could as well have the other sign: among all choices of signs
    the share that gives as large a sum, by magnitude. The sum's square over the sum of squares is Obuchowski's
    statistic up to ``(K - 1) / K`` of ``K`` groups, and the sum of squares is the same for all signs, so that this is
    her test without its chi-squared approximation. Of groups of one case it is McNemar's exact test.

    Args:
        differences: of each group, cases that the first model alone gets right minus those that the second alone does.

    Source: Obuchowski, Stat. Med. 17 (1998) 1495, in the form of Yang, Sun and Hardin, Biom. J. 52 (2010) 638; the
    distribution over signs as Fisher, The Design of Experiments (1935), sec. 21.

    Cost: at most 2e8 additions; where the distribution would take more, the chi-squared one of that statistic.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if len(sizes) < 2:
        return mcnemar(int(np.sum(differences > 0)), int(np.sum(differences < 0)))
    observed, total = abs(int(differences.sum())), int(sizes @ counts)
    if int(counts.sum()) * total > _MOST_SUMS:
        n_groups = len(differences)
        statistic = (n_groups - 1) / n_groups * observed**2 / float(sizes**2 @ counts)
        return math.erfc(math.sqrt(statistic / 2.0))
    from scipy import stats

    chances = np.ones(1)  # of each sum of the positive differences
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        longer = np.zeros(len(chances) + size * count)
        for n_positive, chance in enumerate(stats.binom.pmf(np.arange(count + 1), count, 0.5)):
            longer[n_positive * size :][: len(chances)] += chance * chances
        chances = longer
    as_large = np.abs(2 * np.arange(total + 1) - total) >= observed
    return min(1.0, float(chances[as_large].sum()))


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
    return _to_decide((only_first - only_second) / n_cases, (only_first + only_second) / n_cases, allowed_error)


def groups_to_decide(differences: NDArray[np.integer], allowed_error: float) -> int | None:
    """How many groups like these would show the difference that these show, with probability 0.8.

    Args:
        differences: of each group, as for `mcnemar_of_groups`.
        allowed_error: two-sided, of the comparison.

    Returns:
        None where they add up to 0. Of groups of one case it is `cases_to_decide`.

    Source: Connor's formula, with the mean square of the groups' differences for the share of discordant cases.
    """
    return _to_decide(float(np.mean(differences)), float(np.mean(np.square(differences))), allowed_error)


def _to_decide(mean: float, mean_square: float, allowed_error: float) -> int | None:
    """So many independent differences, of this mean and mean square, show the mean with probability 0.8."""
    if mean == 0.0:
        return None
    unlucky = float(ndtri(1.0 - allowed_error / 2.0)) * math.sqrt(mean_square)
    wanted = float(ndtri(POWER)) * math.sqrt(max(mean_square - mean**2, 0.0))
    return math.ceil(((unlucky + wanted) / mean) ** 2)


def cases_to_call_equal(discordant: float, margin: float, allowed_error: float) -> int:
    """How many paired cases would show that shares of right ones differ by less than ``margin``, if they are equal.

    Args:
        discordant: share of cases that one model alone gets right; at least one in 2,000 is assumed.
        margin: above 0.
        allowed_error: one-sided, of each of the two tests.

    Source: Liu et al., Stat. Med. 21 (2002) 231 (equivalence of paired proportions), at a true difference of 0; where
    shares differ by the margin, which is to be ruled out, that share of cases at least is discordant (as in the score
    test of Tango, Stat. Med. 17 (1998) 891): of models that never differ a dozen cases show nothing.
    """
    return _to_call_equal(max(discordant, _RARE), margin, allowed_error)


def groups_to_call_equal(differences: NDArray[np.integer], n_cases: int, margin: float, allowed_error: float) -> int:
    """How many groups like these would show that shares of right cases differ by less than ``margin``, if equal.

    Args:
        differences: of each group, as for `mcnemar_of_groups`; at least one case in 2,000 is assumed to differ.
        n_cases: of all groups together.
        margin: above 0, of shares of cases.
        allowed_error: one-sided, of each of the two tests.

    Returns:
        Of groups of one case `cases_to_call_equal`.
    """
    size = n_cases / len(differences)
    mean_square = max(float(np.mean(np.square(differences))), _RARE * size)
    return _to_call_equal(mean_square, margin * size, allowed_error)


def _to_call_equal(mean_square: float, margin: float, allowed_error: float) -> int:
    """So many independent differences, whole numbers of this mean square, show with probability 0.8 that their mean is
    within the margin; were it the margin, their mean square would be that or more.
    """
    unlucky = float(ndtri(1.0 - allowed_error)) * math.sqrt(max(mean_square, margin))
    wanted = float(ndtri(0.5 + POWER / 2.0)) * math.sqrt(mean_square)
    return math.ceil(((unlucky + wanted) / margin) ** 2)


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
    n_cases, of_groups = int(cases.truth.size), cases.of_groups
    first, second = cases.only_hybrid_right, cases.only_other_right
    if of_groups is None:
        p_value, to_decide = mcnemar(first, second), cases_to_decide(first, second, n_cases, allowed_error)
        to_call_equal = cases_to_call_equal((first + second) / n_cases, margin, allowed_error)
    else:
        p_value, to_decide = mcnemar_of_groups(of_groups), groups_to_decide(of_groups, allowed_error)
        to_call_equal = groups_to_call_equal(of_groups, n_cases, margin, allowed_error)
    low, high = _bootstrap(cases, measure, allowed_error, seed)
    return CaseComparison(
        n_cases=n_cases,
        only_hybrid_right=first,
        only_other_right=second,
        mcnemar_p=p_value,
        difference=measure(cases.truth, cases.hybrid) - measure(cases.truth, cases.other),
        low=low,
        high=high,
        to_decide=to_decide,
        to_call_equal=to_call_equal,
        n_groups=None if of_groups is None else len(of_groups),
    )


def _bootstrap(
    cases: PairedCases, measure: Measure, allowed_error: float, seed: int
) -> tuple[float, float] | tuple[None, None]:
    """Percentile interval of the metric's difference, cases (or whole groups, where they are known) drawn with
    replacement.
    """
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
