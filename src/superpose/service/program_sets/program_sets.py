"""Program sets as users see them: submitted, looked at, their results fetched, deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from superpose.errors import ConflictError, NotFoundError, PayloadTooLargeError
from superpose.service.budgets.quoting import price_of_set
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Clock, Job, JobKind, Page, Principal, Role, iso
from superpose.service.people.quotas import Quotas
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts, StoredFile
from superpose.service.store.claims import NewJob
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.job_lives import job_from_row
from superpose.service.store.job_store import JobStore
from superpose.service.store.pages import Part, read_page
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import jobs, program_sets
from superpose.service.work.admission import check_idempotency_key, check_priority

if TYPE_CHECKING:
    from superpose.circuits import ProgramSet

__all__ = ["AskedSet", "ProgramSets", "StoredSet"]

_LISTED = ("index", "grids", "failures")


@dataclass(frozen=True, kw_only=True)
class AskedSet:
    """How a program set is to run.

    Attributes:
        backend: name of the backend.
        priority: -10 to 10; higher goes first.
        after: ids of jobs that must have succeeded before.
        idempotency_key: under one key, equal submissions give one job.
    """

    backend: str = "local"
    priority: int = 0
    after: tuple[str, ...] = ()
    idempotency_key: str | None = None


@dataclass(frozen=True)
class StoredSet:
    """A program set and the job behind it."""

    job: Job
    has_file: bool
    deleted: bool

    def to_json(self) -> dict[str, object]:
        """The program set as the API sends it."""
        payload: Mapping[str, Any] = self.job.payload
        return {
            "id": self.job.id,
            "status": str(self.job.status),
            **{name: payload[name] for name in ("backend", "seed", "n_grids", "n_bindings", "n_pieces")},
            "created_at": iso(self.job.created_at),
            "finished_at": iso(self.job.finished_at),
            "progress": dict(self.job.progress),
            "error": None if self.job.error is None else dict(self.job.error),
            "result": None if self.job.result is None else dict(self.job.result),
            "file": f"/v1/program-sets/{self.job.id}/file" if self.has_file else None,
            "deleted": self.deleted,
        }

    def summary(self) -> dict[str, object]:
        """The program set without what grows with its grids, as lists show it."""
        full = self.to_json()
        if self.job.result is not None:
            full["result"] = {name: value for name, value in self.job.result.items() if name not in _LISTED}
        return full


class ProgramSets:
    """The program sets of a service.

    Args:
        database: where they are kept.
        store: the queue.
        artifacts: where files lie.
        quotas: how much a project may keep.
        config: limits.
        clock: what tells the time.
    """

    def __init__(
        self,
        database: Database,
        store: JobStore,
        artifacts: Artifacts,
        quotas: Quotas,
        config: ServiceConfig,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._artifacts = artifacts
        self._quotas = quotas
        self._config = config
        self._clock = clock

    def submit(self, principal: Principal, content: bytes | Mapping[str, Any], asked: AskedSet) -> StoredSet:
        """Check a program set and put it into the queue.

        Args:
            principal: the caller; an editor.
            content: the set's document in JSON values, or its NPZ form.
            asked: where and when it runs.

        Raises:
            ForbiddenError: the caller's role is too small.
            CircuitError: the document is none, or the set cannot be.
            BackendUnknownError: no backend of this name.
            StateTooLargeError, UnsupportedProgramError: the backend cannot run a grid.
            PayloadTooLargeError: its results would take more than ``max_dataset_bytes``.
            QuotaError: the project has no room for it and its results, or for a job.
            ConflictError: the idempotency key was used for a different submission.
        """
        from superpose.circuits import program_set_from_json, program_set_from_npz, program_set_to_npz
        from superpose.facade import resolve_backend

        principal.require(Role.EDITOR)
        check_priority(asked.priority)
        check_idempotency_key(asked.idempotency_key)
        read: Callable[..., ProgramSet] = program_set_from_npz if isinstance(content, bytes) else program_set_from_json
        given = read(content, max_instructions=self._config.max_instructions)
        whole, plan = self._admitted(given, asked.backend)
        price = price_of_set(whole, resolve_backend(asked.backend))
        staged = self._artifacts.stage(program_set_to_npz(whole))
        payload = {"artifact": staged.digest, "backend": asked.backend, "seed": whole.seed, **plan}
        new = NewJob(
            project=principal.project,
            kind=JobKind.PROGRAM_SET,
            payload=payload,
            created_by=principal.key_id,
            model=None,
            priority=asked.priority,
            idempotency_key=asked.idempotency_key,
            after=asked.after,
            request={"program_set": given.digest, "backend": asked.backend},
            price=price,
        )

        def check(connection: Connection) -> None:
            self._quotas.admit_bytes(connection, principal.project, staged.n_bytes + plan["result_bytes"])

        def register(connection: Connection, job: Job) -> None:
            connection.execute(
                insert(program_sets).values(
                    job_id=job.id, project=job.project, input_artifact=staged.digest, created_at=job.created_at
                )
            )
            self._artifacts.publish(staged)

        try:
            job = self._store.submit(new, check=check, also=register)
        finally:
            self._artifacts.discard(staged)
        return self.get(principal, job.id)

    def list(self, principal: Principal, part: Part = Part()) -> Page[StoredSet]:  # noqa: B008  # frozen
        """Program sets of the caller's project, newest first."""
        principal.require(Role.VIEWER)
        query = _joined().where(program_sets.c.project == principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, jobs.c.number, part, _stored, newest_first=True)

    def get(self, principal: Principal, set_id: str) -> StoredSet:
        """A program set by the id of its job.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return _stored(_find(connection, principal.project, set_id))

    def file(self, principal: Principal, set_id: str) -> tuple[StoredSet, StoredFile]:
        """The file with the results, verified, to be read in ranges.

        Raises:
            NotFoundError: there is no such program set, or its file was deleted.
            ConflictError: it has not succeeded, so there is no file.
            ArtifactError: the file is gone or has changed.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            row = _find(connection, principal.project, set_id)
        found = _stored(row)
        if found.deleted:
            raise NotFoundError(f"The results of {set_id} were deleted.", kind="program_set", id=set_id)
        if row["output_artifact"] is None:
            raise ConflictError(
                f"Program set {set_id} is {found.job.status}; it has results once it has succeeded.",
                status=str(found.job.status),
            )
        return found, self._artifacts.stored(row["output_artifact"])

    def delete(self, principal: Principal, set_id: str) -> None:
        """Delete the files of a program set that has ended; the job and its counts stay.

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: it has not ended.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            row = _find(connection, principal.project, set_id)
            if _stored(row).job.status not in FINAL:
                raise ConflictError(f"Program set {set_id} is {row['status']}. Cancel it first.")
            connection.execute(
                update(program_sets)
                .where(program_sets.c.job_id == set_id)
                .values(input_artifact=None, output_artifact=None, deleted_at=self._clock())
            )
            append_event(
                connection,
                subject=set_id,
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

    def _admitted(self, given: ProgramSet, backend: str) -> tuple[ProgramSet, dict[str, Any]]:
        """The set with a seed, and how it is cut; nothing is computed for one that cannot run."""
        from superpose.backends.pieces import piece_bytes, piece_limits
        from superpose.backends.program_sets import seeded
        from superpose.circuits.sets.program_set import split
        from superpose.facade import resolve_backend

        whole = seeded(given)
        limits = piece_limits(whole, resolve_backend(backend))
        n_bytes = sum(piece_bytes(grid, grid.n_bindings) for grid in whole.grids)
        allowed = self._config.max_dataset_bytes
        if n_bytes > allowed:
            raise PayloadTooLargeError(
                f"The results would have up to {n_bytes:,} bytes; at most {allowed:,} are kept. Ask for expectations "
                "instead of counts or state vectors, or submit several sets.",
                n_bytes=n_bytes,
                max_bytes=allowed,
            )
        plan: dict[str, Any] = {
            "limits": list(limits),
            "n_grids": len(whole.grids),
            "n_bindings": whole.n_bindings,
            "n_pieces": len(split(whole, limits)),
            "result_bytes": n_bytes,
        }
        return whole, plan


def _joined() -> Any:
    extra = [program_sets.c[name] for name in ("input_artifact", "output_artifact", "deleted_at")]
    return select(jobs, *extra).join(program_sets, program_sets.c.job_id == jobs.c.id)


def _find(connection: Connection, project: str, set_id: str) -> RowMapping:
    query = _joined().where(program_sets.c.project == project, program_sets.c.job_id == set_id)
    row: RowMapping | None = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no program set {set_id!r} in this project.", kind="program_set", id=set_id)
    return row


def _stored(row: RowMapping) -> StoredSet:
    return StoredSet(
        job=job_from_row(row), has_file=row["output_artifact"] is not None, deleted=row["deleted_at"] is not None
    )
