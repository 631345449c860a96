"""What a worker does for a program set: piece after piece, each kept once done, then one file of all."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import select

from superpose.backends.pieces import PieceRunner, Retries
from superpose.backends.program_sets import set_provenance
from superpose.circuits import PieceFailure, QueueingBackend, program_set_from_npz
from superpose.circuits.sets.files import write_pieces
from superpose.circuits.sets.piece_result import PieceResult
from superpose.circuits.sets.program_set import Piece, split
from superpose.circuits.sets.result import GridFacts
from superpose.errors import CheckpointError, JobCrashedError, PieceFailedError, SuperposeError
from superpose.learning.canonical import gone_unless_whole
from superpose.service.nouns import Job
from superpose.service.program_sets.piece_store import PieceStore
from superpose.service.program_sets.queued_pieces import QueuedPieces
from superpose.service.store.database import Database
from superpose.service.store.tables import attempts
from superpose.service.traces import trace_of
from superpose.service.work.runs import Asks, Outcome, RunContext, pause_s

__all__ = ["MAX_CRASHES", "MAX_TOLD", "run"]

_log = logging.getLogger(__name__)

#: Crashes of a worker with the same piece in hand after which that piece has failed, and the others go on.
MAX_CRASHES = 3
#: Failures that the job's result tells one by one; the file has all.
MAX_TOLD = 1_000


def run(job: Job, context: RunContext) -> Outcome:
    """Run a set's pieces; goes on from those that are done.

    While a backend with a queue has them, nothing is held: the run ends, and another asks for results later.

    Raises:
        Stopped: ``should_stop`` said so; the pieces done are there.
        PieceFailedError: no piece has results.
    """
    from superpose.learning import Stopped

    payload: Mapping[str, Any] = job.payload
    whole = program_set_from_npz(context.artifacts.read(payload["artifact"]))
    pieces = split(whole, payload["limits"])
    keeper = _Keeper(PieceStore(context.directory / "pieces"), pieces, job, context)
    backend, config = context.confinement.backend(payload["backend"]), context.config

    def require() -> None:
        context.confinement.require(backend)

    if isinstance(backend, QueueingBackend):
        book = context.provider_runs.at(payload["backend"])
        queued = QueuedPieces(whole, backend, job.id, 1 + config.max_retries, keeper, book, require)
        found = queued.look(keeper.missing(read=False), context.should_stop)
        if found is not None and found[1]:
            context.on_event("progress", {**keeper.progress(), "n_queued": len(found[0])})
            return Outcome({}, asks=Asks(found[0][0] if found[0] else job.id, pause_s(job, config)))
        ended = found is not None
    else:
        retries = Retries(1 + config.max_retries, config.retry_first_s, config.retry_longest_s)
        ended = PieceRunner(whole, backend, retries, keeper, require).run(keeper.missing(), context.should_stop)
    if not ended:
        raise Stopped("The worker stops; the pieces that are done are kept.")
    failures = sorted(keeper.failures.values(), key=lambda failure: failure.piece)
    if len(failures) == len(pieces):
        raise PieceFailedError(f"No piece of the program set has results; the first failed: {failures[0]}.")
    output = context.directory / "output"
    facts = [GridFacts.of(grid) for grid in whole.grids]
    provenance = set_provenance(whole, backend.name, pieces)
    with gone_unless_whole(output):
        index = write_pieces(output, facts, keeper.contents(), failures, provenance)
    context.on_event("progress", {**keeper.progress(), "stage": "written", "fraction": 1.0})
    result = {
        "n_bindings": whole.n_bindings,
        "n_pieces": len(pieces),
        "n_failed": len(failures),
        "failures": [failure.to_json() for failure in failures[:MAX_TOLD]],
        "grids": [asdict(one) for one in facts[:MAX_TOLD]],
        "provenance": dict(provenance),
        "index": asdict(index),
    }
    return Outcome(result, output=output)


class _Keeper:
    """Keeps what becomes of pieces in a directory, and tells of it in the job's events."""

    def __init__(self, store: PieceStore, pieces: Sequence[Piece], job: Job, context: RunContext) -> None:
        self._store = store
        self._pieces = pieces
        self._attempt = job.attempt
        self._context = context
        self._n_done = 0
        self._suspect: tuple[int, int] | None = None
        self.failures: dict[int, PieceFailure] = {}
        self._look_for_a_suspect(job)

    def missing(self, *, read: bool = True) -> Iterator[Piece]:
        """The pieces that neither have results nor have failed, the one that a crash interrupted last of all.

        Args:
            read: whether to look into the files of those that are done, and not only for them.
        """
        late = []
        for piece in self._pieces:
            failure = self._store.failure(piece.number)
            if failure is not None:
                self.failures[piece.number] = PieceFailure(**failure)
            elif self._store.has(piece.number) if not read else self._store.read(piece.number) is not None:
                self._n_done += 1
            elif self._suspect is not None and self._suspect[0] == piece.number:
                late.append(piece)
            else:
                yield piece
        yield from late

    def begin(self, piece: Piece) -> None:
        """Note the piece in hand."""
        n_crashes = self._suspect[1] if self._suspect and self._suspect[0] == piece.number else 0
        self._store.begin(piece.number, self._attempt, n_crashes)

    def keep(self, piece: Piece, result: PieceResult) -> None:
        """Keep results."""
        self._store.write(piece.number, result.to_npz())
        self._store.end()
        self._n_done += 1
        self._context.on_event("progress", self.progress())

    def retry(self, piece: Piece, error: Exception, n_tries: int) -> None:
        """Tell that a piece will be tried again."""
        self._store.end()
        code = error.code if isinstance(error, SuperposeError) else PieceFailedError.code
        if not isinstance(error, SuperposeError):
            _log.warning("piece %d: %s", piece.number, trace_of(error))
        message = f"Piece {piece.number} failed with {code} (try {n_tries}) and is tried again."
        self._context.on_event("log", {"message": message, "piece": piece.number, "code": code, "n_tries": n_tries})

    def fail(self, failure: PieceFailure) -> None:
        """Keep a failure."""
        self._store.write_failure(failure.piece, failure.to_json())
        self._store.end()
        self.failures[failure.piece] = failure
        self._context.on_event("log", {"message": f"No results: {failure}", "failure": failure.to_json()})

    def contents(self) -> Iterator[tuple[Piece, bytes | None]]:
        """Each piece in order with its results, None where it has failed.

        Raises:
            CheckpointError: a file that was written is damaged or gone.
        """
        for piece in self._pieces:
            content = None if piece.number in self.failures else self._store.read(piece.number)
            if content is None and piece.number not in self.failures:
                raise CheckpointError(f"piece {piece.number} of the program set is damaged or gone")
            yield piece, content

    def progress(self) -> dict[str, object]:
        """How far the set is."""
        n_ended = self._n_done + len(self.failures)
        stage = f"{n_ended:,} of {len(self._pieces):,} pieces"
        counts = {"n_done": self._n_done, "n_failed": len(self.failures), "n_pieces": len(self._pieces)}
        return {"stage": stage, **counts, "fraction": 0.99 * n_ended / len(self._pieces)}

    def _look_for_a_suspect(self, job: Job) -> None:
        """A piece that was in hand when workers died, again and again, has failed."""
        left = self._store.left_off()
        if left is None:
            return
        number, attempt, n_crashes = left
        n_crashes += _crashed(self._context.database, job.id, attempt)
        self._suspect = (number, n_crashes)
        if n_crashes >= MAX_CRASHES:
            piece = self._pieces[number]
            bounds = (piece.number, piece.grid, piece.start, piece.stop)
            message = f"The worker died {n_crashes} times with this piece in hand."
            self.fail(PieceFailure(*bounds, code=JobCrashedError.code, message=message, n_tries=n_crashes))


def _crashed(database: Database, job_id: str, attempt: int) -> bool:
    """Whether an attempt ended without a word from its worker."""
    query = select(attempts.c.outcome).where(attempts.c.job_id == job_id, attempts.c.attempt == attempt)
    with database.read() as connection:
        return connection.execute(query).scalar() in ("crashed", "expired")
