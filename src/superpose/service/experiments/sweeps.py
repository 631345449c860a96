"""Sweeps as users see them: submitted under a name, looked at with their trials, cancelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from superpose.errors import ConflictError, NotFoundError, SpecError
from superpose.service.budgets.charges import Quote
from superpose.service.catalogue.datasets import Datasets
from superpose.service.catalogue.models import Models
from superpose.service.config import ServiceConfig
from superpose.service.experiments.study import check_optuna
from superpose.service.experiments.sweep_effort import SweepEffort, sweep_effort_or_reason
from superpose.service.experiments.sweep_spec import SweepSpec
from superpose.service.experiments.trials import Trial, children_of
from superpose.service.names import check_name
from superpose.service.nouns import Dataset, Job, JobKind, Page, Principal, Role, iso
from superpose.service.people.residency import Residencies
from superpose.service.store.claims import NewJob
from superpose.service.store.database import Database
from superpose.service.store.job_lives import job_from_row
from superpose.service.store.job_store import JobStore
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import datasets, jobs, sweeps
from superpose.service.work.admission import (
    NO_MODULES,
    TRIED_SPLITS,
    admit_place,
    check_idempotency_key,
    check_priority,
)
from superpose.service.work.fine_tuning import ParentModel, admitted, check_parent, find_parent, with_parent
from superpose.service.work.remarks import remarks_on_sweep

__all__ = ["Sweep", "Sweeps"]


@dataclass(frozen=True)
class Sweep:
    """A search for a good spec: the job behind it, and its trials."""

    name: str
    created_at: datetime
    job: Job
    trials: tuple[Trial, ...] | None = None

    def to_json(self) -> dict[str, object]:
        """The sweep as the API sends it; with its trials where they were asked for."""
        result: Mapping[str, Any] = self.job.result or {}
        document: dict[str, object] = {
            "name": self.name,
            "job": self.job.id,
            "status": str(self.job.status),
            "dataset": self.job.dataset,
            "model": self.job.model,
            "model_version": result.get("model_version"),
            "created_at": iso(self.created_at),
            "finished_at": iso(self.job.finished_at),
            "progress": dict(self.job.progress),
            "best": result.get("best") or self.job.progress.get("best"),
            "estimate": None if self.job.estimate is None else dict(self.job.estimate),
            "remarks": [dict(remark) for remark in self.job.remarks],
            "error": None if self.job.error is None else dict(self.job.error),
        }
        if self.trials is None:
            return document
        return {
            **document,
            "sweep": dict(self.job.payload),
            "importances": result.get("importances"),
            "trials": [trial.to_json() for trial in self.trials],
        }


class Sweeps:
    """The sweeps of a service.

    Args:
        database: where they are kept.
        store: the queue.
        datasets: where training data comes from.
        models: where parents come from that trials begin from.
        residencies: where projects' circuits may go.
        config: limits.
        quote: what would be set aside for a submission.
    """

    def __init__(  # one parameter per part
        self,
        database: Database,
        store: JobStore,
        datasets: Datasets,
        models: Models,
        residencies: Residencies,
        config: ServiceConfig,
        quote: Callable[[NewJob], Quote],
    ) -> None:
        self._database = database
        self._store = store
        self._datasets = datasets
        self._models = models
        self._residencies = residencies
        self._config = config
        self._quote = quote

    def submit(  # noqa: PLR0913  # the fields of a submission
        self,
        principal: Principal,
        document: Mapping[str, Any],
        *,
        dataset: str,
        name: str | None = None,
        model: str | None = None,
        priority: int = 0,
        idempotency_key: str | None = None,
        after: Sequence[str] = (),
    ) -> Sweep:
        """Check a sweep and put it into the queue.

        Args:
            principal: the caller; an editor.
            document: what ``SweepSpec.from_dict`` reads.
            dataset: id or name of the data set.
            name: of the sweep in the project; by default the model's name.
            model: the model that gets the best trial's version; by default named like the data set.
            priority: of the sweep and its trials, -10 to 10.
            idempotency_key: under one key, equal submissions give one sweep.
            after: ids of the caller's jobs, at most 100, that must have succeeded before the first trial begins.

        Raises:
            ForbiddenError: the caller's role is too small.
            ExtraMissingError: Optuna is not installed.
            RequestError: a name or priority that cannot be used.
            NotFoundError: no such data set, parent, or job to come after, in the caller's project.
            JobDependencyError: a job to come after has failed or was cancelled.
            SpecError, DatasetError, StateTooLargeError: the sweep cannot succeed.
            ResidencyError: the project's rules do not allow the backend that the base spec names.
            ConflictError: the project has a sweep of this name, or the idempotency key was used otherwise.
        """
        principal.require(Role.EDITOR)
        check_optuna()
        check_priority(priority)
        check_idempotency_key(idempotency_key)
        data = self._datasets.get(principal, dataset)
        wanted = self._admitted(principal, document, data)
        model = check_name(model if model is not None else data.name, "model")
        name = check_name(name if name is not None else model, "name")
        new = replace(wanted, model=model, priority=priority, idempotency_key=idempotency_key, after=tuple(after))
        base: Any = new.payload["spec"]

        def check(connection: Connection) -> None:
            row = connection.execute(select(datasets.c.deleted_at).where(datasets.c.id == data.id)).first()
            if row is None or row.deleted_at is not None:
                raise ConflictError(f"Data set {data.name!r} was deleted just now.", name=data.name)
            check_parent(connection, principal.project, base)
            taken = select(sweeps.c.job_id).where(sweeps.c.project == principal.project, sweeps.c.name == name)
            if connection.execute(taken).first() is not None:
                raise ConflictError(f"Sweep {name!r} exists. Choose another name.", kind="sweep", name=name)

        def register(connection: Connection, job: Job) -> None:
            connection.execute(
                insert(sweeps).values(project=principal.project, name=name, job_id=job.id, created_at=job.created_at)
            )

        job = self._store.submit(new, check=check, also=register)
        with self._database.read() as connection:
            row = connection.execute(select(sweeps).where(sweeps.c.job_id == job.id)).mappings().one()
            return Sweep(row["name"], row["created_at"], job)

    def quote(self, principal: Principal, document: Mapping[str, Any], *, dataset: str) -> Quote:
        """What a sweep would be expected to take, and what would be set aside for it; nothing is queued.

        What is set aside is the sweep's own job's, which holds no worker for long: each trial and the final training
        set aside as much again when they begin.

        Args:
            principal: the caller; an editor.
            document: as for `submit`.
            dataset: id or name of the data set.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: no such data set or parent in the caller's project.
            ExtraMissingError, SpecError, DatasetError, and what else a submission would be refused with.
        """
        principal.require(Role.EDITOR)
        check_optuna()
        return self._quote(self._admitted(principal, document, self._datasets.get(principal, dataset)))

    def list(self, principal: Principal, part: Part = Part()) -> Page[Sweep]:  # noqa: B008  # frozen
        """Sweeps of the caller's project, by name, without their trials."""
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return read_page(connection, _of(principal.project), sweeps.c.name, part, _sweep)

    def get(self, principal: Principal, name: str) -> Sweep:
        """A sweep with its trials.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            found = _sweep(self._find(connection, principal.project, name))
            trials, _, _ = children_of(connection, found.job.id)
            return Sweep(found.name, found.created_at, found.job, tuple(trials))

    def cancel(self, principal: Principal, name: str) -> Sweep:
        """Cancel a sweep and all that it has begun.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
            TransitionError: it has succeeded or failed.
        """
        principal.require(Role.EDITOR)
        with self._database.read() as connection:
            found = _sweep(self._find(connection, principal.project, name))
        job = self._store.cancel(found.job.id, actor=principal.key_id, project=principal.project)
        return Sweep(found.name, found.created_at, job)

    def _admitted(self, principal: Principal, document: Mapping[str, Any], data: Dataset) -> NewJob:
        """The sweep's job with its spec in full and what it is expected to take, if the data can be trained on."""
        find = partial(find_parent, self._database, self._models, principal)
        spec, effort = _checked(document, self._datasets.table(data), find)
        admit_place(spec.base.to_dict(), self._residencies.confinement(principal.project))
        found = remarks_on_sweep(effort, self._config)
        return NewJob(
            project=principal.project,
            kind=JobKind.SWEEP,
            payload=spec.to_dict(),
            created_by=principal.key_id,
            dataset_id=data.id,
            dataset=data.name,
            estimate=found.estimate,
            remarks=found.remarks,
        )

    def _find(self, connection: Connection, project: str, name: str) -> RowMapping:
        row = connection.execute(_of(project).where(sweeps.c.name == name)).mappings().first()
        if row is None:
            raise NotFoundError(f"There is no sweep {name!r} in this project.", kind="sweep", id=name)
        return row


