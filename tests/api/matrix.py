"""THE table of routes: who may call what, and what is answered. ``test_matrix.py`` calls every route by it.

To add a route, add a row::

    Row("DELETE", "/v1/things/{name}", "editor", 204, {"name": "a_thing"}),

that is: method and path as the OpenAPI document has them, the smallest role that may do it, the status for a caller of
the same project with that role, and which thing of ``World`` stands for each parameter of the path. Where the route
reads JSON or a query, say ``body=`` or ``query=``; ``{a_thing}`` in them is filled in too. A caller of another project
gets 404; say ``foreign=`` where it does not ask for a particular thing (a list answers 200 and must hold nothing of
ours; the test looks; make names by ``{new_name}``). If calling it changes nothing, though it is no GET, say
``changes=False``; else the test wants an entry in the audit log. What a route does for one role, but of some things or
with some bodies only for a larger one, is a row of its own in ``CASES``, with ``route_role=`` the route's.

A new thing for ``World`` is a method there: its name is what rows refer to, it is called anew after each success, so a
row may use its thing up.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from superpose import export_module
from superpose.circuits import Circuit, Program, ProgramGrid, ProgramSet, program_set_to_json, program_to_json
from superpose.service import (
    Asked,
    AskedSet,
    AskedSolution,
    CallRequest,
    JobKind,
    ModelVersion,
    Principal,
    Release,
    Service,
)
from superpose.service.catalogue.models import insert_version
from superpose.service.nouns import utc_now
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.datadir import DataDir
from superpose.service.store.job_store import Claim, NewJob
from superpose.service.work.outputs import Ledger

__all__ = ["CASES", "PROGRAM", "ROWS", "Row", "World"]

PROGRAM = dict(program_to_json(Program(Circuit(1).h(0), {}, shots=10)))
PROBLEM = {"problem": {"kind": "maxcut", "edges": [[0, 1]]}}
PROGRAM_SET = dict(program_set_to_json(ProgramSet(ProgramGrid(Circuit(1).h(0), shots=10), seed=1)))
SPEC = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 1},
    "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "none"},
}
SWEEP = {
    "spec": SPEC,
    "space": {"model.n_qubits": {"int": [1, 2]}},
    "objective": {"metric": "brier", "folds": 2},
    "n_trials": 2,
}
FLOWER = {"sepal length": 5.1, "sepal width": 3.5, "petal length": 1.4, "petal width": 0.2}
FUNCTION = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; h q;'
TENSOR = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}


SURE = {"value": 1.0, "low": 0.4, "high": 1.0}
NOBODY_KNOWS = ("n_groups", "positive_class", "positive_share", "recalibration", "drift")
VALIDATION: dict[str, Any] = {
    **{"digest": "{its_digest}", "target": "species", "n_rows": 3, "n_without_truth": 0, "confidence": 0.95},
    **{"is_own_data": False, "metrics": {name: SURE for name in ("accuracy", "auc")}},
    **{"classes": {"setosa": 1, "versicolor": 1, "virginica": 1}, "subgroups": [], "unknown_categories": {}},
    **{"calibration": {"ece": 0.0, "conformal": None, "novelty": None}, **dict.fromkeys(NOBODY_KNOWS)},
}


@cache
def exported_module() -> bytes:
    """The file of a user's own module."""
    import torch

    return export_module(torch.nn.Linear(4, 3), torch.zeros(1, 4)).to_bytes()


