"""Writing predictions as CSV, Parquet or NPZ, chunk by chunk; equal predictions give equal bytes.

Every format has the number of each row in the file that came in (from 0), the predicted class and a probability per
class; of a model that predicts a number that number and, if the model keeps an interval, its ends ``low`` and ``high``.
NPZ holds them as arrays ``row`` (n,), ``prediction`` (n,), ``probabilities`` (n, n_classes) and ``classes``, or, of
numbers, ``row``, ``prediction``, ``low`` and ``high``, each (n,).
What else was asked for comes after that: ``in set(CLASS)`` per class, ``abstained`` (why a row has no prediction),
``novelty`` and ``novel``; in NPZ ``prediction_set`` (n, n_classes), ``abstained`` (n,) as truth values, and the others.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from superpose.learning.calibration.asking import Asked

__all__ = ["MEDIA_TYPES", "column_of", "empty_table", "set_column_of", "write_predictions"]

#: Format -> media type.
MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "npz": "application/x-npz"}

Tables = Callable[[], Iterator["pa.Table"]]


def column_of(label: str) -> str:
    """Name of the column with a class's probabilities."""
    return f"p({label})"


def set_column_of(label: str) -> str:
    """Name of the column that says whether a class is in the prediction set."""
    return f"in set({label})"


def empty_table(classes: Sequence[str], asked: Asked | None = None, *, has_interval: bool = False) -> pa.Table:
    """A table of predictions without rows; without classes those of a model that predicts a number."""
    import pyarrow as pa

    predicted = pa.string() if classes else pa.float64()
    fields = [("row", pa.int64()), ("prediction", predicted), *((column_of(c), pa.float64()) for c in classes)]
    if has_interval:
        fields += [("low", pa.float64()), ("high", pa.float64())]
    if asked is not None and asked.prediction_set:
        fields += [(set_column_of(c), pa.bool_()) for c in classes]
    if asked is not None and asked.abstain is not False:
        fields.append(("abstained", pa.string()))
    if asked is not None and asked.novelty:
        fields += [("novelty", pa.float64()), ("novel", pa.bool_())]
    return pa.schema(fields).empty_table()


def write_predictions(
    path: Path, format: str, tables: Tables, classes: Sequence[str], n_rows: int, empty: pa.Table
) -> None:
    """Write all predictions in constant memory.

    Args:
        path: the file.
        format: a key of ``MEDIA_TYPES``.
        tables: gives the chunks in order, anew each time it is called.
        classes: class labels; none of a model that predicts a number.
        n_rows: rows of all chunks together.
        empty: `empty_table`, which tells the columns of the chunks.
    """
    schema = empty.schema
    if format == "npz":
        _write_npz(path, tables, classes, n_rows, schema.names)
    else:
        {"csv": _write_csv, "parquet": _write_parquet}[format](path, tables, schema)


def _write_csv(path: Path, tables: Tables, schema: pa.Schema) -> None:
    from pyarrow import csv

    options = csv.WriteOptions(quoting_style="needed")
    with csv.CSVWriter(path, schema, write_options=options) as writer:
        for table in tables():
            writer.write_table(table)


def _write_parquet(path: Path, tables: Tables, schema: pa.Schema) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables():
            writer.write_table(table)


_Arrays = dict[str, tuple[tuple[int, ...], np.dtype[Any], Callable[["pa.Table"], Any]]]


def _more_arrays(classes: Sequence[str], n_rows: int, present: Sequence[str]) -> _Arrays:
    """Arrays of what else was asked for."""
    sets, truth = [set_column_of(label) for label in classes], np.dtype(np.bool_)
    found: _Arrays = {}
    if sets and sets[0] in present:
        found["prediction_set"] = (
            (n_rows, len(classes)),
            truth,
            lambda t: np.column_stack([t.column(name).to_numpy() for name in sets]),
        )
    if "abstained" in present:
        found["abstained"] = ((n_rows,), truth, lambda t: t.column("abstained").is_valid().to_numpy())
    if "novelty" in present:
        found["novelty"] = ((n_rows,), np.dtype(np.float64), lambda t: t.column("novelty").to_numpy())
        found["novel"] = ((n_rows,), truth, lambda t: t.column("novel").to_numpy())
    return found


def _predicted_arrays(classes: Sequence[str], n_rows: int, present: Sequence[str]) -> _Arrays:
    """Arrays of labels and probabilities, or of numbers and ends of intervals."""

    def number(name: str) -> tuple[tuple[int, ...], np.dtype[Any], Callable[[pa.Table], Any]]:
        return (n_rows,), np.dtype(np.float64), lambda t: t.column(name).to_numpy()

    if not classes:
        return {name: number(name) for name in ("prediction", "low", "high") if name in present}
    width, names = max(map(len, classes)), [column_of(label) for label in classes]
    return {
        "prediction": (
            (n_rows,),
            np.dtype(f"<U{width}"),
            lambda t: [label or "" for label in t.column("prediction").to_pylist()],
        ),
        "probabilities": (
            (n_rows, len(classes)),
            np.dtype(np.float64),
            lambda t: np.column_stack([t.column(name).to_numpy() for name in names]),
        ),
    }


def _write_npz(path: Path, tables: Tables, classes: Sequence[str], n_rows: int, present: Sequence[str]) -> None:
    arrays: _Arrays = {"row": ((n_rows,), np.dtype(np.int64), lambda t: t.column("row").to_numpy())}
    arrays |= _predicted_arrays(classes, n_rows, present) | _more_arrays(classes, n_rows, present)
    with zipfile.ZipFile(path, "w") as archive:
        for name, (shape, dtype, read) in arrays.items():
            with _member(archive, name) as member:
                _write_header(member, shape, dtype)
                for table in tables():
                    member.write(np.ascontiguousarray(read(table), dtype=dtype).tobytes())
        if not classes:
            return
        with _member(archive, "classes") as member:
            labels = np.array(list(classes))
            _write_header(member, labels.shape, labels.dtype)
            member.write(labels.tobytes())


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))  # no clock, so that files can be equal
    info.external_attr = 0o600 << 16
    return archive.open(info, "w", force_zip64=True)


def _write_header(member: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)  # type: ignore[no-untyped-call]  # NumPy's gap
