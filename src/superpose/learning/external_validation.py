"""External validation: how a trained model does on labelled rows that its experiment has not seen, such as another
site's or a later year's.

What is told follows TRIPOD+AI (Collins et al., BMJ 385 (2024) e078378): discrimination, calibration, subgroups, and how
the rows differ from those that the model was trained on. Nothing is fitted to the rows, so that they stay unseen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.drift import compare_drift
from superpose.errors import DatasetError, ModelPredictsNumbersError, SpecError
from superpose.learning.areas import auc_interval
from superpose.learning.calibration.report import calibration_report
from superpose.learning.external_words import summary_of
from superpose.learning.labelled import check_columns, labelled_rows, positive_place
from superpose.learning.metrics import METRICS, evaluate
from superpose.learning.plot_data import case_plots
from superpose.learning.recalibration import recalibration
from superpose.learning.rows import category_text
from superpose.learning.shares import interval_of_mean, interval_of_share, mean_of_shares
from superpose.learning.subgroups import subgroup_report
from superpose.learning.validation_record import own_figures
from superpose.learning.verdicts import SeenCases

if TYPE_CHECKING:
    import pandas as pd

    from superpose.datasets import Table
    from superpose.learning.predictor import Predictor

__all__ = ["external_validation"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Interval = tuple[float, float] | tuple[None, None]

_RESAMPLES, _ROWS_TIMES_RESAMPLES, _FEWEST_RESAMPLES = 1_000, 10_000_000, 200
_MOST_TOLD = 10


def external_validation(
    predictor: Predictor,
    rows: pd.DataFrame,
    *,
    target: str | None = None,
    labels: Mapping[str, str] | None = None,
    groups: str | None = None,
    subgroups: Sequence[str] = (),
    confidence: float = 0.95,
) -> dict[str, Any]:
    """How a model does on labelled rows, as JSON values; every figure comes with what chance makes of so few rows.

    >>> external_validation(Predictor.load("heart.superpose"), frame, groups="patient")  # doctest: +SKIP

    Args:
        predictor: the model, as it answers: calibrated, if it is.
        rows: the model's columns and that of the truth, ``(n_rows, n_columns)``; others may be among them. Rows without
            a truth are left out.
        target: column of the truth; None for the one that the model was trained on.
        labels: for labels of the rows that the model knows by other names, those names.
        groups: column of what rows belong to, such as a patient; None for rows that stand each for itself. Rows without
            one stand for themselves.
        subgroups: columns whose values make subgroups, see `superpose.learning.subgroups.subgroup_report`.
        confidence: of the intervals, above 0 and below 1.

    Returns:
        ``target``; ``n_rows`` that count, ``n_without_truth``, ``n_groups`` or None, ``confidence``; ``metrics``: of
        each ``value``, ``low`` and ``high``, None where the rows do not tell; ``own``: ``metrics`` of this very model
        on test rows of its own experiment, their calibration error ``ece``, and their number ``n_rows``, as far as its
        file tells; ``trained_on``: rows of each class of its data, or None; ``is_own_data``: whether these are all rows
        of that very data; ``columns``: how far they have moved since the training, worst first
        (`superpose.datasets.drift.compare_drift`), or None; ``unknown_categories``: rows with values that the model
        does not know, by column; ``summary``: sentences made of these figures. Of classes also ``classes``: rows of
        each, ``positive_class`` of two and its share of rows, ``positive_share``, ``confusion``: by true label and
        answered label, ``calibration``: what the model's safeguards do here
        (`superpose.learning.calibration.report.calibration_report`), ``recalibration`` of two classes
        (`superpose.learning.recalibration.recalibration`), or None, ``subgroups``, and what is drawn: ``plots``
        (`superpose.learning.plot_data.case_plots`, the model being called "hybrid").

    Raises:
        DatasetTargetError: the column is absent; labels that the model does not know; no row has one.
        FeatureMismatchError: columns are absent or of the wrong kind.
        DatasetFormatError: a column's name repeats.
        SpecError: the column of a subgroup, or of groups, is absent; a confidence that is none.
        ModelPredictsNumbersError: what only classes have is asked of a model that predicts a number.

    Cost: one prediction of each row, and up to 1,000 resamples for AUC and specificity of more than two classes.

    Source: Wilson for shares and DeLong for AUC, of groups by their variance (see `superpose.learning.shares` and
    `superpose.learning.areas.auc_interval`); Zou and Donner for means of shares
    (`superpose.learning.shares.mean_of_shares`); Student for means; else percentile bootstrap of rows, or of groups.
    """
    if predictor.predicts_numbers and (subgroups or labels):
        raise ModelPredictsNumbersError("A model that predicts a number has neither subgroups nor labels to rename.")
    if not 0.0 < confidence < 1.0:
        raise SpecError(f"must lie between 0 and 1, got {confidence!r}", "confidence")
    check_columns(rows, subgroups, "subgroups")
    labelled = labelled_rows(predictor, rows, target=target, labels=labels, groups=groups)
    kept, members, target = labelled.frame, labelled.members, labelled.target
    own = [name for name in predictor.feature_names if name in kept.columns]
    encoded, unknown = predictor.encode_counting(kept[own])
    found: dict[str, Any] = {
        "target": target,
        "n_rows": len(kept),
        "n_without_truth": len(rows) - len(kept),
        "n_groups": None if members is None else len(np.unique(members)),
        "confidence": confidence,
        "own": own_figures(predictor.manifest),
        "is_own_data": _is_own_data(predictor.manifest, rows, target),
        "trained_on": (predictor.manifest.get("data") or {}).get("class_counts"),
        "columns": _moved(predictor, kept),
        "unknown_categories": unknown,
    }
    told = _Told(confidence, members)
    if predictor.predicts_numbers:
        found |= _of_numbers(predictor, encoded, labelled.truth, told)
    else:
        found |= _of_classes(predictor, encoded, labelled.truth.astype(np.int64), told, kept, subgroups)
    return found | {"summary": summary_of(found)}


def _is_own_data(manifest: Mapping[str, Any], rows: pd.DataFrame, target: str) -> bool:
    """Whether the rows, in their order, are those of the model's own data set, of which most trained it."""
    digest = (manifest.get("data") or {}).get("digest")
    if digest is None or len(rows) != manifest["data"].get("n_rows"):
        return False
    from superpose.datasets import table_from_frame

    kind: Any = "class" if (manifest["data"].get("class_counts")) else "number"
    try:
        return bool(table_from_frame(rows, name="rows", target=target, target_kind=kind).digest == digest)
    except DatasetError:  # not such rows then
        return False


