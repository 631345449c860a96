"""Program sets as users see them: file jobs, checked and cut into pieces when they are submitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.errors import PayloadTooLargeError
from superpose.service.budgets.quoting import price_of_set
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Job, JobKind, Principal, Role
from superpose.service.people.residency import Residencies
from superpose.service.store.claims import NewJob
from superpose.service.work.admission import check_idempotency_key, check_priority
from superpose.service.work.file_jobs import FileJob, FileJobs, FileKind, JobFiles

if TYPE_CHECKING:
    from superpose.circuits import Backend, ProgramSet

__all__ = ["AskedSet", "ProgramSets"]


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


def _about(job: Job) -> dict[str, object]:
    return {name: job.payload[name] for name in ("backend", "seed", "n_grids", "n_bindings", "n_pieces")}


class ProgramSets(FileJobs):
    """The program sets of a service.

    Args:
        files: where they are kept.
        config: limits.
        residencies: where projects' programs may go.
    """

    sort = FileKind(
        kind=JobKind.PROGRAM_SET,
        title="program set",
        noun="program_set",
        path="/v1/program-sets",
        about=_about,
        form=lambda _: ("zip", "application/zip"),
        unlisted=("index", "grids", "failures"),
    )

    def __init__(self, files: JobFiles, *, config: ServiceConfig, residencies: Residencies) -> None:
        super().__init__(files)
        self._residencies = residencies
        self._config = config

    def submit(self, principal: Principal, content: bytes | Mapping[str, Any], asked: AskedSet) -> FileJob:
        """Check a program set and put it into the queue.

        Args:
            principal: the caller; an editor.
            content: the set's document in JSON values, or its NPZ form.
            asked: where and when it runs.

        Raises:
            ForbiddenError: the caller's role is too small.
            CircuitError: the document is none, or the set cannot be.
            BackendUnknownError: no backend of this name.
            ResidencyError: the project's rules do not allow the backend.
            StateTooLargeError, UnsupportedProgramError: the backend cannot run a grid.
            PayloadTooLargeError: its results would take more than ``max_dataset_bytes``.
            QuotaError: the project has no room for it and its results, or for a job.
            ConflictError: the idempotency key was used for a different submission.
        """
        from superpose.circuits import program_set_from_json, program_set_from_npz, program_set_to_npz

        principal.require(Role.EDITOR)
        check_priority(asked.priority)
        check_idempotency_key(asked.idempotency_key)
        read: Callable[..., ProgramSet] = program_set_from_npz if isinstance(content, bytes) else program_set_from_json
        given = read(content, max_instructions=self._config.max_instructions)
        backend = self._residencies.confinement(principal.project).admitted(asked.backend)
        whole, plan = self._admitted(given, backend)
        price = price_of_set(whole, backend, plan["limits"])
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

        return self._submit(principal, new, staged, result_bytes=plan["result_bytes"])

    def _admitted(self, given: ProgramSet, backend: Backend) -> tuple[ProgramSet, dict[str, Any]]:
        """The set with a seed, and how it is cut; nothing is computed for one that cannot run."""
        from superpose.backends.pieces import piece_bytes, piece_limits
        from superpose.backends.program_sets import seeded
        from superpose.circuits.sets.program_set import split

        whole = seeded(given)
        limits = piece_limits(whole, backend)
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
