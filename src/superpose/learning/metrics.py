"""How well predicted probabilities fit the true classes; every metric is a row of `METRICS`.

All take ``truth``, integers ``(n,)`` in ``0 .. n_classes-1``, ``probabilities``, float ``(n, n_classes)`` whose rows
sum to one, and ``positive``, the index of the positive class, which matters only when there are two classes. With
more classes, sensitivity and specificity are the unweighted means over one-against-rest views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "METRICS",
    "NUMBER_METRICS",
    "Metric",
    "accuracy",
    "area_under_curve",
    "balanced_accuracy",
    "brier_score",
    "evaluate",
    "form_of",
    "reading",
    "sensitivity",
    "specificity",
]

Labels = NDArray[np.integer]
Probabilities = NDArray[np.floating]


def accuracy(truth: Labels, probabilities: Probabilities, positive: int = 1) -> float:
    """Share of rows whose most probable class is the true one (of equally probable ones the first)."""
    return float(np.mean(probabilities.argmax(axis=1) == truth))


def _recalls(truth: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """Share of each class's rows that are recognised, for the classes that occur."""
    correct = probabilities.argmax(axis=1) == truth
    return np.array([np.mean(correct[truth == c]) for c in range(probabilities.shape[1]) if np.any(truth == c)])


def balanced_accuracy(truth: Labels, probabilities: Probabilities, positive: int = 1) -> float:
    """Mean over the classes that occur of the share of their rows that is recognised."""
    return float(np.mean(_recalls(truth, probabilities)))


def _binary_auc(is_positive: NDArray[np.bool_], scores: Probabilities) -> float:
    """Probability that a random positive row scores above another one, ties counted half; nan if a side is empty."""
    n_positive = int(is_positive.sum())
    n_negative = is_positive.size - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2.0  # ranks from 1, equal scores share their mean
    rank_sum = float(mean_rank[place][is_positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative)


def area_under_curve(truth: Labels, probabilities: Probabilities, positive: int = 1) -> float:
    """Area under the ROC curve; with more than two classes the unweighted mean of one class against the rest.

    Classes absent from ``truth`` are left out; nan if only one class occurs.

    Source: Hanley and McNeil 1982 (the rank form); Provost and Domingos 2000 (one against rest).
    """
    if probabilities.shape[1] == 2:
        return _binary_auc(truth == positive, probabilities[:, positive])
    areas = [_binary_auc(truth == c, probabilities[:, c]) for c in range(probabilities.shape[1])]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def sensitivity(truth: Labels, probabilities: Probabilities, positive: int = 1) -> float:
    """Share of the positive class's rows that are recognised; with more classes their mean; nan if none occur."""
    if probabilities.shape[1] > 2:
        return float(np.mean(_recalls(truth, probabilities)))
    found = probabilities.argmax(axis=1)[truth == positive] == positive
    return float(np.mean(found)) if found.size else float("nan")


def specificity(truth: Labels, probabilities: Probabilities, positive: int = 1) -> float:
    """Share of the other rows that are not called positive; with more classes their mean; nan if none occur."""
    predicted = probabilities.argmax(axis=1)
    classes = [positive] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    shares = [float(np.mean(predicted[truth != c] != c)) for c in classes if np.any(truth != c)]
    return float(np.mean(shares)) if shares else float("nan")


def brier_score(truth: Labels, probabilities: Probabilities, positive: int = 1) -> float:
    """Half the mean squared distance between probabilities and truth, 0 (best) .. 1; lower is better.

    For two classes this is ``mean((p_positive - is_positive)**2)``.

    Source: Brier 1950, halved so that its range is 0 .. 1 for any number of classes.
    """
    target = np.zeros_like(probabilities, dtype=np.float64)
    target[np.arange(truth.size), truth] = 1.0
    return float(0.5 * np.mean(np.sum((probabilities - target) ** 2, axis=1)))


@dataclass(frozen=True)
class Metric:
    """A row of `METRICS`: how it is computed, whether a higher value is better, how a sentence names it."""

    compute: Callable[[Labels, Probabilities, int], float]
    higher_is_better: bool
    title: str


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, True, "accuracy"),
    "balanced_accuracy": Metric(balanced_accuracy, True, "balanced accuracy"),
    "auc": Metric(area_under_curve, True, "AUC"),
    "sensitivity": Metric(sensitivity, True, "sensitivity"),
    "specificity": Metric(specificity, True, "specificity"),
    "brier": Metric(brier_score, False, "Brier score"),
}
"""All metrics by name; every evaluation has all of them."""


NUMBER_METRICS: dict[str, tuple[bool, str]] = {
    "mae": (False, "mean absolute error"),
    "mase": (False, "MASE"),
    "rmse": (False, "root mean squared error"),
    "r2": (True, "R2"),
    "smape": (False, "sMAPE"),
    "pinball": (False, "pinball loss"),
    "coverage": (True, "coverage"),
    "width": (False, "width"),
}
"""Metrics of models that predict numbers: whether a higher value is better, and how a sentence names it."""


_WITH_UNIT = ("mae", "rmse", "bias", "pinball", "width")


def reading(metric: str) -> tuple[bool, str]:
    """Whether a higher value of a metric, of classes or of numbers, is better, and how a sentence names it."""
    if metric in NUMBER_METRICS:
        return NUMBER_METRICS[metric]
    return METRICS[metric].higher_is_better, METRICS[metric].title


def form_of(metric: str, *values: float | None) -> str:
    """The format of a metric's values: thousandths of what is about 1; of what has the predicted number's unit, and so
    any size, four digits, or whole numbers where the largest has more.
    """
    if metric not in _WITH_UNIT:
        return ".3f"
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return ",.0f" if 1e4 <= largest < 1e15 else ".4g"


def evaluate(truth: Labels, probabilities: Probabilities, positive: int = 1) -> dict[str, float]:
    """All metrics of one set of predictions, by name."""
    return {name: metric.compute(truth, probabilities, positive) for name, metric in METRICS.items()}