@dataclass(frozen=True)
class Row:
    """What one route answers; the module says how to write one.

    Attributes:
        method: HTTP method.
        path: as the OpenAPI document has it.
        role: smallest role: predictor, viewer, editor, admin or operator; ``anyone`` needs no key, ``any key`` any.
        own: status for callers of project alpha with that role, and for operators where ``role`` says so.
        things: parameter of the path -> thing of ``World``, or a value that begins with ``=``.
        body: JSON, or what makes bytes.
        query: what stands behind the path.
        foreign: status for callers of project beta with that role.
        operator: status for an operator, who belongs to neither; by default that of ``foreign``.
        changes: whether a success leaves an entry in the audit log.
        headers: further headers.
        route_role: smallest role that the route asks for, where this case asks for a larger one: callers of project
            beta who have it are told that there is no such thing, not that it would take more.
    """

    method: str
    path: str
    role: str
    own: int
    things: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    query: str = ""
    foreign: int = 404
    operator: int | None = None
    changes: bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    route_role: str = ""

    @property
    def leaves_an_entry(self) -> bool:
        """Whether a success must be in the audit log."""
        return self.method != "GET" if self.changes is None else self.changes

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class World:
    """Project alpha and what is in it; each method makes a thing and tells its name. All names hold ``alpha``."""

    def __init__(self, service: Service, owner: Principal, operator: Principal, trained: ModelVersion) -> None:
        self.service = service
        self.owner = owner
        self.operator = operator
        self.trained = trained
        self.numbers = itertools.count(1)

    def alpha(self) -> str:
        """The project itself."""
        return "alpha"

    def new_name(self) -> str:
        """A name that nothing has yet, for things that the callers make."""
        return f"new-{next(self.numbers)}"

    def _name(self) -> str:
        return f"alpha-{next(self.numbers)}"

    def a_dataset(self) -> str:
        return self.service.datasets.add_builtin(self.owner, self._name(), "iris").name

    def a_series(self) -> str:
        lines = ["date,quantity", *(f"{2000 + i // 12}-{i % 12 + 1:02},{40 + i % 12}" for i in range(72))]
        return self.service.datasets.add(
            self.owner,
            name=self._name(),
            content="\n".join(lines).encode(),
            format="csv",
            target="quantity",
            target_kind="number",
        ).name

    def an_upload(self) -> str:
        home = self.service.config.data_dir / "uploads" / "alpha"
        for path in sorted(home.glob("up_*"), key=lambda path: path.stat().st_mtime)[:-10]:
            path.unlink()  # a project may have so many only
        return self.service.uploads.create(self.owner).id

    def a_module(self) -> str:
        return self.service.modules.add(self.owner, name=self._name(), content=exported_module()).name

    def a_sweep(self) -> str:
        name = self._name()
        return self.service.sweeps.submit(self.owner, SWEEP, dataset="alpha-flowers", name=name, model=name).name

    def a_prediction(self) -> str:
        """One that was cancelled before it began."""
        asked = Asked(model=self.trained.model)
        job_id = self.service.predictions.submit_dataset(self.owner, "alpha-flowers", asked).job.id
        return self.service.jobs.cancel(self.owner, job_id).id

    def a_program_set(self) -> str:
        """One that was cancelled before it began."""
        job_id = self.service.program_sets.submit(self.owner, PROGRAM_SET, AskedSet()).job.id
        return self.service.jobs.cancel(self.owner, job_id).id

    def a_solution(self) -> str:
        """One that was cancelled before it began."""
        job_id = self.service.solutions.submit(self.owner, AskedSolution(**PROBLEM)).job.id
        return self.service.jobs.cancel(self.owner, job_id).id

    def a_webhook(self) -> str:
        """One that nothing reaches: the name is reserved for what does not exist."""
        for old in self.service.webhooks.list(self.owner).items[:-10]:
            self.service.webhooks.delete(self.owner, old.id)  # a project may have so many only
        made, _ = self.service.webhooks.create(self.owner, url="https://receiver.invalid/alpha", events=["job.waiting"])
        return made.id

    def a_queued_job(self) -> str:
        return self.service.jobs.submit(self.owner, JobKind.PROGRAM, PROGRAM).id

    def a_job(self) -> str:
        """One that has ended."""
        return self.service.jobs.cancel(self.owner, self.a_queued_job()).id

    def a_job_with_a_file(self) -> str:
        """One that left ``result.txt``."""
        new = NewJob(
            project="alpha", kind=JobKind.PROGRAM, payload={}, created_by=self.owner.key_id, model=None, priority=10
        )
        service, claim = self.service, self._claimed(new)
        directory = DataDir(service.config.data_dir)
        path = directory.staging / self._name()
        path.write_text(path.name)
        Ledger(service.store, Artifacts(directory), claim, service.quotas, utc_now).file(path, "result.txt")
        path.unlink()
        return service.store.succeed(claim, {}).id

    def _claimed(self, new: NewJob) -> Claim:
        """The job, in the hands of a worker."""
        self.service.store.submit(new)
        claim = self.service.store.claim("worker_of_the_matrix")
        assert claim is not None
        return claim

    def a_model(self) -> str:
        """A copy of the trained one, of two versions."""
        name, store = self._name(), self.service.store
        columns = ("digest", "artifact", "metrics", "evaluation", "manifest")
        found = {column: getattr(self.trained, column) for column in columns}
        for _ in range(2):
            new = NewJob(
                project="alpha", kind=JobKind.TRAIN, payload={}, created_by=self.owner.key_id, model=name, priority=10
            )
            store.succeed(self._claimed(new), {}, publish=lambda c, job: insert_version(c, job, found, clock=utc_now))
        return name

    def a_trained_job(self) -> str:
        """The one that made the trained model."""
        return self.trained.job_id

    def a_model_with_an_alias(self) -> str:
        name = self.a_model()
        self.service.aliases.move(self.owner, name, "champion", 1)
        return name

    def its_digest(self) -> str:
        """Of all models, which are copies."""
        return self.trained.digest

    def a_validated_model(self) -> str:
        """One whose first version was held against rows of the site "north"."""
        name = self.a_model()
        self.service.validations.record(self.owner, name, 1, "north", {**VALIDATION, "digest": self.trained.digest})
        return name

    def an_endpoint(self) -> str:
        name = self._name()
        self.service.endpoints.create(self.owner, name, self.trained.model, 1)
        return name

    def a_production_endpoint(self) -> str:
        name, release = self._name(), Release("production", "Shown to those who test; nothing hangs on it.")
        self.service.endpoints.create(self.owner, name, self.trained.model, 1, release=release)
        return name

    def a_revised_endpoint(self) -> str:
        """One of two revisions."""
        name, model = self._name(), self.a_model()
        self.service.endpoints.create(self.owner, name, model, 1)
        self.service.endpoints.rollouts.update(self.owner, name, version=2)
        return name

    def an_endpoint_with_a_canary(self) -> str:
        name = self.a_revised_endpoint()
        self.service.endpoints.rollouts.start_canary(self.owner, name, percent=50.0, version=1)
        return name

    def a_function(self) -> str:
        """A quantum function of two versions."""
        name = self._name()
        for gate in ("h", "x"):
            self.service.functions.deploy(self.owner, name, "one.qasm", FUNCTION.replace("h q", f"{gate} q"))
        return name

    def a_called_function(self) -> str:
        """One that ``a_call`` calls, whichever of them is asked for first."""
        return self.service.functions.deploy(self.owner, "alpha-called", "one.qasm", FUNCTION).name

    def a_call(self) -> str:
        """The job of a call of it."""
        calling = self.service.calls.call(self.owner, self.a_called_function(), CallRequest({}), wait_s=0.0)
        return str(asyncio.run(calling).job_id)

    def a_user(self) -> str:
        return self.service.users.create(self.owner, name=self._name(), role="viewer").id

    def a_disabled_user(self) -> str:
        return self.service.users.disable(self.operator, self.a_user()).id

    def a_key(self) -> str:
        return self.service.keys.create(self.owner, role="viewer", label=self._name())[0].id

    def a_project(self) -> str:
        """Another one, in which nobody works."""
        return self.service.projects.create(self.operator, self._name()).name

    def an_archived_project(self) -> str:
        return self.service.projects.archive(self.operator, self.a_project()).name


