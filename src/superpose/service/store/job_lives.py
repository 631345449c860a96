"""The lives of jobs inside a transaction: the fence, the ends of attempts, and the one place where a status changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, select, update

from superpose.errors import JobCrashedError, LeaseLostError, NotFoundError
from superpose.service.nouns import Clock, Job, JobKind, iso
from superpose.service.rules import JobRules
from superpose.service.statuses import FINAL, JobStatus, check_transition
from superpose.service.store import dependencies
from superpose.service.store.claims import Claim
from superpose.service.store.history import append_event
from superpose.service.store.outbox import post_change
from superpose.service.store.tables import attempts, jobs

__all__ = ["LEASE_EXPIRED", "JobLives", "due_at_providers", "job_from_row"]

#: The reason that tells an attempt whose worker was silent for too long from one whose worker died.
LEASE_EXPIRED = "the lease expired"


_ENDING_CHILDREN = frozenset({JobStatus.CANCELLING, JobStatus.CANCELLED, JobStatus.FAILED})


class JobLives:
    """Changes of jobs, each within the caller's write transaction.

    Args:
        rules: leases, and how often a job may be tried.
        clock: the time of day, which users read.
        steady: the time for leases and pauses.
        chance: a random number from 0 to 1, for the pauses before retries.
        charge: called with each job that has ended.
    """

    def __init__(
        self,
        rules: JobRules,
        clock: Clock,
        steady: Clock,
        chance: Callable[[], float],
        charge: Callable[[Connection, Job], None] | None = None,
    ) -> None:
        self._charge = charge
        self._rules = rules
        self._clock = clock
        self._steady = steady
        self._chance = chance

    def get(self, connection: Connection, job_id: str, project: str | None = None) -> Job:
        """A job; with ``project``, only if it belongs to it.

        Raises:
            NotFoundError: there is no such job, or it is another project's.
        """
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
        if row is None or (project is not None and row["project"] != project):
            raise NotFoundError(f"There is no job {job_id!r} in this project.", kind="job", id=job_id)
        return job_from_row(row)

    def pause(self, n_failures: int) -> datetime:
        """When the attempt after this many failures may begin."""
        return self._steady() + timedelta(seconds=self._rules.backoff.pause_s(n_failures, self._chance()))

    def held(self, connection: Connection, claim: Claim) -> Job:
        """The claimed job, if the claim still holds: the fence in front of every worker's write.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
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

    def expire(self, connection: Connection, which: ColumnElement[bool], reason: str) -> list[str]:
        """Take jobs back from their workers: to the queue, or to an end after too many crashes."""
        outcome = "expired" if reason == LEASE_EXPIRED else "crashed"
        held = select(jobs).where(jobs.c.lease_expires_at.is_not(None), which)  # there is an index on leases
        taken = []
        for row in connection.execute(held.order_by(jobs.c.number)).mappings().all():
            job, crashes = job_from_row(row), row["crashes"] + 1
            claim = Claim(job, row["worker_id"])
            values: dict[str, object] = {"crashes": crashes}
            data: dict[str, object] = {"reason": reason, "attempt": job.attempt}
            if job.status is JobStatus.CANCELLING:
                after = JobStatus.CANCELLED
            elif crashes >= self._rules.max_attempts:
                after = JobStatus.FAILED
                values["error"] = data["error"] = _crashed(job.id, crashes)
            else:
                after = JobStatus.QUEUED
                if crashes > 1:  # one crash may be anybody's fault, so the job goes on at once
                    values["not_before_at"] = again_at = self.pause(crashes - 1)
                    data["not_before_at"] = iso(again_at)
            self.end(connection, job, claim, after, values=values, data=data, outcome=outcome)
            taken.append(job.id)
        return taken

    def wake(self, connection: Connection, which: ColumnElement[bool], actor: str) -> None:
        """Put jobs that wait for a provider back into the queue, so that a worker asks for their results."""
        for row in connection.execute(select(jobs).where(which)).mappings().all():
            data = {"reason": "time to ask the provider"}
            self._move(
                connection, job_from_row(row), JobStatus.QUEUED, actor=actor, values={"not_before_at": None}, data=data
            )

    def end(
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
        return self.change(connection, job, after, actor=claim.worker_id, values=free, data=data)

    def change(
        self,
        connection: Connection,
        job: Job,
        after: JobStatus,
        *,
        actor: str,
        values: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
    ) -> Job:
        """Change a status, and settle what waits for the job if that ends it."""
        changed = self._move(connection, job, after, actor=actor, values=values, data=data)
        if after in FINAL:
            self._settle(connection, changed, actor)
            self._wake_parent(connection, changed, actor)
        if after in _ENDING_CHILDREN:
            self._stop_children(connection, changed, actor)
        return changed

    def _wake_parent(self, connection: Connection, job: Job, actor: str) -> None:
        """Let the job that began an ended one go on."""
        if job.parent_id is None:
            return
        parent = self.get(connection, job.parent_id)
        if parent.status is JobStatus.WAITING:
            data = {"reason": f"job {job.id} has ended"}
            self._move(connection, parent, JobStatus.QUEUED, actor=actor, values=None, data=data)

    def _stop_children(self, connection: Connection, job: Job, actor: str) -> None:
        """Cancel what an ended or cancelled job began."""
        left = select(jobs).where(jobs.c.parent_id == job.id, jobs.c.status.not_in([*map(str, FINAL)]))
        for row in connection.execute(left).mappings().all():
            child = job_from_row(row)
            if child.status is not JobStatus.CANCELLING:
                after = JobStatus.CANCELLING if child.status is JobStatus.RUNNING else JobStatus.CANCELLED
                self.change(connection, child, after, actor=actor)

    def _settle(self, connection: Connection, job: Job, actor: str) -> None:
        """Let the jobs that wait for an ended one go on, or fail with all that wait for them in turn."""
        ended = [job]
        while ended:
            last = ended.pop()
            if last.status is not JobStatus.SUCCEEDED:
                cause = dependencies.without_dependency(last.id, last.status)
                error = {"code": cause.code, "message": cause.message}
                for waiting_id in dependencies.dependants(connection, last.id):
                    waiting = self.get(connection, waiting_id)
                    if waiting.status not in FINAL:  # it may have failed through another one already
                        values = {"error": error}
                        ended.append(
                            self._move(connection, waiting, JobStatus.FAILED, actor=actor, values=values, data=error)
                        )
            dependencies.close(connection, last.id)

    def _move(
        self,
        connection: Connection,
        job: Job,
        after: JobStatus,
        *,
        actor: str,
        values: Mapping[str, object] | None,
        data: Mapping[str, object] | None,
    ) -> Job:
        """The only place where a status changes: table, row, event."""
        check_transition(job.id, job.status, after)
        finished = {"finished_at": self._clock(), "not_before_at": None} if after in FINAL else {}
        row = {**(values or {}), **finished, "status": str(after)}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**row))
        changed = self.get(connection, job.id)
        self.record(connection, changed, str(after), actor, {"attempt": changed.attempt, **(data or {})})
        self.tell(connection, changed)
        if finished and self._charge is not None:
            self._charge(connection, changed)
        return changed

    def tell(self, connection: Connection, job: Job) -> None:
        """Leave word of a job's status for the webhooks of its project."""
        post_change(connection, job, at=self._clock(), due_at=self._steady())

    def record(self, connection: Connection, job: Job, kind: str, actor: str, data: Mapping[str, object]) -> None:
        """Add an event to a job's history."""
        append_event(
            connection, subject=job.id, project=job.project, at=self._clock(), kind=kind, actor=actor, data=data
        )


def due_at_providers(now: datetime) -> ColumnElement[bool]:
    """Whether a row of ``jobs`` waits for a provider that is to be asked by now; what waits for jobs has no time."""
    return (jobs.c.status == str(JobStatus.WAITING)) & (jobs.c.not_before_at <= now)


_MADE = frozenset({"kind", "status", "after", "held", "remarks"})


def job_from_row(row: RowMapping) -> Job:
    """The noun of a row of ``jobs``."""
    same = {name: row[name] for name in Job.__dataclass_fields__ if name not in _MADE}
    remarks = tuple(row["remarks"] or ())
    after = tuple(row["after"])
    return Job(**same, kind=JobKind(row["kind"]), status=JobStatus(row["status"]), after=after, remarks=remarks)


def _crashed(job_id: str, crashes: int) -> dict[str, object]:
    """The error of a job whose attempts keep dying."""
    error = JobCrashedError(
        f"Job {job_id} was given up: {crashes} attempts ended without a word from their worker (killed, out of memory, "
        "or silent past the lease). Look into the worker's log, then submit it again, smaller if memory is short.",
    )
    return {"code": error.code, "message": error.message}
