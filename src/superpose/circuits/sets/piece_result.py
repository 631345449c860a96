"""What one piece gave: arrays, as NPZ in files and on the way; or why it failed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from superpose.circuits.execution import ProgramResult
from superpose.circuits.sets.grid import Answers, ProgramGrid
from superpose.circuits.sets.npz import read_npz, write_npz
from superpose.circuits.sets.program_set import Piece
from superpose.errors import CircuitFormatError, ProgramSetError

__all__ = ["PieceFailure", "PieceResult", "gathered"]


class Asked(Protocol):
    """What of a grid says how its results look."""

    @property
    def answers(self) -> Answers:
        """Expectations, counts or state vectors."""
        ...

    @property
    def tail_shape(self) -> tuple[int, ...]:
        """What each binding adds to the shape."""
        ...


@dataclass(frozen=True)
class PieceFailure:
    """Why a piece has no results.

    Attributes:
        piece: Number of the piece.
        grid: Place of the grid in the set.
        start: First binding without results, in C order of the grid.
        stop: The one after the last.
        code: Stable code of the error, such as "backend.provider".
        message: What went wrong.
        n_tries: How often it was tried.
    """

    piece: int
    grid: int
    start: int
    stop: int
    code: str
    message: str
    n_tries: int

    def to_json(self) -> dict[str, Any]:
        """The failure as JSON values."""
        names = ("piece", "grid", "start", "stop", "code", "message", "n_tries")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        tries = f"{self.n_tries} tries" if self.n_tries != 1 else "1 try"
        return (
            f"bindings {self.start}..{self.stop - 1} of grid {self.grid}, after {tries}: [{self.code}] {self.message}"
        )


@dataclass(frozen=True, eq=False)
class PieceResult:
    """Results of the bindings of one piece, in order.

    Attributes:
        expectations: Float64 ``(n, n_observables)``, or ``(n,)`` with ``observe="zip"``; None if not asked for.
        state_vectors: Complex ``(n, 2**n_qubits)``, or None.
        bits: Bit strings of all bindings one after another, dtype S (qubit or bit 0 leftmost), or None.
        numbers: Int64, how often each of ``bits`` was measured.
        offsets: Int64 ``(n + 1,)``; binding ``i`` has ``bits[offsets[i]:offsets[i+1]]``.
        provenance: How the answer came about, in JSON values.
    """

    expectations: npt.NDArray[np.float64] | None = None
    state_vectors: npt.NDArray[Any] | None = None
    bits: npt.NDArray[np.bytes_] | None = None
    numbers: npt.NDArray[np.int64] | None = None
    offsets: npt.NDArray[np.int64] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def counts(self, place: int) -> dict[str, int]:
        """How often each bit string was measured at binding ``place`` of the piece; empty where not asked for."""
        if self.bits is None or self.numbers is None or self.offsets is None:
            return {}
        span = slice(int(self.offsets[place]), int(self.offsets[place + 1]))
        return dict(zip(self.bits[span].astype(str).tolist(), self.numbers[span].tolist(), strict=True))

    def to_npz(self) -> bytes:
        """The results as NPZ; equal results give equal bytes."""
        arrays = {name: value for name in _ARRAYS if (value := getattr(self, name)) is not None}
        told = np.frombuffer(json.dumps(dict(self.provenance)).encode(), np.uint8)
        return write_npz({"provenance": told, **arrays})

    @classmethod
    def from_npz(cls, content: bytes, grid: Asked, piece: Piece) -> PieceResult:
        """Return the results in NPZ bytes, after a look whether they are those of the piece; nothing is unpickled.

        Raises:
            CircuitFormatError: They cannot be read, or have another shape.
        """
        what = f"results of piece {piece.number}"
        found = read_npz(content, what)
        try:
            provenance = json.loads(found.pop("provenance", np.empty(0, np.uint8)).tobytes() or b"{}")
            result = cls(**found, provenance=provenance)
        except (ValueError, TypeError) as error:
            raise CircuitFormatError(f"{what}: {str(error)[:200]}.", field="pieces") from None
        result.check(grid, piece)
        return result

    def check(self, grid: Asked, piece: Piece) -> None:
        """Check that these are results of a piece of a grid.

        Raises:
            CircuitFormatError: Arrays are missing, or have another shape or type.
        """
        n_bindings = piece.n_bindings
        if grid.answers == "counts":
            bits, numbers, offsets = self.bits, self.numbers, self.offsets
            fits = (
                bits is not None
                and numbers is not None
                and offsets is not None
                and offsets.shape == (n_bindings + 1,)
                and bits.dtype.kind == "S"
                and numbers.dtype.kind == offsets.dtype.kind == "i"
                and offsets[0] == 0
                and bool((np.diff(offsets) >= 0).all())
                and bits.shape == numbers.shape == (int(offsets[-1]),)
            )
        else:
            values = self.expectations if grid.answers == "expectations" else self.state_vectors
            kind = "f" if grid.answers == "expectations" else "c"
            fits = values is not None and values.shape == (n_bindings, *grid.tail_shape) and values.dtype.kind == kind
        if not fits:
            raise CircuitFormatError(
                f"The results of piece {piece.number} are not {grid.answers.replace('_', ' ')} of its {n_bindings} "
                "bindings.",
                field="pieces",
            )


_ARRAYS = ("expectations", "state_vectors", "bits", "numbers", "offsets")


def gathered(result: ProgramResult, grid: ProgramGrid, n_bindings: int) -> PieceResult:
    """Return a backend's answer for bindings of a grid in a piece's form.

    Raises:
        ProgramSetError: The backend did not answer what was asked, or not for all bindings.
    """
    provenance = dict(result.provenance)
    if grid.answers == "counts" and result.counts is not None and len(result.counts) == n_bindings:
        return PieceResult(**_columns(result.counts), provenance=provenance)
    values = result.expectations if grid.answers == "expectations" else result.state_vectors
    if grid.answers == "counts" or values is None or len(values) != n_bindings:
        got = "nothing" if values is None else f"shape {values.shape}"
        raise ProgramSetError(
            f"The backend was asked for {grid.answers.replace('_', ' ')} of {n_bindings} bindings and gave {got}."
        )
    if grid.answers == "state_vectors":
        return PieceResult(state_vectors=values, provenance=provenance)
    return PieceResult(expectations=np.asarray(values, np.float64), provenance=provenance)


def _columns(counts: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    """Counts of many bindings as three arrays."""
    lists = [sorted(one.items()) for one in counts]
    flat = [pair for one in lists for pair in one]
    width = max((len(bits) for bits, _ in flat), default=1)
    return {
        "bits": np.array([bits for bits, _ in flat], dtype=f"S{max(width, 1)}"),
        "numbers": np.array([number for _, number in flat], dtype=np.int64),
        "offsets": np.cumsum([0, *map(len, lists)], dtype=np.int64),
    }
