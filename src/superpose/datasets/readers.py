"""Reading a table from bytes, a file or a data frame."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from superpose.datasets.arrow_columns import columns_from_arrow, table_from_arrow
from superpose.datasets.csv_reader import csv_columns, read_csv
from superpose.datasets.image_reader import read_images
from superpose.datasets.npz_reader import npz_columns, read_npz
from superpose.datasets.table import MAX_COLUMNS, TARGET_KINDS, Table, TargetKind, check_size, check_width
from superpose.errors import DatasetEmptyError, DatasetFormatError, DatasetTargetError, DatasetTooLargeError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["FORMATS", "read_features", "read_table", "table_from_frame"]

_MAX_TEXT_BYTES = 2**30
_OF_NUMBERS = ("csv", "parquet")
"""Formats whose target may hold numbers."""


def read_table(
    source: bytes | Path,
    *,
    format: str,
    name: str,
    target: str,
    max_columns: int = MAX_COLUMNS,
    options: Mapping[str, Any] | None = None,
    target_kind: TargetKind = "class",
) -> Table:
    """A table from the bytes or the file of one of ``FORMATS``.

    Args:
        source: the bytes themselves, or the path of a file.
        format: ``csv``, ``parquet``, ``npz`` or ``images`` (a zip archive with a folder per class).
        name: name of the table.
        target: name of the column (or NPZ array) with the classes.
        max_columns: columns allowed, target included; checked before the rows are parsed.
        options: for ``images``, the ``size`` in pixels and the ``mode`` of ``read_images``.
        target_kind: "class", or "number" for a ``csv`` or ``parquet`` whose target is measured or counted; it may be
            missing in some rows, as in periods to be forecast.

    Raises:
        DatasetFormatError: unknown format; not UTF-8; ragged rows; no header; names that repeat; infinite values;
            columns without values or of a type that is neither number nor text.
        DatasetEmptyError: no bytes, no rows or no features.
        DatasetTargetError: the target is absent, has missing labels, or does not look like classes; or, said to hold
            numbers, it holds something else.
        DatasetOneClassError: one class only.
        DatasetTooWideError: more than ``max_columns`` columns.
        DatasetTooLargeError: more than 50 million values.
        OSError: the file cannot be read.
    """
    try:
        reader = FORMATS[format]
    except KeyError:
        raise DatasetFormatError(
            f"Format {format!r} is not known; allowed are {', '.join(FORMATS)}.", format=format, allowed=list(FORMATS)
        ) from None
    told = dict(options or {})
    if target_kind != "class":
        _check_kind(target_kind, format)
        told["target_kind"] = target_kind
    content = source.read_bytes() if isinstance(source, Path) else source
    return reader(content, name=name, target=target, max_columns=max_columns, **told)


def _check_kind(target_kind: str, format: str) -> None:
    if target_kind not in TARGET_KINDS:
        raise DatasetTargetError(
            f"target_kind must be one of {', '.join(TARGET_KINDS)}, got {target_kind!r}.", allowed=list(TARGET_KINDS)
        )
    if format not in _OF_NUMBERS:
        raise DatasetTargetError(
            f"A target of numbers is read from {' and '.join(_OF_NUMBERS)}, got format {format!r}. Convert the file, "
            "or leave target_kind out if the target holds classes.",
            format=format,
            allowed=list(_OF_NUMBERS),
        )


def read_features(
    source: bytes | Path, *, format: str, name: str, max_columns: int = MAX_COLUMNS
) -> dict[str, npt.NDArray[Any]]:
    """The columns of a table without a target, by name in order: float64 numbers (nan where missing) or objects.

    Args:
        source: the bytes themselves, or the path of a file.
        format: ``csv``, ``parquet`` or ``npz``.
        name: name of the table, for messages.
        max_columns: columns allowed.

    Raises:
        DatasetError: as ``read_table`` states.
        OSError: the file cannot be read.
    """
    content = source.read_bytes() if isinstance(source, Path) else source
    if format == "csv":
        return csv_columns(content, name=name, max_columns=max_columns)
    if format == "npz":
        return npz_columns(content, name=name, max_columns=max_columns)
    if format == "parquet":
        return columns_from_arrow(_arrow_of(content, name, max_columns), max_columns=max_columns)
    raise DatasetFormatError(
        f"Format {format!r} gives no columns; allowed are csv, parquet, npz.",
        format=format,
        allowed=["csv", "parquet", "npz"],
    )


def table_from_frame(
    frame: pd.DataFrame,
    *,
    name: str,
    target: str,
    max_columns: int = MAX_COLUMNS,
    target_kind: TargetKind = "class",
) -> Table:
    """A table from a pandas data frame; the index is left out.

    Raises:
        DatasetError: as ``read_table`` states.
    """
    import pyarrow as pa

    check_width(frame.shape[1], max_columns)
    if not all(isinstance(column, str) for column in frame.columns):
        raise DatasetFormatError(
            f"Column names must be text, got {[c for c in frame.columns if not isinstance(c, str)][:5]}."
        )
    try:
        arrow = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DatasetFormatError(f"The data frame mixes types within a column: {error}.") from error
    return table_from_arrow(arrow, name=name, target=target, max_columns=max_columns, target_kind=target_kind)


def read_parquet(
    content: bytes, *, name: str, target: str, max_columns: int, target_kind: TargetKind = "class"
) -> Table:
    """A table from Parquet bytes; a column's unit is taken from its field metadata ``unit``, if there.

    Raises:
        DatasetError: as ``read_table`` states.
    """
    arrow = _arrow_of(content, name, max_columns)
    units = {
        field.name: field.metadata[b"unit"].decode("utf-8", "replace")
        for field in arrow.schema
        if field.metadata and b"unit" in field.metadata
    }
    return table_from_arrow(
        arrow, name=name, target=target, max_columns=max_columns, units=units, target_kind=target_kind
    )


def _arrow_of(content: bytes, name: str, max_columns: int) -> pa.Table:
    """Parquet bytes, their size checked before the rows are unpacked."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not content:
        raise DatasetEmptyError(f"File {name!r} is empty (got 0 bytes).")
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        check_width(file.metadata.num_columns, max_columns)
        check_size(file.metadata.num_rows, file.metadata.num_columns)
        texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
        arrow = pq.ParquetFile(io.BytesIO(content), read_dictionary=texts).read(use_threads=False)
        _check_texts(arrow)
        return arrow
    except (pa.ArrowException, OSError) as error:
        raise DatasetFormatError(f"The bytes are not a Parquet file: {str(error).splitlines()[0]}.") from error


def _check_texts(arrow: pa.Table) -> None:
    """Refuse texts that take far more memory written out than in a dictionary.

    Raises:
        DatasetTooLargeError: more than 1 GiB.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    n_bytes = 0
    for column in arrow.columns:
        if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
            continue
        for chunk in column.chunks:
            lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
            n_bytes += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    if n_bytes > _MAX_TEXT_BYTES:
        raise DatasetTooLargeError(
            f"The texts take {n_bytes:,} bytes written out; at most {_MAX_TEXT_BYTES:,} are allowed.",
            max_bytes=_MAX_TEXT_BYTES,
        )


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


FORMATS: dict[str, Callable[..., Table]] = {
    "csv": read_csv,
    "parquet": read_parquet,
    "npz": read_npz,
    "images": read_images,
}
