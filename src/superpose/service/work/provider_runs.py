"""What backends with queues hold of a job's programs, written down when it is handed over.

A program goes to such a backend under a token of its own, and the backend takes each token once; so whatever a crash
loses of what is written here, nothing runs twice. How long programs wait there is kept for estimates. Who may hand one
over where a provider takes few at a time says `superpose.scheduling.slots`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from superpose.errors import ProviderError
from superpose.scheduling import SlotUse, may_hand_over
from superpose.service.nouns import utc_now
from superpose.service.statuses import FINAL
from superpose.service.store.claims import Claim
from superpose.service.store.job_store import JobStore
from superpose.service.store.tables import jobs, provider_loops, provider_runs
from superpose.service.work.waits import keep_waits

__all__ = ["ProviderRun", "ProviderRuns", "note_start"]

if TYPE_CHECKING:
    from superpose.circuits import QueueingBackend

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProviderRun:
    """A program that was, or is to be, handed over.

    Attributes:
        provider_job_id: what the backend calls it; None before it took it.
        n_tries: how often handing it over or asking for its result has failed.
        submitted_at: when the backend took it, as it was written down.
    """

    provider_job_id: str | None
    n_tries: int
    submitted_at: datetime | None = None


class ProviderRuns:
    """Those of one attempt's job; each write is refused once the job has gone on without it.

    Args:
        store: the queue, for the fence.
        claim: the attempt.
        backend: name of the backend that holds them.
        slots: programs that a provider may hold at once, of all jobs; None: not limited.
    """

    def __init__(self, store: JobStore, claim: Claim, backend: str = "local", slots: int | None = None) -> None:
        self._store, self._claim, self._backend, self._slots = store, claim, backend, slots

    def at(self, backend: str) -> ProviderRuns:
        """Those that a backend holds, by the name that jobs have for it."""
        return ProviderRuns(self._store, self._claim, backend, self._slots)

    def reserve(self, token: str, *, in_loop: bool = False) -> bool:
        """Take a slot at the provider for a program, before it is handed over; False where none is free for it now.

        A slot that was taken stays so until the program is forgotten or called off, whatever dies in between.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        if self._slots is None:
            return True
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            mine = (provider_runs.c.job_id == job.id) & (provider_runs.c.token == token)
            if connection.execute(select(provider_runs.c.token).where(mine)).first() is not None:
                return True
            waited_s = (utc_now() - job.created_at).total_seconds()
            use = _slot_use(connection, self._backend.partition(":")[0])
            granted = may_hand_over(self._slots, use, in_loop=in_loop, waited_s=waited_s)
            if in_loop:
                refused = (
                    update(provider_loops).where(provider_loops.c.job_id == job.id).values(refused=int(not granted))
                )
                connection.execute(refused)
            if granted:
                row = {"backend": self._backend, "n_tries": 0}
                connection.execute(insert(provider_runs).values(job_id=job.id, token=token, **row))
            return granted

    def known(self) -> dict[str, ProviderRun]:
        """What is written down, by token."""
        query = select(provider_runs).where(provider_runs.c.job_id == self._claim.job.id)
        with self._store.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return {row["token"]: ProviderRun(row["provider_job_id"], row["n_tries"], row["submitted_at"]) for row in rows}

    def has_slot(self) -> bool:
        """Whether a loop's program would find a slot at the provider now."""
        if self._slots is None:
            return True
        with self._store.database.read() as connection:
            use = _slot_use(connection, self._backend.partition(":")[0])
        return may_hand_over(self._slots, use, in_loop=True)

    def write(self, token: str, run: ProviderRun) -> None:
        """Write one down.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        row = {"backend": self._backend, "provider_job_id": run.provider_job_id, "n_tries": run.n_tries}
        at = None if run.provider_job_id is None else utc_now()
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            new = insert(provider_runs).values(job_id=job.id, token=token, submitted_at=at, **row)
            first = func.coalesce(provider_runs.c.submitted_at, new.excluded.submitted_at)
            changes = {**row, "submitted_at": first}
            connection.execute(new.on_conflict_do_update(index_elements=["job_id", "token"], set_=changes))

    def started(self, token: str) -> None:
        """Write down that the backend says that a program runs, the first time.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            mine = (provider_runs.c.job_id == job.id) & (provider_runs.c.token == token)
            first = mine & provider_runs.c.started_at.is_(None)
            connection.execute(update(provider_runs).where(first).values(started_at=utc_now()))

    def forget(self, tokens: Iterable[str], *, arrived: bool = False) -> None:
        """Take out those whose end is known; of those whose results have ``arrived``, keep how long they waited.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            mine = (provider_runs.c.job_id == job.id) & provider_runs.c.token.in_([*tokens])
            if arrived:
                keep_waits(connection, mine, project=job.project, now=utc_now())
            connection.execute(delete(provider_runs).where(mine))


def note_start(backend: QueueingBackend, runs: ProviderRuns, token: str, provider_job_id: str) -> None:
    """Write down that a program runs, where its backend tells that; its wait ends then, and not with its result."""
    from superpose.circuits import ReportingBackend, RunStatus

    if not isinstance(backend, ReportingBackend):
        return
    try:
        status = backend.status(provider_job_id)
    except ProviderError as error:  # it is no more than a time
        _log.info("%s does not tell where %s is: %s", backend.name, provider_job_id, error.message)
        return
    if status is RunStatus.RUNNING:
        runs.started(token)


def _slot_use(connection: Connection, provider: str) -> SlotUse:
    """What a provider holds, of all jobs."""
    held = list(
        connection.execute(select(provider_runs.c.job_id).where(_at(provider_runs.c.backend, provider))).scalars()
    )
    loops = connection.execute(
        select(provider_loops.c.job_id, provider_loops.c.refused)
        .join(jobs, jobs.c.id == provider_loops.c.job_id)
        .where(_at(provider_loops.c.backend, provider), jobs.c.status.not_in([*map(str, FINAL)]))
    ).all()
    return SlotUse(
        n_held=len(held),
        n_loops=len(loops),
        n_loops_held=sum(loop.job_id in held for loop in loops),
        n_loops_refused=sum(loop.refused for loop in loops),
    )


def _at(backend: ColumnElement[str], provider: str) -> ColumnElement[bool]:
    """Whether a backend's name is of a provider."""
    return (backend == provider) | backend.startswith(f"{provider}:", autoescape=True)
