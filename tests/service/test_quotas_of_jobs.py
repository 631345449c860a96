"""Quotas hold for every kind of job: refused at the door, held in the queue, stopped before they write too much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from superpose import export_module
from superpose.circuits import Circuit, Program, ProgramGrid, ProgramSet, program_set_to_json, program_to_json
from superpose.errors import ByteQuotaError, JobQuotaError, QuotaError, SecondsQuotaError
from superpose.service import (
    Asked,
    AskedSet,
    AskedSolution,
    CallRequest,
    JobKind,
    JobStatus,
    ModelVersion,
    Principal,
    Service,
    ServiceConfig,
)
from superpose.service.store.claims import NewJob
from superpose.testing.store import ManualClock
from superpose.trust import read_key_file

from .conftest import CSV, SMALL_SPEC, ended, small_pictures, working

PROGRAM = dict(program_to_json(Program(Circuit(1).h(0), {}, shots=10)))
SET = dict(program_set_to_json(ProgramSet(ProgramGrid(Circuit(1).h(0), shots=10), seed=1)))
FUNCTION = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; h q;'
SOURCE = "import superpose\n@superpose.job\ndef f(ctx):\n    return 1\n"
SWEEP = {"spec": SMALL_SPEC, "space": {"model.n_qubits": {"int": [1, 2]}}, "n_trials": 2}

Submit = Callable[[Service, Principal, Path], object]


def call_later(service: Service, who: Principal, _: Path) -> object:
    return asyncio.run(service.calls.call(who, "coin", CallRequest({}), wait_s=0.0))


def predict_a_file(service: Service, who: Principal, room: Path) -> object:
    path = room / "rows.csv"
    path.write_bytes(CSV)
    return service.predictions.submit_file(who, path, "csv", Asked(model="outcome"))


def train(service: Service, who: Principal, _: Path) -> object:
    return service.jobs.submit(who, "train", SMALL_SPEC, dataset="trial")


def train_module(service: Service, who: Principal, _: Path) -> object:
    payload = {"module": "linear", "loss": "cross_entropy", "spec": {"evaluation": {"n_splits": 2}}}
    return service.jobs.submit(who, "train_module", payload, dataset="trial")


def run_function(service: Service, who: Principal, _: Path) -> object:
    return service.jobs.submit(who, "function", {"source": SOURCE, "file": "f.py", "function": "f"})


def import_model(service: Service, who: Principal, _: Path) -> object:
    found = service.models.version(who, "outcome", 1)
    return service.imports.submit(who, model="again", content=service.models.content(found))


def train_template(service: Service, who: Principal, _: Path) -> object:
    return service.jobs.submit(who, "train_template", {"template": "pneumonia"}, dataset="pictures")


PROBLEM = {"kind": "maxcut", "edges": [[0, 1]]}

#: Every way in which somebody begins a job -> its kind.
SUBMISSIONS: Mapping[Submit, JobKind] = {
    train: JobKind.TRAIN,
    train_module: JobKind.TRAIN_MODULE,
    run_function: JobKind.FUNCTION,
    predict_a_file: JobKind.PREDICT,
    call_later: JobKind.CALL,
    lambda service, who, _: service.jobs.submit(who, "program", PROGRAM): JobKind.PROGRAM,
    lambda service, who, _: service.sweeps.submit(who, SWEEP, dataset="trial", name="s"): JobKind.SWEEP,
    lambda service, who, _: service.predictions.submit_dataset(who, "trial", Asked(model="outcome")): JobKind.PREDICT,
    lambda service, who, _: service.program_sets.submit(who, SET, AskedSet()): JobKind.PROGRAM_SET,
    lambda service, who, _: service.solutions.submit(who, AskedSolution(problem=PROBLEM)): JobKind.SOLVE,
    import_model: JobKind.IMPORT,
    train_template: JobKind.TRAIN_TEMPLATE,
}


@pytest.fixture
def config(config: ServiceConfig) -> ServiceConfig:
    return replace(config, allow_user_code=True)


def test_no_kind_of_job_passes_a_quota_that_is_used_up(
    service: Service, admin: Principal, model: ModelVersion, tmp_path: Path
) -> None:
    service.functions.deploy(admin, "coin", "coin.qasm", FUNCTION)
    exported = export_module(torch.nn.Linear(2, 2), torch.zeros(1, 2)).to_bytes()
    service.modules.add(admin, name="linear", content=exported)
    service.datasets.add(admin, name="pictures", content=small_pictures(), format="npz", target="class")
    assert set(SUBMISSIONS.values()) == set(JobKind) - {JobKind.TRIAL}  # those are a sweep's, and counted with it
    quotas: tuple[tuple[str, type[QuotaError]], ...] = (
        ("jobs", JobQuotaError),
        ("seconds_per_day", SecondsQuotaError),
        ("seconds_per_month", SecondsQuotaError),
        ("bytes", ByteQuotaError),
    )
    before = len(service.jobs.list(admin).items)
    for quantity, error in quotas:
        service.projects.set_quotas(admin, "default", {quantity: 0})
        for submit, kind in SUBMISSIONS.items():
            with pytest.raises(error) as caught:
                submit(service, admin, tmp_path)
            assert caught.value.details["quantity"] == quantity, kind
    assert len(service.jobs.list(admin).items) == before
    service.projects.set_quotas(admin, "default", {})
    for submit in SUBMISSIONS:  # so it was the quota, each time
        submit(service, admin, tmp_path)
    kinds = [job.kind for job in service.jobs.list(admin).items[:-before]]
    assert sorted(kinds) == sorted(SUBMISSIONS.values())


def test_queued_jobs_wait_while_the_seconds_are_used_up_and_other_projects_go_on(config: ServiceConfig) -> None:
    clock = ManualClock()
    with Service.open(replace(config, lease_s=1e6), clock=clock) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        stranger = service.authenticate(service.keys.create(admin, project="elsewhere", role="admin")[1])
        service.projects.set_quotas(admin, "default", {"seconds_per_day": 100})
        first, second, third, last = (service.jobs.submit(admin, "program", PROGRAM, priority=p) for p in (3, 2, 1, 0))
        claim = service.store.claim("w")
        assert claim is not None and claim.job.id == first.id
        clock.advance(100)
        assert not service.store.has_work()
        assert service.store.claim("w") is None  # the one that runs goes on; the others stay
        assert service.store.heartbeat(claim) is JobStatus.RUNNING
        for job in (service.jobs.get(admin, second.id), *service.jobs.list(admin, status="queued").items):
            assert job.held is not None
            assert job.held["code"] == "quota.seconds"
            assert str(job.held["until"]).startswith("2026-01-02T00:00:00")
        assert service.jobs.get(admin, first.id).held is None
        service.store.succeed(claim, {})
        other = service.jobs.submit(stranger, "program", PROGRAM)
        assert service.store.has_work()
        theirs = service.store.claim("w")
        assert theirs is not None and theirs.job.id == other.id
        service.projects.set_quotas(admin, "default", {"seconds_per_day": 101})
        assert service.jobs.get(admin, second.id).held is None
        raised = service.store.claim("w")  # a larger quota counts at once
        assert raised is not None and raised.job.id == second.id
        clock.advance(1)
        assert service.store.claim("w") is None
        assert service.jobs.cancel(admin, third.id).status is JobStatus.CANCELLED  # what waits can be cancelled
        service.store.succeed(raised, {})
        clock.advance(86_400)
        tomorrow = service.store.claim("w")
        assert tomorrow is not None and tomorrow.job.id == last.id


def test_a_sweep_waits_for_the_next_day_when_the_seconds_are_used_up(config: ServiceConfig) -> None:
    clock = ManualClock()
    with Service.open(replace(config, lease_s=1e6), clock=clock) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
        made = service.sweeps.submit(admin, SWEEP, dataset="trial", name="long")
        children = [NewJob(project="default", kind=JobKind.TRIAL, payload={"number": 0}, created_by="x")]
        step = service.store.claim("w")
        assert step is not None
        service.store.await_children(step, children, ())
        trial = service.store.claim("w")
        assert trial is not None
        clock.advance(10)
        service.projects.set_quotas(admin, "default", {"seconds_per_day": 10})
        service.store.succeed(trial, {})
        assert service.store.get(made.job.id).status is JobStatus.QUEUED
        assert service.store.claim("w") is None
        service.projects.set_quotas(admin, "default", {"seconds_per_day": 11})
        again = service.store.claim("w")
        assert again is not None and again.job.id == made.job.id
        clock.advance(1)  # used up under the step itself, so it begins nothing and waits as well
        assert service.store.await_children(again, children, {trial.job.id}).status is JobStatus.QUEUED
        assert service.store.claim("w") is None
        clock.advance(86_400)
        tomorrow = service.store.claim("w")
        assert tomorrow is not None and tomorrow.job.id == made.job.id
        assert service.store.await_children(tomorrow, children, {trial.job.id}).status is JobStatus.WAITING


def test_a_job_begins_nothing_and_writes_no_file_that_the_bytes_have_no_room_for(
    service: Service, admin: Principal, config: ServiceConfig, model: ModelVersion
) -> None:
    used = service.quotas.usage(admin).used["bytes"]
    assert used is not None
    service.projects.set_quotas(admin, "default", {"bytes": int(used) + 100})
    predicted = service.predictions.submit_dataset(admin, "trial", Asked(model="outcome"))  # writes more than that
    with working(config):
        failed = ended(service, predicted.job)
    assert failed.error is not None and failed.error["code"] == "quota.bytes"
    assert "needs" in str(failed.error["message"])
    assert service.quotas.usage(admin).used["bytes"] == used
    queued = service.jobs.submit(admin, "program", PROGRAM)
    service.projects.set_quotas(admin, "default", {"bytes": int(used) - 1})
    with working(config):
        late = ended(service, queued)
    assert late.error is not None and late.error["code"] == "quota.bytes"
    service.projects.set_quotas(admin, "default", {})
    again = service.predictions.submit_dataset(admin, "trial", Asked(model="outcome"))
    with working(config):
        assert ended(service, again.job).status is JobStatus.SUCCEEDED
