"""What a table is: named feature columns, a target (a class or a number of each row), and a digest of the content."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from superpose.datasets.domains import DOMAINS, GENERAL, MEDICAL
from superpose.datasets.masks import unmasked
from superpose.errors import (
    DatasetEmptyError,
    DatasetFormatError,
    DatasetOneClassError,
    DatasetTargetError,
    DatasetTooLargeError,
    DatasetTooWideError,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_CELLS", "MAX_CLASSES", "MAX_COLUMNS", "TARGET_KINDS", "Column", "Table", "TargetKind", "check_units"]

MAX_COLUMNS = 2_000
MAX_CELLS = 50_000_000
MAX_CLASSES = 1_000
_MAX_NAME_LENGTH = 256
_MAX_UNIT_LENGTH = 50

ColumnKind = Literal["number", "category"]
TargetKind = Literal["class", "number"]
TARGET_KINDS: tuple[TargetKind, ...] = get_args(TargetKind)
Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A feature column: its name, whether it holds numbers or categories, its unit, and how many values are missing."""

    name: str
    kind: ColumnKind
    unit: str | None
    n_missing: int

    def to_dict(self) -> dict[str, Any]:
        """The column as JSON values."""
        return {"name": self.name, "kind": self.kind, "unit": self.unit, "n_missing": self.n_missing}


