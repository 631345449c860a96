"""Areas under ROC curves: their intervals, and differences of two scores' areas over the same cases.

Cases of one group, such as a patient, may hang together.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri, stdtrit

from superpose.learning.calibration.ranks import members_of
from superpose.learning.shares import wilson_interval

__all__ = ["Groups", "auc_difference", "auc_interval", "auc_variance"]

Floats = NDArray[np.float64]
Groups = tuple[NDArray[np.integer], NDArray[np.integer]]
"""The group of each case of the one side and of each of the other."""


def auc_interval(
    below: Floats, above: Floats, confidence: float, groups: Groups | None = None
) -> tuple[float, float, float]:
    """Chance that of two cases the one of ``below`` has the lower value (ties count half), and its interval.

    Args:
        below, above: values of the two sides, ``(n_below,)`` and ``(n_above,)``.
        confidence: of the interval.
        groups: which cases belong together, any integers ``(n_below,)`` and ``(n_above,)``; None if each stands for
            itself.

    It is symmetric in the log odds of the chance, not in the chance itself, where it would hold far too rarely near 1.
    Of groups, which may be few, Student's quantile stands in place of the normal one, with Welch and Satterthwaite's
    degrees of freedom of the two sides' groups. Without variance to tell by, as where all of ``below`` have lower
    values, the interval is Wilson's of as many cases as the smaller side has cases, or groups.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837, by ranks; log odds as Pohar Perme and Manevski,
    Stat. Methods Med. Res. 28 (2019) 3755, advise; of groups Obuchowski, Biometrics 53 (1997) 567; degrees of freedom
    Welch, Biometrika 34 (1947) 28.
    """
    auc, variance, freedom = auc_variance(below, above, groups)
    if variance == 0.0:
        fewest = min(len(np.unique(members)) for members in groups) if groups else min(len(below), len(above))
        return auc, *wilson_interval(auc * fewest, fewest, confidence)
    slope = 1.0 / (auc * (1.0 - auc))  # of the log odds
    reach = _quantile(confidence, freedom) * math.sqrt(variance) * slope
    return auc, float(expit(logit(auc) - reach)), float(expit(logit(auc) + reach))


def auc_variance(below: Floats, above: Floats, groups: Groups | None) -> tuple[float, float, float]:
    """The chance, its variance, and of groups the degrees of freedom that the variance has; else infinitely many.

    Args:
        below, above, groups: as for `auc_interval`.
    """
    return _told(_placements(below, above), groups)


def auc_difference(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], confidence: float, groups: Groups | None = None
) -> tuple[float, float | None, float | None]:
    """The first score's chance less the second's, of the same cases, and its interval; None where nothing tells it.

    Args:
        first, second: values of the two sides by each score, ``(n_below,)`` and ``(n_above,)``, of the same cases.
        confidence: of the interval.
        groups: as for `auc_interval`.

    Returns:
        Difference, low and high; low and high are None where cases' shares in the difference are all alike, as of
        scores that both part the sides without fault.

    Source: DeLong, DeLong and Clarke-Pearson 1988, of two correlated areas; of groups Obuchowski 1997.
    """
    both = [_placements(*one) for one in (first, second)]
    difference, variance, freedom = _told(tuple(one - two for one, two in zip(*both, strict=True)), groups)
    if variance == 0.0:
        return difference, None, None
    reach = _quantile(confidence, freedom) * math.sqrt(variance)
    return difference, max(-1.0, difference - reach), min(1.0, difference + reach)


def _quantile(confidence: float, freedom: float) -> float:
    likely = 0.5 + confidence / 2.0
    return float(ndtri(likely) if math.isinf(freedom) else stdtrit(freedom, likely))


def _placements(below: Floats, above: Floats) -> tuple[Floats, Floats]:
    """Of each case the share of the other side that lies on the right side of it, ``(n_below,)`` and ``(n_above,)``."""
    low, high = np.sort(above), np.sort(below)
    of_below = len(low) - (np.searchsorted(low, below, "left") + np.searchsorted(low, below, "right")) / 2.0
    of_above = (np.searchsorted(high, above, "left") + np.searchsorted(high, above, "right")) / 2.0
    return of_below / len(above), of_above / len(below)


def _told(placements: tuple[Floats, ...], groups: Groups | None) -> tuple[float, float, float]:
    """The mean of placements, its variance, and the degrees of freedom that this has."""
    mean = float(np.mean(placements[0]))
    n_first = len(placements[0])
    together = None if groups is None else np.concatenate(groups)
    members, n_groups = members_of(n_first + len(placements[1]), together)
    sums, n_with = [], []
    for rows, own in ((members[:n_first], placements[0]), (members[n_first:], placements[1])):
        sums.append(np.bincount(rows, weights=own - mean, minlength=n_groups) / len(own))
        n_with.append(len(np.unique(rows)))
    parts = [n / (n - 1) * float(own @ own) for n, own in zip(n_with, sums, strict=True)]
    variance = max(0.0, sum(parts) + 2.0 * n_groups / (n_groups - 1) * float(sums[0] @ sums[1]))
    if groups is None or sum(parts) == 0.0:
        return mean, variance, math.inf
    return mean, variance, sum(parts) ** 2 / sum(part**2 / (n - 1) for part, n in zip(parts, n_with, strict=True))
