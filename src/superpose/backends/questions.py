"""What a piece of a program set asks of a backend: one program, or with ``observe="zip"`` one for each observable."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from superpose.circuits import ProgramGrid, ProgramResult, ProgramSet, Template
from superpose.circuits.sets.piece_result import PieceResult, gathered
from superpose.circuits.sets.program_set import Piece
from superpose.errors import PieceFailedError

__all__ = ["Question", "answered", "questions"]


@dataclass(frozen=True)
class Question:
    """A template with values.

    Attributes:
        template: What is run.
        rows: Its values, ``(n, n_params)``.
        shots: As of a program.
        seed: As of a program; the same whenever the piece is tried.
        places: Which of the piece's bindings these are, ``(n,)``.
    """

    template: Template
    rows: npt.NDArray[np.float64]
    shots: int | None
    seed: int | None
    places: npt.NDArray[np.int64]


def questions(whole: ProgramSet, piece: Piece) -> tuple[Question, ...]:
    """Return what a piece asks, in the order in which `answered` takes the answers."""
    grid = whole.grids[piece.grid]
    rows = grid.rows(piece.start, piece.stop)  # (bindings, n_params)
    seed = None if grid.shots is None else _mixed(whole.seed or 0, piece.grid, piece.start)
    places = np.arange(piece.n_bindings)
    if grid.observe != "zip":
        return (Question(grid.template, rows, grid.shots, seed, places),)
    wanted, asked = np.arange(piece.start, piece.stop) % grid.shape[-1], []
    for place in np.unique(wanted).tolist():
        here = wanted == place
        template = Template(grid.circuit, [grid.observables[place]], grid.template.input_names, grid.dtype)
        own_seed = None if seed is None else _mixed(seed, place)
        asked.append(Question(template, rows[here], grid.shots, own_seed, places[here]))
    return tuple(asked)


def answered(
    grid: ProgramGrid, piece: Piece, asked: Sequence[Question], answers: Sequence[ProgramResult]
) -> PieceResult:
    """Return the results of a piece, checked.

    Raises:
        PieceFailedError, CircuitError: The backend did not answer what was asked.
    """
    if grid.observe == "zip":
        values = np.empty(piece.n_bindings)  # each observable is measured where the last axis is at its place
        for question, answer in zip(asked, answers, strict=True):
            if answer.expectations is None or answer.expectations.shape != (len(question.places), 1):
                raise PieceFailedError("The backend was asked for one expectation per binding and gave something else.")
            values[question.places] = answer.expectations[:, 0]
        return PieceResult(expectations=values, provenance=dict(answers[-1].provenance))
    result = gathered(answers[0], grid, piece.n_bindings)
    result.check(grid, piece)
    return result


def _mixed(seed: int, *places: int) -> int:
    said = ",".join(map(str, (seed, *places)))
    return int.from_bytes(hashlib.sha256(said.encode()).digest()[:8], "big") >> 1
