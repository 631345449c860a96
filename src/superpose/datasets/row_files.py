"""Files with rows to predict, read in chunks of a fixed number of rows and in constant memory.

Unlike a data set, such a file needs no target, may have further columns, and a row that cannot be used is told by its
number while the others go on. Rows are counted from 0; of a CSV file, lines that are blank are no rows.
"""

from __future__ import annotations

import csv
import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from superpose.datasets.archives import open_archive
from superpose.datasets.csv_reader import without_delimiter_line
from superpose.datasets.npz_reader import array_header, array_of
from superpose.errors import DatasetFormatError, FeatureMismatchError

__all__ = ["ROW_FORMATS", "RowChunk", "RowFile"]

ROW_FORMATS = ("csv", "parquet", "npz")

_MISSING = frozenset({"", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DELIMITERS = (",", ";", "\t")
_MAX_HEADER = 4 * 2**20
_MAX_COLUMNS = 1_000_000

Values = npt.NDArray[Any]
Batch = tuple[int, dict[str, Values], dict[int, str]]


@dataclass(frozen=True)
class RowChunk:
    """Rows ``first`` to before ``first + n_rows`` of a file.

    Attributes:
        first: number of the first row.
        n_rows: number of rows.
        columns: values by column: float64 with nan for missing, or objects (text, numbers, truth values, None).
        bad: what is wrong with rows that cannot be used, by their place within the chunk.
    """

    first: int
    n_rows: int
    columns: Mapping[str, Values]
    bad: Mapping[int, str] = field(default_factory=dict)


class _Source(Protocol):
    """A format: the names of its columns, and its rows as columns, at most ``n_rows`` at a time."""

    names: list[str]

    def batches(self, wanted: Sequence[tuple[str, str]], n_rows: int) -> Iterator[Batch]:
        """Number of rows, values of the wanted columns, and what is wrong with which rows."""
        ...


class RowFile:
    """A file of rows for a model.

    Args:
        path: the file.
        format: one of ``ROW_FORMATS``.
        columns: name and kind ("number" or "category") of each column that the model needs.

    Attributes:
        ignored: columns of the file that the model does not need.

    Raises:
        DatasetFormatError: not such a file.
        FeatureMismatchError: columns are absent.
    """

    def __init__(self, path: Path, format: str, columns: Sequence[tuple[str, str]]) -> None:
        self._columns = tuple(columns)
        kinds: dict[str, Callable[[Path], _Source]] = {"csv": _Csv, "parquet": _Parquet, "npz": _Npz}
        self._source = kinds[format](path)
        names = self._source.names
        if isinstance(self._source, _Npz) and not self._source.named and len(names) == len(columns):
            names = self._source.names = [name for name, _ in columns]  # an array without names is taken in order
        missing = [name for name, _ in columns if name not in names]
        if missing:
            shown = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if missing[5:] else "")
            raise FeatureMismatchError(
                f"The file lacks {shown}; the model was trained on {len(columns)} columns, the file has {len(names)}.",
                missing=missing[:50],
                unknown=[],
            )
        needed = {name for name, _ in columns}
        self.ignored = tuple(name for name in names if name not in needed)

    def chunks(self, n_rows: int) -> Iterator[RowChunk]:
        """The rows in order, ``n_rows`` at a time; the same file gives the same chunks.

        Raises:
            DatasetFormatError: the file cannot be read on; says where.
        """
        first = 0
        for count, values, bad in self._source.batches(self._columns, n_rows):
            found = dict(bad)
            for name, kind in self._columns:
                if kind == "number":
                    for place in np.flatnonzero(np.isinf(values[name])):
                        found.setdefault(int(place), f"column {name!r} is not a finite number")
            yield RowChunk(first, count, values, found)
            first += count


class _Csv:
    """CSV as data sets have it: UTF-8, a header, comma, semicolon or tab."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            start = file.read(_MAX_HEADER)
        rest = without_delimiter_line(start)
        self._n_before = int(rest != start)  # lines that are no records
        head = rest.lstrip(b"\xef\xbb\xbf\r\n")
        line = head.splitlines()[0] if head.strip() else b""
        self._delimiter = max(_DELIMITERS, key=lambda delimiter: line.count(delimiter.encode()))
        first = next(self._records(), None)
        if first is None:
            raise DatasetFormatError("The file is empty; a header line with the names of the columns is needed.")
        self.names = [name.strip() for name in first]
        if len(set(self.names)) < len(self.names):
            raise DatasetFormatError("The header has a name twice; names of columns must be unique.")

    def _records(self) -> Iterator[list[str]]:
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            for _ in range(self._n_before):
                file.readline()
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            try:
                yield from (record for record in reader if record)
            except UnicodeDecodeError:
                line = self._n_before + reader.line_num
                raise DatasetFormatError(f"The file is not UTF-8 after line {line}.") from None
            except csv.Error as error:
                line = self._n_before + reader.line_num
                raise DatasetFormatError(f"Line {line} is not CSV: {error}.", line=line) from None

    def batches(self, wanted: Sequence[tuple[str, str]], n_rows: int) -> Iterator[Batch]:
        """Rows as columns; one of another length is bad."""
        places = [(name, kind, self.names.index(name)) for name, kind in wanted]
        width = len(self.names)
        records = self._records()
        next(records)  # the header
        while rows := list(islice(records, n_rows)):
            bad = {
                place: f"has {len(row)} values, but the header has {width} columns"
                for place, row in enumerate(rows)
                if len(row) != width
            }
            for place in bad:
                rows[place] = [""] * width
            values: dict[str, Values] = {}
            for name, kind, column in places:
                cells = [row[column].strip() for row in rows]
                if kind == "number":
                    values[name] = _numbers(name, cells, bad, decimal_comma=self._delimiter == ";")
                else:
                    values[name] = np.array([None if c in _MISSING else c for c in cells], dtype=object)
            yield len(rows), values, bad


class _Parquet:
    """Parquet, row group by row group."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise DatasetFormatError(f"The file is not Parquet: {error}.") from None
        self.names = list(self._file.schema_arrow.names)

    def batches(self, wanted: Sequence[tuple[str, str]], n_rows: int) -> Iterator[Batch]:
        """Rows as columns; a batch ends where a row group does."""
        import pyarrow as pa

        from superpose.datasets.arrow_columns import typed_values

        try:
            for batch in self._file.iter_batches(n_rows, columns=[name for name, _ in wanted], use_threads=False):
                bad: dict[int, str] = {}
                values: dict[str, Values] = {}
                for name, kind in wanted:
                    found = typed_values(name, pa.chunked_array([batch.column(name)]))
                    if kind == "number" and found.dtype == object:
                        found = _numbers(name, ["" if v is None else str(v) for v in found], bad)
                    values[name] = found if kind == "number" else found.astype(object)
                yield batch.num_rows, values, bad
        except (pa.ArrowInvalid, OSError) as error:
            raise DatasetFormatError(f"The Parquet file cannot be read on: {error}.") from None


class _Npz:
    """NPZ with an array ``x`` or ``features`` ``(n_rows, n_features)`` in C order, and optionally ``names``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with open_archive(path, "an NPZ archive of plain arrays") as archive:
            members = {info.filename.removesuffix(".npy").lower(): info for info in archive.infolist()}
            found = members.get("x") or members.get("features")
            if found is None:
                raise DatasetFormatError(f"The archive has no array x or features; it has {sorted(members)[:10]}.")
            self._member = found
            with archive.open(found) as member:
                self._shape, self._dtype = _head(member, found)
            named = members.get("names")
            self.named = named is not None
            self.names = [f"x_{i}" for i in range(self._shape[1])]
            if named is not None:
                self.names = _names(archive, named)
        if len(self.names) != self._shape[1]:
            raise DatasetFormatError(f"There are {len(self.names)} names for {self._shape[1]} features.")

    def batches(self, wanted: Sequence[tuple[str, str]], n_rows: int) -> Iterator[Batch]:
        """Rows as columns, read from within the archive."""
        left, width = self._shape
        row_bytes = width * self._dtype.itemsize
        with open_archive(self._path, "an NPZ archive") as archive, archive.open(self._member) as member:
            _head(member, self._member)
            while left:
                count = min(left, n_rows)
                content = member.read(count * row_bytes)
                if len(content) != count * row_bytes:
                    raise EOFError("the array is shorter than its header says")
                block = np.frombuffer(content, self._dtype).reshape(count, width).astype(np.float64)
                left -= count
                columns = {name: block[:, self.names.index(name)] for name, _ in wanted}
                kinds = dict(wanted)
                yield count, {n: v if kinds[n] == "number" else v.astype(object) for n, v in columns.items()}, {}


def _head(member: IO[bytes], info: zipfile.ZipInfo) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Shape and type of the features in an archive; what follows are their bytes, row by row."""
    dtype, shape, by_columns = _checked_header(member, info)
    if len(shape) != 2 or dtype.kind not in "buif" or shape[1] > _MAX_COLUMNS:
        raise DatasetFormatError(
            f"Features must be numbers of shape (n_rows, n_features), at most {_MAX_COLUMNS:,} of them, got {dtype} "
            f"{shape}."
        )
    if by_columns and shape[0] > 1:
        raise DatasetFormatError("Features are stored column by column; store np.ascontiguousarray(x).")
    return (shape[0], shape[1]), dtype


def _names(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> list[str]:
    """The array of the columns' names."""
    with archive.open(info) as member:
        dtype, shape, _ = _checked_header(member, info)
        if len(shape) != 1 or dtype.kind not in "US" or shape[0] > _MAX_COLUMNS or info.file_size > _MAX_HEADER:
            raise DatasetFormatError(f"names must be a list of texts, got {dtype} {shape}.")
        found = array_of(member.read(info.file_size), dtype)
    return [(name.decode("utf-8") if isinstance(name, bytes) else str(name)).strip() for name in found.tolist()]


def _checked_header(member: IO[bytes], info: zipfile.ZipInfo) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """Type, shape and order of an array, whose header is not believed before it fits the bytes that are there."""
    try:
        dtype, shape, by_columns = array_header(member)
    except (SyntaxError, TypeError, RecursionError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    if math.prod(shape) * dtype.itemsize != info.file_size - member.tell():
        raise ValueError(f"shape {shape} and dtype {dtype} do not fit the bytes that are there")
    return dtype, shape, by_columns


def _numbers(name: str, cells: Sequence[str], bad: dict[int, str], *, decimal_comma: bool = False) -> Values:
    """Cells as float64, nan where missing; cells that are no numbers are noted in ``bad``."""
    if decimal_comma:
        cells = [cell.replace(",", ".", 1) if "." not in cell else cell for cell in cells]
    present = [None if cell in _MISSING else cell for cell in cells]
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        found = pc.cast(pa.array(present, pa.string()), pa.float64())
    except pa.ArrowInvalid:
        found = None
    if found is not None and pc.all(pc.is_finite(found)).as_py() is not False:
        return np.array(found.to_numpy(zero_copy_only=False), dtype=np.float64)
    # One by one, for Arrow also takes words (INF, -NaN): a cell must not read otherwise because of its neighbours.
    values = np.full(len(cells), np.nan)
    for place, cell in enumerate(present):
        if cell is None:
            continue
        if _NUMBER.fullmatch(cell):
            values[place] = float(cell)
        else:
            bad.setdefault(place, f"column {name!r} is not a finite number")
    return values
