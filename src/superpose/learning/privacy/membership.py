"""What an attacker could tell: whether a row was among the training rows, from what the model says about it.

The attack looks at the loss of a row, which is lower for rows that a model has learnt by heart (Yeom et al. 2018, arXiv
1709.01604). Chances of being right at few false alarms matter more than the average (Carlini et al. 2022, arXiv
2112.03570), so both are told. Stronger attacks train many models of the same kind; none is made here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr
from scipy.stats import binom, mannwhitneyu

from superpose.learning.areas import Groups, auc_interval, auc_variance
from superpose.learning.shares import effective_cases, interval_of_share

__all__ = ["membership_bound", "membership_report", "of_group", "row_losses"]

Floats = NDArray[np.float64]

_FALSE_ALARMS = (0.01, 0.05)
_SMALLEST = 1e-12
_ROUNDING = 1e-9
_FEWEST = 20
"""Rows on each side below which nothing is said."""


def row_losses(probabilities: NDArray[np.float64], classes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Cross entropy of each row, ``(n_rows,)``, from ``(n_rows, n_classes)`` and ``(n_rows,)``."""
    losses: NDArray[np.float64] = -np.log(np.maximum(probabilities[np.arange(len(classes)), classes], _SMALLEST))
    return losses


def membership_report(
    trained: Floats,
    unseen: Floats,
    *,
    groups: Groups | None = None,
    confidence: float = 0.95,
    epsilon: float | None = None,
    delta: float = 0.0,
) -> dict[str, Any] | None:
    """How well an attacker who sees losses tells training rows from others; None with fewer than 20 of either.

    Where groups, such as patients, are known there must be at least two of either, and intervals and p-value allow for
    alikeness in groups.

    Args:
        trained: losses of rows that the model was trained on, ``(n_trained,)``.
        unseen: losses of rows that it has not seen in any way, ``(n_unseen,)``.
        groups: of ``trained`` and of ``unseen``, which rows belong together: any integers, ``(n_trained,)`` and
            ``(n_unseen,)``; None if each row stands for itself.
        confidence: of the intervals.
        epsilon: of private training, whose bound then stands beside.
        delta: of private training.

    Returns:
        ``n_trained``, ``n_unseen`` and ``n_groups`` of both, or None; ``auc`` (0.5: the attacker guesses) with interval
        and ``p``, that training rows have no lower losses, by Mann and Whitney's test, or of groups by the AUC's
        variance and Student's distribution, and no less than dealing the groups out anew could show; ``advantage``,
        the largest difference of true and false alarms; ``true_alarms``, the share of training rows found at 1 and 5 %
        of false alarms, with intervals that allow for a threshold found on so few unseen rows; ``bound``, the advantage
        that no attack exceeds, with an epsilon.

    Cost: O(n log n).
    """
    if min(len(trained), len(unseen)) < _FEWEST:
        return None
    n_groups = None if groups is None else [len(np.unique(members)) for members in groups]
    if n_groups is not None and min(n_groups) < 2:
        return None
    auc, low, high = auc_interval(trained, unseen, confidence, groups)
    levels = np.unique(np.concatenate([trained, unseen]))
    found = np.searchsorted(np.sort(trained), levels, side="right") / len(trained)
    alarms = np.searchsorted(np.sort(unseen), levels, side="right") / len(unseen)
    report: dict[str, Any] = {
        "attack": "loss threshold",
        "n_trained": len(trained),
        "n_unseen": len(unseen),
        "n_groups": n_groups,
        "auc": auc,
        "low": low,
        "high": high,
        "p": _p_value(trained, unseen, groups),
        "advantage": float(max(0.0, np.max(found - alarms))),
        "mean_loss_trained": float(np.mean(trained)),
        "mean_loss_unseen": float(np.mean(unseen)),
        "true_alarms": [_at(share, trained, unseen, confidence, groups) for share in _FALSE_ALARMS],
        "bound": None if epsilon is None else membership_bound(epsilon, delta),
    }
    return report


def _p_value(trained: Floats, unseen: Floats, groups: Groups | None) -> float:
    """That training rows do not have the lower losses."""
    if groups is None:
        return float(mannwhitneyu(trained, unseen, alternative="less").pvalue)
    auc, variance, freedom = auc_variance(trained, unseen, groups)
    n_groups = [len(np.unique(members)) for members in groups]
    least = 1 / math.comb(sum(n_groups), n_groups[0])  # of all ways to deal the groups to the two sides this is one
    if variance == 0.0:
        return 1.0 if auc <= 0.5 else least
    return max(least, float(stdtr(freedom, (0.5 - auc) / math.sqrt(variance))))


def membership_bound(epsilon: float, delta: float) -> float:
    """The advantage over guessing that no attack on ``(epsilon, delta)``-private training exceeds.

    Source: Kairouz, Oh and Viswanath 2015, arXiv 1311.0776, theorem 2.1: true alarms are at most ``exp(epsilon)`` times
    false ones plus ``delta``, and the same for misses.

    >>> round(membership_bound(1.0, 0.0), 4)
    0.4621
    """
    # expm1 over exp, written so that large epsilons do not overflow
    return float(min(1.0, math.tanh(epsilon / 2.0) + 2.0 * delta / (1.0 + math.exp(min(epsilon, 700.0)))))


def of_group(epsilon: float, delta: float, n_rows: int) -> tuple[float, float]:
    """What ``(epsilon, delta)`` for one row comes to for so many, whatever mechanism it is of.

    Source: Vadhan 2017, "The complexity of differential privacy", lemma 2.2, its sum over rows written out.
    """
    rows = sum(math.exp(min(row * epsilon, 700.0)) for row in range(n_rows))
    return n_rows * epsilon, min(1.0, delta * rows)


def _at(share: float, trained: Floats, unseen: Floats, confidence: float, groups: Groups | None) -> dict[str, float]:
    """Training rows whose loss is below that of all but a share of unseen rows.

    The threshold is itself found on unseen rows, often few: how far the share moves between the ends that order
    statistics leave to the threshold, and Wilson's reach of it, are added in squares. Where so few unseen rows say
    nothing of the threshold on a side, that end is 0 or 1.

    Source: Zou and Donner, Stat. Med. 27 (2008) 1693; David and Nagaraja, Order Statistics (3rd ed. 2003), sec. 7.1.
    """
    ordered, n = np.sort(unseen), len(unseen)
    threshold = ordered[math.floor(share * n)]
    found, mean = trained < threshold, float(np.mean(trained < threshold))
    low, high = interval_of_share(found, confidence, None if groups is None else groups[0])
    worth = n if groups is None else max(1, round(effective_cases(unseen < threshold, confidence, groups[1])))
    below = binom.ppf((0.5 - confidence / 2.0, 0.5 + confidence / 2.0), worth, share) / worth
    fewest, most = (math.floor(one * n + _ROUNDING) for one in below)  # unseen rows under the true threshold
    least = float(np.mean(trained < ordered[fewest - 1])) if fewest > 0 else 0.0
    greatest = float(np.mean(trained <= ordered[most])) if most < n else 1.0
    return {
        "false_alarms": share,
        "share": mean,
        "low": max(0.0, mean - math.hypot(mean - low, mean - min(mean, least))),
        "high": min(1.0, mean + math.hypot(high - mean, max(mean, greatest) - mean)),
    }
