"""Metrics and files of jobs: written by the worker that holds the job, read by whoever may see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select, update
from sqlalchemy.dialects.sqlite import insert

from superpose.errors import ConflictError, NotFoundError
from superpose.service.nouns import Clock, Job, Page, Principal, Role, iso
from superpose.service.people.quotas import Quotas
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts, StoredFile
from superpose.service.store.claims import Claim
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.job_store import JobStore
from superpose.service.store.pages import Part, read_page
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import job_artifacts, job_metrics

__all__ = ["CHECKPOINT", "OUTPUT", "JobArtifact", "JobOutputs", "Ledger", "MetricPoint", "checkpoint_files"]

OUTPUT, CHECKPOINT = "output", "checkpoint"
"""Roles of files: what a job gave, and what its checkpoint directory held in the end."""


@dataclass(frozen=True)
class MetricPoint:
    """One number that a job logged."""

    name: str
    step: int
    value: float
    attempt: int
    at: datetime

    def to_json(self) -> dict[str, object]:
        """The point as the API sends it."""
        return {"name": self.name, "step": self.step, "value": self.value, "attempt": self.attempt, "at": iso(self.at)}


@dataclass(frozen=True)
class JobArtifact:
    """A file that a job left; ``role`` is ``output`` or ``checkpoint``, ``artifact`` its SHA-256."""

    name: str
    role: str
    artifact: str = field(repr=False)
    n_bytes: int
    attempt: int
    created_at: datetime

    def to_json(self) -> dict[str, object]:
        """The file as the API sends it."""
        return {
            "name": self.name,
            "role": self.role,
            "digest": self.artifact,
            "n_bytes": self.n_bytes,
            "attempt": self.attempt,
            "created_at": iso(self.created_at),
        }


class Ledger:
    """Writes of one attempt, each refused once the job has gone on without it.

    Args:
        store: the queue, for the fence.
        artifacts: where files go.
        claim: the attempt.
        quotas: what the project may store.
        clock: what tells the time.
    """

    def __init__(self, store: JobStore, artifacts: Artifacts, claim: Claim, quotas: Quotas, clock: Clock) -> None:
        self._store, self._artifacts, self._claim = store, artifacts, claim
        self._quotas, self._clock = quotas, clock

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Store numbers of a step; a number that is there already, of an attempt before, is replaced.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self._store.database.write() as connection:
            job, now = self._store.held(connection, self._claim), self._clock()
            for name, value in values.items():
                row = {"value": value, "attempt": self._claim.attempt, "at": now}
                connection.execute(
                    insert(job_metrics)
                    .values(job_id=job.id, name=name, step=step, **row)
                    .on_conflict_do_update(index_elements=["job_id", "name", "step"], set_=row)
                )

    def file(self, path: Path, name: str, role: str = OUTPUT) -> str:
        """Store a file, and return its SHA-256; one of the same name is replaced.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
            ByteQuotaError: the project may not store so many bytes.
            OSError: the file cannot be read.
        """
        staged = self._artifacts.stage_file(path)
        try:
            with self._store.database.write() as connection:
                job, before = self._store.held(connection, self._claim), None
                before = connection.execute(
                    select(job_artifacts.c.artifact).where(_named(job.id, role, name))
                ).scalar_one_or_none()
                if before != staged.digest:
                    self._quotas.admit_bytes(connection, job.project, staged.n_bytes)
                row = {
                    "artifact": staged.digest,
                    "n_bytes": staged.n_bytes,
                    "attempt": self._claim.attempt,
                    "created_at": self._clock(),
                    "deleted_at": None,
                }
                connection.execute(
                    insert(job_artifacts)
                    .values(job_id=job.id, project=job.project, role=role, name=name, **row)
                    .on_conflict_do_update(index_elements=["job_id", "role", "name"], set_=row)
                )
                self._artifacts.publish(staged)
            if before is not None and before != staged.digest:
                _forget(self._store.database, self._artifacts, [before])
        finally:
            self._artifacts.discard(staged)
        return staged.digest


class JobOutputs:
    """What jobs have left, for those who may see it.

    Args:
        database: where it is written down.
        artifacts: where the files lie.
        find: a job of the caller's project, by its id.
        clock: what tells the time.
    """

    def __init__(
        self, database: Database, artifacts: Artifacts, find: Callable[[Principal, str], Job], clock: Clock
    ) -> None:
        self._database, self._artifacts, self._find, self._clock = database, artifacts, find, clock

    def metrics(
        self,
        principal: Principal,
        job_id: str,
        part: Part = Part(),  # noqa: B008  # frozen
        *,
        name: str | None = None,
    ) -> Page[MetricPoint]:
        """Numbers that a job logged, in the order in which their steps were first logged.

        Raises:
            NotFoundError: there is no such job in the caller's project.
        """
        job = self._find(principal, job_id)
        query = select(job_metrics).where(job_metrics.c.job_id == job.id)
        if name is not None:
            query = query.where(job_metrics.c.name == name)
        with self._database.read() as connection:
            return read_page(connection, query, job_metrics.c.number, part, _point)

    def files(self, principal: Principal, job_id: str, part: Part = Part()) -> Page[JobArtifact]:  # noqa: B008  # frozen
        """Files that a job left.

        Raises:
            NotFoundError: there is no such job in the caller's project.
        """
        job = self._find(principal, job_id)
        query = select(job_artifacts).where(job_artifacts.c.job_id == job.id, job_artifacts.c.deleted_at.is_(None))
        with self._database.read() as connection:
            return read_page(connection, query, job_artifacts.c.number, part, _file)

    def file(self, principal: Principal, job_id: str, name: str, role: str = OUTPUT) -> StoredFile:
        """A file that a job left, verified, to be read in pieces.

        Raises:
            NotFoundError: there is no such job in the caller's project, or it left no such file.
            ArtifactError: the file is gone or has changed.
        """
        job = self._find(principal, job_id)
        query = select(job_artifacts.c.artifact).where(_named(job.id, role, name), job_artifacts.c.deleted_at.is_(None))
        with self._database.read() as connection:
            digest = connection.execute(query).scalar_one_or_none()
        if digest is None:
            raise NotFoundError(f"Job {job_id} left no file {name!r} with the role {role}.", kind="artifact", id=name)
        return self._artifacts.stored(digest)

    def remove(self, principal: Principal, job_id: str) -> None:
        """Remove all files that a job left, checkpoints too; its metrics stay.

        Raises:
            NotFoundError: there is no such job in the caller's project.
            ConflictError: the job has not ended.
        """
        principal.require(Role.EDITOR)
        job = self._find(principal, job_id)
        if job.status not in FINAL:
            raise ConflictError(f"Job {job_id} is {job.status}; its files can be removed once it has ended.", id=job_id)
        mine = and_(job_artifacts.c.job_id == job.id, job_artifacts.c.deleted_at.is_(None))
        with self._database.write() as connection:
            digests = list(connection.execute(select(job_artifacts.c.artifact).where(mine)).scalars())
            connection.execute(update(job_artifacts).where(mine).values(deleted_at=self._clock()))
            append_event(
                connection,
                subject=job.id,
                project=job.project,
                at=self._clock(),
                kind="files_removed",
                actor=principal.key_id,
                data={"n_files": len(digests)},
            )
        _forget(self._database, self._artifacts, digests)


def checkpoint_files(connection: Connection, job_id: str) -> list[tuple[str, str]]:
    """Names and artifacts of what a job's checkpoint directory held in the end."""
    query = select(job_artifacts.c.name, job_artifacts.c.artifact).where(
        job_artifacts.c.job_id == job_id, job_artifacts.c.role == CHECKPOINT, job_artifacts.c.deleted_at.is_(None)
    )
    return [(str(row.name), str(row.artifact)) for row in connection.execute(query.order_by(job_artifacts.c.name))]


def _named(job_id: str, role: str, name: str) -> ColumnElement[bool]:
    return and_(job_artifacts.c.job_id == job_id, job_artifacts.c.role == role, job_artifacts.c.name == name)


def _forget(database: Database, artifacts: Artifacts, digests: list[str]) -> None:
    """Remove artifacts that no row refers to any more; only after the rows' end is certain."""
    with database.write() as connection:
        for digest in set(digests):
            if not is_referred(connection, digest):
                artifacts.remove(digest)


def _point(row: RowMapping) -> MetricPoint:
    return MetricPoint(**{name: row[name] for name in MetricPoint.__dataclass_fields__})


def _file(row: RowMapping) -> JobArtifact:
    return JobArtifact(**{name: row[name] for name in JobArtifact.__dataclass_fields__})
