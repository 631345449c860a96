"""What is measured of predictions, and the intervals around it.

Predictions are *scores*: the logit of the class looked for minus the logit of the threshold, so that a score above 0
is a finding and ``1 / (1 + exp(-score))`` the probability that is served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from superpose.learning.metrics import area_under_curve, brier_score
from superpose.learning.verdicts import mean_interval

__all__ = ["MEASURES", "calibration_error", "measured", "measures_of", "threshold_of"]

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]

N_BINS = 15
N_RESAMPLES = 1000


def _both(scores: Scores) -> NDArray[np.float64]:
    return np.stack([expit(-scores), expit(scores)], axis=1)  # (n, 2)


def _share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(np.mean(hits[among])) if among.any() else float("nan")


def _sensitivity(truth: Labels, scores: Scores) -> float:
    return _share(scores > 0, truth == 1)


def _specificity(truth: Labels, scores: Scores) -> float:
    return _share(scores <= 0, truth == 0)


def _precision(truth: Labels, scores: Scores) -> float:
    return _share(truth == 1, scores > 0)


def _f1(truth: Labels, scores: Scores) -> float:
    hits = int(np.sum((scores > 0) & (truth == 1)))
    wrong = int(np.sum((scores > 0) != (truth == 1)))
    return 2.0 * hits / (2.0 * hits + wrong) if hits or wrong else float("nan")


def calibration_error(truth: Labels, scores: Scores) -> float:
    """Expected calibration error: mean over 15 equal bins of |share of findings - mean probability|, by bin size.

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015; here of the class looked for.
    """
    probabilities = expit(scores)
    places = np.minimum((probabilities * N_BINS).astype(int), N_BINS - 1)
    counts = np.bincount(places, minlength=N_BINS)
    gaps = np.abs(
        np.bincount(places, weights=probabilities, minlength=N_BINS)
        - np.bincount(places, weights=truth.astype(float), minlength=N_BINS)
    )
    return float(gaps.sum() / counts.sum())


MEASURES: dict[str, Callable[[Labels, Scores], float]] = {
    "auc": lambda truth, scores: area_under_curve(truth, _both(scores) if np.ptp(scores) < 30 else _ranks(scores)),
    "accuracy": lambda truth, scores: float(np.mean((scores > 0) == (truth == 1))),
    "balanced_accuracy": lambda truth, scores: 0.5 * (_sensitivity(truth, scores) + _specificity(truth, scores)),
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "precision": _precision,
    "f1": _f1,
    "brier": lambda truth, scores: brier_score(truth, _both(scores)),
    "ece": calibration_error,
}
"""Every measure by name; nan where it has no meaning, such as precision without a finding."""


def _ranks(scores: Scores) -> NDArray[np.float64]:
    """Probabilities in the order of the scores, none of them rounded to 0 or 1."""
    _, places = np.unique(scores, return_inverse=True)
    shares = (places + 1.0) / (places.max() + 2.0)
    return np.stack([1.0 - shares, shares], axis=1)


def measured(truth: Labels, scores: Scores) -> dict[str, float]:
    """All measures of one set of predictions."""
    return {name: measure(truth, scores) for name, measure in MEASURES.items()}


def measures_of(truth: Labels, scores: Sequence[Scores], *, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Each measure over seeds: values, mean, and two intervals of the mean at 95 %.

    ``over_seeds`` is Student's interval: how the mean would move with other seeds, on these images; null with one seed.
    ``over_images`` is the percentile bootstrap (1000 resamples of the test images, class by class): how it would move
    with other images of the same kind.

    Args:
        truth: ``(n_images,)``, 0 or 1.
        scores: for each seed ``(n_images,)``.
        seed: of the resamples.
    """
    values = {name: [MEASURES[name](truth, one) for one in scores] for name in MEASURES}
    random = np.random.default_rng(seed)
    places = [np.flatnonzero(truth == label) for label in (0, 1)]
    resampled: Mapping[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(N_RESAMPLES):
        drawn = np.concatenate([random.choice(own, len(own)) for own in places])
        for name, measure in MEASURES.items():
            resampled[name].append(float(np.mean([measure(truth[drawn], one[drawn]) for one in scores])))
    return {name: _summary(values[name], resampled[name]) for name in MEASURES}


def _summary(values: Sequence[float], resampled: Sequence[float]) -> dict[str, Any]:
    if not np.isfinite(values).all():
        return {"mean": None, "values": [v if np.isfinite(v) else None for v in values], "over_seeds": None,
                "over_images": None, "sd": None}  # fmt: skip
    known = np.asarray(resampled)[np.isfinite(resampled)]
    bounds = [float(bound) for bound in np.quantile(known, (0.025, 0.975))] if known.size else None
    several = len(values) > 1
    _, low, high = mean_interval(values, 0.0, 0.95) if several else (0.0, 0.0, 0.0)
    return {
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)) if several else None,
        "over_seeds": [low, high] if several else None,
        "over_images": bounds,
        "values": [float(value) for value in values],
    }


def threshold_of(truth: Labels, logits: Scores) -> float:
    """The logit above which an image is a finding: where smoothed sensitivity plus specificity is greatest.

    Each image counts as a normal distribution around its logit, of the width of Silverman's rule within its class, so
    that few validation images near the border do not decide alone.

    Args:
        truth: ``(n_images,)`` of the validation part, both classes among them.
        logits: ``(n_images,)``.
    """
    from scipy.stats import norm

    grid = np.linspace(float(logits.min()), float(logits.max()), 401)
    recalls = np.zeros_like(grid)
    for label, sign in ((0, 1.0), (1, -1.0)):
        own = logits[truth == label]
        width = max(1.06 * float(own.std()) * len(own) ** -0.2, 1e-3)
        recalls += norm.cdf(sign * (grid[:, None] - own[None, :]) / width).mean(axis=1)  # (401,)
    best = np.flatnonzero(recalls >= recalls.max() - 1e-12)
    return float(grid[best].mean())
