"""Pieces of a program set in a backend's queue: handed over once each, asked for from time to time, by no one held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from superpose.backends.pieces import PieceKeeper, may_pass, told
from superpose.backends.questions import Question, answered, questions
from superpose.circuits import (
    CancellingBackend,
    PieceFailure,
    ProgramExecutable,
    ProgramResult,
    ProgramSet,
    QueueingBackend,
)
from superpose.circuits.sets.program_set import Piece
from superpose.errors import LeaseLostError, StoreError, SuperposeError
from superpose.service.work.provider_runs import ProviderRun, ProviderRuns

__all__ = ["MAX_QUEUED", "QueuedPieces"]

#: Programs of one set that stand in a backend's queue at once; the others follow as results arrive.
MAX_QUEUED = 100


class QueuedPieces:
    """Goes over the pieces of a set on a backend with a queue, without waiting.

    Args:
        whole: the set; its seed is not None where a grid has shots.
        backend: where it runs.
        job_id: what tokens begin with.
        max_tries: how often handing over a piece, or asking for its result, may fail.
        keeper: what is told of each piece.
        book: where is written down what was handed over.
        require: called before each program is handed over; raises where it may not be.
    """

    def __init__(
        self,
        whole: ProgramSet,
        backend: QueueingBackend,
        job_id: str,
        max_tries: int,
        keeper: PieceKeeper,
        book: ProviderRuns,
        require: Callable[[], None] = lambda: None,
    ) -> None:
        self._set = whole
        self._backend = backend
        self._job_id = job_id
        self._max_tries = max_tries
        self._keeper = keeper
        self._book = book
        self._require = require
        self._known: dict[str, ProviderRun] = {}
        self._queued: list[str] = []
        self._room = MAX_QUEUED

    def look(self, pieces: Iterable[Piece], should_stop: Callable[[], bool]) -> tuple[list[str], int] | None:
        """Hand over and ask for each piece once; what has arrived is kept.

        Args:
            pieces: those that have neither results nor failed.
            should_stop: asked between pieces.

        Returns:
            The backend's ids of the programs in its queue and how many pieces are open; None where it was told to stop.
        """
        self._known, self._queued, n_open = self._book.known(), [], 0
        self._room = MAX_QUEUED - sum(run.provider_job_id is not None for run in self._known.values())
        begun = {int(token[len(self._job_id) + 1 :].split("-")[0]) for token in self._known}
        for piece in pieces:
            if should_stop():
                return None
            if self._room <= 0 and piece.number not in begun:
                n_open += 1
            else:
                n_open += not self._step(piece)
        return self._queued, n_open

    def _step(self, piece: Piece) -> bool:
        """Take a piece on; whether it is done with."""
        asked = questions(self._set, piece)
        tokens = _tokens(self._job_id, piece, len(asked))
        answers: list[ProgramResult] = []
        for token, question in zip(tokens, asked, strict=True):
            known = self._known.get(token, ProviderRun(None, 0))
            try:
                answer = self._answer(token, question, known)
            except (LeaseLostError, StoreError):
                raise
            except Exception as error:  # a backend's errors are what tries are for
                return self._failed(piece, tokens, token, error)
            if answer is not None:
                answers.append(answer)
        if len(answers) < len(asked):
            return False
        try:
            result = answered(self._set.grids[piece.grid], piece, asked, answers)
        except SuperposeError as error:
            self._end(piece, error, 1)
        else:
            self._keeper.keep(piece, result)
        self._book.forget(tokens, arrived=True)
        return True

    def _answer(self, token: str, question: Question, known: ProviderRun) -> ProgramResult | None:
        """The answer to a question, which is handed over if it was not and there is room; None where there is none."""
        provider_job_id = known.provider_job_id
        if provider_job_id is None:
            if self._room <= 0:
                return None
            self._require()
            if not self._book.reserve(token):
                self._room = 0  # nor is there a slot for the next
                return None
            executable = ProgramExecutable(question.template, self._backend)
            program = executable.program(question.rows, shots=question.shots, seed=question.seed)
            provider_job_id = self._backend.submit(program, token)
            self._room -= 1
            self._note(token, ProviderRun(provider_job_id, known.n_tries))
        answer = self._backend.fetch(provider_job_id)
        if answer is None:
            self._queued.append(provider_job_id)
        return answer

    def _failed(self, piece: Piece, tokens: Sequence[str], token: str, error: Exception) -> bool:
        """Note a try that failed; whether it was the last."""
        known = self._known.get(token, ProviderRun(None, 0))
        n_tries = known.n_tries + 1
        if may_pass(error) and n_tries < self._max_tries:
            self._note(token, ProviderRun(known.provider_job_id, n_tries))
            if known.provider_job_id is not None:
                self._queued.append(known.provider_job_id)
            self._keeper.retry(piece, error, n_tries)
            return False
        self._end(piece, error, n_tries)
        for other in tokens:
            run = self._known.get(other)
            if other != token and run is not None and run.provider_job_id is not None:
                self._call_off(run.provider_job_id)
        self._book.forget(tokens)
        return True

    def _end(self, piece: Piece, error: Exception, n_tries: int) -> None:
        code, message = told(error)
        bounds = (piece.number, piece.grid, piece.start, piece.stop)
        self._keeper.fail(PieceFailure(*bounds, code=code, message=message, n_tries=n_tries))

    def _note(self, token: str, run: ProviderRun) -> None:
        self._known[token] = run
        self._book.write(token, run)

    def _call_off(self, provider_job_id: str) -> None:
        """Have the backend drop what nobody needs any more, if it can."""
        if isinstance(self._backend, CancellingBackend):
            with suppress(Exception):  # its result is not needed, and neither is its word
                self._backend.cancel(provider_job_id)


def _tokens(job_id: str, piece: Piece, n: int) -> list[str]:
    own = f"{job_id}-{piece.number}"
    return [own] if n == 1 else [f"{own}-{place}" for place in range(n)]
