"""Program sets run in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from superpose import __version__
from superpose.backends.pieces import PieceRunner, Retries, piece_limits
from superpose.circuits import Backend, NoiseModel, PieceFailure, ProgramSet, ProgramSetResult
from superpose.circuits.sets.piece_result import PieceResult
from superpose.circuits.sets.program_set import Piece, split
from superpose.errors import PieceFailedError, ProgramSetError

__all__ = ["changed", "run_program_set", "seeded", "set_provenance"]


def run_program_set(program_set: ProgramSet, backend: Backend, retries: Retries | None = None) -> ProgramSetResult:
    """Run a set here, piece after piece, and return its results, which stay in memory.

    Args:
        program_set: What to run.
        backend: Where.
        retries: How often a piece that fails is tried; four times by default.

    Raises:
        StateTooLargeError, UnsupportedProgramError: The backend cannot run a grid; refused before anything is computed.
        PieceFailedError: No piece has results. Where some have, the others are in ``failures``.
    """
    whole = seeded(program_set)
    pieces = split(whole, piece_limits(whole, backend))
    kept, began = _InMemory(), (datetime.now(UTC), time.perf_counter())
    PieceRunner(whole, backend, retries or Retries(), kept).run(pieces)
    if not kept.results:
        raise PieceFailedError(
            f"No piece of the program set has results; the first failed: {kept.failures[0]}.",
            failures=[failure.to_json() for failure in kept.failures[:100]],
        )
    facts = {"started_at": began[0].isoformat(), "elapsed_s": time.perf_counter() - began[1]}
    provenance = {**set_provenance(whole, backend.name, pieces), **facts}
    return ProgramSetResult.of_pieces(whole.grids, pieces, kept.results, kept.failures, provenance)


def changed(given: ProgramSet, beside: Mapping[str, Any], noise: NoiseModel | None) -> ProgramSet:
    """Return a set with the seed and the noise that stand beside it.

    Raises:
        ProgramSetError: Something else than a seed stands beside it.
    """
    odd = [name for name, value in beside.items() if value is not None and name != "seed"]
    if odd:
        raise ProgramSetError(f"Grids of a program set have their own {', '.join(odd)}; give them there.")
    if noise is not None:
        grids = [grid.with_circuit(noise.apply(grid.circuit)) for grid in given.grids]
        given = ProgramSet(grids, given.seed)
    return given if beside.get("seed") is None else given.with_seed(beside["seed"])


def seeded(program_set: ProgramSet) -> ProgramSet:
    """Return the set with a seed, drawn now where it has none, so that every try of a piece gives the same."""
    if program_set.seed is not None:
        return program_set
    return program_set.with_seed(int(np.random.default_rng().integers(2**63 - 1)))


def set_provenance(program_set: ProgramSet, backend: str, pieces: tuple[Piece, ...]) -> Mapping[str, Any]:
    """How a set is run, in JSON values."""
    return {
        "backend": backend,
        "version": __version__,
        "seed": program_set.seed,
        "program_set_digest": program_set.digest,
        "n_bindings": program_set.n_bindings,
        "n_pieces": len(pieces),
    }


class _InMemory:
    """Keeps what becomes of pieces in memory."""

    def __init__(self) -> None:
        self.results: dict[int, PieceResult] = {}
        self.failures: list[PieceFailure] = []

    def begin(self, piece: Piece) -> None:
        """Nothing to keep yet."""

    def keep(self, piece: Piece, result: PieceResult) -> None:
        """Keep results."""
        self.results[piece.number] = result

    def retry(self, piece: Piece, error: Exception, n_tries: int) -> None:
        """Nothing to keep yet."""

    def fail(self, failure: PieceFailure) -> None:
        """Keep a failure."""
        self.failures.append(failure)
