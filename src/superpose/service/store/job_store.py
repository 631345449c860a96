"""The job store: a queue that loses nothing and gives no job to two workers at once.

A worker *claims* a job and holds it under a *lease* that its heartbeats extend. The attempt number that the claim
hands out is the fencing token: every write of a worker carries it, and is refused with ``LeaseLostError`` once the job
has gone on without that worker. Every change of status goes through the table in ``statuses.py`` and leaves an event.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from superpose.errors import BudgetError, ConflictError, JobQuotaError, QuotaError, SecondsQuotaError
from superpose.scheduling import QueuedJob, RunningJob, order_jobs
from superpose.service.names import new_id
from superpose.service.nouns import Clock, Event, Job, iso, utc_now
from superpose.service.operations.trace_context import current_traceparent
from superpose.service.rules import JobRules
from superpose.service.statuses import FINAL, HELD, JobStatus
from superpose.service.store import dependencies
from superpose.service.store.claims import Claim, NewJob, Publish
from superpose.service.store.database import Database
from superpose.service.store.history import read_events
from superpose.service.store.job_lives import LEASE_EXPIRED, JobLives, due_at_providers, job_from_row
from superpose.service.store.steady_clock import steady_clock
from superpose.service.store.tables import attempts, jobs, provider_loops

__all__ = ["ChargesPort", "Claim", "JobRules", "JobStore", "NewJob", "Publish", "QuotasPort"]


class ChargesPort(Protocol):
    """What sets money aside for jobs, inside the store's transactions; see `superpose.service.budgets.charges`."""

    def admit(self, connection: Connection, new: NewJob) -> NewJob:
        """The submission as it may run; raises `BudgetError` where money is short."""
        ...

    def reserve(self, connection: Connection, job: Job, new: NewJob) -> None:
        """Set aside what a new job may cost."""
        ...

    def settle(self, connection: Connection, job: Job) -> None:
        """Charge a job that has ended."""
        ...


class QuotasPort(Protocol):
    """What projects may use, asked inside the store's transactions; see `superpose.service.people.quotas`."""

    def admit_job(self, connection: Connection, project: str) -> None:
        """Nothing, for each job that is to begin; raises `QuotaError` to refuse it."""
        ...

    def over_seconds(self, connection: Connection, among: Collection[str]) -> Collection[str]:
        """Of these projects those whose queued jobs may not begin now. They stay in the queue."""
        ...


