"""The stored form of a table: Parquet with one JSON document of ours in its metadata; read back exactly."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.datasets.table import Column, Table
from superpose.errors import DatasetFormatError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["table_from_parquet_bytes", "table_to_parquet_bytes"]

_KEY = b"superpose.table"
_VERSION = 1


def table_to_parquet_bytes(table: Table) -> bytes:
    """The table as Parquet: number columns are doubles, categories strings; the target is the last column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    head = {
        "version": _VERSION,
        "name": table.name,
        "target": table.target_name,
        "classes": table.classes,
        "columns": [column.to_dict() for column in table.columns],
        "digest": table.digest,
        **({} if table.classes else {"target_kind": "number"}),
    }
    types = {"number": pa.float64(), "category": pa.large_string()}
    fields, arrays = [], []
    for column in table.columns:
        metadata = None if column.unit is None else {"unit": column.unit}
        fields.append(pa.field(column.name, types[column.kind], metadata=metadata))
        arrays.append(pa.array(table.features[column.name].to_numpy(), types[column.kind], from_pandas=False))
    of_target = pa.large_string() if table.classes else pa.float64()
    fields.append(pa.field(table.target_name, of_target))
    arrays.append(pa.array(table.target.to_numpy(), of_target, from_pandas=False))
    schema = pa.schema(fields, metadata={_KEY: json.dumps(head).encode()})
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def table_from_parquet_bytes(content: bytes) -> Table:
    """The table whose ``table_to_parquet_bytes`` these bytes are; the digest is checked.

    Raises:
        DatasetFormatError: the bytes are not such a file, or have been changed.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        arrow = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
        head = json.loads(arrow.schema.metadata[_KEY])
        columns = tuple(Column(**column) for column in head["columns"])
        table = Table(
            name=head["name"],
            features=pd.DataFrame({column.name: _values(arrow.column(column.name)) for column in columns}),
            target=pd.Series(
                _values(arrow.column(head["target"])),
                name=head["target"],
                dtype=np.float64 if head.get("target_kind") == "number" else object,
            ),
            target_name=head["target"],
            classes=tuple(head["classes"]),
            columns=columns,
        )
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DatasetFormatError(f"The bytes are not a stored table: {type(error).__name__}.") from error
    if head["version"] != _VERSION or table.digest != head["digest"]:
        raise DatasetFormatError(
            f"The stored table {table.name!r} is damaged or of another version: its content has digest "
            f"{table.digest[:12]}, its header states {str(head['digest'])[:12]}."
        )
    return table


def _values(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[Any]]:
    return np.array(column.to_numpy())
