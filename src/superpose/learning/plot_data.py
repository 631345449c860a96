"""What an evaluation keeps so that its figures can be drawn later: learning curves, ROC curves, confusion matrices.

All of it is summed over cases or epochs and bounded in size; no row and no row's identity is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.reliability import calibration_error, reliability_bins
from superpose.learning.metrics import area_under_curve
from superpose.learning.verdicts import SeenCases

if TYPE_CHECKING:
    from superpose.learning.training import EpochReport

__all__ = [
    "MOST_CLASSES",
    "MOST_POINTS",
    "MOST_SPLITS",
    "case_plots",
    "curve_of",
    "learning_curves",
    "losses_of_seeds",
    "roc_points",
]

MOST_POINTS = 101
"""Points of one curve."""

MOST_SPLITS = 10
"""Splits whose learning curves are kept, of the hybrid model."""

MOST_CLASSES = 20
"""Classes up to which confusion matrices and ROC curves of each class are kept."""

_DIGITS = 6
Labels = NDArray[np.integer]
_Members = Sequence[Sequence[float | None]]  # for each member, for each epoch


def curve_of(history: Sequence[EpochReport], best_epoch: int, *, private: bool = False) -> dict[str, Any]:
    """The learning curve of one training, as JSON values: at most `MOST_POINTS` epochs, the best among them.

    Args:
        history: all its epochs.
        best_epoch: the one whose weights the network ends with, from 1.
        private: whether it was trained privately; training losses, which no epsilon covers, are then left out.

    Returns:
        ``epochs``, ``loss`` (None where private) and ``validation_loss`` (None without validation rows), each a list of
        one number per kept epoch, and ``best_epoch``.
    """
    kept = [history[place] for place in _thinned(len(history), best_epoch - 1)]
    told = [report.validation_loss for report in kept]
    return {
        "epochs": [report.epoch for report in kept],
        "loss": None if private else [_short(report.loss) for report in kept],
        "validation_loss": None if None in told else [_short(value or 0.0) for value in told],
        "best_epoch": best_epoch,
    }


def losses_of_seeds(losses: Sequence[_Members | None]) -> dict[str, Any] | None:
    """The learning curves of a network that was trained with several seeds, as JSON values.

    Args:
        losses: for each seed, of each member of its network the loss of each epoch, None where that is not known; or
            None where nothing is.

    Returns:
        ``epochs``, at most `MOST_POINTS`, and ``loss``, as ``losses`` at these epochs; None where nothing is known.
    """
    told = [_told(members) for members in losses]
    lengths = [len(members[0]) for members in told if members is not None]
    if not lengths:
        return None
    places = _thinned(lengths[0], 0)

    def kept(member: Sequence[float | None]) -> list[float | None]:
        values = [member[place] for place in places]
        return [None if value is None else _short(value) for value in values]

    return {
        "epochs": [place + 1 for place in places],
        "loss": [None if members is None else [kept(member) for member in members] for members in told],
    }


def _told(members: _Members | None) -> _Members | None:
    """The losses of one seed; None where no epoch's is known of all members."""
    if members is None or not any(None not in epoch for epoch in zip(*members, strict=True)):
        return None
    return members


def learning_curves(rows: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Each network's learning curves: the hybrid model's of up to `MOST_SPLITS` splits, of others the first split's.

    Args:
        rows: for each split, what each variant left; of several seeds the first one's curve counts.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for variant in rows[0]:
        n_kept = MOST_SPLITS if variant == "hybrid" else 1
        curves = [
            {"split": number, **row[variant]["curve"]}
            for number, row in enumerate(rows[:n_kept])
            if row[variant].get("curve")
        ]
        if curves:
            found[variant] = curves
    return found


def case_plots(cases: SeenCases, labels: Sequence[str]) -> dict[str, Any]:
    """What each variant says about the test cases, each counted once, for drawing; JSON values.

    Args:
        cases: what all variants say.
        labels: of the classes, in the order of the probabilities.

    Returns:
        ``n_cases``, ``classes``, ``positive`` (the index; None where there are more than two classes) and ``models``:
        for each variant ``ece`` and ``bins`` (see `reliability_bins`), ``auc``, ``confusion``: cases by true class
        (rows) and most probable class (columns), and ``roc``: ``class``, ``auc``, ``fpr`` and ``tpr`` of the positive
        class, or, of the hybrid model alone, of each class against the rest. Beyond `MOST_CLASSES` classes the last two
        are None.
    """
    two = len(labels) == 2
    return {
        "n_cases": len(cases.truth),
        "classes": list(labels),
        "positive": cases.positive if two else None,
        "models": {
            variant: _of_variant(cases, said, list(labels), one_curve=two, every=variant == "hybrid")
            for variant, said in cases.probabilities.items()
        },
    }


def roc_points(is_positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[list[float], list[float]] | None:
    """False and true positive rates at falling thresholds, from (0, 0) to (1, 1); None where only one side occurs.

    All corners of the curve, or `MOST_POINTS` of them, evenly chosen.

    Source: Fawcett, Pattern Recognition Letters 27 (2006) 861, algorithm 1.
    """
    n_positive = int(is_positive.sum())
    if n_positive in (0, len(is_positive)):
        return None
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(is_positive, scores)
    places = _thinned(len(fpr), 0)
    return [_short(fpr[i]) for i in places], [_short(tpr[i]) for i in places]


def _of_variant(
    cases: SeenCases, said: NDArray[np.float64], labels: list[str], *, one_curve: bool, every: bool
) -> dict[str, Any]:
    auc = area_under_curve(cases.truth, said, cases.positive)
    few = len(labels) <= MOST_CLASSES
    shown = [cases.positive] if one_curve else list(range(len(labels))) if every else []
    return {
        "auc": auc if math.isfinite(auc) else None,
        "ece": calibration_error(cases.truth, said),
        "bins": reliability_bins(cases.truth, said),
        "confusion": _confusion(cases.truth, said) if few else None,
        "roc": [curve for place in shown if (curve := _roc(cases.truth, said, place, labels))] if few else None,
    }


def _roc(truth: Labels, said: NDArray[np.float64], place: int, labels: list[str]) -> dict[str, Any] | None:
    is_positive = truth == place
    points = roc_points(is_positive, said[:, place])
    if points is None:
        return None
    other_way = np.column_stack([1.0 - said[:, place], said[:, place]])
    auc = area_under_curve(is_positive.astype(np.int64), other_way, 1)
    return {"class": labels[place], "auc": auc, "fpr": points[0], "tpr": points[1]}


def _confusion(truth: Labels, said: NDArray[np.float64]) -> list[list[int]]:
    n_classes = said.shape[1]
    counts = np.bincount(truth * n_classes + said.argmax(axis=1), minlength=n_classes**2)
    found: list[list[int]] = counts.reshape(n_classes, n_classes).tolist()
    return found


def _thinned(n: int, also: int) -> list[int]:
    """At most `MOST_POINTS` places of ``n``, first, last and ``also`` among them."""
    if n <= MOST_POINTS:
        return list(range(n))
    chosen = np.linspace(0, n - 1, MOST_POINTS - 1).round().astype(int).tolist()
    return sorted({*chosen, min(max(also, 0), n - 1)})


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
