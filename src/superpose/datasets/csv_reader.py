"""CSV: UTF-8, a header line, comma, semicolon or tab; the width is checked before the rows are parsed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.arrow_columns import check_target, number_or_category
from superpose.datasets.table import Table, TargetKind, check_names, check_size, check_width
from superpose.datasets.written_numbers import points_at_thousands
from superpose.errors import DatasetEmptyError, DatasetFormatError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MISSING_MARKS", "csv_columns", "csv_texts", "read_csv", "without_delimiter_line"]

MISSING_MARKS = ("", "?", "NA", "N/A", "NaN", "nan", "NULL", "null")
_DELIMITERS = (",", ";", "\t")
_MAX_HEADER_BYTES = 4 * 2**20
_DELIMITER_LINE = re.compile(rb'\A(?:\xef\xbb\xbf)?"?sep=[,;\t]"?[,;\t]*(?=[\r\n])', re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


def read_csv(content: bytes, *, name: str, target: str, max_columns: int, target_kind: TargetKind = "class") -> Table:
    """A table from CSV bytes.

    Cells are trimmed. A column is a number column if each cell reads as a decimal number or as one of
    ``MISSING_MARKS``; else its cells are categories. Between semicolons a decimal comma is understood.

    Raises:
        DatasetError: as ``read_table`` states.
    """
    cells, delimiter = _cells(content, name, max_columns, target)
    values = _values(cells, delimiter)
    padded = tuple(column for column, found in values.items() if found.dtype == np.float64 and _padded(cells[column]))
    grouped = tuple(
        column
        for column, found in values.items()
        if delimiter == ";" and found.dtype == np.float64 and points_at_thousands(_marked(cells[column]))
    )
    labels = values.pop(target)
    table = Table.from_columns(name, values, target, labels, target_kind=target_kind)
    return replace(table, padded=padded, grouped=grouped)


def csv_columns(
    content: bytes, *, name: str, max_columns: int, target: str | None = None
) -> dict[str, npt.NDArray[Any]]:
    """All columns of CSV bytes by name, in order; with a target, it must be among them.

    Raises:
        DatasetError: as ``read_table`` states.
    """
    cells, delimiter = _cells(content, name, max_columns, target)
    return _values(cells, delimiter)


def csv_texts(content: bytes, *, name: str, max_columns: int) -> tuple[dict[str, list[str]], str]:
    """The trimmed cells of CSV bytes by column, in order and as they are written, and the delimiter.

    Raises:
        DatasetError: as ``read_table`` states.
    """
    cells, delimiter = _cells(content, name, max_columns, None)
    return {column: text.to_pylist() for column, text in cells.items()}, delimiter


def without_delimiter_line(content: bytes) -> bytes:
    r"""The bytes without what a spreadsheet writes before the header to name the delimiter; the line stays, empty.

    >>> without_delimiter_line(b"sep=;\r\na;b\r\n")
    b'\r\na;b\r\n'
    """
    return _DELIMITER_LINE.sub(b"", content, count=1)


def _values(cells: dict[str, pa.Array], delimiter: str) -> dict[str, npt.NDArray[Any]]:
    return {column: number_or_category(_marked(text), decimal_comma=delimiter == ";") for column, text in cells.items()}


def _padded(text: pa.Array) -> bool:
    """Whether cells that all are whole numbers, or missing, have zeros before some of them, as codes do (007)."""
    import pyarrow.compute as pc

    known = pc.drop_null(_marked(text))
    return bool(pc.any(pc.match_substring_regex(known, r"^0\d")).as_py() and pc.all(pc.utf8_is_digit(known)).as_py())


def _cells(content: bytes, name: str, max_columns: int, target: str | None) -> tuple[dict[str, pa.Array], str]:
    """Trimmed cells by column, and the delimiter."""
    import pyarrow.compute as pc

    content = without_delimiter_line(content)
    if not content.strip():
        raise DatasetEmptyError(f"File {name!r} is empty (got {len(content)} bytes, without any text).")
    delimiter, raw_names = _read_header(content, max_columns)
    names = [raw.strip() for raw in raw_names]
    check_names(names)
    if target is not None:
        check_target(target, names)
    arrow = _parse(content, delimiter, raw_names)
    if arrow.num_rows == 0:
        raise DatasetEmptyError(f"File {name!r} has a header but no rows; at least two rows are needed.")
    check_size(arrow.num_rows, len(names))
    columns = (arrow.column(i).combine_chunks() for i in range(len(names)))
    return dict(zip(names, map(pc.utf8_trim_whitespace, columns), strict=True)), delimiter


def _read_header(content: bytes, max_columns: int) -> tuple[str, list[str]]:
    """Delimiter and cells of the first line that is not blank; refuses before any row is read."""
    first = content[:_MAX_HEADER_BYTES].lstrip(b"\xef\xbb\xbf\r\n")
    end = min((at for at in (first.find(b"\n"), first.find(b"\r")) if at >= 0), default=len(first))
    line = first[:end]
    if end == len(first) and len(content) > _MAX_HEADER_BYTES:
        raise DatasetFormatError(
            f"The first line is longer than {_MAX_HEADER_BYTES:,} bytes; it must be a header of column names."
        )
    counts = {delimiter: line.count(delimiter.encode()) for delimiter in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=counts.__getitem__)
    # Quoted names may hold delimiters, so only a count far above the limit is refused without parsing.
    if counts[delimiter] > 4 * max_columns:
        check_width(counts[delimiter] + 1, max_columns)
    names = next((row for _, row in _records(content, delimiter)), [])
    check_width(len(names), max_columns)
    if all(_NUMBER.fullmatch(cell.strip()) or cell.strip() in MISSING_MARKS for cell in names):
        raise DatasetFormatError(
            f"The first line holds only numbers ({', '.join(names[:5])[:80]}), so the file seems to have no header. "
            "Add a first line with the names of the columns."
        )
    return delimiter, names


def _records(content: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank, each with the number of the line it starts on."""
    reader = csv.reader(
        io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline=""), delimiter=delimiter, strict=True
    )
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except UnicodeDecodeError:
        raise _not_utf8(content) from None
    except csv.Error as error:
        raise DatasetFormatError(f"Line {line} is not CSV: {error}.", line=line) from error


def _parse(content: bytes, delimiter: str, raw_names: list[str]) -> pa.Table:
    """All cells as text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        return arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=max(len(content), 2**20)),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(raw_names, pa.string()), strings_can_be_null=False, null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        _explain(content, delimiter, len(raw_names))
        raise DatasetFormatError(f"The bytes are not CSV: {error}.") from error


def _explain(content: bytes, delimiter: str, n_columns: int) -> None:
    """Find the line that made parsing fail, and raise for it."""
    for line, record in _records(content, delimiter):
        if len(record) != n_columns:
            raise DatasetFormatError(
                f"Line {line} has {len(record)} values, but the header has {n_columns} columns.",
                line=line,
                n_values=len(record),
                n_columns=n_columns,
            )


def _not_utf8(content: bytes) -> DatasetFormatError:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return DatasetFormatError(
            f"Line {line} is not UTF-8 (byte 0x{content[error.start]:02x} at offset {error.start}). "
            "Save the file as UTF-8.",
            line=line,
            offset=error.start,
        )
    return DatasetFormatError("The file is not UTF-8. Save it as UTF-8.")


def _marked(text: pa.Array) -> pa.Array:
    """Trimmed cells, null where a cell is a missing mark."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = pc.is_in(text, value_set=pa.array(MISSING_MARKS))
    return pc.if_else(missing, pa.scalar(None, pa.string()), text)
