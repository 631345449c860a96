"""Loops at a provider: a job that needs one program's result before it hands over the next, such as a training.

While such a job runs, its programs go first at the provider's slots (`superpose.scheduling.slots`), it goes first among
the jobs of its rank here, and where it wants one it keeps a session from iteration to iteration and from attempt to
attempt. It waits for a short time in its worker; where a queue is long it leaves, and goes on when the result is there.
The session is closed when the job has ended, however it ends: by the run itself, else by whichever worker sees it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.sqlite import insert

from superpose.circuits import (
    Capabilities,
    Program,
    ProgramResult,
    QueueingBackend,
    ReportingBackend,
    SessionBackend,
    SizingBackend,
    Template,
)
from superpose.errors import ProviderError, UnsupportedProgramError
from superpose.service.nouns import utc_now
from superpose.service.store.claims import Claim
from superpose.service.store.job_store import JobStore
from superpose.service.store.tables import provider_loops
from superpose.service.work.provider_runs import ProviderRun, ProviderRuns, note_start

__all__ = ["LoopBackend", "LoopBook", "QueueIsLongError"]

_log = logging.getLogger(__name__)

_ANY = 10**9


class QueueIsLongError(Exception):
    """The run leaves its worker: a program stands in the provider's queue, or there is no slot for it yet.

    Attributes:
        provider_job_id: what the backend calls the program; None where it was not handed over.
        since: since when it waits.
    """

    def __init__(self, provider_job_id: str | None, since: datetime) -> None:
        super().__init__("a provider's queue is long")
        self.provider_job_id = provider_job_id
        self.since = since


class LoopBook:
    """What is written down of a job's loop.

    Args:
        store: the queue, for the fence.
        claim: the attempt.
    """

    def __init__(self, store: JobStore, claim: Claim) -> None:
        self._store, self._claim = store, claim

    def begin(self, backend: str) -> tuple[str | None, bool]:
        """Write down that the job is a loop at a backend; the session that an earlier attempt had there, and whether it
        was last refused a slot.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            mine = provider_loops.c.job_id == job.id
            connection.execute(insert(provider_loops).values(job_id=job.id, backend=backend).on_conflict_do_nothing())
            kept = select(provider_loops.c.session_id, provider_loops.c.refused).where(mine)
            found = connection.execute(kept).one()
        return found.session_id, bool(found.refused)

    def keep_session(self, session_id: str | None) -> None:
        """Write down in which session the loop goes on.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            mine = provider_loops.c.job_id == job.id
            connection.execute(update(provider_loops).where(mine).values(session_id=session_id))

    def end(self) -> None:
        """Take the loop out, whose session is closed.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            connection.execute(delete(provider_loops).where(provider_loops.c.job_id == job.id))


