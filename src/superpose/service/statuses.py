"""The statuses of a job and the one table of changes between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from superpose.errors import TransitionError

__all__ = ["FINAL", "HELD", "TRANSITIONS", "JobStatus", "check_transition"]


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: status -> {next status: what causes the change}. What is not listed does not happen.
TRANSITIONS: Mapping[JobStatus, Mapping[JobStatus, str]] = MappingProxyType(
    {
        JobStatus.QUEUED: {
            JobStatus.RUNNING: "a worker claims the job",
            JobStatus.CANCELLED: "the user cancels it before any worker took it",
            JobStatus.FAILED: "a job that it comes after has failed or was cancelled",
        },
        JobStatus.RUNNING: {
            JobStatus.QUEUED: "the lease expires, the worker dies or gives the job back, or meets an error that passes",
            JobStatus.WAITING: "the worker is released while a QPU queues or child jobs run",
            JobStatus.CANCELLING: "the user cancels it",
            JobStatus.SUCCEEDED: "the worker finishes",
            JobStatus.FAILED: "the worker reports an error, or too many attempts crashed",
        },
        JobStatus.WAITING: {
            JobStatus.QUEUED: "the provider has answered or a child job has ended; a worker may go on",
            JobStatus.CANCELLED: "the user cancels it",
            JobStatus.FAILED: "the provider reports an error",
        },
        JobStatus.CANCELLING: {
            JobStatus.CANCELLED: "the worker has stopped, finished, failed or died",
        },
        JobStatus.SUCCEEDED: {},
        JobStatus.FAILED: {},
        JobStatus.CANCELLED: {},
    }
)

#: Statuses that a job never leaves.
FINAL = frozenset(status for status, following in TRANSITIONS.items() if not following)

#: Statuses in which a worker holds the job under a lease.
HELD = frozenset({JobStatus.RUNNING, JobStatus.CANCELLING})


def check_transition(job_id: str, before: JobStatus, after: JobStatus) -> None:
    """Refuse a change that the table does not list.

    Raises:
        TransitionError: ``after`` does not follow ``before``.
    """
    if after not in TRANSITIONS[before]:
        allowed = sorted(map(str, TRANSITIONS[before]))
        raise TransitionError(
            f"Job {job_id} is {before}; it cannot become {after}. "
            f"Allowed: {', '.join(allowed) or 'nothing, the status is final'}.",
            job_id=job_id,
            status=str(before),
            wanted=str(after),
            allowed=allowed,
        )
