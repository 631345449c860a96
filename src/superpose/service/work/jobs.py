"""Jobs as users see them: submitted after admission, followed through their events, cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from superpose.errors import ConflictError, PayloadTooLargeError, RequestError
from superpose.service.budgets.charges import Quote
from superpose.service.catalogue.datasets import Datasets
from superpose.service.catalogue.models import Models
from superpose.service.catalogue.modules import Modules
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name
from superpose.service.nouns import Dataset, Event, Job, JobKind, Page, Principal, Role
from superpose.service.people.quotas import Quotas
from superpose.service.people.residency import Residencies
from superpose.service.statuses import FINAL, JobStatus
from superpose.service.store.database import Database, json_text
from superpose.service.store.job_lives import job_from_row
from superpose.service.store.job_store import JobStore, NewJob
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import datasets, jobs, modules
from superpose.service.work.admission import (
    NO_MODULES,
    admit_program,
    admit_training,
    check_idempotency_key,
    check_priority,
    check_spending,
)
from superpose.service.work.fine_tuning import check_parent, find_parent
from superpose.service.work.function_jobs import admit_function
from superpose.service.work.module_jobs import admit_module_training
from superpose.service.work.remarks import remarks_on
from superpose.service.work.template_jobs import admit_template

if TYPE_CHECKING:
    from superpose.learning.effort import EstimatedEffort

__all__ = ["Jobs"]

_TRAININGS = {JobKind.TRAIN, JobKind.TRAIN_MODULE, JobKind.TRAIN_TEMPLATE}
_LOOK_S = 0.03
_LOOK_MAX_S = 0.25


class Jobs:
    """The jobs of a service.

    Args:
        database: where they are kept.
        store: the queue.
        datasets: where training data comes from.
        models: where models to begin from are registered.
        modules: where exported modules come from.
        config: limits.
        quotas: what projects may use.
        residencies: where their programs may go.
        quote: what would be set aside for a submission.
    """

    def __init__(  # noqa: PLR0913  # what a submission may name, and what limits it
        self,
        database: Database,
        store: JobStore,
        datasets: Datasets,
        models: Models,
        modules: Modules,
        config: ServiceConfig,
        quotas: Quotas,
        residencies: Residencies,
        quote: Callable[[NewJob], Quote],
    ) -> None:
        self._database = database
        self._store = store
        self._datasets = datasets
        self._models = models
        self._modules = modules
        self._config = config
        self._quotas = quotas
        self._residencies = residencies
        self._quote = quote

    def submit(  # noqa: PLR0913  # the fields of a submission
        self,
        principal: Principal,
        kind: JobKind | str,
        payload: Mapping[str, object],
        *,
        model_name: str | None = None,
        dataset: str | None = None,
        priority: int = 0,
        idempotency_key: str | None = None,
        after: Sequence[str] = (),
        backend: str = "local",
        max_cost_usd: float | None = None,
        max_seconds: float | None = None,
        scale_shots: bool = False,
    ) -> Job:
        """Check a submission and put it into the queue.

        Args:
            principal: the caller; an editor.
            kind: ``train`` (payload: a training spec), ``train_module`` (payload: ``module``, ``loss``, ``spec``),
                ``train_template`` (payload: ``template``, ``options``),
                ``program`` (payload: a program's JSON), or ``function`` (payload: a file's text, the function's name
                and its parameters; only where user code is allowed).
            payload: what to do.
            model_name: training only: the model that gets a new version; by default named like the data set.
            dataset: training only: id or name of the data set.
            priority: -10 to 10; higher goes first.
            idempotency_key: under one key, equal submissions give one job.
            after: ids of the caller's jobs, at most 100, that must have succeeded before this one begins.
            backend: programs only: where it runs.
            max_cost_usd: the most that the job may cost, in US dollars; refused if it may cost more.
            max_seconds: how long workers may hold it, all attempts together; the service's own limit at most.
            scale_shots: programs only: run with fewer shots where money is short, instead of being refused.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unknown kind, or a field that is absent, superfluous or out of range.
            NotFoundError: no such data set, or no such job to come after, in the caller's project.
            JobDependencyError: a job to come after has failed or was cancelled.
            SpecError, CircuitError, DatasetError, StateTooLargeError: the job cannot succeed; refused before any
                compute is spent.
            ResidencyError: the project's rules do not allow the backend.
            BudgetError, PriceUnknownError: a budget or ``max_cost_usd`` leaves too little, or the price is unknown.
            ConflictError: the idempotency key was used for a different submission.
        """
        principal.require(Role.EDITOR)
        check_priority(priority)
        check_idempotency_key(idempotency_key)
        if not isinstance(payload, Mapping):
            raise RequestError(f"The payload must be a JSON object, got {type(payload).__name__}.", field="payload")
        new = NewJob(
            project=principal.project,
            kind=_kind(kind),
            payload=payload,
            created_by=principal.key_id,
            model=model_name,
            priority=priority,
            idempotency_key=idempotency_key,
            after=tuple(after),
            spending=check_spending(max_cost_usd, max_seconds, scale_shots),
        )
        if new.kind is not JobKind.PROGRAM and (backend != "local" or scale_shots):
            raise RequestError(
                f"Only programs take a backend and scale_shots, this is a job of kind {new.kind}; a training's backend "
                "is the section 'backend' of its spec."
            )
        if new.kind is JobKind.FUNCTION:
            return self._submit_function(new, dataset)
        if new.kind in _TRAININGS:
            return self._submit_training(principal, new, dataset)
        if new.kind is not JobKind.PROGRAM:
            raise RequestError(
                f"Jobs of kind {new.kind} are not submitted this way; they have a route of their own.", field="kind"
            )
        return self._submit_program(new, dataset, backend)

    def quote(
        self,
        principal: Principal,
        kind: JobKind | str,
        payload: Mapping[str, object],
        *,
        dataset: str,
        max_seconds: float | None = None,
    ) -> Quote:
        """What a training job would be expected to take, and what would be set aside for it; nothing is queued.

        The data and the payload are checked as for a submission; budgets and quotas are not looked at.

        Args:
            principal: the caller; an editor.
            kind: ``train``, ``train_module`` or ``train_template``.
            payload: as for `submit`.
            dataset: id or name of the data set.
            max_seconds: how long workers might hold it.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: a job of another kind, no such template, or a field out of range.
            NotFoundError: no such data set in the caller's project.
            SpecError, DatasetError, and what else a submission would be refused with: the job could not succeed.
        """
        principal.require(Role.EDITOR)
        wanted = _kind(kind)
        if wanted not in _TRAININGS:
            allowed = [str(one) for one in JobKind if one in _TRAININGS]
            raise RequestError(
                f"Only training jobs are estimated, of kind {', '.join(allowed)}; got {wanted}.",
                field="kind",
                allowed=allowed,
            )
        new = NewJob(
            project=principal.project,
            kind=wanted,
            payload=payload,
            created_by=principal.key_id,
            spending=check_spending(None, max_seconds, False),
        )
        return self._quote(self._admitted(principal, new, self._datasets.get(principal, dataset)))

    def get(self, principal: Principal, job_id: str) -> Job:
        """A job of the caller's project.

        Raises:
            NotFoundError: there is no such job in the caller's project.
        """
        principal.require(Role.VIEWER)
        return self._told(principal, [self._store.get(job_id, project=principal.project)])[0]

    def list(
        self,
        principal: Principal,
        part: Part = Part(),  # noqa: B008  # frozen
        *,
        status: JobStatus | str | None = None,
        kind: JobKind | str | None = None,
        parent: str | None = None,
    ) -> Page[Job]:
        """Jobs of the caller's project, newest first; those of one status, kind, or parent job.

        Raises:
            RequestError: unknown status or kind.
        """
        principal.require(Role.VIEWER)
        query = select(jobs).where(jobs.c.project == principal.project)
        if status is not None:
            query = query.where(jobs.c.status == str(_status(status)))
        if kind is not None:
            query = query.where(jobs.c.kind == str(_kind(kind)))
        if parent is not None:
            query = query.where(jobs.c.parent_id == parent)
        with self._database.read() as connection:
            page = read_page(connection, query, jobs.c.number, part, job_from_row, newest_first=True)
        return Page(tuple(self._told(principal, page.items)), page.next)

    def cancel(self, principal: Principal, job_id: str) -> Job:
        """Cancel a job: at once if no worker holds it, else it is ``cancelling`` until its worker stops.

        Raises:
            NotFoundError: there is no such job in the caller's project.
            TransitionError: the job has succeeded or failed.
        """
        principal.require(Role.EDITOR)
        return self._store.cancel(job_id, actor=principal.key_id, project=principal.project)

    def events(self, principal: Principal, job_id: str, after: int = 0, *, limit: int = 1_000) -> Sequence[Event]:
        """Events of a job with ``seq > after``, oldest first.

        Raises:
            NotFoundError: there is no such job in the caller's project.
        """
        principal.require(Role.VIEWER)
        return self._store.events(job_id, after=after, limit=limit, project=principal.project)

    async def wait_events(
        self, principal: Principal, job_id: str, after: int = 0, *, timeout_s: float = 15.0
    ) -> Sequence[Event]:
        """Events with ``seq > after`` as soon as there are any; empty after ``timeout_s`` or once the job has ended.

        Raises:
            NotFoundError: there is no such job in the caller's project.
        """
        until, pause = time.monotonic() + timeout_s, _LOOK_S
        while True:
            found = await asyncio.to_thread(self.events, principal, job_id, after)
            if found or time.monotonic() >= until:
                return found
            if (await asyncio.to_thread(self.get, principal, job_id)).status in FINAL:
                return await asyncio.to_thread(self.events, principal, job_id, after)
            await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(_LOOK_MAX_S, pause * 1.5)

    async def wait(self, principal: Principal, job_id: str, *, timeout_s: float) -> Job:
        """The job once it has ended, or as it is after ``timeout_s``.

        Raises:
            NotFoundError: there is no such job in the caller's project.
        """
        until, pause = time.monotonic() + timeout_s, _LOOK_S
        while True:
            job = await asyncio.to_thread(self.get, principal, job_id)
            if job.status in FINAL or time.monotonic() >= until:
                return job
            await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(_LOOK_MAX_S, pause * 1.5)

    def _told(self, principal: Principal, found: Sequence[Job]) -> Sequence[Job]:
        """The jobs; of queued ones that the project's quota of seconds holds back, why and until when."""
        if not any(job.status is JobStatus.QUEUED for job in found):
            return found
        with self._database.read() as connection:
            error = self._quotas.over_seconds(connection, [principal.project]).get(principal.project)
        if error is None:
            return found
        held = {"code": error.code, "message": error.message, "until": error.details.get("until")}
        return [replace(job, held=held) if job.status is JobStatus.QUEUED else job for job in found]

    def _submit_training(self, principal: Principal, new: NewJob, dataset: str | None) -> Job:
        if not dataset:
            raise RequestError("A training job needs a data set; send its id or name as 'dataset'.", field="dataset")
        data = self._datasets.get(principal, dataset)
        admitted = self._admitted(principal, new, data)
        model = check_name(new.model if new.model is not None else data.name, "model")
        full = _with(admitted, model=model, dataset=data.name, dataset_id=data.id)
        payload = full.payload

        def check(connection: Connection) -> None:
            _check_still_there(connection, data)
            check_parent(connection, new.project, payload)
            if new.kind is JobKind.TRAIN_MODULE:
                _check_module_still_there(connection, str(payload["module_id"]))

        return self._store.submit(full, check=check)

    def _admitted(self, principal: Principal, new: NewJob, data: Dataset) -> NewJob:
        """A training job with its payload in full, its price, and what it is expected to take, if it can be trained."""
        table, less = self._datasets.table(data), "epochs, splits, seeds, settings or controls"
        payload: Mapping[str, object]
        effort: EstimatedEffort | str
        price = new.price
        if new.kind is JobKind.TRAIN:
            find = self._residencies.confinement(new.project).admitted
            payload, price, effort = admit_training(
                new.payload, table, find, partial(find_parent, self._database, self._models, principal)
            )
        elif new.kind is JobKind.TRAIN_TEMPLATE:
            payload, effort = admit_template(new.payload, table)
            less = "seeds, epochs or variants"
        else:
            module = self._modules.get(principal, str(new.payload.get("module") or ""))
            payload = admit_module_training(new.payload, module, self._modules.exported(module), table)
            effort = NO_MODULES
        full = _with(new, payload=payload, price=price)
        max_seconds = self._quote(full).max_seconds
        found = remarks_on(effort, max_seconds=max_seconds, config=self._config, less=less)
        return _with(full, estimate=found.estimate, remarks=found.remarks)

    def _submit_function(self, new: NewJob, dataset: str | None) -> Job:
        if dataset is not None or new.model is not None:
            raise RequestError("A function job takes neither 'dataset' nor 'model'.", field="dataset")
        payload = admit_function(new.payload, self._config, lambda job_id: self._store.get(job_id, project=new.project))
        return self._store.submit(_with(new, payload=payload))

    def _submit_program(self, new: NewJob, dataset: str | None, backend: str) -> Job:
        if dataset is not None or new.model is not None:
            raise RequestError("A program job takes neither 'dataset' nor 'model'.", field="dataset")
        program, price = admit_program(
            new.payload,
            max_instructions=self._config.max_instructions,
            max_result_bytes=self._config.max_result_bytes,
            backend=backend,
            find=self._residencies.confinement(new.project).admitted,
        )
        n_bytes = len(json_text(program))
        if n_bytes > self._config.max_result_bytes:
            raise PayloadTooLargeError(
                f"The program has {n_bytes:,} bytes as JSON; at most {self._config.max_result_bytes:,} are accepted. "
                "Send it in several parts, each with some of the parameter values.",
                n_bytes=n_bytes,
                max_bytes=self._config.max_result_bytes,
            )
        return self._store.submit(_with(new, payload=program, price=price))