class LoopBackend:
    """A backend with a queue as a loop's runs see it: each program is written down, in one session where wanted.

    Args:
        inner: the backend.
        runs: what it holds of the job.
        book: what is written down of the loop.
        session: whether programs are to run in one session.
        patience_s: how long a program may be waited for in this process, counted from when it was handed over.
        require: called before each program is handed over; raises where it may not be.

    Raises:
        UnsupportedProgramError: a session is wanted, and the backend has none.
        ProviderError: the session cannot be opened.
    """

    def __init__(
        self,
        inner: QueueingBackend,
        runs: ProviderRuns,
        book: LoopBook,
        *,
        session: bool,
        patience_s: float,
        require: Callable[[], None] = lambda: None,
    ) -> None:
        self._inner, self._runs, self._book = inner, runs, book
        self._patience_s, self._require = patience_s, require
        self._known = runs.known()
        self._tokens = {run.provider_job_id: token for token, run in self._known.items() if run.provider_job_id}
        kept, self._refused = book.begin(inner.name)
        self._session: SessionBackend | None = None
        if session:
            self._inner = self._session = self._opened(inner, kept)
            self._keep_session(kept)

    @property
    def name(self) -> str:
        """That of the backend."""
        return self._inner.name

    def capabilities(self) -> Capabilities:
        """Those of the backend."""
        return self._inner.capabilities()

    def batch_limit(self, template: Template, shots: int | None) -> int:
        """Most rows of one program."""
        inner = self._inner
        return inner.batch_limit(template, shots) if isinstance(inner, SizingBackend) else _ANY

    def run(self, program: Program) -> ProgramResult:
        """Nothing: a loop hands its programs over under tokens.

        Raises:
            UnsupportedProgramError: always.
        """
        raise UnsupportedProgramError(f"A loop hands programs to {self.name} under tokens; use submit and fetch.")

    def submit(self, program: Program, token: str) -> str:
        """Hand a program over, once whatever dies; one that was handed over before is not sent again.

        Raises:
            QueueIsLongError: the provider has no slot for it now.
            ProviderError: from the backend.
            LeaseLostError: the attempt is no longer the job's current one.
        """
        known = self._known.get(token)
        if known is not None and known.provider_job_id is not None:
            return known.provider_job_id
        self._require()
        if not self._runs.reserve(token, in_loop=True):
            raise QueueIsLongError(None, utc_now())
        before = None if self._session is None else self._session.session_id
        provider_job_id = self._inner.submit(program, token)
        self._runs.write(token, ProviderRun(provider_job_id, 0))
        self._known = self._runs.known()
        self._tokens[provider_job_id] = token
        self._keep_session(before)
        return provider_job_id

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        """The result of a program, None while it is not there.

        Raises:
            ProviderError: from the backend; after one that does not pass, nothing is waited for any more.
            LeaseLostError: the attempt is no longer the job's current one.
        """
        token = self._tokens.get(provider_job_id)
        try:
            found = self._inner.fetch(provider_job_id)
        except ProviderError as error:
            if not error.retryable and token is not None:
                self._forget(token, arrived=False)
            raise
        if token is None:
            return found
        if found is not None:
            self._forget(token, arrived=True)
        else:
            note_start(self._inner, self._runs, token, provider_job_id)
        return found

    def leave_if_long(self, provider_job_id: str) -> None:
        """Leave the worker where a program has waited for longer than is worth waiting here.

        Raises:
            QueueIsLongError: it has.
        """
        run = self._known.get(self._tokens.get(provider_job_id, ""))
        since = utc_now() if run is None or run.submitted_at is None else run.submitted_at
        if (utc_now() - since).total_seconds() > self._patience_s:
            raise QueueIsLongError(provider_job_id, since)

    def leave_if_still_queued(self) -> None:
        """The same before the run has begun anew, by the backend's word alone, where it gives one.

        Raises:
            QueueIsLongError: a program that was handed over before has not ended, or the slot that was refused to the
                next is not there yet.
        """
        if self._refused and not self._runs.has_slot():
            raise QueueIsLongError(None, utc_now())
        if not isinstance(self._inner, ReportingBackend):
            return
        for run in self._known.values():
            if run.provider_job_id is not None:
                try:
                    ended = self._inner.status(run.provider_job_id).is_final
                except ProviderError as error:  # the run itself will ask, and knows what to do
                    _log.info("%s does not tell where %s is: %s", self.name, run.provider_job_id, error.message)
                    return
                if not ended:
                    self.leave_if_long(run.provider_job_id)

    def end(self) -> None:
        """Close the session, and take the loop out of the book; where that fails, a worker does it later."""
        if self._session is not None:
            try:
                self._session.close()
            except ProviderError as error:
                _log.warning("%s: the session was not closed yet: %s", self.name, error.message)
                return
        self._book.end()

    def _forget(self, token: str, *, arrived: bool) -> None:
        self._runs.forget([token], arrived=arrived)
        self._known.pop(token, None)

    def _opened(self, inner: QueueingBackend, kept: str | None) -> SessionBackend:
        if not isinstance(inner, SessionBackend):
            raise UnsupportedProgramError(
                f"{inner.name} has no sessions; train there without one, or on a backend that has them."
            )
        return inner.in_session(kept)

    def _keep_session(self, before: str | None) -> None:
        """Write the session down where it is another one than before."""
        now = None if self._session is None else self._session.session_id
        if now != before:
            self._book.keep_session(now)
