"""Program sets on a backend: cut into pieces it can take, each run, and tried again, on its own."""

from __future__ import annotations

import heapq
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Protocol

from superpose.backends.questions import Question, answered, questions
from superpose.circuits import (
    Backend,
    CompilingBackend,
    Executable,
    PieceFailure,
    ProgramExecutable,
    ProgramGrid,
    ProgramResult,
    ProgramSet,
    SizingBackend,
    Template,
)
from superpose.circuits.sets.piece_result import PieceResult
from superpose.circuits.sets.program_set import Piece
from superpose.errors import PieceFailedError, ProviderError, StateTooLargeError, SuperposeError

__all__ = ["PieceKeeper", "PieceRunner", "Retries", "may_pass", "piece_bytes", "piece_limits", "told"]

_log = logging.getLogger(__name__)

MAX_PIECE_BINDINGS = 4_096
MAX_PIECE_BYTES = 2**23
"""Of a piece's results: what is lost in a crash, and what a reader loads at once."""
_COUNTED = 16  # bytes of a number and of its share of the offsets
_LOOK_S = 0.1
_COMPILED = 256  # executables kept


@dataclass(frozen=True)
class Retries:
    """How often a piece is tried, and how long it rests in between.

    Attributes:
        max_tries: Tries in all.
        first_s: Pause before the second; it doubles from one to the next, less up to a half by chance.
        longest_s: Longest pause.
    """

    max_tries: int = 4
    first_s: float = 0.25
    longest_s: float = 30.0

    def pause_s(self, n_tries: int) -> float:
        """The pause after so many tries."""
        longest: float = min(self.longest_s, self.first_s * 2 ** min(n_tries - 1, 60))
        return longest * (1.0 - random.random() / 2)  # noqa: S311  # spreads retries, keeps no secret


class PieceKeeper(Protocol):
    """Where what becomes of pieces is kept."""

    def begin(self, piece: Piece) -> None:
        """A piece is about to be tried."""
        ...

    def keep(self, piece: Piece, result: PieceResult) -> None:
        """A piece has results."""
        ...

    def retry(self, piece: Piece, error: Exception, n_tries: int) -> None:
        """A piece has failed and will be tried again."""
        ...

    def fail(self, failure: PieceFailure) -> None:
        """A piece has failed for good."""
        ...


def piece_bytes(grid: ProgramGrid, n_bindings: int) -> int:
    """Return the bytes that results of so many bindings take at most; of expectations and state vectors, exactly."""
    if grid.answers == "counts":
        n_characters = grid.circuit.n_bits or grid.circuit.n_qubits
        n_strings: int = min(grid.shots or 1, 1 << min(n_characters, 62))
        return n_bindings * n_strings * (n_characters + _COUNTED)
    width = 8 if grid.answers == "expectations" else 8 if grid.dtype == "float32" else 16
    return n_bindings * prod(grid.tail_shape) * width


def piece_limits(program_set: ProgramSet, backend: Backend) -> tuple[int, ...]:
    """Return how many bindings of each grid go to a backend at once.

    That is what its capabilities (``max_batch``) and, where it has one, its ``batch_limit`` allow, at most 4,096, and
    at most so many that their results take 8 MiB.

    Raises:
        StateTooLargeError, UnsupportedProgramError: The backend cannot run a grid at all.
    """
    stated = backend.capabilities().max_batch or MAX_PIECE_BINDINGS
    limits = []
    for grid in program_set.grids:
        limit = min(MAX_PIECE_BINDINGS, stated, max(1, MAX_PIECE_BYTES // piece_bytes(grid, 1)))
        if isinstance(backend, SizingBackend):
            limit = min(limit, backend.batch_limit(grid.template, grid.shots))
        limits.append(limit)
    return tuple(limits)


class PieceRunner:
    """Runs pieces of a set on a backend, one after the other; what fails goes to the end and is tried again.

    Args:
        program_set: The set; its seed is not None where a grid has shots.
        backend: Where it runs.
        retries: How often a piece is tried.
        keeper: What is told of each piece.
        require: Called before each program; raises where the backend may not have it.
    """

    def __init__(
        self,
        program_set: ProgramSet,
        backend: Backend,
        retries: Retries,
        keeper: PieceKeeper,
        require: Callable[[], None] = lambda: None,
    ) -> None:
        self._set = program_set
        self._backend = backend
        self._retries = retries
        self._keeper = keeper
        self._require = require
        self._compiled: dict[object, Executable] = {}

    def run(self, pieces: Iterable[Piece], should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Run pieces until each has results or has failed for good; False where ``should_stop`` said so before.

        An error of the backend is tried again, after a pause, unless it says that it will not pass: a `SuperposeError`
        other than a retryable `ProviderError` or a `StateTooLargeError` (memory may be free later).
        """
        fresh, resting = deque(pieces), list[tuple[float, int, Piece, int]]()
        while fresh or resting:
            if should_stop():
                return False
            if resting and resting[0][0] <= time.monotonic():
                _, _, piece, n_tries = heapq.heappop(resting)
            elif fresh:
                piece, n_tries = fresh.popleft(), 0
            else:
                time.sleep(min(_LOOK_S, max(0.0, resting[0][0] - time.monotonic())))
                continue
            again_at_s = self._try(piece, n_tries + 1)
            if again_at_s is not None:
                heapq.heappush(resting, (again_at_s, piece.number, piece, n_tries + 1))
        return True

    def _try(self, piece: Piece, n_tries: int) -> float | None:
        """Run a piece; returns when it is to be tried again, None where it is done with."""
        self._keeper.begin(piece)
        try:
            result = self._answer(piece)
        except Exception as error:  # a backend's errors are what retries are for
            if may_pass(error) and n_tries < self._retries.max_tries:
                self._keeper.retry(piece, error, n_tries)
                return time.monotonic() + self._retries.pause_s(n_tries)
            code, message = told(error)
            bounds = (piece.number, piece.grid, piece.start, piece.stop)
            self._keeper.fail(PieceFailure(*bounds, code=code, message=message, n_tries=n_tries))
            return None
        self._keeper.keep(piece, result)
        return None

    def _answer(self, piece: Piece) -> PieceResult:
        asked = questions(self._set, piece)
        answers = [self._asked(one) for one in asked]
        return answered(self._set.grids[piece.grid], piece, asked, answers)

    def _asked(self, one: Question) -> ProgramResult:
        self._require()
        return self._executable(one.template).run(one.rows, shots=one.shots, seed=one.seed)

    def _executable(self, template: Template) -> Executable:
        if template.key not in self._compiled:
            backend = self._backend
            if len(self._compiled) >= _COMPILED:
                self._compiled.clear()
            if isinstance(backend, CompilingBackend):
                self._compiled[template.key] = backend.compile(template)
            else:
                self._compiled[template.key] = ProgramExecutable(template, backend)
        return self._compiled[template.key]


def may_pass(error: Exception) -> bool:
    """Whether another try of a piece may help."""
    if isinstance(error, ProviderError):
        return error.retryable
    return isinstance(error, StateTooLargeError) or not isinstance(error, SuperposeError)


def told(error: Exception) -> tuple[str, str]:
    """Return code and message, without what a foreign message may hold."""
    if isinstance(error, SuperposeError):
        return error.code, error.message
    _log.warning("a backend failed with %s", type(error).__name__)
    return PieceFailedError.code, f"The backend ended with an unforeseen {type(error).__name__}."
