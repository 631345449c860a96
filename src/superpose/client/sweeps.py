"""Sweeps: searches for a good training spec."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from superpose.client.display import fields_html, table_html
from superpose.client.json_fields import Fields
from superpose.client.nouns import Job, Listing, Noun, job_ids
from superpose.client.resources import Resource, items, read_json, segment
from superpose.client.transport import Call

__all__ = ["Sweep", "Sweeps", "Trial"]


@dataclass(frozen=True)
class Trial(Noun):
    """One trial: ``folds`` are the objective on each tuning fold, ``value`` their mean.

    ``state`` is "complete", "pruned", "failed", "cancelled", or the status of a job that has not ended.
    """

    number: int
    job: str
    state: str
    params: Mapping[str, Any]
    folds: tuple[float, ...]
    value: float | None
    n_params: int | None
    started_at: datetime | None
    finished_at: datetime | None
    error: Mapping[str, Any] | None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A trial from the service's JSON."""
        f = Fields.of("trial", document)
        value = f.members.get("value")
        return cls(
            number=f.whole("number"),
            job=f.text("job"),
            state=f.text("state"),
            params=f.object("params"),
            folds=tuple(f.array("folds")),
            value=None if value is None else float(value),
            n_params=f.maybe_whole("n_params"),
            started_at=f.maybe_time("started_at"),
            finished_at=f.maybe_time("finished_at"),
            error=f.maybe_object("error"),
        )


@dataclass(frozen=True)
class Sweep(Noun):
    """A sweep; ``sweep`` holds what was searched, ``best`` the best trial so far, ``importances`` shares of variance.

    ``estimate`` says what it was expected to take when it was submitted, as `Sweeps.estimate` does, and ``remarks``
    what the service said about that; None and empty of a service of an older release. Lists leave out ``sweep``,
    ``trials`` and ``importances``.
    """

    name: str
    job: str
    status: str
    dataset: str | None
    model: str | None
    model_version: int | None
    created_at: datetime
    finished_at: datetime | None
    progress: Mapping[str, Any]
    best: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    sweep: Mapping[str, Any]
    importances: Mapping[str, float]
    trials: tuple[Trial, ...]
    estimate: Mapping[str, Any] | None = None
    remarks: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A sweep from the service's JSON."""
        f = Fields.of("sweep", document)
        return cls(
            name=f.text("name"),
            job=f.text("job"),
            status=f.text("status"),
            dataset=f.maybe_text("dataset"),
            model=f.maybe_text("model"),
            model_version=f.maybe_whole("model_version"),
            created_at=f.time("created_at"),
            finished_at=f.maybe_time("finished_at"),
            progress=f.object("progress"),
            best=f.maybe_object("best"),
            error=f.maybe_object("error"),
            sweep=f.object("sweep"),
            importances=f.object("importances"),
            trials=tuple(Trial.from_json(item) for item in f.array("trials")),
            estimate=f.maybe_object("estimate"),
            remarks=f.objects("remarks") if "remarks" in f.members else (),
        )

    def _repr_html_(self) -> str:
        facts = {"status": self.status, "model": self.model, "version": self.model_version, "best": self.best}
        names = list(self.sweep.get("space", {}))
        rows = [
            (trial.number, trial.state, trial.value, *(trial.params.get(name) for name in names))
            for trial in self.trials
        ]
        table = table_html(("trial", "state", "value", *names), rows) if rows else ""
        return fields_html(f"Sweep {self.name}", facts) + table


class Sweeps(Resource):
    """Sweeps of the key's project, addressed by name."""

    def create(
        self,
        sweep: Mapping[str, Any],
        *,
        dataset: str,
        name: str | None = None,
        model: str | None = None,
        priority: int = 0,
        idempotency_key: str | None = None,
        after: Sequence[Job | str] = (),
    ) -> Sweep:
        """Submit a sweep; its trials measure specs by cross-validation, and the best is trained to a model version.

        Args:
            sweep: ``space`` (field of the spec -> ``{"int": [low, high]}``, ``{"float": [low, high], "log": True}`` or
                ``{"choice": [...]}``), and optionally ``spec``, ``objective`` (``metric``, ``folds``), ``sampler``
                (``name``: tpe, random or grid; ``seed``), ``pruner`` (``{"name": "median"}``), ``n_trials``,
                ``parallelism``.
            dataset: id or name of the data set.
            name: of the sweep; the model's where it is left out.
            model: gets the best trial's version; the data set's name where it is left out.
            priority: of the sweep and its trials.
            idempotency_key: submitting twice under one key gives one sweep; made up where it is left out.
            after: jobs, or their ids, at most 100, that must have succeeded before the first trial begins.

        Raises:
            ApiError: the sweep (``spec.invalid``), data set or a name is refused, or a job to come after is not there
                or has failed (``service.job_dependency``).
        """
        document = {**sweep, "dataset": dataset, "name": name, "model": model, "priority": priority}
        if after:
            document["after"] = job_ids(after)
        return Sweep.from_json(self._submit("/v1/sweeps", document, idempotency_key))

    def estimate(self, sweep: Mapping[str, Any], *, dataset: str) -> dict[str, Any]:
        """What a sweep would be expected to take; nothing is queued.

        Args:
            sweep: as `create` takes it.
            dataset: id or name of the data set.

        Returns:
            ``estimate``: ``cpu_s``, seconds of a processor, its ``parts`` (``trials``, ``final training``), the bounds
            ``least_cpu_s`` and ``most_cpu_s``, ``n_trials``, and ``trial_most_cpu_s`` and ``final_most_cpu_s`` of one
            job; None where nobody says. ``remarks``: why not, or that a job may not end in time. And what would be set
            aside for the sweep's own job, as `Jobs.estimate` tells it; trials set aside as much again.

        Raises:
            ApiError: as for `create`; budgets and quotas are not looked at.
        """
        body = json.dumps({"dataset": dataset, "sweep": dict(sweep)}).encode()
        return dict(read_json(self._transport.send(Call("POST", "/v1/jobs/estimate", body=body, repeatable=True))))

    def list(self) -> Listing[Sweep]:
        """All sweeps, without their trials."""
        return items(self._transport, "/v1/sweeps", Sweep.from_json, {}, None)

    def get(self, name: str) -> Sweep:
        """One sweep with its trials."""
        return Sweep.from_json(self._get(f"/v1/sweeps/{segment(name)}"))

    def cancel(self, name: str) -> Sweep:
        """Cancel a sweep and all that it has begun."""
        call = Call("POST", f"/v1/sweeps/{segment(name)}/cancel", repeatable=True)
        return Sweep.from_json(read_json(self._transport.send(call)))
