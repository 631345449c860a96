"""What the service and its workers need of a job store: the port that ``superpose.testing.check_store`` checks.

``superpose.service.store.job_store.JobStore`` is it on SQLite, in a file or in memory. One on another database may
take its place once it passes the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from sqlalchemy import Connection

from superpose.service.nouns import Event, Job
from superpose.service.statuses import JobStatus
from superpose.service.store.claims import Claim, NewJob, Publish

__all__ = ["JobStorePort"]


class JobStorePort(Protocol):
    """A durable queue: nothing accepted is lost, no job is given to two workers, no stale worker writes.

    Every method is one transaction and may be called from any thread and process. All that take a ``Claim`` raise
    ``LeaseLostError`` once the attempt is no longer the job's current one, and change nothing then; all may raise
    ``StoreError``. Callbacks get the transaction's connection, so that what belongs together is written together.
    """

    def submit(
        self,
        new: NewJob,
        *,
        check: Callable[[Connection], None] | None = None,
        also: Callable[[Connection, Job], None] | None = None,
    ) -> Job:
        """Put a job into the queue, behind those in ``new.after``; under a known idempotency key, find it there."""

    def get(self, job_id: str, *, project: str | None = None) -> Job:
        """A job; with ``project``, only if it belongs to it, else ``NotFoundError``."""

    def cancel(self, job_id: str, *, actor: str, project: str | None = None) -> Job:
        """Cancel a job: at once if no worker holds it, else through its worker."""

    def events(self, job_id: str, *, after: int = 0, limit: int = 1_000, project: str | None = None) -> Sequence[Event]:
        """Events of a job with ``seq > after``, oldest first."""

    def has_work(self) -> bool:
        """Whether a claim could find something; does not wait for writers."""

    def claim(self, worker_id: str) -> Claim | None:
        """Take back expired leases, then take the job that the scheduling policy puts first; None if none is ready."""

    def heartbeat(self, claim: Claim) -> JobStatus:
        """Extend the lease; tells whether the job is ``running`` or ``cancelling``."""

    def status(self, claim: Claim) -> JobStatus:
        """Whether the claimed job is ``running`` or ``cancelling``, without extending the lease."""

    def append(self, claim: Claim, kind: str, data: Mapping[str, object]) -> JobStatus:
        """Record an event of the attempt; one of kind ``progress`` also becomes the job's progress."""

    def succeed(self, claim: Claim, result: Mapping[str, object], *, publish: Publish | None = None) -> Job:
        """Finish a job; ``publish`` runs in the same transaction and returns further values for the job."""

    def retry(self, claim: Claim, code: str, message: str) -> Job:
        """End an attempt with an error that may pass: tried again after a pause, a bounded number of times."""

    def fail(self, claim: Claim, code: str, message: str) -> Job:
        """Finish a job with an error."""

    def await_children(self, claim: Claim, children: Sequence[NewJob], seen: Collection[str]) -> Job:
        """Begin child jobs and wait, without a worker, until one ends that is not among those ``seen`` to be over."""

    def give_back(self, claim: Claim) -> Job:
        """Return a job to the queue unharmed."""

    def expire_leases(self) -> Sequence[str]:
        """Take back the jobs whose leases have expired; returns their ids."""

    def release_worker(self, worker_id: str) -> Sequence[str]:
        """Take back at once the jobs of a worker known to be dead; returns their ids."""
