"""Rows as callers hand them over (data frame, list of mappings or lists, array), read into one block of plain arrays.

The block has numbers as ``(n_rows, n_number_columns)`` float64 with nan for missing, and one list of texts (None for
missing) per category column, in the order of the columns.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.masks import unmasked
from superpose.errors import FeatureMismatchError

__all__ = ["ColumnKind", "ColumnNames", "RowBlock", "category_text", "is_frame", "is_number", "read_rows"]

ColumnKind = Literal["number", "category"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

_SHOWN = 5
"""How many names a message lists before it counts the rest."""


@dataclass(frozen=True)
class ColumnNames:
    """Names and kinds of a model's columns, in order."""

    names: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]

    @cached_property
    def name_set(self) -> frozenset[str]:
        """The names, for membership tests."""
        return frozenset(self.names)

    @cached_property
    def numbers(self) -> tuple[tuple[int, str], ...]:
        """Position and name of each number column."""
        return tuple((i, n) for i, (n, kind) in enumerate(zip(self.names, self.kinds, strict=True)) if kind == "number")

    @cached_property
    def categories(self) -> tuple[tuple[int, str], ...]:
        """Position and name of each category column."""
        return tuple((i, n) for i, (n, kind) in enumerate(zip(self.names, self.kinds, strict=True)) if kind != "number")


@dataclass(frozen=True)
class RowBlock:
    """Rows as plain arrays: ``numbers`` ``(n_rows, n_number_columns)`` and one list of texts per category column."""

    numbers: NDArray[np.float64]
    categories: tuple[list[str | None], ...]


def is_frame(rows: object) -> bool:
    """Whether this is a pandas DataFrame, asked without importing pandas."""
    return type(rows).__module__.split(".")[0] == "pandas" and hasattr(rows, "iloc") and hasattr(rows, "columns")


def is_number(value: object) -> bool:
    """Whether a value is a number, and no truth value; a database's decimals are."""
    return isinstance(value, int | float | Decimal | np.number) and not isinstance(value, bool)


def category_text(value: Any) -> str | None:
    """The text under which a category is known, as `superpose.datasets` writes it.

    3, 3.0 and "3" are one category, True is "true"; None, nan, NA and blank text are missing.
    """
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return None
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def read_rows(rows: Any, columns: ColumnNames) -> RowBlock:
    """Read rows that must have exactly ``columns``.

    Args:
        rows: a pandas DataFrame or a list of mappings, matched by column name in any order; or a list of lists or a 2-D
            array, matched by position. None, nan and what is masked are missing values.
        columns: what the model was trained on.

    Raises:
        FeatureMismatchError: columns are absent, unknown or of the wrong kind; the message names them.
    """
    if is_frame(rows):
        return _read_frame(rows, columns)
    if isinstance(rows, np.ndarray):
        return _read_array(unmasked(rows), columns)
    if isinstance(rows, Mapping | str | bytes) or not isinstance(rows, Sequence):
        raise FeatureMismatchError(
            f"rows must be a data frame, a 2-D array or a list of rows, got {type(rows).__name__}; "
            "put a single row into a list"
        )
    if not rows:
        return RowBlock(np.empty((0, len(columns.numbers))), tuple([] for _ in columns.categories))
    return _read_records(rows, columns) if isinstance(rows[0], Mapping) else _read_sequences(rows, columns)


def _names(names: Iterable[object]) -> str:
    listed = [repr(name) for name in names]
    more = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _check_names(got: Iterable[object], columns: ColumnNames, where: str) -> None:
    """Raise unless the names are those of the columns, in any order."""
    present = set(got)
    missing = [name for name in columns.names if name not in present]
    unknown = sorted(str(name) for name in present if name not in columns.name_set)
    if not missing and not unknown:
        return
    parts = []
    if missing:
        parts.append(f"lacks {_names(missing)}")
    if unknown:
        near = difflib.get_close_matches(unknown[0], missing, n=1)
        parts.append(
            f"has unknown {_names(unknown)}" + (f" (is {unknown[0]!r} meant to be {near[0]!r}?)" if near else "")
        )
    raise FeatureMismatchError(
        f"{where} {' and '.join(parts)}; the model was trained on {len(columns.names)} columns, "
        "a missing value is given as null",
        missing=missing[:50],
        unknown=unknown[:50],
    )


def _refuse_value(value: object, name: str, row: int) -> FeatureMismatchError:
    if isinstance(value, int) and value.bit_length() > 1024:  # Python may refuse to write its digits
        shown = f"a whole number of {value.bit_length()} bits"
    else:
        shown = repr(value)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return FeatureMismatchError(
        f"column {name!r} takes a finite number or null, got {shown} in row {row}", column=name, row=row
    )