class JobStore:
    """Jobs, attempts and their events in a database.

    Args:
        database: where they are kept.
        rules: leases, and how often a job may be tried.
        clock: the time of day, which users read.
        steady: the time for leases and pauses; by default ``clock``. One that never jumps is better
            (``steady_clock``).
        chance: a random number from 0 to 1, for the pauses before retries.
        quotas: what projects may use; without, anything.
        charges: sets money aside for jobs; without, nothing is charged.
    """

    def __init__(
        self,
        database: Database,
        rules: JobRules | None = None,
        *,
        clock: Clock = utc_now,
        steady: Clock | None = None,
        chance: Callable[[], float] = random.random,
        quotas: QuotasPort | None = None,
        charges: ChargesPort | None = None,
    ) -> None:
        self.database = database
        self.rules = rules or JobRules()
        self._clock = clock
        #: The time for leases and pauses.
        self.steady = self._steady = steady or clock
        self._lease = timedelta(seconds=self.rules.lease_s)
        self._charges = charges
        self._lives = JobLives(self.rules, clock, self._steady, chance, None if charges is None else charges.settle)
        self._quotas = quotas

    @classmethod
    def opened(
        cls,
        database: Database,
        rules: JobRules,
        *,
        clock: Clock = utc_now,
        quotas: QuotasPort | None = None,
        charges: ChargesPort | None = None,
    ) -> JobStore:
        """The store as servers and workers open it: its leases run by the machine's steady clock.

        A ``clock`` other than the time of day tells the time for leases too.
        """
        steady = steady_clock(database) if clock is utc_now else clock
        return cls(database, rules, clock=clock, steady=steady, quotas=quotas, charges=charges)

    # -- what users do ------------------------------------------------------------------------------------------

    def submit(
        self,
        new: NewJob,
        *,
        check: Callable[[Connection], None] | None = None,
        also: Callable[[Connection, Job], None] | None = None,
    ) -> Job:
        """Put a job into the queue; under a known idempotency key, the job that is there already.

        Args:
            new: the submission.
            check: looks at the store inside the same transaction and raises to refuse.
            also: writes what belongs to the new job, in the same transaction.

        Raises:
            ConflictError: the idempotency key was used for a different submission.
            NotFoundError, JobDependencyError: a job that this one comes after is not in the project, or has not
                succeeded and never will.
            QuotaError: the project's quotas allow no more jobs.
        """
        with self.database.write() as connection:
            known = self._submitted_before(connection, new)
            if known is not None:
                return known
            if self._quotas is not None:
                self._quotas.admit_job(connection, new.project)
            if check is not None:
                check(connection)
            job = self._insert(connection, new if self._charges is None else self._charges.admit(connection, new))
            if also is not None:
                also(connection, job)
            return job

    def get(self, job_id: str, *, project: str | None = None) -> Job:
        """A job; with ``project``, only if it belongs to it.

        Raises:
            NotFoundError: there is no such job, or it is another project's.
        """
        with self.database.read() as connection:
            return self._lives.get(connection, job_id, project)

    def cancel(self, job_id: str, *, actor: str, project: str | None = None) -> Job:
        """Cancel a job: at once if no worker holds it, else through its worker. Again has no further effect.

        Raises:
            NotFoundError: as for ``get``.
            TransitionError: the job has succeeded or failed.
        """
        with self.database.write() as connection:
            job = self._lives.get(connection, job_id, project)
            if job.status in {JobStatus.CANCELLING, JobStatus.CANCELLED}:
                return job
            after = JobStatus.CANCELLING if job.status is JobStatus.RUNNING else JobStatus.CANCELLED
            return self._lives.change(connection, job, after, actor=actor)

    def events(self, job_id: str, *, after: int = 0, limit: int = 1_000, project: str | None = None) -> list[Event]:
        """Events of a job with ``seq > after``, oldest first.

        Raises:
            NotFoundError: as for ``get``.
        """
        with self.database.read() as connection:
            self._lives.get(connection, job_id, project)
            return read_events(connection, job_id, after, limit)

    # -- what workers do ----------------------------------------------------------------------------------------

    def has_work(self) -> bool:
        """Whether a claim could find something: a job that may begin, or an expired lease.

        Does not wait for writers.
        """
        with self.database.read() as connection:
            if self._has_ready(connection):
                return True
            expired = select(jobs.c.number).where(jobs.c.lease_expires_at <= self._steady()).limit(1)
            if connection.execute(expired).first():
                return True
            due = select(jobs.c.number).where(due_at_providers(self._steady())).limit(1)
            return connection.execute(due).first() is not None

    def claim(self, worker_id: str) -> Claim | None:
        """Take the job that the scheduling policy puts first; None when nothing waits.

        Leases that have expired are taken back first, so one worker is enough to keep the queue moving.
        """
        with self.database.write() as connection:
            now = self._clock()
            self._lives.expire(connection, jobs.c.lease_expires_at <= self._steady(), LEASE_EXPIRED)
            self._lives.wake(connection, due_at_providers(self._steady()), worker_id)
            first = self._first_in_order(connection, now)
            if first is None:
                return None
            job = self._lives.get(connection, first)
            attempt = job.attempt + 1
            connection.execute(
                insert(attempts).values(job_id=job.id, attempt=attempt, worker_id=worker_id, started_at=now)
            )
            values = {
                "attempt": attempt,
                "worker_id": worker_id,
                "lease_expires_at": self._steady() + self._lease,
                "not_before_at": None,
                "started_at": job.started_at or now,
            }
            return Claim(
                self._lives.change(connection, job, JobStatus.RUNNING, actor=worker_id, values=values), worker_id
            )

    def heartbeat(self, claim: Claim) -> JobStatus:
        """Extend the lease; tells whether the job is ``running`` or ``cancelling``.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._lives.held(connection, claim)
            connection.execute(
                update(jobs).where(jobs.c.id == job.id).values(lease_expires_at=self._steady() + self._lease)
            )
            return job.status

    def status(self, claim: Claim) -> JobStatus:
        """Whether the claimed job is ``running`` or ``cancelling``, without extending the lease or waiting for writers.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.read() as connection:
            return self._lives.held(connection, claim).status

    def append(self, claim: Claim, kind: str, data: Mapping[str, object]) -> JobStatus:
        """Record an event of the attempt; one of kind ``progress`` also becomes the job's progress.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._lives.held(connection, claim)
            self._lives.record(connection, job, kind, claim.worker_id, {**data, "attempt": claim.attempt})
            if kind == "progress":
                connection.execute(update(jobs).where(jobs.c.id == job.id).values(progress=dict(data)))
            return job.status

    def held(self, connection: Connection, claim: Claim) -> Job:
        """The claimed job, inside a caller's write transaction: the fence for what else a worker writes.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        return self._lives.held(connection, claim)

    def succeed(self, claim: Claim, result: Mapping[str, object], *, publish: Publish | None = None) -> Job:
        """Finish a job. ``publish`` runs in the same transaction and returns further values for the job's row.

        A job that is being cancelled becomes ``cancelled`` and publishes nothing.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._lives.held(connection, claim)
            if job.status is JobStatus.CANCELLING:
                return self._lives.end(connection, job, claim, JobStatus.CANCELLED)
            values = {"result": dict(result), **(publish(connection, job) if publish else {})}
            return self._lives.end(connection, job, claim, JobStatus.SUCCEEDED, values=values)

    def fail(self, claim: Claim, code: str, message: str) -> Job:
        """Finish a job with an error; one that is being cancelled becomes ``cancelled``.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._lives.held(connection, claim)
            if job.status is JobStatus.CANCELLING:
                return self._lives.end(connection, job, claim, JobStatus.CANCELLED)
            error = {"code": code, "message": message}
            return self._lives.end(connection, job, claim, JobStatus.FAILED, values={"error": error}, data=error)

    def retry(self, claim: Claim, code: str, message: str) -> Job:
        """End an attempt with an error that may pass: the job is tried again after a pause.

        After ``rules.max_retries`` such attempts it fails; one that is being cancelled becomes ``cancelled``.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._lives.held(connection, claim)
            if job.status is JobStatus.CANCELLING:
                return self._lives.end(connection, job, claim, JobStatus.CANCELLED)
            retries = 1 + int(connection.execute(select(jobs.c.retries).where(jobs.c.id == job.id)).scalar_one())
            error = {"code": code, "message": message}
            values: dict[str, object] = {"retries": retries}
            if retries > self.rules.max_retries:
                return self._lives.end(
                    connection, job, claim, JobStatus.FAILED, values={**values, "error": error}, data=error
                )
            values["not_before_at"] = again_at = self._lives.pause(retries)
            data = {"reason": "the error may pass", "error": error, "not_before_at": iso(again_at)}
            return self._lives.end(
                connection, job, claim, JobStatus.QUEUED, values=values, data=data, outcome="retried"
            )

    def await_children(self, claim: Claim, children: Sequence[NewJob], seen: Collection[str]) -> Job:
        """Begin child jobs and let go of the worker: the job waits until one of its children ends.

        Args:
            claim: the worker's right to the job.
            children: jobs to begin, in the same transaction.
            seen: ids of the children whose end this attempt has taken into account. If another one has ended
                meanwhile, the job goes to the queue instead of waiting.

        A job that is being cancelled becomes ``cancelled`` and begins nothing. Children that the project's quotas have
        no room for are not begun: the job asks anew when the next of its children ends. One may always be under way, in
        the place of its parent, which holds no worker meanwhile. When the project's seconds are used up and no child
        is under way, the job goes to the queue, where it stays until the next period begins.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
            QuotaError: the project has no room for more bytes, and no child is under way.
        """
        with self.database.write() as connection:
            job = self._lives.held(connection, claim)
            if job.status is JobStatus.CANCELLING:
                return self._lives.end(connection, job, claim, JobStatus.CANCELLED)
            begun = [
                self._insert(connection, replace(child, parent_id=job.id))
                for child in self._admitted(connection, job, children)
            ]
            held = bool(children) and not begun and not self._has_open(connection, job)
            ended = select(jobs.c.id).where(jobs.c.parent_id == job.id, jobs.c.status.in_([*map(str, FINAL)]))
            news = set(connection.execute(ended).scalars()) - set(seen)
            after = JobStatus.QUEUED if news or held else JobStatus.WAITING
            return self._lives.end(connection, job, claim, after, outcome="given_back")

    def await_provider(self, claim: Claim, provider_job_id: str | None, pause_s: float) -> Job:
        """Let go of the worker while a backend's queue holds the job's program; after a pause a worker asks again.

        A job that is being cancelled becomes ``cancelled``.

        Args:
            claim: the worker's right to the job.
            provider_job_id: what the backend calls the program; None where it has no slot for it yet.
            pause_s: time before a worker is to ask, in seconds.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._lives.held(connection, claim)
            if job.status is JobStatus.CANCELLING:
                return self._lives.end(connection, job, claim, JobStatus.CANCELLED)
            values = {
                "provider_job_id": provider_job_id,
                "not_before_at": self._steady() + timedelta(seconds=pause_s),
            }
            data = {"provider_job_id": provider_job_id}
            return self._lives.end(
                connection, job, claim, JobStatus.WAITING, values=values, data=data, outcome="given_back"
            )

    def give_back(self, claim: Claim) -> Job:
        """Return a job to the queue unharmed, as a worker does that stops; a cancelling job becomes ``cancelled``.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._lives.held(connection, claim)
            after = JobStatus.CANCELLED if job.status is JobStatus.CANCELLING else JobStatus.QUEUED
            return self._lives.end(connection, job, claim, after, data={"reason": "the worker stopped"})

    # -- what the supervisor does -------------------------------------------------------------------------------

    def expire_leases(self) -> list[str]:
        """Take back the jobs whose leases have expired; returns their ids."""
        with self.database.write() as connection:
            return self._lives.expire(connection, jobs.c.lease_expires_at <= self._steady(), LEASE_EXPIRED)

    def release_worker(self, worker_id: str) -> list[str]:
        """Take back at once the jobs of a worker known to be dead; returns their ids."""
        with self.database.write() as connection:
            return self._lives.expire(connection, jobs.c.worker_id == worker_id, "the worker died")

    # -- inside a transaction -----------------------------------------------------------------------------------

    def _admitted(self, connection: Connection, parent: Job, children: Sequence[NewJob]) -> Iterator[NewJob]:
        """The children that quotas have room for, one by one, so that each is counted when the next is looked at."""
        for child in children:
            try:
                if self._quotas is not None:
                    self._quotas.admit_job(connection, parent.project)
            except QuotaError as error:
                if self._has_open(connection, parent) or isinstance(error, SecondsQuotaError):
                    return
                if not isinstance(error, JobQuotaError):
                    raise
            try:
                yield child if self._charges is None else self._charges.admit(connection, child)
            except BudgetError:
                if not self._has_open(connection, parent):
                    raise
                return

    def _has_open(self, connection: Connection, parent: Job) -> bool:
        """Whether a child of the job has not ended."""
        open_ones = select(jobs.c.number).where(jobs.c.parent_id == parent.id, jobs.c.status.not_in([*map(str, FINAL)]))
        return connection.execute(open_ones.limit(1)).first() is not None

    def _has_ready(self, connection: Connection) -> bool:
        """Whether a job may begin now."""
        ready = select(jobs.c.number).where(self._is_ready())
        if connection.execute(ready.limit(1)).first() is None:
            return False
        if self._quotas is None:
            return True
        waiting = select(jobs.c.project).where(self._is_ready()).distinct()
        projects = set(connection.execute(waiting).scalars())
        return bool(projects - set(self._quotas.over_seconds(connection, projects)))

    def _submitted_before(self, connection: Connection, new: NewJob) -> Job | None:
        if new.idempotency_key is None:
            return None
        same = (jobs.c.project == new.project) & (jobs.c.idempotency_key == new.idempotency_key)
        row = connection.execute(select(jobs).where(same)).mappings().first()
        if row is None:
            return None
        if row["request_digest"] != new.digest():
            raise ConflictError(
                f"Idempotency key {new.idempotency_key!r} was used for job {row['id']} with other contents. "
                "Use a new key for a new job.",
                job_id=row["id"],
            )
        return job_from_row(row)

    def _insert(self, connection: Connection, new: NewJob) -> Job:
        """The row of a new job, what it waits for, and its first event."""
        still_open = dependencies.open_those(connection, new.project, new.after)
        now, job_id = self._clock(), new_id("job")
        connection.execute(
            insert(jobs).values(
                id=job_id,
                project=new.project,
                kind=str(new.kind),
                status=str(JobStatus.QUEUED),
                priority=new.priority,
                payload=dict(new.payload),
                dataset_id=new.dataset_id,
                dataset=new.dataset,
                model=new.model,
                attempt=0,
                crashes=0,
                idempotency_key=new.idempotency_key,
                request_digest=new.digest(),
                created_by=new.created_by,
                created_at=now,
                progress={},
                retries=0,
                traceparent=current_traceparent(),
                after=list(dict.fromkeys(new.after)),
                parent_id=new.parent_id,
                estimate=None if new.estimate is None else dict(new.estimate),
                remarks=[dict(remark) for remark in new.remarks] or None,
            )
        )
        dependencies.add(connection, job_id, still_open)
        job = self._lives.get(connection, job_id)
        if self._charges is not None:
            self._charges.reserve(connection, job, new)
        data: dict[str, object] = {"kind": str(new.kind), **({"after": list(job.after)} if job.after else {})}
        self._lives.record(connection, job, str(JobStatus.QUEUED), new.created_by, data)
        self._lives.tell(connection, job)
        return job

    def _is_ready(self) -> ColumnElement[bool]:
        """Whether a row of ``jobs`` may begin: queued, its pause over, nothing left to come after."""
        rested = jobs.c.not_before_at.is_(None) | (jobs.c.not_before_at <= self._steady())
        return (jobs.c.status == str(JobStatus.QUEUED)) & rested & dependencies.has_none_open()

    def _first_in_order(self, connection: Connection, now: datetime) -> str | None:
        """Ask the policy. Within a project and priority the oldest is always first, so only those are read."""
        heads = select(func.min(jobs.c.number)).where(self._is_ready()).group_by(jobs.c.project, jobs.c.priority)
        in_loop = jobs.c.id.in_(select(provider_loops.c.job_id))
        queued = connection.execute(
            select(jobs.c.id, jobs.c.project, jobs.c.priority, jobs.c.created_at, in_loop.label("in_loop")).where(
                jobs.c.number.in_(heads) | (in_loop & self._is_ready())
            )
        ).all()
        if self._quotas is not None and queued:
            waits = self._quotas.over_seconds(connection, {row.project for row in queued})
            queued = [row for row in queued if row.project not in waits]
        if not queued:
            return None
        held = connection.execute(select(jobs.c.id, jobs.c.project).where(jobs.c.status.in_([*map(str, HELD)])))
        waiting = [QueuedJob(row.id, row.project, row.priority, row.created_at, bool(row.in_loop)) for row in queued]
        order = order_jobs(waiting, [RunningJob(*row) for row in held], now)
        return order[0]
