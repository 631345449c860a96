"""Which jobs wait for which, inside the caller's transaction: only what is still open has a row."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select

from superpose.errors import JobDependencyError, NotFoundError, RequestError
from superpose.service.statuses import FINAL, JobStatus
from superpose.service.store.claims import MAX_AFTER
from superpose.service.store.tables import jobs, open_dependencies

__all__ = ["add", "close", "dependants", "has_none_open", "open_those", "without_dependency"]


def without_dependency(after_id: str, status: JobStatus) -> JobDependencyError:
    """The error of a job that comes after one that did not succeed."""
    return JobDependencyError(
        f"This job comes after job {after_id}, which is {status}, so it cannot begin. Submit that one again, and then "
        "this one after it.",
        after=after_id,
        status=str(status),
    )


def open_those(connection: Connection, project: str, after: Sequence[str]) -> list[str]:
    """The jobs in ``after`` that have not ended yet, each once.

    Raises:
        RequestError: more than ``MAX_AFTER``.
        NotFoundError: one of them is not in this project.
        JobDependencyError: one of them has failed or was cancelled.
    """
    wanted = list(dict.fromkeys(after))
    if len(wanted) > MAX_AFTER:
        raise RequestError(f"A job may come after at most {MAX_AFTER} jobs, got {len(wanted)}.", field="after")
    found = {
        row.id: JobStatus(row.status)
        for row in connection.execute(
            select(jobs.c.id, jobs.c.status).where(jobs.c.id.in_(wanted), jobs.c.project == project)
        )
    }
    for job_id in wanted:
        if job_id not in found:
            raise NotFoundError(f"There is no job {job_id!r} in this project to come after.", kind="job", id=job_id)
        if found[job_id] in FINAL and found[job_id] is not JobStatus.SUCCEEDED:
            raise without_dependency(job_id, found[job_id])
    return [job_id for job_id in wanted if found[job_id] is not JobStatus.SUCCEEDED]


def has_none_open() -> ColumnElement[bool]:
    """Whether a row of ``jobs`` waits for no other job."""
    return ~exists().where(open_dependencies.c.job_id == jobs.c.id)


def add(connection: Connection, job_id: str, after: Sequence[str]) -> None:
    """Let a job wait for others."""
    if after:
        connection.execute(insert(open_dependencies), [{"job_id": job_id, "after_id": other} for other in after])


def dependants(connection: Connection, job_id: str) -> list[str]:
    """The jobs that wait for this one, oldest first."""
    waiting = select(open_dependencies.c.job_id).where(open_dependencies.c.after_id == job_id)
    return list(connection.execute(select(jobs.c.id).where(jobs.c.id.in_(waiting)).order_by(jobs.c.number)).scalars())


def close(connection: Connection, job_id: str) -> None:
    """Nobody waits for a job that has ended, and it waits for nobody."""
    ended = (open_dependencies.c.after_id == job_id) | (open_dependencies.c.job_id == job_id)
    connection.execute(delete(open_dependencies).where(ended))
