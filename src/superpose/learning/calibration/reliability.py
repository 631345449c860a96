"""How well probabilities keep their word: expected calibration error, log loss, reliability bins, abstaining."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_BINS", "ROUNDING", "abstaining_curve", "calibration_error", "log_loss", "reliability_bins"]

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]

N_BINS = 15
"""Bins of equal width, as many as Guo et al. 2017 take."""

ROUNDING = 1e-7
"""By how much rounding may part one row's largest probability, of a user's module in float32 too."""

_SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


def log_loss(truth: Labels, probabilities: Floats) -> float:
    """Mean of ``-log`` of the true classes' probabilities, which count as at least 2.2e-16 (as in scikit-learn)."""
    own = probabilities[np.arange(len(truth)), truth]
    return float(-np.mean(np.log(np.maximum(own, np.finfo(np.float64).eps))))


def reliability_bins(truth: Labels, probabilities: Floats, n_bins: int = N_BINS) -> list[dict[str, Any]]:
    """Bins of equal width by the largest probability, those without rows left out.

    Returns:
        For each bin ``low`` (not in it) and ``high`` (in it), ``n_rows``, ``confidence``: the mean of the largest
        probabilities, and ``accuracy``: the share of rows whose most probable class is the true one.
    """
    largest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    places = np.clip(np.ceil(largest * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    return [
        {
            "low": place / n_bins,
            "high": (place + 1) / n_bins,
            "n_rows": int(np.sum(places == place)),
            "confidence": float(largest[places == place].mean()),
            "accuracy": float(right[places == place].mean()),
        }
        for place in np.unique(places).tolist()
    ]


def calibration_error(truth: Labels, probabilities: Floats, n_bins: int = N_BINS) -> float:
    """Expected calibration error, 0 (best) .. 1: over bins by the largest probability, the mean over rows of the
    difference between accuracy and mean probability.

    Source: Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017, arXiv 1706.04599, equation 3.
    """
    bins = reliability_bins(truth, probabilities, n_bins)
    return float(sum(b["n_rows"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / len(truth))


def abstaining_curve(truth: Labels, probabilities: Floats) -> list[dict[str, Any]]:
    """Accuracy where only the surest rows are answered.

    Returns:
        For some shares of rows: ``below``: abstaining below this probability answers them; ``answered``: their share,
        which rows of equal probability may make larger; ``n_answered`` and ``accuracy``.
    """
    largest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    ranked = np.sort(largest)[::-1]
    curve = []
    for share in _SHARES:
        below = float(ranked[max(1, round(share * len(truth))) - 1])
        answered = largest >= below - ROUNDING
        curve.append(
            {
                "below": below,
                "answered": float(answered.mean()),
                "n_answered": int(answered.sum()),
                "accuracy": float(right[answered].mean()),
            }
        )
    return curve
