"""Intervals of shares and means over cases, where cases of one group, such as a patient, may hang together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from superpose.learning.calibration.ranks import members_of

__all__ = [
    "difference_of_paired_shares",
    "effect_of_groups",
    "effective_cases",
    "interval_of_mean",
    "interval_of_share",
    "mean_of_shares",
    "paired_shares_are_near",
    "wilson_interval",
]

Groups = NDArray[np.integer]


def wilson_interval(successes: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a share; ``n`` may be an effective number of cases, no whole one.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    z = float(ndtri(0.5 + confidence / 2.0))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, centre - reach)), min(1.0, max(share, centre + reach))  # of 0 and 1 rounding else misses


def interval_of_share(found: NDArray[np.bool_], confidence: float, groups: Groups | None = None) -> tuple[float, float]:
    """Wilson's interval of a share of cases, of as many as they are worth where groups of them hang together.

    Args:
        found: of which cases it is true, ``(n_cases,)``, at least one.
        confidence: such as 0.95.
        groups: which cases belong together, any integers ``(n_cases,)``; None if each stands for itself.

    Source: an effective number in Wilson's interval as Franco, Little, Louis and Slud, J. Surv. Stat. Methodol. 7
    (2019) 334.
    """
    effective = effective_cases(found, confidence, groups)
    return wilson_interval(float(np.mean(found)) * effective, effective, confidence)


def effective_cases(found: NDArray[np.bool_], confidence: float, groups: Groups | None = None) -> float:
    """As many independent cases as some are worth for a share of them, where groups of them hang together.

    Of ``K`` groups it is ``n`` over the design effect, the variance between groups over that of as many independent
    cases, times ``(t_(n-1) / t_(K-1))**2`` of Student's quantiles; at most ``n``. Of a share of 0 or 1, which has no
    variance to tell by, and of one group it is ``K``.

    Args:
        found, confidence, groups: as for `interval_of_share`.

    Source: Korn and Graubard, Survey Methodology 24 (1998) 193.
    """
    n, share = len(found), float(np.mean(found))
    _, n_groups = members_of(n, groups)
    effective = float(n_groups)  # without groups the number of cases
    if 1 < n_groups < n and 0.0 < share < 1.0:
        own = share * (1.0 - share) / (n - 1)  # variance of the share of n independent cases
        student = float(stdtrit(n - 1, 0.5 + confidence / 2) / stdtrit(n_groups - 1, 0.5 + confidence / 2))
        effect = _variance(found.astype(np.float64), groups) / own
        effective = min(float(n), n / effect * student**2) if effect > 0.0 else float(n)
    return effective


def interval_of_mean(
    values: NDArray[np.float64], confidence: float, groups: Groups | None = None
) -> tuple[float, float]:
    """Student's interval of a mean over cases, from the variance between groups where they are known.

    Args:
        values: ``(n_cases,)``.
        confidence: such as 0.95.
        groups: which cases belong together, any integers ``(n_cases,)``; None if each stands for itself.

    Returns:
        Infinite bounds of fewer than two groups, or cases.

    Source: the ratio estimator of cluster samples, Cochran, Sampling Techniques (3rd ed. 1977), sec. 2.11 and 9A.2.
    """
    n_groups = members_of(len(values), groups)[1]
    if n_groups < 2:
        return -math.inf, math.inf
    reach = float(stdtrit(n_groups - 1, 0.5 + confidence / 2)) * math.sqrt(_variance(values, groups))
    mean = float(np.mean(values))
    return mean - reach, mean + reach


def mean_of_shares(shares: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """The interval of the mean of shares of different cases, such as balanced accuracy, from each one's own interval.

    Args:
        shares: value, low and high of each, of the confidence that is wanted; at least one.

    Unlike a bootstrap it has a width where all shares are 0 or 1.

    Source: Zou and Donner, Stat. Med. 27 (2008) 1693, for a sum, with Wilson's intervals as in Newcombe 1998.
    """
    mean = sum(value for value, _, _ in shares) / len(shares)
    down = math.hypot(*(value - low for value, low, _ in shares)) / len(shares)
    up = math.hypot(*(high - value for value, _, high in shares)) / len(shares)
    return max(0.0, mean - down), min(1.0, mean + up)


def difference_of_paired_shares(
    first: NDArray[np.bool_], second: NDArray[np.bool_], confidence: float, groups: Groups | None = None
) -> tuple[float, float, float]:
    """The first share less the second, of the same cases, and its interval.

    Args:
        first, second: of which cases each is true, ``(n_cases,)``, at least one.
        confidence: such as 0.95.
        groups: which cases belong together, any integers ``(n_cases,)``; None if each stands for itself.

    It has a width where the two never differ, the smaller the more cases there are.

    Source: Newcombe, Stat. Med. 17 (1998) 2635, method 10; of groups with the number of cases that they are worth, for
    either share or for their difference, whichever is least.
    """
    shares = float(np.mean(first)), float(np.mean(second))
    n_cases = min(effective_cases(one, confidence, groups) for one in (first, second))
    if groups is not None:
        n_cases = min(n_cases, _worth(first, second, confidence, groups))
    (low, high), (other_low, other_high) = (wilson_interval(one * n_cases, n_cases, confidence) for one in shares)
    spread = math.sqrt(math.prod(share * (1.0 - share) for share in shares))
    alike = float(np.mean(first & second)) - shares[0] * shares[1]
    if alike > 0.0:  # corrected for continuity, so that few cases that agree are not taken for proof
        alike = max(0.0, alike - 0.5 / n_cases)
    phi = alike / spread if spread > 0.0 else 0.0

    def reach(own: float, other: float) -> float:
        return math.sqrt(max(0.0, own**2 - 2.0 * phi * own * other + other**2))

    difference = shares[0] - shares[1]
    return (
        difference,
        max(-1.0, difference - reach(shares[0] - low, other_high - shares[1])),
        min(1.0, difference + reach(high - shares[0], shares[1] - other_low)),
    )


def paired_shares_are_near(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    margin: float,
    allowed_error: float,
    groups: Groups | None = None,
) -> bool:
    """Whether two score tests rule out that shares of the same cases differ by ``margin`` or more, to either side.

    Args:
        first, second, groups: as for `difference_of_paired_shares`.
        margin: above 0 and below 1.
        allowed_error: of each of the two tests, below one half.

    Source: Tango, Stat. Med. 17 (1998) 891; of groups with the number of cases that they are worth for the difference.
    """
    n_cases = float(len(first))
    if groups is not None:
        n_cases = _worth(first, second, 1.0 - 2.0 * allowed_error, groups)
    only_first, only_second = float(np.mean(first & ~second)), float(np.mean(second & ~first))
    least = float(ndtri(1.0 - allowed_error))
    # the second as far above the first, and the first above the second
    return all(
        _score(one, other, margin) * math.sqrt(n_cases) > least
        for one, other in ((only_first, only_second), (only_second, only_first))
    )


def _score(only_first: float, only_second: float, margin: float) -> float:
    """Tango's statistic, over the root of the number of cases, that the first share is ``margin`` below the second."""
    half = (only_first + only_second + (2.0 - only_first + only_second) * margin) / 4.0
    # the likeliest share that the second alone is right on, were the difference the margin
    likeliest = half + math.sqrt(max(0.0, half**2 - only_second * margin * (1.0 + margin) / 2.0))
    return (only_first - only_second + margin) / math.sqrt(max(2.0 * likeliest - margin * (1.0 + margin), 1e-12))