def _of(project: str) -> Any:
    query = select(jobs, sweeps.c.name.label("sweep_name"), sweeps.c.created_at.label("sweep_created_at"))
    return query.join(sweeps, sweeps.c.job_id == jobs.c.id).where(sweeps.c.project == project)


def _sweep(row: RowMapping) -> Sweep:
    return Sweep(row["sweep_name"], row["sweep_created_at"], job_from_row(row))


def _checked(
    document: Mapping[str, Any], table: Any, find_model: Callable[[str], ParentModel]
) -> tuple[SweepSpec, SweepEffort | str]:
    """The sweep, if the base spec, its parent and its folds fit the table, and what it takes, or why nobody says."""
    from superpose.learning.splitting import splits_of
    from superpose.learning.trial import tuning_folds

    given = document.get("spec") if isinstance(document, Mapping) else None
    parent = None
    if isinstance(given, Mapping):
        given, parent = with_parent(given, find_model)
        if parent is not None:
            document = {**document, "spec": admitted(given, parent, table)[0].to_dict()}
    spec = SweepSpec.from_dict(document)
    if spec.base.backend.name is not None:
        raise SpecError(
            f"is {spec.base.backend.name!r}, but the trials of a sweep run on this machine's engine; leave the section "
            "out, and train the best spec on the backend afterwards",
            "spec.backend.name",
        )
    if parent is not None:
        _refuse_other_parents(spec, parent.name)
    else:
        admitted(spec.base.to_dict(), None, table)
    folds = tuning_folds(spec.base, table, spec.n_folds)
    if parent is not None and parent.is_module:
        return spec, NO_MODULES
    splits = list(splits_of(spec.base, table, at_most=TRIED_SPLITS))
    return spec, sweep_effort_or_reason(spec, table, folds, splits)


def _refuse_other_parents(spec: SweepSpec, parent: str) -> None:
    """Refuse a space of circuits, or of parents, where all trials begin from one parent."""
    for dimension in spec.space:
        if dimension.path.startswith("model."):
            raise SpecError(
                f"cannot be searched over, for trials keep the circuit of their parent {parent}",
                f"space.{dimension.path}",
            )
        if dimension.path in ("fine_tune.parent", "fine_tune.digest"):
            raise SpecError(
                f"cannot be searched over, for all trials begin from {parent}; submit a sweep for each parent",
                f"space.{dimension.path}",
            )