_OF_MODEL = {"name": "a_model"}
_OF_ENDPOINT = {"name": "an_endpoint"}
_VERSION = {"name": "a_model", "version": "=1"}
_ALPHA = {"name": "alpha"}
_OF_FUNCTION = {"name": "a_function"}
_INFERENCE = {"name": "an_endpoint", "number": "=1"}

ROWS = (
    # data sets
    Row("POST", "/v1/datasets", "editor", 201, body={"name": "{new_name}", "builtin": "iris"}, foreign=201),
    Row("GET", "/v1/datasets", "viewer", 200, foreign=200),
    Row("GET", "/v1/datasets/{id_or_name}", "viewer", 200, {"id_or_name": "a_dataset"}),
    Row("GET", "/v1/datasets/{id_or_name}/lineage", "viewer", 200, {"id_or_name": "a_dataset"}),
    Row("GET", "/v1/datasets/{id_or_name}/file", "viewer", 200, {"id_or_name": "a_dataset"}),
    Row("GET", "/v1/datasets/{id_or_name}/sheet", "viewer", 200, {"id_or_name": "a_dataset"}),
    Row("PATCH", "/v1/datasets/{id_or_name}/sheet", "editor", 200, {"id_or_name": "a_dataset"}, {"note": "good"}),
    Row("GET", "/v1/datasets/{id_or_name}/history", "viewer", 200, {"id_or_name": "a_dataset"}),
    Row("POST", "/v1/datasets/{id_or_name}/checks", "viewer", 200, {"id_or_name": "a_dataset"}, {}, changes=False),
    Row("DELETE", "/v1/datasets/{id_or_name}", "editor", 204, {"id_or_name": "a_dataset"}),
    Row("POST", "/v1/uploads", "editor", 201, foreign=201, changes=False),
    Row("GET", "/v1/uploads/{upload_id}", "editor", 200, {"upload_id": "an_upload"}),
    Row(
        "PATCH", "/v1/uploads/{upload_id}", "editor", 200, {"upload_id": "an_upload"}, query="?offset=0", changes=False
    ),
    Row("DELETE", "/v1/uploads/{upload_id}", "editor", 204, {"upload_id": "an_upload"}, changes=False),
    # jobs and programs
    Row("POST", "/v1/jobs", "editor", 202, body={"kind": "train", "dataset": "{a_dataset}", "spec": SPEC}),
    Row(
        *("POST", "/v1/jobs/estimate", "editor", 200),
        body={
            "template": "demand",
            "dataset": "{a_series}",
            "options": {"horizon": 2, "origins": 2, "calibration": 1},
        },
        changes=False,
    ),
    Row("GET", "/v1/jobs", "viewer", 200, foreign=200),
    Row("GET", "/v1/jobs/{job_id}", "viewer", 200, {"job_id": "a_job"}),
    Row("POST", "/v1/jobs/{job_id}/cancel", "editor", 200, {"job_id": "a_queued_job"}),
    Row("GET", "/v1/jobs/{job_id}/events", "viewer", 200, {"job_id": "a_job"}),
    Row("GET", "/v1/jobs/{job_id}/metrics", "viewer", 200, {"job_id": "a_job"}),
    Row("GET", "/v1/jobs/{job_id}/report", "viewer", 200, {"job_id": "a_trained_job"}, query="?format=html"),
    Row("GET", "/v1/jobs/{job_id}/artifacts", "viewer", 200, {"job_id": "a_job_with_a_file"}),
    Row("DELETE", "/v1/jobs/{job_id}/artifacts", "editor", 204, {"job_id": "a_job_with_a_file"}),
    Row(
        "GET",
        "/v1/jobs/{job_id}/artifacts/{role}/{name}",
        "viewer",
        200,
        {"job_id": "a_job_with_a_file", "role": "=output", "name": "=result.txt"},
    ),
    Row("POST", "/v1/programs", "editor", 202, body=PROGRAM, foreign=202),
    Row("GET", "/v1/programs/{job_id}", "viewer", 200, {"job_id": "a_job"}),
    Row("POST", "/v1/solutions", "editor", 202, body=PROBLEM, foreign=202),
    Row("GET", "/v1/solutions", "viewer", 200, foreign=200),
    Row("GET", "/v1/solutions/{job_id}", "viewer", 200, {"job_id": "a_solution"}),
    Row("GET", "/v1/solutions/{job_id}/file", "viewer", 409, {"job_id": "a_solution"}),  # has not run
    Row("DELETE", "/v1/solutions/{job_id}", "editor", 204, {"job_id": "a_solution"}),
    Row("POST", "/v1/program-sets", "editor", 202, body=PROGRAM_SET, foreign=202),
    Row("GET", "/v1/program-sets", "viewer", 200, foreign=200),
    Row("GET", "/v1/program-sets/{job_id}", "viewer", 200, {"job_id": "a_program_set"}),
    Row("GET", "/v1/program-sets/{job_id}/file", "viewer", 409, {"job_id": "a_program_set"}),  # has not run
    Row("DELETE", "/v1/program-sets/{job_id}", "editor", 204, {"job_id": "a_program_set"}),
    # models
    Row("GET", "/v1/models", "viewer", 200, foreign=200),
    Row("GET", "/v1/models/{name}", "viewer", 200, _OF_MODEL),
    Row("PATCH", "/v1/models/{name}", "editor", 200, _OF_MODEL, {"note": "good"}),
    Row("DELETE", "/v1/models/{name}", "editor", 204, _OF_MODEL),
    Row("GET", "/v1/models/{name}/history", "viewer", 200, _OF_MODEL),
    Row("GET", "/v1/models/{name}/lineage", "viewer", 200, _OF_MODEL),
    Row("GET", "/v1/models/{name}/diff", "viewer", 200, _OF_MODEL, query="?before=1&after=2"),
    Row("POST", "/v1/models/{name}/versions", "editor", 415, _OF_MODEL, {}, foreign=415),  # a file is sent as a zip
    Row("GET", "/v1/models/{name}/versions/{version}", "viewer", 200, _VERSION),
    Row("PATCH", "/v1/models/{name}/versions/{version}", "editor", 200, _VERSION, {"note": "good"}),
    Row("DELETE", "/v1/models/{name}/versions/{version}", "editor", 204, _VERSION),
    Row("GET", "/v1/models/{name}/versions/{version}/gate", "viewer", 200, _VERSION),
    Row("GET", "/v1/models/{name}/versions/{version}/report", "viewer", 200, _VERSION),
    Row("GET", "/v1/models/{name}/versions/{version}/file", "viewer", 200, _VERSION),
    Row(
        "POST",
        "/v1/models/{name}/versions/{version}/drift",
        "viewer",
        200,
        _VERSION,
        {"dataset": "{a_dataset}"},
        changes=False,
    ),
    Row(
        "PUT",
        "/v1/models/{name}/versions/{version}/validations/{site}",
        "editor",
        200,
        {**_VERSION, "site": "=north"},
        VALIDATION,
    ),
    Row(
        "POST",
        "/v1/models/{name}/versions/{version}/validations/{site}/withdraw",
        "editor",
        200,
        {"name": "a_validated_model", "version": "=1", "site": "=north"},
        {"reason": "Rows of another year."},
    ),
    Row(
        "PUT",
        "/v1/models/{name}/aliases/{alias}",
        "editor",
        200,
        {"name": "a_model", "alias": "=champion"},
        {"version": 1},
    ),
    Row(
        "DELETE",
        "/v1/models/{name}/aliases/{alias}",
        "editor",
        204,
        {"name": "a_model_with_an_alias", "alias": "=champion"},
    ),
    # users' own modules, and sweeps
    Row(
        "POST",
        "/v1/modules",
        "editor",
        201,
        body=exported_module,
        query="?name={new_name}",
        foreign=201,
        headers={"Content-Type": "application/vnd.superpose.module"},
    ),
    Row("GET", "/v1/modules", "viewer", 200, foreign=200),
    Row("GET", "/v1/modules/{id_or_name}", "viewer", 200, {"id_or_name": "a_module"}),
    Row("GET", "/v1/modules/{id_or_name}/file", "viewer", 200, {"id_or_name": "a_module"}),
    Row("DELETE", "/v1/modules/{id_or_name}", "editor", 204, {"id_or_name": "a_module"}),
    Row("POST", "/v1/sweeps", "editor", 202, body={**SWEEP, "dataset": "{a_dataset}", "name": "{new_name}"}),
    Row("GET", "/v1/sweeps", "viewer", 200, foreign=200),
    Row("GET", "/v1/sweeps/{name}", "viewer", 200, {"name": "a_sweep"}),
    Row("POST", "/v1/sweeps/{name}/cancel", "editor", 200, {"name": "a_sweep"}),
    # batch predictions
    Row(
        "POST", "/v1/predictions", "editor", 202, body={"dataset": "{a_dataset}", "model": "{a_model}", "format": "csv"}
    ),
    Row("GET", "/v1/predictions", "viewer", 200, foreign=200),
    Row("GET", "/v1/predictions/{job_id}", "viewer", 200, {"job_id": "a_prediction"}),
    Row("GET", "/v1/predictions/{job_id}/file", "viewer", 409, {"job_id": "a_prediction"}),  # has not run
    Row("DELETE", "/v1/predictions/{job_id}", "editor", 204, {"job_id": "a_prediction"}),
    # endpoints
    Row("POST", "/v1/endpoints", "editor", 201, body={"name": "{new_name}", "model": "{a_model}"}),
    Row("GET", "/v1/endpoints", "viewer", 200, foreign=200),
    Row("GET", "/v1/endpoints/{name}", "predictor", 200, _OF_ENDPOINT),
    Row("PATCH", "/v1/endpoints/{name}", "editor", 200, {"name": "a_revised_endpoint"}, {"version": 1}),
    Row("DELETE", "/v1/endpoints/{name}", "editor", 204, _OF_ENDPOINT),
    Row("GET", "/v1/endpoints/{name}/lineage", "viewer", 200, _OF_ENDPOINT),
    Row("POST", "/v1/endpoints/{name}/rollback", "editor", 200, {"name": "a_revised_endpoint"}, {}),
    Row(
        "PUT",
        "/v1/endpoints/{name}/canary",
        "editor",
        200,
        {"name": "a_revised_endpoint"},
        {"percent": 10.0, "version": 1},
    ),
    Row("DELETE", "/v1/endpoints/{name}/canary", "editor", 200, {"name": "an_endpoint_with_a_canary"}),
    Row("POST", "/v1/endpoints/{name}/promote", "editor", 200, {"name": "an_endpoint_with_a_canary"}),
    Row("GET", "/v1/endpoints/{name}/revisions", "viewer", 200, _OF_ENDPOINT),
    Row("GET", "/v1/endpoints/{name}/events", "viewer", 200, _OF_ENDPOINT),
    Row("GET", "/v1/endpoints/{name}/stats", "viewer", 200, _OF_ENDPOINT),
    Row("GET", "/v1/endpoints/{name}/alarms", "viewer", 200, _OF_ENDPOINT),
    Row("POST", "/v1/endpoints/{name}/predict", "predictor", 200, _OF_ENDPOINT, {"rows": [FLOWER]}, changes=False),
    Row("POST", "/v1/endpoints/{name}/explain", "predictor", 200, _OF_ENDPOINT, {"rows": [FLOWER]}, changes=False),
    # quantum functions
    Row(
        "POST",
        "/v1/functions",
        "editor",
        201,
        body={"name": "{new_name}", "file_name": "one.qasm", "source": FUNCTION},
        foreign=201,
    ),
    Row("GET", "/v1/functions", "viewer", 200, foreign=200),
    Row("GET", "/v1/functions/{name}", "predictor", 200, _OF_FUNCTION),
    Row("GET", "/v1/functions/{name}/versions", "viewer", 200, _OF_FUNCTION),
    Row("GET", "/v1/functions/{name}/source", "viewer", 200, _OF_FUNCTION),
    Row("GET", "/v1/functions/{name}/logs", "viewer", 200, _OF_FUNCTION),
    Row("POST", "/v1/functions/{name}/rollback", "editor", 200, _OF_FUNCTION, {}),
    Row("DELETE", "/v1/functions/{name}", "editor", 204, _OF_FUNCTION),
    Row("POST", "/v1/functions/{name}/call", "predictor", 200, _OF_FUNCTION, {"input": {}}, changes=False),
    Row(
        "GET",
        "/v1/functions/{name}/calls/{call_id}",
        "predictor",
        200,
        {"name": "a_called_function", "call_id": "a_call"},
    ),
    Row("GET", "/v1/waits", "viewer", 200, foreign=200),
    # webhooks
    Row(
        "POST",
        "/v1/webhooks",
        "admin",
        201,
        body={"url": "https://receiver.invalid/", "events": ["job.waiting"]},
        foreign=201,
    ),
    Row("GET", "/v1/webhooks", "admin", 200, foreign=200),
    Row("GET", "/v1/webhooks/{webhook_id}", "admin", 200, {"webhook_id": "a_webhook"}),
    Row("DELETE", "/v1/webhooks/{webhook_id}", "admin", 204, {"webhook_id": "a_webhook"}),
    Row("POST", "/v1/webhooks/{webhook_id}/rotate", "admin", 200, {"webhook_id": "a_webhook"}, {}),
    Row("POST", "/v1/webhooks/{webhook_id}/test", "admin", 202, {"webhook_id": "a_webhook"}),
    Row("POST", "/v1/webhooks/{webhook_id}/enable", "admin", 200, {"webhook_id": "a_webhook"}),
    Row("POST", "/v1/webhooks/{webhook_id}/disable", "admin", 200, {"webhook_id": "a_webhook"}),
    Row("GET", "/v1/webhooks/{webhook_id}/deliveries", "admin", 200, {"webhook_id": "a_webhook"}),
    # the Open Inference Protocol
    Row("GET", "/v2/health/live", "anyone", 200),
    Row("GET", "/v2/health/ready", "anyone", 200),
    Row("GET", "/v2", "any key", 200, foreign=200),
    Row("GET", "/v2/", "any key", 200, foreign=200),
    Row("GET", "/v2/models/{name}", "predictor", 200, _OF_ENDPOINT),
    Row("GET", "/v2/models/{name}/ready", "predictor", 200, _OF_ENDPOINT),
    Row("GET", "/v2/models/{name}/versions/{number}", "predictor", 200, _INFERENCE),
    Row("GET", "/v2/models/{name}/versions/{number}/ready", "predictor", 200, _INFERENCE),
    Row("POST", "/v2/models/{name}/infer", "predictor", 200, _OF_ENDPOINT, TENSOR, changes=False),
    Row("POST", "/v2/models/{name}/versions/{number}/infer", "predictor", 200, _INFERENCE, TENSOR, changes=False),
    # people
    Row("POST", "/v1/projects", "operator", 201, body={"name": "{new_name}"}),
    Row("GET", "/v1/projects", "viewer", 200, foreign=200),
    Row("GET", "/v1/projects/{name}", "viewer", 200, _ALPHA, operator=200),
    Row("PATCH", "/v1/projects/{name}", "admin", 200, _ALPHA, {"title": "Alpha"}, operator=200),
    Row("PUT", "/v1/projects/{name}/quotas", "operator", 200, {"name": "a_project"}, {"jobs": 10}),
    Row("GET", "/v1/projects/{name}/residency", "viewer", 200, _ALPHA, operator=200),
    Row("PUT", "/v1/projects/{name}/residency", "admin", 200, _ALPHA, {"regions": ["eu", "here"]}, operator=200),
    Row("DELETE", "/v1/projects/{name}/residency", "admin", 204, _ALPHA, operator=204),
    Row("POST", "/v1/projects/{name}/archive", "operator", 200, {"name": "a_project"}),
    Row("POST", "/v1/projects/{name}/restore", "operator", 200, {"name": "an_archived_project"}),
    Row("GET", "/v1/projects/{name}/members", "admin", 200, _ALPHA, operator=200),
    Row(
        "PUT",
        "/v1/projects/{name}/members/{user_id}",
        "admin",
        200,
        {"name": "alpha", "user_id": "a_user"},
        {"role": "editor"},
        operator=200,
    ),
    Row(
        "DELETE",
        "/v1/projects/{name}/members/{user_id}",
        "admin",
        204,
        {"name": "alpha", "user_id": "a_user"},
        operator=204,
    ),
    Row("POST", "/v1/users", "admin", 201, body={"name": "{new_name}"}, foreign=201),
    Row("GET", "/v1/users", "admin", 200, foreign=200),
    Row("GET", "/v1/users/{user_id}", "admin", 200, {"user_id": "a_user"}, operator=200),
    Row("PATCH", "/v1/users/{user_id}", "operator", 200, {"user_id": "a_user"}, {"name": "Ada"}),
    Row("POST", "/v1/users/{user_id}/disable", "operator", 200, {"user_id": "a_user"}),
    Row("POST", "/v1/users/{user_id}/enable", "operator", 200, {"user_id": "a_disabled_user"}),
    Row("POST", "/v1/keys", "admin", 201, body={"role": "viewer"}, foreign=201),
    Row("GET", "/v1/keys", "admin", 200, foreign=200),
    Row("GET", "/v1/keys/{key_id}", "admin", 200, {"key_id": "a_key"}, operator=200),
    Row("POST", "/v1/keys/{key_id}/rotate", "admin", 200, {"key_id": "a_key"}, {"grace_s": 60}, operator=200),
    Row("DELETE", "/v1/keys/{key_id}", "admin", 204, {"key_id": "a_key"}, operator=204),
    Row("GET", "/v1/usage", "viewer", 200, query="?project={alpha}", operator=200),
    Row("GET", "/v1/budgets", "viewer", 200, query="?project={alpha}", operator=200),
    Row("PUT", "/v1/budgets", "operator", 200, body={"period": "day", "limit_usd": 1e6, "project": "alpha"}),
    Row("DELETE", "/v1/budgets", "operator", 204, query="?period=total&project={alpha}"),
    Row("GET", "/v1/costs", "viewer", 200, query="?project={alpha}", operator=200),
    Row("GET", "/v1/jobs/{job_id}/cost", "viewer", 200, {"job_id": "a_job"}),
    Row("GET", "/v1/audit", "admin", 200, foreign=200),
    Row("GET", "/v1/audit/export", "admin", 200, foreign=200),
    Row("GET", "/v1/audit/verification", "operator", 200),
    # the service
    Row("GET", "/metrics", "viewer", 200, foreign=200),
    Row("GET", "/v1/version", "any key", 200, foreign=200),
)

_OF_PRODUCTION: dict[str, Any] = {"things": {"name": "a_production_endpoint"}, "route_role": "editor"}
CASES = (
    # out of production: else an editor could let what is incomplete answer under a name that callers trust
    Row("PATCH", "/v1/endpoints/{name}", "admin", 200, body={"stage": "development"}, **_OF_PRODUCTION),
    Row("PATCH", "/v1/endpoints/{name}", "editor", 200, body={"limits": {"max_batch_rows": 9}}, **_OF_PRODUCTION),
    Row("DELETE", "/v1/endpoints/{name}", "admin", 204, **_OF_PRODUCTION),
    # into it without what is missing
    Row(
        "POST",
        "/v1/endpoints",
        "admin",
        201,
        body={"name": "{new_name}", "model": "{a_model}", "stage": "production", "override": "Shown at the fair."},
        route_role="editor",
    ),
)
"""Cases of routes in `ROWS` that ask for another role than the route does."""
