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
from scipy.special import ndtri
from scipy.stats import mannwhitneyu

from superpose.learning.shares import wilson_interval

__all__ = ["auc_interval", "membership_bound", "membership_report", "row_losses"]

_FALSE_ALARMS = (0.01, 0.05)
_SMALLEST = 1e-12
_FEWEST = 20
"""Rows on each side below which nothing is said."""


def row_losses(probabilities: NDArray[np.float64], classes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Cross entropy of each row, ``(n_rows,)``, from ``(n_rows, n_classes)`` and ``(n_rows,)``."""
    losses: NDArray[np.float64] = -np.log(np.maximum(probabilities[np.arange(len(classes)), classes], _SMALLEST))
    return losses


def membership_report(
    trained: NDArray[np.float64],
    unseen: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    epsilon: float | None = None,
    delta: float = 0.0,
) -> dict[str, Any] | None:
    """How well an attacker who sees losses tells training rows from others; None with fewer than 20 of either.

    Args:
        trained: losses of rows that the model was trained on, ``(n_trained,)``.
        unseen: losses of rows that it has not seen in any way, ``(n_unseen,)``.
        confidence: of the intervals.
        epsilon: of private training, whose bound then stands beside.
        delta: of private training.

    Returns:
        ``auc`` (0.5: the attacker guesses) with interval and the p-value of Mann and Whitney's test that training rows
        have lower losses; ``advantage``, the largest difference of true and false alarms; ``true_alarms``, the share of
        training rows found at 1 and 5 % of false alarms, with Wilson intervals; ``bound``, the advantage that no
        attack exceeds, with an epsilon.

    Cost: O(n log n).
    """
    if min(len(trained), len(unseen)) < _FEWEST:
        return None
    auc, low, high = auc_interval(trained, unseen, confidence)
    tested = mannwhitneyu(trained, unseen, alternative="less")
    levels = np.unique(np.concatenate([trained, unseen]))
    found = np.searchsorted(np.sort(trained), levels, side="right") / len(trained)
    alarms = np.searchsorted(np.sort(unseen), levels, side="right") / len(unseen)
    report: dict[str, Any] = {
        "attack": "loss threshold",
        "n_trained": len(trained),
        "n_unseen": len(unseen),
        "auc": auc,
        "low": low,
        "high": high,
        "p": float(tested.pvalue),
        "advantage": float(max(0.0, np.max(found - alarms))),
        "mean_loss_trained": float(np.mean(trained)),
        "mean_loss_unseen": float(np.mean(unseen)),
        "true_alarms": [_at(share, trained, unseen, confidence) for share in _FALSE_ALARMS],
        "bound": None if epsilon is None else membership_bound(epsilon, delta),
    }
    return report


def auc_interval(
    trained: NDArray[np.float64], unseen: NDArray[np.float64], confidence: float
) -> tuple[float, float, float]:
    """Chance that a training row has the lower loss of two (ties count half), and its interval.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837, by ranks.
    """
    low, high = np.sort(unseen), np.sort(trained)
    above = len(low) - (np.searchsorted(low, trained, "left") + np.searchsorted(low, trained, "right")) / 2.0
    below = (np.searchsorted(high, unseen, "left") + np.searchsorted(high, unseen, "right")) / 2.0
    of_trained, of_unseen = above / len(unseen), below / len(trained)  # placements, (n_trained,) and (n_unseen,)
    auc = float(np.mean(of_trained))
    variance = np.var(of_trained, ddof=1) / len(trained) + np.var(of_unseen, ddof=1) / len(unseen)
    reach = float(ndtri(0.5 + confidence / 2.0)) * math.sqrt(float(variance))
    return auc, max(0.0, auc - reach), min(1.0, auc + reach)


def membership_bound(epsilon: float, delta: float) -> float:
    """The advantage over guessing that no attack on ``(epsilon, delta)``-private training exceeds.

    Source: Kairouz, Oh and Viswanath 2015, arXiv 1311.0776, theorem 2.1: true alarms are at most ``exp(epsilon)`` times
    false ones plus ``delta``, and the same for misses.

    >>> round(membership_bound(1.0, 0.0), 4)
    0.4621
    """
    # expm1 over exp, written so that large epsilons do not overflow
    return float(min(1.0, math.tanh(epsilon / 2.0) + 2.0 * delta / (1.0 + math.exp(min(epsilon, 700.0)))))


def _at(share: float, trained: NDArray[np.float64], unseen: NDArray[np.float64], confidence: float) -> dict[str, float]:
    """Training rows whose loss is below that of all but a share of unseen rows."""
    allowed = math.floor(share * len(unseen))
    threshold = np.sort(unseen)[allowed]
    n_found = int(np.sum(trained < threshold))
    low, high = wilson_interval(n_found, len(trained), confidence)
    return {"false_alarms": share, "share": n_found / len(trained), "low": low, "high": high}