def _refusal_of(values: Sequence[Any], error: FeatureMismatchError) -> FeatureMismatchError:
    """The error of a column's first value, or of the first text that is no number: for its sake all others may be texts
    too, as in a table that was read from a file.
    """
    for row, value in enumerate(values):
        if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
            return _refuse_value(value, str(error.details["column"]), row)
    return error


def _finite(numbers: NDArray[np.float64], columns: ColumnNames) -> NDArray[np.float64]:
    """The numbers, none of which may be infinite."""
    infinite = np.isinf(numbers)
    if infinite.any():
        row, place = (int(i) for i in np.argwhere(infinite)[0])
        raise _refuse_value(float(numbers[row, place]), columns.numbers[place][1], row)
    return numbers


def _number(value: Any, name: str, row: int) -> float:
    """One value of a number column; None and NA are nan."""
    if value is None or type(value).__name__ == "NAType":
        return math.nan
    if isinstance(value, bool | np.bool_) or is_number(value):
        try:
            return float(value)
        except (OverflowError, ValueError):  # a whole number of hundreds of digits, a signalling NaN
            pass
    raise _refuse_value(value, name, row)


def _numbers(rows: list[list[Any]], columns: ColumnNames) -> NDArray[np.float64]:
    """Number columns of rows given as lists of their values; the fast way when every value is a number."""
    if not columns.numbers:
        return np.empty((len(rows), 0))
    try:
        block = np.array(rows)
    except ValueError:  # values are sequences of different lengths
        block = np.empty(0, dtype=object)
    if block.dtype.kind in "fiub" and block.ndim == 2:
        return _finite(block.astype(np.float64), columns)
    names = [name for _, name in columns.numbers]
    try:
        checked = [[_number(v, n, i) for v, n in zip(row, names, strict=True)] for i, row in enumerate(rows)]
    except FeatureMismatchError as error:
        place = names.index(str(error.details["column"]))
        raise _refusal_of([row[place] for row in rows], error) from None
    return _finite(np.array(checked, dtype=np.float64), columns)


def _read_records(rows: Sequence[Any], columns: ColumnNames) -> RowBlock:
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise FeatureMismatchError(
                f"row {i} is {type(row).__name__}, the rows before it map column names to values"
            )
        if row.keys() != columns.name_set:
            _check_names(row.keys(), columns, f"row {i}")
    numbers = _numbers([[row[name] for _, name in columns.numbers] for row in rows], columns)
    return RowBlock(numbers, tuple([category_text(row[name]) for row in rows] for _, name in columns.categories))


def _read_sequences(rows: Sequence[Any], columns: ColumnNames) -> RowBlock:
    width = len(columns.names)
    for i, row in enumerate(rows):
        if isinstance(row, str | bytes | Mapping) or not isinstance(row, Sequence | np.ndarray) or len(row) != width:
            got = f"{len(row)} values" if isinstance(row, Sequence | np.ndarray) else type(row).__name__
            raise FeatureMismatchError(
                f"row {i} must be a list of {width} values in the order of the columns, got {got}", row=i
            )
    numbers = _numbers([[row[place] for place, _ in columns.numbers] for row in rows], columns)
    return RowBlock(numbers, tuple([category_text(row[place]) for row in rows] for place, _ in columns.categories))


def _read_array(rows: NDArray[Any], columns: ColumnNames) -> RowBlock:
    if rows.ndim != 2 or rows.shape[1] != len(columns.names):
        raise FeatureMismatchError(
            f"the array must have shape (n_rows, {len(columns.names)}), one column per trained column; "
            f"got shape={rows.shape}"
        )
    if rows.dtype.kind in "fiub" and not columns.categories:
        return RowBlock(_finite(rows.astype(np.float64), columns), ())
    return _read_sequences(rows.tolist(), columns) if len(rows) else read_rows([], columns)


def _read_frame(frame: Any, columns: ColumnNames) -> RowBlock:
    _check_names(frame.columns, columns, "the data frame")
    if frame.shape[1] != len(columns.names):
        raise FeatureMismatchError(
            f"the data frame has {frame.shape[1]} columns with repeated names; names must be unique"
        )
    numbers = np.empty((len(frame), len(columns.numbers)))
    for place, (_, name) in enumerate(columns.numbers):
        series = frame[name]
        if series.dtype.kind in "fiub":
            numbers[:, place] = series.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values = series.tolist()
            try:
                numbers[:, place] = [_number(value, name, i) for i, value in enumerate(values)]
            except FeatureMismatchError as error:
                raise _refusal_of(values, error) from None
    return RowBlock(
        _finite(numbers, columns),
        tuple([category_text(v) for v in frame[name].tolist()] for _, name in columns.categories),
    )
