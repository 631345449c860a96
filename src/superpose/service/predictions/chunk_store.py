"""The chunks of a batch prediction that are done, each in a file of its own that is whole or does not count."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.trust import sha256_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ChunkStore"]

_FACTS = b"superpose"


class ChunkStore:
    """Chunks in a directory, by number; each file begins with the SHA-256 of what follows.

    Args:
        directory: made if absent.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, number: int, table: pa.Table, facts: Mapping[str, Any]) -> None:
        """Keep a chunk and what is to be known of it."""
        import pyarrow as pa

        from superpose.learning.canonical import write_atomically

        sink = pa.BufferOutputStream()
        marked = table.replace_schema_metadata({_FACTS: json.dumps(facts)})
        with pa.ipc.new_stream(sink, marked.schema) as writer:
            writer.write_table(marked)
        content = sink.getvalue().to_pybytes()
        write_atomically(self._path(number), f"{sha256_bytes(content)}\n".encode() + content)

    def facts(self, number: int) -> dict[str, Any] | None:
        """What was told of a chunk; None if it is not there or damaged."""
        table = self._read(number)
        return None if table is None else json.loads(table.schema.metadata[_FACTS])

    def tables(self, n_chunks: int) -> Iterator[pa.Table]:
        """The first ``n_chunks`` chunks in order, one at a time."""
        for number in range(n_chunks):
            table = self._read(number)
            if table is None:
                from superpose.errors import CheckpointError

                raise CheckpointError(f"chunk {number} of the predictions is damaged or gone")
            yield table.replace_schema_metadata(None)

    def _read(self, number: int) -> pa.Table | None:
        import pyarrow as pa

        try:
            digest, _, content = self._path(number).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        if sha256_bytes(content).encode() != digest:
            return None
        with pa.ipc.open_stream(content) as reader:
            return reader.read_all()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08d}.arrow"
