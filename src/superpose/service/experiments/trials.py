"""The trials of a sweep as the store has them: child jobs in order of their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from superpose.service.experiments.study import PastTrial
from superpose.service.nouns import Job, JobKind, iso
from superpose.service.statuses import FINAL, JobStatus
from superpose.service.store.job_lives import job_from_row
from superpose.service.store.tables import jobs

__all__ = ["Trial", "children_of"]


@dataclass(frozen=True)
class Trial:
    """One trial: ``state`` is complete, pruned, failed, cancelled, or the status of a job that has not ended."""

    number: int
    job_id: str
    state: str
    params: Mapping[str, Any]
    folds: tuple[float, ...]
    value: float | None
    n_params: int | None
    started_at: datetime | None
    finished_at: datetime | None
    error: Mapping[str, object] | None

    @classmethod
    def from_job(cls, job: Job) -> Trial:
        """The trial that a child job is."""
        result: Mapping[str, Any] = job.result or {}
        params: Any = job.payload["params"]
        number: Any = job.payload["number"]
        return cls(
            number=int(number),
            job_id=job.id,
            state=str(result.get("state", job.status)),
            params=dict(params),
            folds=tuple(result.get("folds", ())),
            value=result.get("value"),
            n_params=result.get("n_params"),
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=job.error,
        )

    @property
    def ended(self) -> bool:
        """Whether its job has ended."""
        return self.finished_at is not None

    def past(self) -> PastTrial:
        """What proposals may know of it once it has ended."""
        state = self.state if self.state in ("complete", "pruned") else "failed"
        return PastTrial(self.params, state, self.folds if state != "failed" else ())

    def to_json(self) -> dict[str, object]:
        """The trial as the API sends it."""
        return {
            "number": self.number,
            "job": self.job_id,
            "state": self.state,
            "params": dict(self.params),
            "folds": list(self.folds),
            "value": self.value,
            "n_params": self.n_params,
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
            "error": None if self.error is None else dict(self.error),
        }


def children_of(connection: Connection, sweep_job_id: str) -> tuple[list[Trial], Job | None, frozenset[str]]:
    """The trials of a sweep by number, the final training if it has begun, and the ids of all that have ended."""
    rows = connection.execute(select(jobs).where(jobs.c.parent_id == sweep_job_id).order_by(jobs.c.number)).mappings()
    children = [job_from_row(row) for row in rows]
    trials = [Trial.from_job(job) for job in children if job.kind is JobKind.TRIAL]
    final = next((job for job in children if job.kind is JobKind.TRAIN), None)
    ended = frozenset(job.id for job in children if JobStatus(job.status) in FINAL)
    return sorted(trials, key=lambda trial: trial.number), final, ended
