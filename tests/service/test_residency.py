"""A project's residency rules hold its jobs of every kind, when they are submitted and just before each hand-over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from tests.service.conftest import SMALL_SPEC, ended, wait_for, working

from superpose import Circuit, Parameter, ProgramSet
from superpose.backends import LocalBackend, providers
from superpose.backends.fleet import Fleet
from superpose.circuits import Capabilities, Program, ProgramResult, program_set_to_json, program_to_json
from superpose.errors import ForbiddenError, NotFoundError, ResidencyError, ResidencyRulesError, SpecError
from superpose.service import (
    AskedSet,
    AuditFilter,
    CallRequest,
    Dataset,
    FunctionAsked,
    JobStatus,
    Principal,
    Role,
    Service,
    ServiceConfig,
)

BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'
PROGRAM = program_to_json(Program(Circuit(2).h(0).cx(0, 1), shots=20))


class Cloud(LocalBackend):
    """A processor with a queue, in memory: results are there once it is open."""

    region_: str | None = "us-east"
    own = "cloud"
    open = True
    on_third: Any = staticmethod(lambda: None)

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.n_asked = 0

    @property
    def name(self) -> str:
        return self.own

    @property
    def region(self) -> str | None:  # type: ignore[override]
        return self.region_

    def capabilities(self) -> Capabilities:
        return Capabilities(max_qubits=5, max_batch=2)

    def batch_limit(self, template: object, shots: int | None) -> int:
        return 2

    def submit(self, program: Program, token: str) -> str:
        self.programs.setdefault(token, program)
        if len(self.programs) == 3:
            self.on_third()
        return token

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        self.n_asked += 1
        return super().run(self.programs[provider_job_id]) if self.open else None


class AtOnce(LocalBackend):
    """A processor without a queue."""

    name = "at_once"  # type: ignore[assignment]
    region = "us"  # type: ignore[assignment]
    n_runs = 0
    on_third: Any = staticmethod(lambda: None)

    def capabilities(self) -> Capabilities:
        return Capabilities(max_qubits=5, max_batch=2)

    def batch_limit(self, template: object, shots: int | None) -> int:
        return 2

    def run(self, program: Program) -> ProgramResult:
        type(self).n_runs += 1
        if self.n_runs == 3:
            type(self).on_third()
        return super().run(program)

    compile = None  # type: ignore[assignment]


class Berlin(Cloud):
    own, region_ = "berlin", "eu-de"


@pytest.fixture
def clouds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    cloud, berlin = Cloud(), Berlin()
    monkeypatch.setattr(AtOnce, "n_runs", 0)
    made: dict[str, Callable[[], Any]] = {
        "cloud": lambda: cloud,
        "berlin": lambda: berlin,
        "at_once": AtOnce,
        "both": lambda: Fleet([cloud, berlin], name="both"),
    }
    monkeypatch.setattr(providers, "BACKENDS", MappingProxyType({**providers.BACKENDS, **made}))
    return {"cloud": cloud, "berlin": berlin}


@pytest.fixture
def config(config: ServiceConfig) -> ServiceConfig:
    return replace(config, poll_max_s=0.05)


def a_set() -> ProgramSet:
    return ProgramSet([(Circuit(1).ry(Parameter("a"), 0), {"a": [0.1, 0.2, 0.3, 0.4]}, (), 10)], seed=1)


def test_no_kind_of_job_is_taken_for_a_backend_outside(
    service: Service, admin: Principal, stranger: Principal, clouds: dict[str, Any]
) -> None:
    service.functions.deploy(admin, "before", "bell.qasm", BELL, FunctionAsked(backend="cloud"))
    service.residencies.set(admin, "default", {"regions": ["eu"]})
    in_set = program_set_to_json(a_set())
    for attempt in (
        lambda: service.jobs.submit(admin, "program", PROGRAM, backend="cloud"),
        lambda: service.program_sets.submit(admin, in_set, AskedSet(backend="cloud")),
        lambda: service.functions.deploy(admin, "bell", "bell.qasm", BELL, FunctionAsked(backend="cloud")),
        lambda: asyncio.run(service.calls.call(admin, "before", CallRequest(input={}), wait_s=0)),
    ):
        with pytest.raises(ResidencyError, match=r"project 'default': cloud is in 'us-east' \(us\), and rule regions"):
            attempt()
    assert service.jobs.list(admin).items == ()
    service.jobs.submit(admin, "program", PROGRAM, backend="berlin")
    service.jobs.submit(admin, "program", PROGRAM)
    service.jobs.submit(stranger, "program", PROGRAM, backend="cloud")  # another project has no rules
    service.residencies.set(admin, "default", {"processors": False})
    with pytest.raises(ResidencyError, match="berlin is a quantum processor"):
        service.jobs.submit(admin, "program", PROGRAM, backend="berlin")
    service.residencies.clear(admin, "default")
    service.jobs.submit(admin, "program", PROGRAM, backend="cloud")


def test_a_provider_that_is_denied_is_not_even_asked(
    service: Service, admin: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise AssertionError("it was asked")

    monkeypatch.setattr(providers, "BACKENDS", MappingProxyType({**providers.BACKENDS, "house": broken}))
    service.residencies.set(admin, "default", {"deny_providers": ["house", "ibm"]})
    for name in ("house", "ibm:ibm_fez"):
        with pytest.raises(ResidencyError, match="rule deny_providers denies house, ibm"):
            service.jobs.submit(admin, "program", PROGRAM, backend=name)


@pytest.mark.usefixtures("kernels")
def test_rules_set_after_the_submission_hold_before_the_hand_over(
    service: Service, admin: Principal, config: ServiceConfig, clouds: dict[str, Any]
) -> None:
    jobs = [service.jobs.submit(admin, "program", PROGRAM, backend=name) for name in ("cloud", "at_once")]
    stored = [
        service.program_sets.submit(admin, program_set_to_json(a_set()), AskedSet(backend=name)).job
        for name in ("cloud", "at_once")
    ]
    service.functions.deploy(admin, "bell", "bell.qasm", BELL, FunctionAsked(backend="cloud"))
    called = asyncio.run(service.calls.call(admin, "bell", CallRequest(input={}), wait_s=0))
    assert called.job_id is not None
    call = service.store.get(called.job_id)
    service.residencies.set(admin, "default", {"regions": ["eu"]})
    with working(config):
        for job in (*jobs, call):
            error = ended(service, job).error
            assert error is not None and error["code"] == "backend.residency", error
        for job in stored:
            found = ended(service, job)
            assert found.status is JobStatus.FAILED
            assert "backend.residency" in str(found.error)
    assert clouds["cloud"].programs == {} and AtOnce.n_runs == 0


@pytest.mark.usefixtures("kernels")
def test_what_a_provider_has_already_is_fetched_and_nothing_more_goes_there(
    service: Service, admin: Principal, config: ServiceConfig, clouds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from superpose.service.program_sets import queued_pieces

    monkeypatch.setattr(queued_pieces, "MAX_QUEUED", 1)
    cloud = clouds["cloud"]
    cloud.open = False
    with working(config):
        one = service.jobs.submit(admin, "program", PROGRAM, backend="cloud")
        several = service.program_sets.submit(admin, program_set_to_json(a_set()), AskedSet(backend="cloud")).job
        wait_for(lambda: len(cloud.programs) == 2)
        service.residencies.set(admin, "default", {"deny_backends": ["cloud"]})
        cloud.open = True
        assert ended(service, one).status is JobStatus.SUCCEEDED
        found = ended(service, several)
    assert found.status is JobStatus.SUCCEEDED and found.result is not None
    assert found.result["n_pieces"] == 2 and found.result["n_failed"] == 1
    assert found.result["failures"][0]["code"] == "backend.residency"  # type: ignore[index]
    assert len(cloud.programs) == 2


@pytest.mark.usefixtures("kernels")
def test_fleets_and_auto_keep_to_the_rules_in_jobs(
    service: Service, admin: Principal, config: ServiceConfig, clouds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from superpose.backends.selection import auto

    service.residencies.set(admin, "default", {"regions": ["eu"]})
    told = {"among": ["berlin", "cloud", "local"]}
    monkeypatch.setattr(auto, "estimate_backends", _among(auto.estimate_backends, told["among"]))
    with working(config):
        ran = ended(service, service.jobs.submit(admin, "program", PROGRAM, backend="both"))
        assert ran.result is not None and ran.result["provenance"]["fleet"]["ran_on"] == "berlin"  # type: ignore[index]
        chosen = ended(service, service.jobs.submit(admin, "program", PROGRAM, backend="auto"))
    assert chosen.result is not None
    decision: Any = chosen.result["provenance"]["selection"]  # type: ignore[index]
    reasons = {one["name"]: " ".join(one["reasons"]) for one in decision["verdicts"]}
    assert reasons["cloud"].startswith("Residency of project 'default': cloud is in 'us-east' (us)")
    assert clouds["cloud"].programs == {}
    service.residencies.set(admin, "default", {"regions": ["fr"]})
    with pytest.raises(ResidencyError, match=r"berlin is in 'eu-de' \(de, eu\)"):
        service.jobs.submit(admin, "program", PROGRAM, backend="both")


def _among(estimate: Any, names: list[str]) -> Any:
    """The real estimates, of these backends alone: the others of this installation take seconds to list."""
    return lambda program, _, knowledge, *, wanted: estimate(program, names, knowledge, wanted=wanted)


def test_training_goes_to_no_backend_outside(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Dataset, clouds: dict[str, Any]
) -> None:
    spec = {**SMALL_SPEC, "backend": {"name": "cloud", "shots": 20, "gradient": "spsa", "allocation": "fixed"}}
    spec["training"] = {"epochs": 1, "batch_size": 32}
    waiting = service.jobs.submit(admin, "train", spec, dataset=dataset.id)
    service.residencies.set(admin, "default", {"regions": ["eu"]})
    with pytest.raises(ResidencyError, match="cloud is in 'us-east'"):
        service.jobs.submit(admin, "train", spec, dataset=dataset.id)
    pytest.importorskip("optuna", reason="sweeps need Optuna")
    sweep = {"spec": spec, "space": {"training.batch_size": [16, 32]}, "n_trials": 1}
    with pytest.raises(SpecError, match="trials of a sweep run on this machine"):
        service.sweeps.submit(admin, sweep, dataset=dataset.id)
    with working(config):
        error = ended(service, waiting).error
    assert error is not None and error["code"] == "backend.residency" and clouds["cloud"].programs == {}


@pytest.mark.parametrize("queued", [True, False])
def test_a_training_under_way_gets_no_program_more(
    service: Service,
    admin: Principal,
    config: ServiceConfig,
    dataset: Dataset,
    clouds: dict[str, Any],
    queued: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud: Any = clouds["cloud"] if queued else AtOnce
    monkeypatch.setattr(cloud, "on_third", lambda: service.residencies.set(admin, "default", {"regions": ["eu"]}))
    name = "cloud" if queued else "at_once"
    spec = {**SMALL_SPEC, "backend": {"name": name, "shots": 20, "gradient": "spsa", "allocation": "fixed"}}
    spec["training"] = {"epochs": 3, "batch_size": 8}
    job = service.jobs.submit(admin, "train", spec, dataset=dataset.id)
    with working(config):
        error = ended(service, job).error
    assert error is not None and error["code"] == "backend.residency"
    assert (len(cloud.programs) if queued else AtOnce.n_runs) == 3


def test_who_may_look_and_change_and_what_the_log_says(service: Service, admin: Principal, stranger: Principal) -> None:
    _, secret = service.keys.create(admin, role=Role.EDITOR)
    editor = service.authenticate(secret)
    assert service.residencies.get(editor, "default").to_json() == {
        "project": "default", "rules": None, "set_at": None, "set_by": None,
    }  # fmt: skip
    with pytest.raises(ForbiddenError):
        service.residencies.set(editor, "default", {"regions": ["eu"]})
    with pytest.raises(ForbiddenError):
        service.residencies.clear(editor, "default")
    for reach in (service.residencies.get, service.residencies.clear):
        with pytest.raises(NotFoundError):
            reach(stranger, "default")
    with pytest.raises(ResidencyRulesError, match="'europe' names no region"):
        service.residencies.set(admin, "default", {"regions": ["europe"]})
    service.residencies.set(stranger, "elsewhere", {"regions": ["us"]})
    service.residencies.set(admin, "elsewhere", {"regions": ["eu"]})  # an operator
    found = service.residencies.get(stranger, "elsewhere")
    assert found.rules is not None and found.rules["regions"] == ["eu"] and found.set_by == admin.key_id
    service.residencies.clear(stranger, "elsewhere")
    assert service.residencies.get(stranger, "elsewhere").rules is None
    entries = service.audit.list(admin, wanted=AuditFilter(project="elsewhere", subject="project:elsewhere")).items
    told = [(one.action, one.data["before"], one.data["after"]) for one in entries if "residency" in one.action]
    kinds = [(action, before and before["regions"], after and after["regions"]) for action, before, after in told]  # type: ignore[index, call-overload]
    assert sorted(kinds, key=str) == sorted(
        [
            ("project.residency_set", None, ["us"]),
            ("project.residency_set", ["us"], ["eu"]),
            ("project.residency_cleared", ["eu"], None),
        ],
        key=str,
    )
