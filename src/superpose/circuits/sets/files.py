"""Result files: a ZIP archive, nothing compressed, of one NPZ per piece and an index that says where each begins.

``index.json`` is a document of format "superpose.program_set_result", version 1: ``grids`` (name, shape, tail_shape,
answers, shots, dtype), ``pieces`` (grid, start, stop, and either offset, n_bytes and sha256 of its NPZ within the file,
or null), ``failures`` and ``provenance``. Who has the index reads a piece by its range of bytes, from a disk or over
HTTP; who has neither opens the archive with any tool, and each ``pieces/NNNNNNNN.npz`` with NumPy.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from superpose.circuits.documents.fields import Document, Fields, integer, list_of, map_of, refuse, text
from superpose.circuits.sets.grid import Answers
from superpose.circuits.sets.piece_result import PieceFailure, PieceResult
from superpose.circuits.sets.program_set import Piece
from superpose.circuits.sets.result import GridFacts, ProgramSetResult
from superpose.errors import CircuitFormatError

__all__ = ["IndexPlace", "ReadBytes", "open_result", "read_index", "write_pieces", "write_result"]

FORMAT = "superpose.program_set_result"
VERSIONS = (1,)
INDEX = "index.json"

ReadBytes = Callable[[int, int], bytes]
"""Gives so many bytes from an offset on."""


@dataclass(frozen=True)
class IndexPlace:
    """Where the index stands within a file: offset, number of bytes, and their SHA-256 in hexadecimal."""

    offset: int
    n_bytes: int
    sha256: str


def write_result(result: ProgramSetResult, path: Path) -> Path:
    """Write results, a piece in memory at a time; the file appears whole or not at all."""
    contents = (
        (piece, None if isinstance(found, PieceFailure) else found.to_npz()) for piece, found in result.pieces()
    )
    unfinished = path.with_name(f".{path.name}.part")
    try:
        write_pieces(unfinished, result.facts, contents, result.failures, result.provenance)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def write_pieces(
    path: Path,
    facts: Iterable[GridFacts],
    contents: Iterable[tuple[Piece, bytes | None]],
    failures: Iterable[PieceFailure],
    provenance: Mapping[str, Any],
) -> IndexPlace:
    """Write a result file from the NPZ of each piece, None for those that have failed; returns where its index is."""
    rows: list[dict[str, Any]] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for piece, content in contents:
            row: dict[str, Any] = {"grid": piece.grid, "start": piece.start, "stop": piece.stop, "stored": None}
            if content is not None:
                row["stored"] = asdict(_add(archive, f"pieces/{piece.number:08d}.npz", content))
            rows.append(row)
        document = {
            "format": FORMAT,
            "version": VERSIONS[-1],
            "grids": [asdict(one) for one in facts],
            "pieces": rows,
            "failures": [failure.to_json() for failure in failures],
            "provenance": dict(provenance),
        }
        return _add(archive, INDEX, json.dumps(document, allow_nan=False).encode())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> IndexPlace:
    """Add a member of a fixed date; returns where its bytes stand."""
    info = zipfile.ZipInfo(name)
    archive.writestr(info, content)
    offset = info.header_offset + len(info.FileHeader())
    return IndexPlace(offset, len(content), hashlib.sha256(content).hexdigest())


def open_result(path: Path) -> ProgramSetResult:
    """Return the results in a file.

    Raises:
        CircuitFormatError: It cannot be read, or is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            index = archive.read(INDEX)
    except KeyError:
        raise CircuitFormatError(f"{path} is no file of results of a program set: it has no {INDEX}.") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise CircuitFormatError(f"{path} cannot be read: {str(error)[:200]}.") from None

    def read(offset: int, n_bytes: int) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(n_bytes)
        except OSError as error:
            raise CircuitFormatError(f"{path} cannot be read: {error.strerror or error}.") from None

    return read_index(index, read)


