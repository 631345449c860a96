"""The data sheet: what each column is and holds, as counts and quantiles, to be read before anything is trained."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from superpose.datasets.checks import TableReport, check_table
from superpose.datasets.picture_patients import PATIENT, shared_patients_of_table
from superpose.datasets.table import MAX_COLUMNS, Column, Table
from superpose.datasets.written_numbers import holds_compact_dates

__all__ = ["ColumnSheet", "ColumnType", "DataSheet", "data_sheet"]

ColumnType = Literal["numeric", "integer", "boolean", "category", "text", "date", "identifier"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_MAX_LISTED = 50
_MIN_IDENTIFIERS = 20
"""So many rows, all different, before a column counts as an identifier."""
_IDENTIFIER_NAME = re.compile(r"(^|[_\s.-])(id|ids|mrn|uuid|guid|nr|no|number|key)$|(?<=[a-z])I[dD]$", re.IGNORECASE)
_TRUTH_WORDS = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s?(Z|[+-]\d{2}:?\d{2})?)?")
_LOCAL_DATE = re.compile(
    r"(?=(0?[1-9]|[12]\d|3[01])\D+(0?[1-9]|[12]\d|3[01])\D)"  # day and month, in either order
    r"(\d{1,2}([./])\d{1,2}\4(\d{4}|\d{2})|\d{1,2}-\d{1,2}-\d{4})( \d{1,2}:\d{2}(:\d{2})?)?"
    r"|\d{1,2}[- .]{1,2}[A-Za-z]{3,9}[- .]{1,2}\d{4}"
)
_TEXT_LENGTH = 40
_SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class ColumnSheet:
    """One column.

    Attributes:
        name: its name.
        type: what its values are; "identifier" and "text" columns list none of them.
        unit: as the owner gave it.
        n_missing: rows without a value.
        n_distinct: distinct values.
        low: smallest value, or earliest date.
        high: largest value, or latest date.
        mean: mean of the values of a numeric, integer or boolean column that holds numbers.
        deviation: their standard deviation (n in the denominator).
        quantiles: value by share of rows below it, for the same columns.
        categories: counts of the most frequent values, at most 50, of a category or boolean column.
        n_other: rows with a value that is not listed in ``categories``.
    """

    name: str
    type: ColumnType
    unit: str | None
    n_missing: int
    n_distinct: int
    low: float | str | None = None
    high: float | str | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: Mapping[str, float] = field(default_factory=dict)
    categories: Mapping[str, int] = field(default_factory=dict)
    n_other: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The column as JSON values."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {"quantiles": dict(self.quantiles), "categories": dict(self.categories)}


@dataclass(frozen=True, slots=True)
class DataSheet:
    """A table described.

    Attributes:
        n_rows: number of rows.
        target: name of the target.
        class_counts: rows of each class; empty where the target holds numbers.
        columns: one sheet per feature column, in order.
        report: findings of ``check_table``.
        warnings: of identities and of patients in several parts, the report's, and what the types of the columns add.
        deidentification: what was removed from files of pictures, counted; None where there were none.
        shared_patients: ``n_patients``, ``n_in_several_parts`` and ``n_pictures`` of an official split of pictures;
            None where there is none, or no patient is known.
        target_column: what the target holds, where it holds numbers; else None.
    """

    n_rows: int
    target: str
    class_counts: Mapping[str, int]
    columns: tuple[ColumnSheet, ...]
    report: TableReport
    warnings: tuple[str, ...]
    deidentification: Mapping[str, Any] | None = None
    target_column: ColumnSheet | None = None
    shared_patients: Mapping[str, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The sheet as JSON values."""
        return {
            "n_rows": self.n_rows,
            "target": self.target,
            "class_counts": dict(self.class_counts),
            "columns": [column.to_dict() for column in self.columns],
            "report": self.report.to_dict(),
            "warnings": list(self.warnings),
            **({"target_column": self.target_column.to_dict()} if self.target_column else {}),
            **({"deidentification": dict(self.deidentification)} if self.deidentification else {}),
            **({"shared_patients": dict(self.shared_patients)} if self.shared_patients else {}),
        }


def data_sheet(table: Table, *, max_columns: int = MAX_COLUMNS) -> DataSheet:
    """The sheet of a table.

    Raises:
        DatasetTooWideError: more than ``max_columns`` columns, target included.

    Cost: O(n_rows log n_rows) per column.
    """
    report = check_table(table, max_columns=max_columns)
    columns = tuple(_column_sheet(column, table.features[column.name].to_numpy()) for column in table.columns)
    said = list((table.deidentification or {}).get("warnings", ()))  # who people are comes first, and is not cut off
    shared = table.shared_patients or shared_patients_of_table(table)
    if shared and shared["n_in_several_parts"]:
        said.append(_of_shared_patients(shared, PATIENT in table.feature_names))
    said += report.warnings
    said += [
        f"Column {name!r} has zeros before its numbers, as codes do (007), and was read as numbers without them (7): "
        "put a letter before codes, or bring Parquet with text, where zeros matter."
        for name in table.padded
        if name == table.target_name or name in table.feature_names
    ]
    said += [
        f"Column {name!r} has points only where thousands end (1.234), and was read as if they began decimals (1.234, "
        "not 1234): write 1234, or 1,234 for the decimal."
        for name in table.grouped
        if name == table.target_name or name in table.feature_names
    ]
    for column in columns:
        values = table.features[column.name].to_numpy()
        if column.type == "identifier" and values.dtype.kind == "f":
            said.append(f"Column {column.name!r} has another number in every row: an identifier?")
        if column.type == "date" and table.classes:
            said.append(
                f"Column {column.name!r} holds dates, which a model would take as categories: exclude it, split by it, "
                "or give days since an event."
            )
        elif table.classes and holds_local_dates(values):
            said.append(
                f"Column {column.name!r} holds dates, which a model would take as categories: exclude it, "
                "write it as 2025-03-31 and split by it, or give days since an event."
            )
        elif holds_local_dates(values):
            said.append(f"Column {column.name!r} holds dates that forecasts do not read: write it as 2025-03-31.")
        elif table.classes and column.type == "integer" and holds_compact_dates(values):
            said.append(
                f"Column {column.name!r} holds dates written as numbers (20250331), whose differences are no days: "
                "exclude it, split by it, or give days since an event."
            )
        if column.type == "text" and column.name not in report.mostly_numbers:
            said.append(f"Column {column.name!r} holds free text, which a model would take as categories: exclude it.")
    return DataSheet(
        n_rows=table.n_rows,
        target=table.target_name,
        class_counts=table.class_counts,
        columns=columns,
        report=report,
        warnings=tuple(said),
        deidentification=table.deidentification,
        target_column=None if table.classes else _target_sheet(table),
        shared_patients=shared,
    )