@dataclass(frozen=True, eq=False)
class Table:
    """Feature columns and the class, or the number, of each row. Treat the frames as read-only: the digest is kept.

    Attributes:
        name: what the owner calls it; not part of the digest.
        features: one column per feature; numbers are float64 with NaN where missing, categories ``str`` or None.
        target: the class of each row, ``str``; of a target of numbers float64, NaN where it is not known (yet).
        target_name: name of the column that held the target.
        classes: distinct classes, sorted by code point; in a two-class table the second is the positive one. Empty
            where the target holds numbers.
        columns: one description per feature, in the order of ``features``.
        deidentification: what was removed from the files of pictures that the rows were made from, counted; None where
            there were none. Not part of the digest.
        shared_patients: how many patients stand in several parts of an official split, where the files that the rows
            were made from told, see `superpose.datasets.picture_patients.shared_patients`. Not part of the digest.
        domain: "medical" or "general"; a model that learns from medical rows is a medical one. Not part of the digest.
        padded: columns of whole numbers that a CSV file writes with zeros before them (007), which their values, and
            the names of classes, are without (7). Not part of the digest.
        grouped: columns of a CSV file with semicolons whose points stand only where thousands end (1.234), and were
            read as decimal points. Not part of the digest.
    """

    name: str
    features: pd.DataFrame
    target: pd.Series[Any]
    target_name: str
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    deidentification: Mapping[str, Any] | None = None
    shared_patients: Mapping[str, int] | None = None
    domain: str = GENERAL
    padded: tuple[str, ...] = ()
    grouped: tuple[str, ...] = ()

    @classmethod
    def from_columns(
        cls,
        name: str,
        features: Mapping[str, Values],
        target_name: str,
        target: Values,
        units: Mapping[str, str] | None = None,
        target_kind: TargetKind = "class",
    ) -> Table:
        """A table from column arrays: float64 arrays are numbers, object arrays of ``str`` or None are categories.

        What is under the mask of a masked array is missing.

        Args:
            name: name of the table.
            features: arrays of shape (n_rows,) by column name.
            target_name: name of the target.
            target: labels (n_rows,), float64 or object; numbers become their shortest text ("1", "2.5"). Numbers
                (n_rows,), float64, where ``target_kind`` says so; NaN in rows whose number is not known.
            units: unit of some of the columns.
            target_kind: "class", or "number" for a target that is measured or counted, such as demand.

        Raises:
            DatasetEmptyError: no rows or no feature columns.
            DatasetFormatError: unusable column name, infinite values, or a column without any value.
            DatasetTargetError: missing labels or more than 1,000 classes; a target of numbers that holds something
                else, or fewer than two of them.
            DatasetOneClassError: fewer than two classes.
        """
        import pandas as pd

        features, target = {column: unmasked(values) for column, values in features.items()}, unmasked(target)
        if not features:
            raise DatasetEmptyError(
                f"Table {name!r} has only the target column {target_name!r}; at least one feature column is needed."
            )
        if len(target) == 0:
            raise DatasetEmptyError(f"Table {name!r} has a header but no rows; at least two rows are needed.")
        check_names([*features, target_name])
        check_size(len(target), len(features) + 1)
        units = {} if units is None else units
        described = tuple(_describe(column, values, units.get(column)) for column, values in features.items())
        numbers = target_kind == "number"
        found: Any = _measured(target, target_name) if numbers else _labels(target, target_name)
        return cls(
            name=name,
            features=pd.DataFrame(dict(features)),
            target=pd.Series(found, name=target_name, dtype=np.float64 if numbers else object),
            target_name=target_name,
            classes=() if numbers else _classes(found, target_name),
            columns=described,
        )

    @property
    def target_kind(self) -> TargetKind:
        """Whether the target holds classes or numbers."""
        return "class" if self.classes else "number"

    def require_classes(self) -> None:
        """Refuse a target of numbers where a class is to be learnt.

        Raises:
            DatasetTargetError: saying what learns from such data.
        """
        if self.target_kind == "number":
            raise DatasetTargetError(
                f"Target {self.target_name!r} of table {self.name!r} holds numbers, and this learns classes. Numbers "
                "are learnt by template demand and, in Python, by HybridRegressor; or register the table with a "
                "target of classes.",
                target=self.target_name,
                target_kind="number",
            )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.target)

    @property
    def n_features(self) -> int:
        """Number of feature columns."""
        return len(self.columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the feature columns, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def class_counts(self) -> dict[str, int]:
        """Number of rows of each class, in the order of ``classes``; empty where the target holds numbers."""
        counts = Counter(self.target)
        return {label: counts[label] for label in self.classes}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content in a canonical form, so that one table has one digest in every file format.

        Covered: target name, column names and kinds in order, every value and every label in row order. Not covered:
        the table's name, units, and how the values were written (``1.0`` or ``1``, ``?`` or empty).
        """
        head = {
            "version": 1,
            "target": self.target_name,
            "columns": [[column.name, column.kind] for column in self.columns],
            "n_rows": self.n_rows,
            **({} if self.classes else {"target_kind": "number"}),
        }
        digest = hashlib.sha256(_json(head))
        for column in self.columns:
            values = self.features[column.name].to_numpy()
            digest.update(_number_bytes(values) if column.kind == "number" else _json(values.tolist()))
        digest.update(_json(self.target.tolist()) if self.classes else _number_bytes(self.target.to_numpy()))
        return digest.hexdigest()

    def without(self, names: Collection[str]) -> Table:
        """The same rows without some of the feature columns.

        Raises:
            DatasetEmptyError: no feature column is left.
        """
        kept = tuple(column for column in self.columns if column.name not in names)
        if not kept:
            raise DatasetEmptyError(
                f"Without {_listing(sorted(names))}, table {self.name!r} has no feature column left to learn from."
            )
        return replace(self, features=self.features[[column.name for column in kept]], columns=kept)

    def with_units(self, units: Mapping[str, str | None]) -> Table:
        """The same table with other units for the columns that ``units`` names; None removes one.

        Raises:
            DatasetFormatError: a name that no feature column has, or a unit that is no short printable text.
        """
        check_units(self.feature_names, units)
        columns = tuple(replace(column, unit=units.get(column.name, column.unit)) for column in self.columns)
        return replace(self, columns=columns)

    def of_domain(self, domain: str) -> Table:
        """The same table, medical if ``domain`` is; what is medical stays so.

        Raises:
            DatasetFormatError: no such domain.
        """
        if domain not in DOMAINS:
            raise DatasetFormatError(f"The domain of a table is one of {', '.join(DOMAINS)}, got {str(domain)[:40]!r}.")
        return replace(self, domain=MEDICAL) if domain == MEDICAL else self

    def schema(self) -> dict[str, Any]:
        """The description of the table without its values, as JSON values."""
        return {
            "n_rows": self.n_rows,
            "n_features": self.n_features,
            "target": self.target_name,
            "target_kind": self.target_kind,
            "classes": list(self.classes),
            "class_counts": self.class_counts,
            "columns": [column.to_dict() for column in self.columns],
            "digest": self.digest,
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self.digest == other.digest and self.columns == other.columns

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return (
            f"Table({self.name!r}, n_rows={self.n_rows}, n_features={self.n_features}, "
            f"target={self.target_name!r}, classes={self.classes!r})"
        )


def check_names(names: Sequence[str]) -> None:
    """Refuse column names that are empty, doubled, overlong or not printable.

    Raises:
        DatasetFormatError: naming the columns.
    """
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise DatasetFormatError(
                f"Column {position} has no name; every column needs one, in the first line. (A table saved with its "
                "row index has such a column, and so have lines that end with delimiters: save it without. A title "
                "above the names goes.)",
                column=position,
            )
        if len(name) > _MAX_NAME_LENGTH or not name.isprintable():
            raise DatasetFormatError(
                f"The name of column {position} is {len(name)} characters long or has characters that cannot be "
                f"printed; allowed are up to {_MAX_NAME_LENGTH} printable characters.",
                column=position,
            )
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise DatasetFormatError(
            f"Column names must differ, got more than once: {_listing(doubled)}. Rename or drop the doubles.",
            columns=doubled[:20],
        )


def check_width(n_columns: int, max_columns: int) -> None:
    """Refuse more columns than allowed.

    Raises:
        DatasetTooWideError: with both numbers.
    """
    if n_columns > max_columns:
        raise DatasetTooWideError(
            f"The table has {n_columns:,} columns; at most {max_columns:,} are allowed. Drop columns or reduce them "
            "first (selection, principal components).",
            n_columns=n_columns,
            max_columns=max_columns,
        )


def check_size(n_rows: int, n_columns: int) -> None:
    """Refuse more values than one table may hold in memory.

    Raises:
        DatasetTooLargeError: with both numbers.
    """
    if n_rows * n_columns > MAX_CELLS:
        raise DatasetTooLargeError(
            f"The table has {n_rows:,} rows x {n_columns:,} columns; at most {MAX_CELLS:,} values are allowed. "
            "Take a sample of the rows.",
            n_rows=n_rows,
            n_columns=n_columns,
            max_values=MAX_CELLS,
        )


def check_units(columns: Sequence[str], units: Mapping[str, str | None]) -> None:
    """Refuse units that cannot be given to feature columns; None stands for no unit.

    Raises:
        DatasetFormatError: a name that no feature column has, or a unit that is no short printable text.
    """
    unknown = sorted(set(units) - set(columns))
    if unknown:
        raise DatasetFormatError(
            f"There is no feature column {_listing(unknown)} to give a unit to; columns are {_listing(columns, 10)}.",
            columns=unknown[:20],
        )
    for name, unit in units.items():
        if unit is None:
            continue
        if not isinstance(unit, str) or not 0 < len(unit) <= _MAX_UNIT_LENGTH or not unit.isprintable():
            raise DatasetFormatError(
                f"The unit of column {name!r} must be a printable text of 1 to {_MAX_UNIT_LENGTH} characters.",
                column=name,
            )


def _describe(name: str, values: Values, unit: str | None) -> Column:
    """Check one feature column and describe it."""
    if values.dtype == np.float64:
        missing = np.isnan(values)
        infinite = np.flatnonzero(np.isinf(values))
        if len(infinite):
            raise DatasetFormatError(
                f"Column {name!r} has {len(infinite)} infinite value(s), the first in data row {infinite[0] + 1}; "
                "values must be finite or missing.",
                column=name,
                row=int(infinite[0]) + 1,
            )
        kind: ColumnKind = "number"
    else:
        missing = np.array([value is None for value in values], dtype=bool)
        kind = "category"
    if missing.all():
        raise DatasetFormatError(f"Column {name!r} has no value in any row. Drop it.", column=name)
    return Column(name=name, kind=kind, unit=unit, n_missing=int(missing.sum()))


def _labels(target: Values, name: str) -> list[str]:
    """Labels as text; numbers in their shortest form."""
    values = target.tolist()
    absent = [row for row, value in enumerate(values, start=1) if value is None or value != value]
    if absent:
        raise DatasetTargetError(
            f"Target {name!r} is missing in {len(absent)} row(s), the first is data row {absent[0]}; every row needs a "
            "label. Drop or label these rows.",
            target=name,
            n_missing=len(absent),
            row=absent[0],
        )
    return [value if isinstance(value, str) else _number_text(value) for value in values]


def _measured(target: Values, name: str) -> Values:
    """The numbers of a target, checked."""
    if target.dtype != np.float64:
        rows = enumerate(target.tolist(), start=1)
        row, found = next(((row, value) for row, value in rows if not _is_number(value)), (1, target[0]))
        raise DatasetTargetError(
            f"Target {name!r} was said to hold numbers, but data row {row} has {str(found)[:40]!r}. Mend it, or leave "
            "target_kind out if these are classes.",
            target=name,
            row=row,
        )
    infinite = np.flatnonzero(np.isinf(target))
    if len(infinite):
        raise DatasetTargetError(
            f"Target {name!r} is infinite in data row {infinite[0] + 1}; numbers must be finite or missing.",
            target=name,
            row=int(infinite[0]) + 1,
        )
    n_known = int(np.count_nonzero(~np.isnan(target)))
    if n_known < 2:
        raise DatasetTargetError(
            f"Target {name!r} has a number in {n_known} of {len(target)} rows; at least two are needed.",
            target=name,
            n_missing=len(target) - n_known,
        )
    return target


def _is_number(value: object) -> bool:
    try:
        return value is None or math.isfinite(float(str(value)))
    except ValueError:
        return False


def _number_text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _classes(labels: list[str], name: str) -> tuple[str, ...]:
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise DatasetOneClassError(
            f"Target {name!r} has one class only, {classes[0][:80]!r}; a classifier needs at least two.",
            target=name,
            classes=[classes[0][:80]],
        )
    if len(classes) > MAX_CLASSES:
        raise DatasetTargetError(
            f"Target {name!r} has {len(classes):,} distinct values in {len(labels):,} rows; at most {MAX_CLASSES:,} "
            "classes are allowed. Is it a measurement or an identifier rather than a class?",
            target=name,
            n_classes=len(classes),
        )
    return classes


def _listing(names: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def _number_bytes(values: Values) -> bytes:
    """Little-endian float64 with one NaN and one zero."""
    canonical = values.astype("<f8") + 0.0
    canonical[np.isnan(canonical)] = np.nan
    return canonical.tobytes()