def _moved(predictor: Predictor, rows: pd.DataFrame) -> dict[str, Any] | None:
    """How far the model's columns have moved since its training, worst first; None without a baseline."""
    baseline = predictor.manifest.get("drift_baseline")
    if not baseline:
        return None
    kinds = {column["name"]: column["kind"] for column in predictor.input_schema}
    columns: dict[str, NDArray[Any]] = {}
    for name in predictor.feature_names:
        if kinds[name] == "number":
            columns[name] = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            columns[name] = np.array([category_text(value) for value in rows[name].tolist()], dtype=object)
    report = compare_drift(baseline, columns).to_dict()
    report["columns"] = sorted(report["columns"], key=lambda column: -column["psi"])
    return report


@dataclass(frozen=True)
class _Told:
    """Figures of rows, with intervals."""

    confidence: float
    groups: Labels | None

    def share(self, found: NDArray[np.bool_], of: NDArray[np.bool_]) -> Interval:
        """Of a share of some rows."""
        if not of.any():
            return None, None
        return interval_of_share(found[of], self.confidence, None if self.groups is None else self.groups[of])

    def mean(self, values: Floats, least: float, most: float) -> Interval:
        """Of a mean over all rows, within what it can be."""
        low, high = interval_of_mean(values, self.confidence, self.groups)
        return (max(least, low), min(most, high)) if math.isfinite(low) else (None, None)

    def auc(self, scores: Floats, is_positive: NDArray[np.bool_]) -> Interval:
        """Of the AUC of two classes."""
        sides = [is_positive, ~is_positive]
        n_each = [len(np.unique(self.groups[side])) if self.groups is not None else int(side.sum()) for side in sides]
        if min(n_each) < 2:
            return None, None
        members = None if self.groups is None else (self.groups[is_positive], self.groups[~is_positive])
        _, low, high = auc_interval(-scores[is_positive], -scores[~is_positive], self.confidence, members)
        return low, high

    def drawn(self, n_rows: int, measure: Callable[[NDArray[np.intp]], float]) -> Interval:
        """Of anything else: quantiles of resamples of rows, or of whole groups."""
        rng, pools = np.random.default_rng(0), None if self.groups is None else _pools(self.groups)
        n_drawn = n_rows if pools is None else len(pools)
        n_draws = max(_FEWEST_RESAMPLES, min(_RESAMPLES, _ROWS_TIMES_RESAMPLES // n_rows))
        found = np.empty(n_draws)
        for place in range(n_draws):
            chosen = rng.integers(n_drawn, size=n_drawn)
            found[place] = measure(chosen if pools is None else np.concatenate([pools[one] for one in chosen]))
        if not np.all(np.isfinite(found)):
            return None, None  # a resample without one of the classes
        left_out = (1.0 - self.confidence) / 2.0
        low, high = np.quantile(found, [left_out, 1.0 - left_out])
        return float(low), float(high)


def _pools(groups: Labels) -> Sequence[NDArray[np.intp]]:
    """The rows of each group."""
    _, place = np.unique(groups, return_inverse=True)
    order = np.argsort(place, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(place[order])) + 1)


def _figure(value: float, ends: Interval) -> dict[str, float | None]:
    return {"value": value if math.isfinite(value) else None, "low": ends[0], "high": ends[1]}


def _of_numbers(predictor: Predictor, encoded: Floats, truth: Floats, told: _Told) -> dict[str, Any]:
    """Errors of predicted numbers."""
    said = predictor.numbers_encoded(encoded)
    errors = truth - said
    around = float(np.sum((truth - truth.mean()) ** 2))

    def r2(rows: NDArray[np.intp]) -> float:
        total = float(np.sum((truth[rows] - truth[rows].mean()) ** 2))
        return 1.0 - float(np.sum(errors[rows] ** 2)) / total if total > 0.0 else math.nan

    everything = np.arange(len(truth))
    metrics = {
        "mae": _figure(float(np.mean(np.abs(errors))), told.mean(np.abs(errors), 0.0, math.inf)),
        "rmse": _figure(
            math.sqrt(float(np.mean(errors**2))),
            told.drawn(len(truth), lambda rows: math.sqrt(float(np.mean(errors[rows] ** 2)))),
        ),
        "r2": _figure(r2(everything), told.drawn(len(truth), r2) if around > 0.0 else (None, None)),
        "bias": _figure(float(-np.mean(errors)), told.mean(-errors, -math.inf, math.inf)),
    }
    if predictor.interval is not None:
        ends = predictor.interval.around(said)
        held = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        metrics["coverage"] = _figure(float(held.mean()), told.share(held, np.ones(len(held), dtype=bool)))
        metrics["coverage"]["asked"] = predictor.interval.coverage
    return {"metrics": metrics}


def _of_classes(
    predictor: Predictor,
    encoded: Floats,
    truth: Labels,
    told: _Told,
    rows: pd.DataFrame,
    subgroups: Sequence[str],
) -> dict[str, Any]:
    """What there is to say about answered classes."""
    classes = [str(label) for label in predictor.classes]
    before = predictor.model.probabilities(encoded)
    said = predictor.safeguards.calibrated(before)
    two, everyone = len(classes) == 2, np.ones(len(truth), dtype=bool)
    positive = positive_place(predictor)
    found: dict[str, Any] = {
        "classes": {label: int(np.sum(truth == code)) for code, label in enumerate(classes)},
        "positive_class": classes[positive] if two else None,
        "positive_share": _figure(float(np.mean(truth == positive)), told.share(truth == positive, everyone))
        if two
        else None,
        "metrics": _metrics(truth, said, positive, told),
        "confusion": np.bincount(
            truth * len(classes) + said.argmax(axis=1), minlength=len(classes) ** 2
        ).reshape(len(classes), -1).tolist(),
        "calibration": calibration_report(
            predictor.safeguards, probabilities=before, truth=truth, encoded=encoded, confidence=told.confidence,
            groups=told.groups,
        ),
        "recalibration": recalibration(truth == positive, said[:, positive], told.confidence, told.groups)
        if two else None,
    }  # fmt: skip
    cases = SeenCases(truth, {"hybrid": said}, told.groups, positive, places=np.arange(len(truth)))
    found["plots"] = case_plots(cases, classes)
    table = _table_of(rows, subgroups) if subgroups else None
    found["subgroups"] = [] if table is None else subgroup_report(subgroups, table, cases, told.confidence)
    return found


def _table_of(rows: pd.DataFrame, subgroups: Sequence[str]) -> Table:
    """The columns of subgroups; its target is of no account."""
    from superpose.datasets import table_from_frame

    row = next(name for name in ("row", *map("row_{}".format, range(len(subgroups) + 1))) if name not in subgroups)
    frame = rows[list(dict.fromkeys(subgroups))].assign(**{row: np.arange(float(len(rows)))})
    return table_from_frame(frame, name="subgroups", target=row, target_kind="number")


def _metrics(truth: Labels, said: Floats, positive: int, told: _Told) -> dict[str, Any]:
    """All metrics of `superpose.learning.metrics`, with intervals."""
    values, answered, everyone = evaluate(truth, said, positive), said.argmax(axis=1), np.ones(len(truth), dtype=bool)
    target = np.eye(said.shape[1])[truth]
    ends = {
        "accuracy": told.share(answered == truth, everyone),
        "balanced_accuracy": _of_recalls(truth, answered, told),
        "brier": told.mean(0.5 * np.sum((said - target) ** 2, axis=1), 0.0, 1.0),
    }
    if said.shape[1] == 2:
        ill, called = truth == positive, answered == positive
        ends |= {
            "auc": told.auc(said[:, positive], ill),
            "sensitivity": told.share(called, ill),
            "specificity": told.share(~called, ~ill),
        }
    else:
        ends["sensitivity"] = ends["balanced_accuracy"]
    for name in values:
        if name not in ends and math.isfinite(values[name]):
            ends[name] = told.drawn(len(truth), partial(_of_rows, name, truth, said, positive))
    return {name: _figure(value, ends.get(name, (None, None))) for name, value in values.items()}


def _of_recalls(truth: Labels, answered: NDArray[np.intp], told: _Told) -> Interval:
    """Of the mean over the classes that occur of the share that is recognised."""
    shares = []
    for code in np.unique(truth).tolist():
        own = truth == code
        low, high = told.share(answered == code, own)
        if low is None or high is None:
            return None, None
        shares.append((float(np.mean(answered[own] == code)), low, high))
    return mean_of_shares(shares)


def _of_rows(name: str, truth: Labels, said: Floats, positive: int, rows: NDArray[np.intp]) -> float:
    return METRICS[name].compute(truth[rows], said[rows], positive)