def read_index(document: Document, read: ReadBytes) -> ProgramSetResult:
    """Return the results that an index describes; pieces come through ``read`` when they are asked for.

    Every piece's bytes are held against their digest in the index.

    Raises:
        CircuitFormatError: The document is not one; later, a piece's bytes are not those that were written.
    """
    fields = Fields.of_document(document, FORMAT, VERSIONS)
    facts = fields.take("grids", list_of(_grid))
    rows = fields.take("pieces", list_of(_piece(len(facts))))
    failures = fields.take("failures", list_of(_failure), ())
    provenance = fields.take("provenance", map_of(lambda value, field: value), {})
    fields.end()
    pieces = tuple(Piece(number, *bounds) for number, (bounds, _) in enumerate(rows))
    stored = {piece.number: place for piece, (_, place) in zip(pieces, rows, strict=True)}
    _check_whole(facts, pieces)
    lost = {number for number, place in stored.items() if place is None}
    if lost != {failure.piece for failure in failures}:
        refuse("failures", "must name exactly the pieces that are not stored.")

    def load(piece: Piece) -> PieceResult:
        place = stored[piece.number]
        content = b"" if place is None else read(place.offset, place.n_bytes)
        if place is None or hashlib.sha256(content).hexdigest() != place.sha256:
            raise CircuitFormatError(
                f"The {len(content):,} bytes of piece {piece.number} are not those that were written. Fetch the "
                "results again.",
                field=f"pieces[{piece.number}]",
            )
        return PieceResult.from_npz(content, facts[piece.grid], piece)

    return ProgramSetResult(facts, pieces, failures, provenance, load)


def _check_whole(facts: tuple[GridFacts, ...], pieces: tuple[Piece, ...]) -> None:
    """Refuse pieces that leave a gap or stand out of order."""
    place, done = 0, 0
    for piece in pieces:
        while place < len(facts) and done == facts[place].n_bindings:
            place, done = place + 1, 0
        if (piece.grid, piece.start) != (place, done) or not done < piece.stop <= facts[place].n_bindings:
            refuse(f"pieces[{piece.number}]", f"must go on at binding {done} of grid {place}.")
        done = piece.stop
    if place < len(facts) - 1 or (facts and done != facts[-1].n_bindings):
        refuse("pieces", f"must reach the end of all {len(facts)} grids.")


def _shape(value: object, field: str) -> tuple[int, ...]:
    shape = list_of(integer)(value, field)
    return shape if all(n >= 1 for n in shape) else refuse(field, "must hold numbers of 1 or more.")


def _grid(value: object, field: str) -> GridFacts:
    fields = Fields(value, field)
    answers: Any = fields.take("answers", text)
    if answers not in Answers.__args__:  # type: ignore[attr-defined]  # a Literal has them
        refuse(fields.path("answers"), "must be expectations, counts or state_vectors.")
    facts = GridFacts(
        name=fields.take("name", text, None),
        shape=fields.take("shape", _shape),
        tail_shape=fields.take("tail_shape", _shape),
        answers=answers,
        shots=fields.take("shots", integer, None),
        dtype=fields.take("dtype", text),
    )
    fields.end()
    return facts


def _piece(n_grids: int) -> Callable[[object, str], tuple[tuple[int, int, int], IndexPlace | None]]:
    def read(value: object, field: str) -> tuple[tuple[int, int, int], IndexPlace | None]:
        fields = Fields(value, field)
        grid, start, stop = (fields.take(name, integer) for name in ("grid", "start", "stop"))
        stored = fields.take("stored", _place, None)
        fields.end()
        if not (0 <= grid < n_grids and 0 <= start < stop):
            refuse(field, "must lie within a grid.")
        return (grid, start, stop), stored

    return read


def _place(value: object, field: str) -> IndexPlace:
    fields = Fields(value, field)
    place = IndexPlace(fields.take("offset", integer), fields.take("n_bytes", integer), fields.take("sha256", text))
    fields.end()
    return place


def _failure(value: object, field: str) -> PieceFailure:
    fields = Fields(value, field)
    numbers = {name: fields.take(name, integer) for name in ("piece", "grid", "start", "stop", "n_tries")}
    failure = PieceFailure(**numbers, code=fields.take("code", text), message=fields.take("message", text))
    fields.end()
    return failure
