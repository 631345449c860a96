"""From Arrow columns to the two kinds of values a table holds: float64 numbers and text categories."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.table import Table, TargetKind, check_names, check_size, check_width
from superpose.errors import DatasetFormatError, DatasetTargetError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "check_target",
    "columns_from_arrow",
    "number_or_category",
    "table_from_arrow",
    "truths_as_written",
    "typed_values",
]

_INDEX_COLUMN = re.compile(r"__index_level_\d+__")


def table_from_arrow(
    arrow: pa.Table,
    *,
    name: str,
    target: str,
    max_columns: int,
    units: Mapping[str, str] | None = None,
    target_kind: TargetKind = "class",
) -> Table:
    """A table from an Arrow table whose columns have types of their own (Parquet, a data frame).

    Raises:
        DatasetError: as ``read_table`` states.
    """
    values = columns_from_arrow(arrow, max_columns=max_columns, target=target)
    labels = values.pop(target)
    return Table.from_columns(name, values, target, labels, units, target_kind)


def columns_from_arrow(arrow: pa.Table, *, max_columns: int, target: str | None = None) -> dict[str, npt.NDArray[Any]]:
    """All columns by name, in order, without a saved row index; with a target, it must be among them.

    Raises:
        DatasetError: as ``read_table`` states.
    """
    keep = [column for column in arrow.column_names if not _INDEX_COLUMN.fullmatch(column)]
    check_width(len(keep), max_columns)
    check_names(keep)
    check_size(arrow.num_rows, len(keep))
    if target is not None:
        check_target(target, keep)
    return {column: typed_values(column, arrow.column(column)) for column in keep}


def check_target(target: str, names: list[str]) -> None:
    """Refuse a target that is not among the columns.

    Raises:
        DatasetTargetError: listing some of the columns there are.
    """
    if target not in names:
        shown = ", ".join(repr(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")
        raise DatasetTargetError(
            f"There is no column {target!r} to be the target; the columns are {shown}. (If these look like values, the "
            "file has no header line.)",
            target=target,
            columns=names[:50],
        )


def number_or_category(text: pa.Array, *, decimal_comma: bool = False) -> npt.NDArray[Any]:
    """Text cells as float64 if every cell that is not null reads as a number, else as objects ``str`` or None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = text
    if decimal_comma and not pc.any(pc.match_substring(text, ".")).as_py():
        numbers = pc.replace_substring(text, ",", ".", max_replacements=1)
    try:
        return _numpy(pc.cast(numbers, pa.float64())).astype(np.float64)
    except pa.ArrowInvalid:
        return _numpy(text).astype(object)


def typed_values(name: str, column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Values of one column by its Arrow type."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if pa.types.is_boolean(kind):
        return _numpy(pc.cast(column, pa.string())).astype(object)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = pc.utf8_trim_whitespace(pc.cast(column, pa.large_string()))
        blank = pc.equal(text, "")
        return _numpy(pc.if_else(blank, pa.scalar(None, pa.large_string()), text)).astype(object)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _numpy(_iso_dates(column)).astype(object)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        try:
            return _numpy(pc.cast(column, pa.float64())).astype(np.float64)
        except pa.ArrowInvalid as error:
            raise DatasetFormatError(
                f"Column {name!r} has integers beyond 2**53, which float64 cannot keep apart. If they are identifiers, "
                "store them as text or drop them.",
                column=name,
            ) from error
    raise DatasetFormatError(
        f"Column {name!r} has type {kind}; allowed are numbers, booleans, text and dates. Convert it or drop it.",
        column=name,
        type=str(kind),
    )


def truths_as_written(categories: Iterable[str]) -> dict[str, str]:
    """How categories write the truth values that columns with types call "true" and "false", where they do otherwise.

    A CSV file has them as who wrote it does: Python and spreadsheets True and TRUE. Where a spelling is not the only
    one, each stands for itself.
    """
    found: dict[str, list[str]] = {"true": [], "false": []}
    for word in categories:
        found.get(word.lower(), []).append(word)
    return {truth: words[0] for truth, words in found.items() if len(words) == 1 and words[0] != truth}


def _iso_dates(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates as ``2025-03-31``, times as ``2025-03-31T08:00:00`` with a Z where they name a moment; to the second."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date(column.type):
        return pc.cast(pc.cast(column, pa.date32(), safe=False), pa.string())
    suffix = "Z" if column.type.tz is not None else ""
    moments = pc.cast(pc.cast(column, pa.timestamp("s", tz=column.type.tz), safe=False), pa.timestamp("s"))
    return pc.binary_join_element_wise(pc.replace_substring(pc.cast(moments, pa.string()), " ", "T"), suffix, "")


def _numpy(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return np.array(column.to_numpy())
    return np.array(column.to_numpy(zero_copy_only=False))
