"""Demand series in a table of the registry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from superpose.datasets.table import Table
from superpose.errors import DatasetFormatError, DatasetTargetError
from superpose.learning.templates.demand.series import SeriesSet, series_of_frame

__all__ = ["series_of_table"]

_DATE, _QUANTITY, _SERIES = "date", "quantity", "series"


def series_of_table(table: Table, *, frequency: str | None = None, gaps: str = "refuse") -> SeriesSet:
    """The series in a table whose target holds numbers, under whatever name.

    The table has a column ``date``, perhaps ``series``, and covariates, as a file of `read_series` has them. Rows at
    the end whose target is missing are the future.

    Args:
        table: the table.
        frequency: see `read_series`.
        gaps: see `read_series`.

    Raises:
        DatasetTargetError: the target holds classes.
        DatasetFormatError: no such columns, or values that cannot be used; names the row, where the first after the
            header is 2.
        DatasetTooSmallError: fewer than three periods.
        SpecError: a word that is not allowed.
    """
    if table.target_kind != "number":
        raise DatasetTargetError(
            f"Target {table.target_name!r} of table {table.name!r} holds classes; demand is learnt from numbers. Add "
            "the file with --target-kind number (target_kind), under another name or after removing this one.",
            target=table.target_name,
            target_kind="class",
        )
    columns = table.feature_names
    if _DATE not in columns or (_QUANTITY in columns):
        raise DatasetFormatError(
            f"Table {table.name!r} needs a column date beside its target {table.target_name!r}, and none but the "
            f"target may be called quantity; its other columns are {', '.join(columns)[:200]}."
        )
    frame = pd.DataFrame({name: _values(table, name) for name in columns})
    frame[_QUANTITY] = table.target.to_numpy()
    found = series_of_frame(frame, name=table.name, digest=table.digest, frequency=frequency, gaps=gaps)
    return replace(found, domain=table.domain)


def _values(table: Table, name: str) -> Any:
    """Numbers of covariates as they are; everything else as text, "" where missing."""
    values = table.features[name]
    if values.dtype.kind == "f" and name not in (_DATE, _SERIES):
        return values
    return [_text(value) for value in values.tolist()]


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
