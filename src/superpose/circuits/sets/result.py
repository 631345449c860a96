"""Results of program sets: grids in order, pieces loaded when asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits.sets.grid import Answers, ProgramGrid
from superpose.circuits.sets.lazy import LazyArray, LazyCounts, Pieces
from superpose.circuits.sets.piece_result import PieceFailure, PieceResult
from superpose.circuits.sets.program_set import Piece
from superpose.errors import ProgramSetError

__all__ = ["GridFacts", "GridResult", "ProgramSetResult"]

KEPT_PIECES = 8


@dataclass(frozen=True)
class GridFacts:
    """What a result says of its grid, without the circuit.

    Attributes:
        name: As in the grid.
        shape: Of the bindings.
        tail_shape: What each binding adds to expectations or state vectors.
        answers: "expectations", "counts" or "state_vectors".
        shots: As in the grid.
        dtype: As in the grid.
    """

    name: str | None
    shape: tuple[int, ...]
    tail_shape: tuple[int, ...]
    answers: Answers
    shots: int | None
    dtype: str

    @property
    def n_bindings(self) -> int:
        """Number of bindings."""
        return prod(self.shape)

    @classmethod
    def of(cls, grid: ProgramGrid) -> GridFacts:
        """The facts of a grid."""
        return cls(grid.name, grid.shape, grid.tail_shape, grid.answers, grid.shots, grid.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class GridResult:
    """Results of one grid.

    Attributes:
        name: The grid's name, or None.
        shape: The grid's shape.
        shots: Measurements per binding, or None where the answers are exact.
        expectations: ``shape + (n_observables,)``, or ``shape`` with ``observe="zip"``; None if not asked for.
        counts: One dict per binding, ``shape``; None if not asked for.
        state_vectors: ``shape + (2**n_qubits,)``; None if not asked for.
        failures: Pieces of this grid that have no results.
    """

    name: str | None
    shape: tuple[int, ...]
    shots: int | None
    expectations: LazyArray | None
    counts: LazyCounts | None
    state_vectors: LazyArray | None
    failures: tuple[PieceFailure, ...]

    def failed(self) -> npt.NDArray[np.bool_]:
        """Where there are no results: bool, ``shape``."""
        flat = np.zeros(prod(self.shape), np.bool_)
        for failure in self.failures:
            flat[failure.start : failure.stop] = True
        return flat.reshape(self.shape)

    def __repr__(self) -> str:
        has = next(name for name in ("expectations", "counts", "state_vectors") if getattr(self, name) is not None)
        failed = f", {len(self.failures)} pieces failed" if self.failures else ""
        return f"GridResult({self.name or ''!r}, shape={self.shape}, {has}{failed})"


@dataclass(frozen=True, eq=False, repr=False)
class ProgramSetResult:
    """Results of a program set, in the order of its grids: ``result[0]``, or by name ``result["energy"]``.

    Arrays are loaded when they are indexed, and only the pieces that the index touches; the eight used last are kept.

    Attributes:
        facts: What is known of each grid.
        piece_list: The pieces, in order.
        failures: Pieces that have no results, in order.
        provenance: How the set was run, in JSON values: backend, seed, digest of the set.
        load: Gives the results of a piece that has not failed.
    """

    facts: tuple[GridFacts, ...]
    piece_list: tuple[Piece, ...]
    failures: tuple[PieceFailure, ...]
    provenance: Mapping[str, Any]
    load: Callable[[Piece], PieceResult]
    _kept: OrderedDict[int, PieceResult] = field(default_factory=OrderedDict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def complete(self) -> bool:
        """Whether every piece has results."""
        return not self.failures

    @property
    def names(self) -> tuple[str | None, ...]:
        """The grids' names."""
        return tuple(facts.name for facts in self.facts)

    def __len__(self) -> int:
        return len(self.facts)

    def __iter__(self) -> Iterator[GridResult]:
        return (self[place] for place in range(len(self.facts)))

    def __getitem__(self, key: int | str) -> GridResult:
        place = self._place(key)
        facts = self.facts[place]
        own = [piece for piece in self.piece_list if piece.grid == place]
        failed = {failure.piece: failure for failure in self.failures if failure.grid == place}
        pieces = Pieces(own, failed, self.piece)
        dtype = np.complex64 if facts.dtype == "float32" else np.complex128
        kind, shape, tail = facts.answers, facts.shape, facts.tail_shape
        return GridResult(
            name=facts.name,
            shape=shape,
            shots=facts.shots,
            expectations=LazyArray(pieces, kind, shape, tail, np.float64) if kind == "expectations" else None,
            counts=LazyCounts(pieces, shape) if kind == "counts" else None,
            state_vectors=LazyArray(pieces, kind, shape, tail, dtype) if kind == "state_vectors" else None,
            failures=tuple(failed.values()),
        )

    def piece(self, piece: Piece) -> PieceResult:
        """Return a piece's results, as `load` gives them; those used last are kept."""
        with self._lock:
            if piece.number in self._kept:
                self._kept.move_to_end(piece.number)
                return self._kept[piece.number]
        found = self.load(piece)
        with self._lock:
            self._kept[piece.number] = found
            while len(self._kept) > KEPT_PIECES:
                self._kept.popitem(last=False)
        return found

    def pieces(self) -> Iterator[tuple[Piece, PieceResult | PieceFailure]]:
        """Every piece in order with its results or why it has none: all there is, one piece in memory at a time."""
        failed = {failure.piece: failure for failure in self.failures}
        for piece in self.piece_list:
            yield piece, failed.get(piece.number) or self.load(piece)

    def save(self, path: str | Path) -> Path:
        """Write all of it to a file, which ``ProgramSetResult.open`` reads lazily, and return where.

        The file is a ZIP archive of an ``index.json`` and one NPZ per piece (see `superpose.circuits.sets.files`).

        Raises:
            OSError: The file cannot be written.
        """
        from superpose.circuits.sets.files import write_result

        return write_result(self, Path(path))

    @classmethod
    def open(cls, path: str | Path) -> ProgramSetResult:
        """Return the results in a file; pieces are read when they are asked for.

        Raises:
            CircuitFormatError: The file cannot be read, or is no such file.
        """
        from superpose.circuits.sets.files import open_result

        return open_result(Path(path))

    def _place(self, key: int | str) -> int:
        if isinstance(key, str):
            if key not in self.names:
                known = ", ".join(repr(name) for name in self.names if name is not None) or "none"
                raise ProgramSetError(f"No grid is named {key!r}; named are {known}. Others go by their place, from 0.")
            return self.names.index(key)
        if not -len(self.facts) <= key < len(self.facts):
            raise IndexError(f"There are {len(self.facts)} grids, got {key}.")
        return key % len(self.facts)

    def __repr__(self) -> str:
        n_bindings = sum(piece.n_bindings for piece in self.piece_list)
        failed = f", {len(self.failures)} of {len(self.piece_list)} pieces failed" if self.failures else ""
        return f"ProgramSetResult({len(self.facts)} grids, {n_bindings:,} bindings{failed})"

    @classmethod
    def of_pieces(
        cls,
        grids: Sequence[ProgramGrid],
        pieces: Sequence[Piece],
        results: Mapping[int, PieceResult],
        failures: Sequence[PieceFailure],
        provenance: Mapping[str, Any],
    ) -> ProgramSetResult:
        """Return results that are in memory, by number of their piece."""
        facts = tuple(GridFacts.of(grid) for grid in grids)
        ordered = tuple(sorted(failures, key=lambda failure: failure.piece))
        return cls(facts, tuple(pieces), ordered, provenance, lambda piece: results[piece.number])