def _of_shared_patients(shared: Mapping[str, int], has_column: bool) -> str:
    found = (
        f"{shared['n_in_several_parts']} of {shared['n_patients']} patients stand in several parts of the official "
        f"split: {shared['n_pictures']} pictures of training and validation are of patients in a later part"
    )
    if has_column:
        return f"{found}, and the pneumonia template leaves them out of training."
    return f"{found}. Add the set with its patients (--patients), and the pneumonia template leaves those pictures out."


def holds_local_dates(values: npt.NDArray[Any]) -> bool:
    """Whether all texts of a column are dates, but not written as 2025-03-31.

    >>> holds_local_dates(np.array(["31.03.2025", None, "1.4.2025"], dtype=object))
    True
    """
    words = list(itertools.islice(dict.fromkeys(value for value in values if isinstance(value, str)), _SAMPLE))
    return bool(words) and all(_LOCAL_DATE.fullmatch(word) for word in words)


def _target_sheet(table: Table) -> ColumnSheet:
    values = table.target.to_numpy()
    known = values[~np.isnan(values)]
    return _number_sheet(Column(table.target_name, "number", None, len(values) - len(known)), known)


def _column_sheet(column: Column, values: npt.NDArray[Any]) -> ColumnSheet:
    import pandas as pd

    if column.kind == "number":
        return _number_sheet(column, values[~np.isnan(values)])
    counts = pd.Series(values).value_counts()  # without missing values, most frequent first
    kind = _word_type(column, counts, len(values))
    facts: dict[str, Any] = {"n_missing": column.n_missing, "n_distinct": len(counts), "unit": column.unit}
    if kind == "date":
        facts |= {"low": str(counts.index.min()), "high": str(counts.index.max())}
    if kind in ("category", "boolean"):
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_LISTED]
        facts["categories"] = {str(word): int(count) for word, count in ordered}
        facts["n_other"] = int(counts.sum()) - sum(facts["categories"].values())
    return ColumnSheet(name=column.name, type=kind, **facts)


def _number_sheet(column: Column, values: npt.NDArray[np.float64]) -> ColumnSheet:
    distinct = np.unique(values)
    kind = _number_type(column, values, distinct)
    facts: dict[str, Any] = {"n_missing": column.n_missing, "n_distinct": len(distinct), "unit": column.unit}
    if kind != "identifier":
        with np.errstate(over="ignore"):  # a mean beyond float64 is infinite, which JSON tells as null
            mean, deviation = float(values.mean()), float(values.std())
        facts |= {
            "low": float(distinct[0]),
            "high": float(distinct[-1]),
            "mean": mean if np.isfinite(mean) else None,
            "deviation": deviation if np.isfinite(deviation) else None,
            "quantiles": {
                f"{share:g}": float(value)
                for share, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)
            },
        }
    return ColumnSheet(name=column.name, type=kind, **facts)


def _number_type(column: Column, values: npt.NDArray[np.float64], distinct: npt.NDArray[np.float64]) -> ColumnType:
    if set(distinct.tolist()) == {0.0, 1.0}:
        return "boolean"
    if not np.array_equal(distinct, np.round(distinct)):
        return "numeric"
    all_differ = len(distinct) == len(values) >= _MIN_IDENTIFIERS and column.n_missing == 0
    counter = distinct[0] in (0.0, 1.0) and distinct[-1] - distinct[0] == len(distinct) - 1  # numbers the rows
    if all_differ and (counter or _IDENTIFIER_NAME.search(column.name)):
        return "identifier"
    return "integer"


def _word_type(column: Column, counts: Any, n_rows: int) -> ColumnType:
    """The type of a column of texts, from its distinct ones."""
    words = [str(word) for word in counts.index[:_SAMPLE]]
    if len(counts) == 2 and {word.lower() for word in words} in _TRUTH_WORDS:
        return "boolean"
    if all(_DATE.fullmatch(word) for word in words):
        return "date"
    length = sum(map(len, words)) / len(words)
    spaced = sum(" " in word.strip() for word in words) / len(words)
    mostly_different = len(counts) > 0.5 * (n_rows - column.n_missing)
    if length > _TEXT_LENGTH or (mostly_different and spaced > 0.5 and len(counts) >= _MIN_IDENTIFIERS):
        return "text"
    if len(counts) == n_rows >= _MIN_IDENTIFIERS:
        return "identifier"
    return "category"
