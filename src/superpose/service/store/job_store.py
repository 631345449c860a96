"""The job store: a queue that loses nothing and gives no job to two workers at once.

A worker *claims* a job and holds it under a *lease* that its heartbeats extend. The attempt number that the claim
hands out is the fencing token: every write of a worker carries it, and is refused with ``LeaseLostError`` once the job
has gone on without that worker. Every change of status goes through the table in ``statuses.py`` and leaves an event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from superpose.errors import ConflictError, JobCrashedError, LeaseLostError, NotFoundError
from superpose.scheduling import QueuedJob, RunningJob, order_jobs
from superpose.service.names import new_id
from superpose.service.nouns import Clock, Event, Job, JobKind, utc_now
from superpose.service.statuses import FINAL, HELD, JobStatus, check_transition
from superpose.service.store.database import Database, json_text
from superpose.service.store.history import append_event, read_events
from superpose.service.store.tables import attempts, jobs
from superpose.trust import sha256_bytes

__all__ = ["Claim", "JobStore", "NewJob"]

Publish = Callable[[Connection, Job], Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What a submission says; ``dataset`` is the data set's name, ``created_by`` the id of the caller's key."""

    project: str
    kind: JobKind
    payload: Mapping[str, object]
    created_by: str
    dataset_id: str | None = None
    dataset: str | None = None
    model: str | None = None
    priority: int = 0
    idempotency_key: str | None = None

    def digest(self) -> str:
        """What two submissions under one idempotency key must agree on."""
        facts = [self.kind, self.payload, self.dataset_id, self.model, self.priority]
        return sha256_bytes(json_text(facts).encode())


@dataclass(frozen=True)
class Claim:
    """A worker's right to one attempt of a job; ``job.attempt`` is the fencing token."""

    job: Job
    worker_id: str

    @property
    def attempt(self) -> int:
        """Number of the attempt, from 1."""
        return self.job.attempt