def _with(new: NewJob, **changes: object) -> NewJob:
    return NewJob(**{**{name: getattr(new, name) for name in NewJob.__dataclass_fields__}, **changes})


def _check_still_there(connection: Connection, dataset: Dataset) -> None:
    """Refuse a data set that was deleted while the submission was being checked."""
    row = connection.execute(select(datasets.c.deleted_at).where(datasets.c.id == dataset.id)).first()
    if row is None or row.deleted_at is not None:
        raise ConflictError(f"Data set {dataset.name!r} was deleted just now.", name=dataset.name)


def _check_module_still_there(connection: Connection, module_id: str) -> None:
    row = connection.execute(select(modules.c.name, modules.c.deleted_at).where(modules.c.id == module_id)).first()
    if row is None or row.deleted_at is not None:
        raise ConflictError("The module was deleted just now.", id=module_id)


def _kind(kind: JobKind | str) -> JobKind:
    try:
        return JobKind(kind)
    except ValueError:
        allowed = [str(k) for k in JobKind]
        raise RequestError(
            f"kind must be one of {', '.join(allowed)}; got {kind!r}.", field="kind", allowed=allowed
        ) from None


def _status(status: JobStatus | str) -> JobStatus:
    try:
        return JobStatus(status)
    except ValueError:
        allowed = [str(s) for s in JobStatus]
        raise RequestError(
            f"status must be one of {', '.join(allowed)}; got {status!r}.", field="status", allowed=allowed
        ) from None
