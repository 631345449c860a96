"""What is wrong between the parts of a split: the same rows, the same patients, or the answer itself on both sides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from superpose.datasets.drift import compare_drift, drift_baseline
from superpose.datasets.sheet import data_sheet, holds_local_dates
from superpose.datasets.splits import Indices, Split
from superpose.datasets.table import Table
from superpose.datasets.written_numbers import holds_compact_dates

__all__ = ["Finding", "FindingKind", "check_splits"]

FindingKind = Literal["leak", "group_overlap", "duplicate", "near_duplicate", "identifier", "drift"]

_PERFECT = 0.98
_MOST = 1e30
_NEAR = 0.01
_MAX_LISTED = 20
_DATES = "holds dates, each of which counts as a category of its own,"
_NUMBERED_DATES = "holds dates written as numbers (20250331), whose differences are no days,"
_SAMPLE = 2_000
_GROUP_NAME = re.compile(
    r"patient|subject|person|proband|participant|family|household|case|customer|user|client|mrn|group|"
    r"(^|[_\s.-])(id|ids|nr|uuid)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd between train and test.

    Attributes:
        kind: "leak", "group_overlap", "duplicate", "near_duplicate", "identifier" or "drift".
        message: what it is and what to do; it counts splits from 1, as progress and verdicts do.
        columns: the columns concerned.
        split: number of the split with the most rows concerned, from 0; None where it holds for the table.
        n_rows: rows of that split's test part concerned.
        rows: places of the first 20 of them, from 0.
    """

    kind: FindingKind
    message: str
    columns: tuple[str, ...] = ()
    split: int | None = None
    n_rows: int = 0
    rows: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return asdict(self) | {"columns": list(self.columns), "rows": list(self.rows)}


def check_splits(table: Table, features: Table, splits: Sequence[Split]) -> list[Finding]:
    """What is odd between the train and test parts of splits, most serious first.

    Leaks, near duplicates and drift are looked for in the first split, on at most 2,000 rows of each part; duplicates
    and groups in all rows of all splits.

    Args:
        table: all columns, with those that are split by or excluded.
        features: the same rows with the features only.
        splits: at least one.

    Cost: O(n_splits * n_rows * n_columns), and one small decision tree per column.
    """
    first = splits[0]
    return [
        *_leaks(features, first),
        *_shared_groups(table, features, splits),
        *_duplicates(features, splits),
        *_near_duplicates(features, first),
        *_identifiers(features),
        *_drift(features, first),
    ]


def _leaks(features: Table, split: Split) -> list[Finding]:
    """Columns that alone predict the class of test rows nearly perfectly."""
    labels = features.target.to_numpy()
    train, test = _sampled(split.train, 0), _sampled(split.test, 1)
    found = []
    for column in features.columns:
        values: npt.NDArray[Any] = features.features[column.name].to_numpy()
        if values.dtype.kind == "f":
            values = _representable(values)
        score = _alone(values[train], labels[train], values[test], labels[test])
        if score >= _PERFECT:
            found.append(
                Finding(
                    "leak",
                    f"Column {column.name!r} alone tells the class of {100 * score:.1f} % of the test rows (mean over "
                    "classes): a leak, unless it is known before the outcome. Exclude it (preprocessing.exclude).",
                    (column.name,),
                    split=0,
                    n_rows=len(split.test),
                )
            )
    return found


def _alone(values: Any, labels: Any, test_values: Any, test_labels: Any) -> float:
    """Balanced accuracy on test rows of a tree of depth 3, or of the majority class of each category."""
    from sklearn.tree import DecisionTreeClassifier

    if values.dtype.kind == "f":
        tree = DecisionTreeClassifier(max_depth=3, class_weight="balanced", random_state=0)
        tree.fit(_filled(values)[:, None], labels)
        predicted = tree.predict(_filled(test_values)[:, None])
    else:
        predicted = _by_category(values, labels, test_values)
    recalls = [np.mean(predicted[test_labels == label] == label) for label in np.unique(test_labels)]
    return float(np.mean(recalls))


