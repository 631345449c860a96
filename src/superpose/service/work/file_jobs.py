"""File jobs as users see them: jobs whose result is a file, listed, looked at, fetched, deleted.

A kind of file job is a `FileKind` and a subclass of `FileJobs` with its own ways to submit; what its run does is a row
of ``runs.RUNS`` that ends with ``Outcome.output``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Connection, RowMapping, insert, select, update

from superpose.errors import ConflictError, NotFoundError
from superpose.service.nouns import Clock, Job, JobKind, Page, Principal, Role, iso
from superpose.service.people.quotas import Quotas
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts, Staged, StoredFile
from superpose.service.store.claims import NewJob
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.job_lives import job_from_row
from superpose.service.store.job_store import JobStore
from superpose.service.store.pages import Part, read_page
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import file_jobs, jobs

__all__ = ["FileJob", "FileJobs", "FileKind", "JobFiles"]


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """A kind of job whose result is a file.

    Attributes:
        kind: its jobs.
        title: what people call one, as "batch prediction".
        noun: what errors call one, as "prediction".
        path: its routes, as "/v1/predictions".
        about: what its document says beside what those of all file jobs do.
        form: suffix and media type of a job's file.
        unlisted: members of its result that lists leave out.
    """

    kind: JobKind
    title: str
    noun: str
    path: str
    about: Callable[[Job], Mapping[str, object]]
    form: Callable[[Job], tuple[str, str]]
    unlisted: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileJob:
    """A job whose result is a file: what sort it is, whether there is the file, and whether it was deleted."""

    sort: FileKind
    job: Job
    has_file: bool
    deleted: bool

    @property
    def filename(self) -> str:
        """What the file is called where it is saved."""
        return f"{self.job.id}.{self.sort.form(self.job)[0]}"

    @property
    def media_type(self) -> str:
        """What the file is, in HTTP's words."""
        return self.sort.form(self.job)[1]

    def to_json(self) -> dict[str, object]:
        """The job as the API sends it."""
        job = self.job
        return {
            "id": job.id,
            "status": str(job.status),
            **self.sort.about(job),
            "created_at": iso(job.created_at),
            "finished_at": iso(job.finished_at),
            "progress": dict(job.progress),
            "error": None if job.error is None else dict(job.error),
            "result": None if job.result is None else dict(job.result),
            "file": f"{self.sort.path}/{job.id}/file" if self.has_file else None,
            "deleted": self.deleted,
        }

    def summary(self) -> dict[str, object]:
        """The job without what grows with its input, as lists show it."""
        full = self.to_json()
        if self.job.result is not None:
            full["result"] = {name: value for name, value in self.job.result.items() if name not in self.sort.unlisted}
        return full


@dataclass(frozen=True)
class JobFiles:
    """Where file jobs and their files are kept: rows, queue, files, quotas, and what tells the time."""

    database: Database
    store: JobStore
    artifacts: Artifacts
    quotas: Quotas
    clock: Clock


class FileJobs:
    """The jobs of one kind whose result is a file.

    Args:
        files: where they are kept.
    """

    sort: ClassVar[FileKind]

    def __init__(self, files: JobFiles) -> None:
        self._database = files.database
        self._store = files.store
        self._artifacts = files.artifacts
        self._quotas = files.quotas
        self._clock = files.clock

    def list(self, principal: Principal, part: Part = Part()) -> Page[FileJob]:  # noqa: B008  # frozen
        """Those of the caller's project, newest first."""
        principal.require(Role.VIEWER)
        query = self._query(principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, jobs.c.number, part, self._of_row, newest_first=True)

    def get(self, principal: Principal, job_id: str) -> FileJob:
        """One as it stands.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return self._of_row(self._find(connection, principal.project, job_id))

    def file(self, principal: Principal, job_id: str) -> tuple[FileJob, StoredFile]:
        """The result's file, verified, to be read in ranges.

        Raises:
            NotFoundError: there is no such job, or its file was deleted.
            ConflictError: it has not succeeded, so there is no file.
            ArtifactError: the file is gone or has changed.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            row = self._find(connection, principal.project, job_id)
        found = self._of_row(row)
        if found.deleted:
            raise NotFoundError(f"The files of {job_id} were deleted.", kind=self.sort.noun, id=job_id)
        if row["output_artifact"] is None:
            raise ConflictError(
                f"{self.sort.title.capitalize()} {job_id} is {found.job.status}; it has a file once it has succeeded.",
                status=str(found.job.status),
            )
        return found, self._artifacts.stored(row["output_artifact"])

    def delete(self, principal: Principal, job_id: str) -> None:
        """Delete both files of one that has ended; the job and its counts stay.

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: it has not ended.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            row = self._find(connection, principal.project, job_id)
            if self._of_row(row).job.status not in FINAL:
                raise ConflictError(f"{self.sort.title.capitalize()} {job_id} is {row['status']}. Cancel it first.")
            connection.execute(
                update(file_jobs)
                .where(file_jobs.c.job_id == job_id)
                .values(input_artifact=None, output_artifact=None, deleted_at=self._clock())
            )
            append_event(
                connection,
                subject=job_id,
                project=principal.project,
                at=self._clock(),
                kind="files_removed",
                actor=principal.key_id,
                data={"input": row["input_artifact"], "output": row["output_artifact"]},
            )
        with self._database.write() as connection:  # only after the row's end is certain
            for artifact in {row["input_artifact"], row["output_artifact"]} - {None}:
                if not is_referred(connection, artifact):
                    self._artifacts.remove(artifact)

    def _submit(
        self,
        principal: Principal,
        new: NewJob,
        staged: Staged | None,
        *,
        result_bytes: int = 0,
        check: Callable[[Connection], None] = lambda _: None,
    ) -> FileJob:
        """Put a job into the queue, together with the file that it works on, if it brings one."""

        def checked(connection: Connection) -> None:
            check(connection)
            if staged is not None:
                self._quotas.admit_bytes(connection, principal.project, staged.n_bytes + result_bytes)

        def register(connection: Connection, job: Job) -> None:
            artifact = None if staged is None else staged.digest
            connection.execute(insert(file_jobs).values(job_id=job.id, project=job.project, input_artifact=artifact))
            if staged is not None:
                self._artifacts.publish(staged)

        try:
            job = self._store.submit(new, check=checked, also=register)
        finally:
            if staged is not None:
                self._artifacts.discard(staged)
        return self.get(principal, job.id)

    def _query(self, project: str) -> Any:
        files = [file_jobs.c[name] for name in ("input_artifact", "output_artifact", "deleted_at")]
        query = select(jobs, *files).join(file_jobs, file_jobs.c.job_id == jobs.c.id)
        return query.where(file_jobs.c.project == project, jobs.c.kind == str(self.sort.kind))

    def _find(self, connection: Connection, project: str, job_id: str) -> RowMapping:
        query = self._query(project).where(file_jobs.c.job_id == job_id)
        row: RowMapping | None = connection.execute(query).mappings().first()
        if row is None:
            raise NotFoundError(
                f"There is no {self.sort.title} {job_id!r} in this project.", kind=self.sort.noun, id=job_id
            )
        return row

    def _of_row(self, row: RowMapping) -> FileJob:
        job, deleted = job_from_row(row), row["deleted_at"] is not None
        return FileJob(self.sort, job, has_file=row["output_artifact"] is not None, deleted=deleted)