class JobStore:
    """Jobs, attempts and their events in a database.

    Args:
        database: where they are kept.
        clock: what tells the time; leases are measured with it.
        lease_s: length of a lease in seconds.
        max_attempts: crashed attempts after which a job fails.
    """

    def __init__(
        self, database: Database, *, clock: Clock = utc_now, lease_s: float = 30.0, max_attempts: int = 5
    ) -> None:
        self.database = database
        self._clock = clock
        self._lease = timedelta(seconds=lease_s)
        self._max_attempts = max_attempts

    # -- what users do ------------------------------------------------------------------------------------------

    def submit(self, new: NewJob, *, check: Callable[[Connection], None] | None = None) -> Job:
        """Put a job into the queue; under a known idempotency key, the job that is there already.

        Args:
            new: the submission.
            check: looks at the store inside the same transaction and raises to refuse.

        Raises:
            ConflictError: the idempotency key was used for a different submission.
        """
        with self.database.write() as connection:
            known = self._submitted_before(connection, new)
            if known is not None:
                return known
            if check is not None:
                check(connection)
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
                )
            )
            job = self._get(connection, job_id)
            self._record(connection, job, str(JobStatus.QUEUED), new.created_by, {"kind": str(new.kind)})
            return job

    def get(self, job_id: str, *, project: str | None = None) -> Job:
        """A job; with ``project``, only if it belongs to it.

        Raises:
            NotFoundError: there is no such job, or it is another project's.
        """
        with self.database.read() as connection:
            return self._get(connection, job_id, project)

    def cancel(self, job_id: str, *, actor: str, project: str | None = None) -> Job:
        """Cancel a job: at once if no worker holds it, else through its worker. Again has no further effect.

        Raises:
            NotFoundError: as for ``get``.
            TransitionError: the job has succeeded or failed.
        """
        with self.database.write() as connection:
            job = self._get(connection, job_id, project)
            if job.status in {JobStatus.CANCELLING, JobStatus.CANCELLED}:
                return job
            after = JobStatus.CANCELLING if job.status is JobStatus.RUNNING else JobStatus.CANCELLED
            return self._change(connection, job, after, actor=actor)

    def events(self, job_id: str, *, after: int = 0, limit: int = 1_000, project: str | None = None) -> list[Event]:
        """Events of a job with ``seq > after``, oldest first.

        Raises:
            NotFoundError: as for ``get``.
        """
        with self.database.read() as connection:
            self._get(connection, job_id, project)
            return read_events(connection, job_id, after, limit)

    # -- what workers do ----------------------------------------------------------------------------------------

    def has_work(self) -> bool:
        """Whether a claim could find something: a queued job or an expired lease. Does not wait for writers."""
        with self.database.read() as connection:
            queued = select(jobs.c.number).where(jobs.c.status == str(JobStatus.QUEUED)).limit(1)
            if connection.execute(queued).first():
                return True
            expired = select(jobs.c.number).where(jobs.c.lease_expires_at <= self._clock()).limit(1)
            return connection.execute(expired).first() is not None

    def claim(self, worker_id: str) -> Claim | None:
        """Take the job that the scheduling policy puts first; None when nothing waits.

        Leases that have expired are taken back first, so one worker is enough to keep the queue moving.
        """
        with self.database.write() as connection:
            now = self._clock()
            self._expire(connection, jobs.c.lease_expires_at <= now, "the lease expired")
            first = self._first_in_order(connection, now)
            if first is None:
                return None
            job = self._get(connection, first)
            attempt = job.attempt + 1
            connection.execute(
                insert(attempts).values(job_id=job.id, attempt=attempt, worker_id=worker_id, started_at=now)
            )
            values = {
                "attempt": attempt,
                "worker_id": worker_id,
                "lease_expires_at": now + self._lease,
                "started_at": job.started_at or now,
            }
            return Claim(self._change(connection, job, JobStatus.RUNNING, actor=worker_id, values=values), worker_id)

    def heartbeat(self, claim: Claim) -> JobStatus:
        """Extend the lease; tells whether the job is ``running`` or ``cancelling``.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._held(connection, claim)
            connection.execute(
                update(jobs).where(jobs.c.id == job.id).values(lease_expires_at=self._clock() + self._lease)
            )
            return job.status

    def status(self, claim: Claim) -> JobStatus:
        """Whether the claimed job is ``running`` or ``cancelling``, without extending the lease or waiting for writers.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.read() as connection:
            return self._held(connection, claim).status

    def append(self, claim: Claim, kind: str, data: Mapping[str, object]) -> JobStatus:
        """Record an event of the attempt; one of kind ``progress`` also becomes the job's progress.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._held(connection, claim)
            self._record(connection, job, kind, claim.worker_id, {**data, "attempt": claim.attempt})
            if kind == "progress":
                connection.execute(update(jobs).where(jobs.c.id == job.id).values(progress=dict(data)))
            return job.status

    def succeed(self, claim: Claim, result: Mapping[str, object], *, publish: Publish | None = None) -> Job:
        """Finish a job. ``publish`` runs in the same transaction and returns further values for the job's row.

        A job that is being cancelled becomes ``cancelled`` and publishes nothing.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._held(connection, claim)
            if job.status is JobStatus.CANCELLING:
                return self._end(connection, job, claim, JobStatus.CANCELLED)
            values = {"result": dict(result), **(publish(connection, job) if publish else {})}
            return self._end(connection, job, claim, JobStatus.SUCCEEDED, values=values)

    def fail(self, claim: Claim, code: str, message: str) -> Job:
        """Finish a job with an error; one that is being cancelled becomes ``cancelled``.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._held(connection, claim)
            if job.status is JobStatus.CANCELLING:
                return self._end(connection, job, claim, JobStatus.CANCELLED)
            error = {"code": code, "message": message}
            return self._end(connection, job, claim, JobStatus.FAILED, values={"error": error}, data=error)

    def give_back(self, claim: Claim) -> Job:
        """Return a job to the queue unharmed, as a worker does that stops; a cancelling job becomes ``cancelled``.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self.database.write() as connection:
            job = self._held(connection, claim)
            after = JobStatus.CANCELLED if job.status is JobStatus.CANCELLING else JobStatus.QUEUED
            return self._end(connection, job, claim, after, data={"reason": "the worker stopped"})

    # -- what the supervisor does -------------------------------------------------------------------------------

    def expire_leases(self) -> list[str]:
        """Take back the jobs whose leases have expired; returns their ids."""
        with self.database.write() as connection:
            return self._expire(connection, jobs.c.lease_expires_at <= self._clock(), "the lease expired")

    def release_worker(self, worker_id: str) -> list[str]:
        """Take back at once the jobs of a worker known to be dead; returns their ids."""
        with self.database.write() as connection:
            return self._expire(connection, jobs.c.worker_id == worker_id, "the worker died")

    # -- inside a transaction -----------------------------------------------------------------------------------

    def _get(self, connection: Connection, job_id: str, project: str | None = None) -> Job:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
        if row is None or (project is not None and row["project"] != project):
            raise NotFoundError(f"There is no job {job_id!r} in this project.", kind="job", id=job_id)
        return job_from_row(row)

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

    def _first_in_order(self, connection: Connection, now: datetime) -> str | None:
        """Ask the policy. Within a project and priority the oldest is always first, so only those are read."""
        heads = (
            select(func.min(jobs.c.number))
            .where(jobs.c.status == str(JobStatus.QUEUED))
            .group_by(jobs.c.project, jobs.c.priority)
        )
        queued = connection.execute(
            select(jobs.c.id, jobs.c.project, jobs.c.priority, jobs.c.created_at).where(jobs.c.number.in_(heads))
        ).all()
        if not queued:
            return None
        held = connection.execute(select(jobs.c.id, jobs.c.project).where(jobs.c.status.in_([*map(str, HELD)])))
        order = order_jobs([QueuedJob(*row) for row in queued], [RunningJob(*row) for row in held], now)
        return order[0]

    def _held(self, connection: Connection, claim: Claim) -> Job:
        """The claimed job, if the claim still holds: the fence in front of every worker's write."""
        row = connection.execute(select(jobs).where(jobs.c.id == claim.job.id)).mappings().first()
        if row is None or row["worker_id"] != claim.worker_id or row["attempt"] != claim.attempt:
            now = "gone" if row is None else f"{row['status']}, attempt {row['attempt']}"
            raise LeaseLostError(
                f"Worker {claim.worker_id} lost attempt {claim.attempt} of job {claim.job.id}, which is now {now}; "
                "the write was refused.",
                job_id=claim.job.id,
                attempt=claim.attempt,
            )
        return job_from_row(row)

    def _expire(self, connection: Connection, which: ColumnElement[bool], reason: str) -> list[str]:
        """Take jobs back from their workers: to the queue, or to an end after too many crashes."""
        held = select(jobs).where(jobs.c.lease_expires_at.is_not(None), which)  # there is an index on leases
        taken = []
        for row in connection.execute(held.order_by(jobs.c.number)).mappings().all():
            job, crashes = job_from_row(row), row["crashes"] + 1
            claim = Claim(job, row["worker_id"])
            values: dict[str, object] = {"crashes": crashes}
            data: dict[str, object] = {"reason": reason, "attempt": job.attempt}
            if job.status is JobStatus.CANCELLING:
                after = JobStatus.CANCELLED
            elif crashes >= self._max_attempts:
                after = JobStatus.FAILED
                values["error"] = data["error"] = _crashed(job.id, crashes)
            else:
                after = JobStatus.QUEUED
            self._end(connection, job, claim, after, values=values, data=data, outcome="crashed")
            taken.append(job.id)
        return taken

    def _end(
        self,
        connection: Connection,
        job: Job,
        claim: Claim,
        after: JobStatus,
        *,
        values: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        outcome: str | None = None,
    ) -> Job:
        """End an attempt and move its job on."""
        connection.execute(
            update(attempts)
            .where(attempts.c.job_id == job.id, attempts.c.attempt == job.attempt)
            .values(
                ended_at=self._clock(), outcome=outcome or ("given_back" if after is JobStatus.QUEUED else str(after))
            )
        )
        free = {"worker_id": None, "lease_expires_at": None, **(values or {})}
        return self._change(connection, job, after, actor=claim.worker_id, values=free, data=data)

    def _change(
        self,
        connection: Connection,
        job: Job,
        after: JobStatus,
        *,
        actor: str,
        values: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
    ) -> Job:
        """The only place where a status changes: table, row, event."""
        check_transition(job.id, job.status, after)
        finished = {"finished_at": self._clock()} if after in FINAL else {}
        row = {**(values or {}), **finished, "status": str(after)}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**row))
        changed = self._get(connection, job.id)
        self._record(connection, changed, str(after), actor, {"attempt": changed.attempt, **(data or {})})
        return changed

    def _record(self, connection: Connection, job: Job, kind: str, actor: str, data: Mapping[str, object]) -> None:
        append_event(
            connection, subject=job.id, project=job.project, at=self._clock(), kind=kind, actor=actor, data=data
        )


def job_from_row(row: RowMapping) -> Job:
    """The noun of a row of ``jobs``."""
    same = {name: row[name] for name in Job.__dataclass_fields__ if name not in {"kind", "status"}}
    return Job(**same, kind=JobKind(row["kind"]), status=JobStatus(row["status"]))


def _crashed(job_id: str, crashes: int) -> dict[str, object]:
    """The error of a job whose attempts keep dying."""
    error = JobCrashedError(
        f"Job {job_id} was given up: {crashes} attempts ended without a word from their worker (killed, out of memory, "
        "or silent past the lease). Look into the worker's log, then submit it again, smaller if memory is short.",
    )
    return {"code": error.code, "message": error.message}
