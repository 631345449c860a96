"""From a file that came in to what is stored: the table in its canonical form and its data sheet.

A large file is read by a process of its own, so that the server neither grows by it nor keeps its memory afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.datasets.domains import GENERAL, MEDICAL
from superpose.datasets.table import TargetKind
from superpose.errors import (
    DatasetError,
    DatasetFormatError,
    DatasetTooLargeError,
    RequestError,
    StoreFullError,
    StoreReadOnlyError,
    SuperposeError,
)
from superpose.service.store.disk_errors import disk_error, is_of_the_disk
from superpose.service.traces import trace_of

if TYPE_CHECKING:
    from superpose.datasets import Table

__all__ = ["Incoming", "Ingested", "ingest", "ingest_file", "ingested"]

_APART_BYTES = 4 * 2**20
"""Files from this size on get a process; it takes about a second to start."""

_LIMIT_S = 1_800.0
_OF_THE_DISK = (StoreFullError, StoreReadOnlyError)
_TOKENS = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Incoming:
    """A table that came in.

    Attributes:
        name: name of the data set.
        format: one of ``superpose.datasets.FORMATS``.
        target: column with the classes or numbers.
        units: unit by column; goes before units that the file itself states.
        options: what the format's reader takes besides.
        max_columns: columns allowed.
        domain: what the rows are about, one of ``superpose.datasets.domains.DOMAINS``.
        target_kind: "class" or "number", one of ``superpose.datasets.table.TARGET_KINDS``.
    """

    name: str
    format: str
    target: str
    units: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    max_columns: int = 2_000
    domain: str = GENERAL
    target_kind: TargetKind = "class"


@dataclass(frozen=True)
class Ingested:
    """What is known of a table once it is stored; JSON values.

    Attributes:
        facts: ``target``, ``n_rows``, ``n_features``, ``classes``, ``columns`` and ``digest``.
        sheet: the data sheet.
        content: the stored form, None where it lies in a file.
    """

    facts: Mapping[str, Any]
    sheet: Mapping[str, Any]
    content: bytes | None = field(default=None, repr=False)


def ingest(source: bytes | Path, incoming: Incoming) -> Ingested:
    """Read, check and describe a table, in this process.

    Raises:
        DatasetError: the table cannot be learned from; the code says why.
    """
    from superpose.datasets import read_table

    table = read_table(
        source,
        format=incoming.format,
        name=incoming.name,
        target=incoming.target,
        max_columns=incoming.max_columns,
        options=incoming.options,
        target_kind=incoming.target_kind,
    )
    if incoming.units:
        table = table.with_units(incoming.units)
    return ingested(table.of_domain(incoming.domain), incoming.max_columns)


def ingested(table: Table, max_columns: int) -> Ingested:
    """A table that has been read, described and in its stored form."""
    from superpose.datasets import data_sheet, table_to_parquet_bytes

    facts = {
        "target": table.target_name,
        "n_rows": table.n_rows,
        "n_features": table.n_features,
        "classes": list(table.classes),
        "columns": [column.to_dict() for column in table.columns],
        "digest": table.digest,
        "domain": MEDICAL if (table.deidentification or {}).get("n_files") else table.domain,  # DICOM is of patients
    }
    return Ingested(facts, data_sheet(table, max_columns=max_columns).to_dict(), table_to_parquet_bytes(table))


def ingest_file(source: Path, incoming: Incoming, output: Path) -> Ingested:
    """Read, check and describe a file; the stored form goes to ``output``. A large file is read by another process.

    Raises:
        DatasetError: the table cannot be learned from; the code says why.
    """
    if source.stat().st_size < _APART_BYTES:
        made = ingest(source, incoming)
        output.write_bytes(made.content or b"")
        return replace(made, content=None)
    order = {"source": str(source), "output": str(output), "incoming": asdict(incoming)}
    with _TOKENS:
        try:
            ended = subprocess.run(  # our own module, no shell
                [sys.executable, "-m", "superpose.service.catalogue.ingest"],
                input=json.dumps(order).encode(),
                capture_output=True,
                timeout=_LIMIT_S,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DatasetTooLargeError(
                f"Reading {incoming.name!r} took longer than {_LIMIT_S:.0f} s and was given up. Send Parquet, or a "
                "sample of the rows."
            ) from None
    if ended.returncode < 0:  # killed, almost always for want of memory
        raise DatasetTooLargeError(
            f"Reading {incoming.name!r} needs more memory than there is: its process was killed by signal "
            f"{-ended.returncode}. Send Parquet, or a sample of the rows.",
        )
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        raise RuntimeError(f"The reading process ended with {ended.returncode}: {ended.stderr[-2000:]!r}") from None
    if "error" in answer:
        raise _error(**answer["error"])
    return Ingested(answer["facts"], answer["sheet"])


def _error(code: str, message: str, details: Mapping[str, Any]) -> SuperposeError:
    """The error that another process told."""
    kinds: tuple[type[SuperposeError], ...] = (*DatasetError.__subclasses__(), *_OF_THE_DISK, RequestError)
    known = {kind.code: kind for kind in kinds}
    return known.get(code, DatasetFormatError)(message, **details)


def _as_json(error: SuperposeError) -> dict[str, Any]:
    """What `_error` makes the error of again."""
    return {
        "code": error.code,
        "message": error.message,
        "details": json.loads(json.dumps(error.details, default=str)),
    }


def _main() -> None:
    """The other process: an order on stdin, the answer on stdout."""
    os.nice(5)  # predictions go first
    order = json.loads(sys.stdin.buffer.read())
    answer: dict[str, Any]
    try:
        made = ingest(Path(order["source"]), Incoming(**order["incoming"]))
        Path(order["output"]).write_bytes(made.content or b"")
        answer = {"facts": made.facts, "sheet": made.sheet}
    except SuperposeError as error:
        answer = {"error": _as_json(error)}
    except Exception as error:
        if not (isinstance(error, OSError) and is_of_the_disk(error)):
            sys.exit(trace_of(error))
        answer = {"error": _as_json(disk_error(error, f"Data set {order['incoming']['name']!r} cannot be written"))}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main()