def effect_of_groups(first: NDArray[np.bool_], second: NDArray[np.bool_], groups: Groups) -> float:
    """The design effect of groups on the difference of two shares of the same cases; at least 1, which it is of cases
    that stand each for itself.

    It is the sum of squares of groups' differences over the number of cases in which the two differ, as if one group
    more, of the mean size, differed in all its cases: where none differs, or few do, nothing else tells that those of a
    group may differ together.

    Args:
        first, second, groups: as for `difference_of_paired_shares`.
    """
    members, n_groups = members_of(len(first), groups)
    more = first.astype(np.float64) - second
    size = len(first) / n_groups
    squares = float(np.sum(np.bincount(members, weights=more, minlength=n_groups) ** 2))
    return max(1.0, (squares + size**2) / (float(np.sum(more**2)) + size))


def _worth(first: NDArray[np.bool_], second: NDArray[np.bool_], confidence: float, groups: Groups) -> float:
    """As many independent cases as groups are worth for the difference of two shares."""
    n, (_, n_groups) = len(first), members_of(len(first), groups)
    if not 1 < n_groups < n:
        return float(n_groups)
    student = float(stdtrit(n - 1, 0.5 + confidence / 2) / stdtrit(n_groups - 1, 0.5 + confidence / 2))
    return n / effect_of_groups(first, second, groups) * student**2


def _variance(values: NDArray[np.float64], groups: Groups | None) -> float:
    """Of the mean over cases, from sums of deviations in groups."""
    members, n_groups = members_of(len(values), groups)
    sums = np.bincount(members, weights=values - np.mean(values), minlength=n_groups)
    return float(n_groups / (n_groups - 1) * np.sum(sums**2)) / len(values) ** 2