def _representable(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Columns in another unit where float32 does not hold their numbers, or float64 not their squares."""
    largest = np.nanmax(np.abs(numbers), axis=0, initial=0.0)
    scaled: npt.NDArray[np.float64] = numbers / np.where(
        (largest > _MOST) | ((largest > 0.0) & (largest < 1.0 / _MOST)), largest, 1.0
    )
    return scaled


def _by_category(values: Any, labels: Any, test_values: Any) -> npt.NDArray[Any]:
    import pandas as pd

    frame = pd.DataFrame({"value": [str(v) for v in values], "label": labels})
    weights = frame["label"].map(1.0 / frame["label"].value_counts())
    heaviest = frame.assign(weight=weights).groupby(["value", "label"])["weight"].sum().unstack(fill_value=0)
    best = heaviest.idxmax(axis=1).to_dict()
    return np.array([best.get(str(v)) for v in test_values], dtype=object)


def _filled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Missing values as a number below all others: that something is missing may be the leak."""
    gaps = np.isnan(values)
    low = float(values[~gaps].min()) - 1.0 if not gaps.all() else 0.0
    return np.where(gaps, low, values)


def _shared_groups(table: Table, features: Table, splits: Sequence[Split]) -> list[Finding]:
    """Columns that look like patients or groups and have a value on both sides."""
    found = []
    for column in table.columns:
        values = table.features[column.name].to_numpy()
        if not _is_group(column.name, values):
            continue
        shared = [np.isin(values[s.test].astype(str), values[s.train].astype(str)) for s in splits]
        worst = int(np.argmax([int(places.sum()) for places in shared]))
        rows = splits[worst].test[shared[worst]]
        if len(rows):
            n_groups = len(set(values[rows].tolist()))
            found.append(
                Finding(
                    "group_overlap",
                    f"{n_groups} value(s) of {column.name!r} are in both training and test rows ({len(rows)} test rows "
                    f"of split {worst + 1}): a model may recognise them. Use split: {{kind: grouped, column: "
                    f"{column.name}}}.",
                    (column.name,),
                    split=worst,
                    n_rows=len(rows),
                    rows=_listed(rows),
                )
            )
    return found


def _is_group(name: str, values: npt.NDArray[Any]) -> bool:
    """Whether a column names groups of some rows each: by its name, and by how often its values repeat."""
    if not _GROUP_NAME.search(name):
        return False
    if values.dtype.kind == "f":
        if np.isnan(values).any() or not np.array_equal(values, np.round(values)):
            return False
    elif any(value is None for value in values):
        return False
    n_distinct = len(set(values.tolist()))
    return 10 <= n_distinct < len(values)


def _duplicates(features: Table, splits: Sequence[Split]) -> list[Finding]:
    """Test rows whose features equal those of a training row."""
    import pandas as pd

    marks = pd.util.hash_pandas_object(features.features, index=False).to_numpy()
    shared = [split.test[np.isin(marks[split.test], marks[split.train])] for split in splits]
    worst = int(np.argmax([len(rows) for rows in shared]))
    rows = shared[worst]
    if not len(rows):
        return []
    return [
        Finding(
            "duplicate",
            f"{len(rows)} of {len(splits[worst].test)} test rows of split {worst + 1} have the features of a training "
            "row: their classes are known beforehand. Drop the copies, or keep them together by a group column.",
            split=worst,
            n_rows=len(rows),
            rows=_listed(rows),
        )
    ]


def _near_duplicates(features: Table, split: Split) -> list[Finding]:
    """Test rows much nearer to a training row than training rows are to one another, and not equal to it."""
    from sklearn.neighbors import NearestNeighbors

    names = [column.name for column in features.columns if column.kind == "number"]
    if len(names) < 2:
        return []
    train, test = _sampled(split.train, 2), _sampled(split.test, 3)
    numbers = _representable(features.features[names].to_numpy())
    middle, spread = np.nanmedian(numbers[train], axis=0), np.nanstd(numbers[train], axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = (np.where(np.isnan(numbers), middle, numbers) - middle) / spread
    usual = NearestNeighbors(n_neighbors=2).fit(scaled[train])
    among = usual.kneighbors(scaled[train])[0][:, 1]
    typical = float(np.median(among[among > 0])) if (among > 0).any() else 0.0
    distances = usual.kneighbors(scaled[test], n_neighbors=1)[0][:, 0]
    near = test[(distances > 0) & (distances < _NEAR * typical)]
    if not len(near):
        return []
    return [
        Finding(
            "near_duplicate",
            f"{len(near)} of {len(test)} test rows looked at lie within {100 * _NEAR:g} % of the usual distance to a "
            "training row: copies with small changes, or one case measured twice. Keep them together by a group.",
            tuple(names[:_MAX_LISTED]),
            split=0,
            n_rows=len(near),
            rows=_listed(near),
        )
    ]


def _identifiers(features: Table) -> list[Finding]:
    said = {"identifier": "has another value in every row", "text": "holds free text", "date": _DATES}
    found = []
    for column in data_sheet(features, max_columns=features.n_features + 1).columns:
        fault = said.get(column.type)
        if column.type in ("category", "identifier") and holds_local_dates(features.features[column.name].to_numpy()):
            fault = _DATES
        if column.type == "integer" and holds_compact_dates(features.features[column.name].to_numpy()):
            fault = _NUMBERED_DATES
        if fault is not None:
            cure = ", or give days since an event" if fault in (_DATES, _NUMBERED_DATES) else ""
            message = f"Column {column.name!r} {fault} and is a feature: exclude it (preprocessing.exclude){cure}."
            found.append(Finding("identifier", message, (column.name,)))
    return found


def _drift(features: Table, split: Split) -> list[Finding]:
    """Columns, and classes, that are distributed otherwise in the test rows than in the training rows."""
    columns = {name: features.features[name].to_numpy()[split.test] for name in features.feature_names}
    report = compare_drift(drift_baseline(features, split.train), columns)
    return [
        Finding(
            "drift",
            f"Column {column.name!r} is distributed otherwise in the test rows than in the training rows (PSI "
            f"{column.psi:.2f}" + ("" if column.ks is None else f", KS {column.ks:.2f}") + ").",
            (column.name,),
            split=0,
            n_rows=len(split.test),
        )
        for column in report.columns
        if column.verdict != "stable"
    ]


def _sampled(rows: Indices, seed: int) -> Indices:
    if len(rows) <= _SAMPLE:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, _SAMPLE, replace=False))


def _listed(rows: Indices) -> tuple[int, ...]:
    return tuple(int(row) for row in rows[:_MAX_LISTED])
