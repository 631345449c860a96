"""Rows for a prediction, from whatever a data scientist holds, as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.errors import RequestError

__all__ = ["rows_to_json"]


def rows_to_json(rows: Any) -> list[Any]:
    """Rows as JSON: one object or array per row, missing values as null.

    Args:
        rows: a pandas DataFrame, a NumPy array of shape ``(n_rows, n_features)``, a list of mappings, a list of
            sequences, or one mapping for one row. NaN, ``pandas.NA`` and ``NaT`` become null.

    Raises:
        RequestError: the rows have another form, or hold an infinite number or a value that JSON cannot say.
    """
    if _is_frame(rows):
        names = [str(name) for name in rows.columns]
        return [dict(zip(names, map(_value, row), strict=True)) for row in rows.itertuples(index=False, name=None)]
    if hasattr(rows, "ndim") and hasattr(rows, "tolist"):
        if rows.ndim != 2:
            raise RequestError(
                f"rows has {rows.ndim} axes, expected 2: (n_rows, n_features). For one row write rows[None, :].",
                field="rows",
            )
        rows = rows.tolist()
    if isinstance(rows, Mapping):
        rows = [rows]
    if isinstance(rows, str | bytes) or not isinstance(rows, Sequence):
        raise RequestError(
            f"rows is of type {type(rows).__name__}; allowed are a DataFrame, an array (n_rows, n_features), a list of "
            "dicts and a list of lists.",
            field="rows",
        )
    return [_row(row, index) for index, row in enumerate(rows)]


def _is_frame(rows: Any) -> bool:
    return hasattr(rows, "itertuples") and hasattr(rows, "columns")


def _row(row: object, index: int) -> Any:
    if isinstance(row, Mapping):
        return {str(name): _value(value) for name, value in row.items()}
    if hasattr(row, "tolist"):
        row = row.tolist()
    if isinstance(row, Sequence) and not isinstance(row, str | bytes):
        return [_value(value) for value in row]
    raise RequestError(
        f"rows[{index}] is of type {type(row).__name__}; a row is a dict of column names and values, or a list of "
        "values. One row alone still stands in a list: [row].",
        field=f"rows[{index}]",
    )


def _value(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # a NumPy scalar
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise RequestError(
                f"rows hold {value}; allowed are finite numbers, and None or NaN for a missing value.", field="rows"
            )
        return None if math.isnan(value) else value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise RequestError(
        f"rows hold a value of type {type(value).__name__}; allowed are numbers, text, booleans and None.", field="rows"
    )
