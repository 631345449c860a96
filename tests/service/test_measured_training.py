"""Training jobs on backends: paid for, held to rules, without a worker while they wait, the same after kill -9."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import SMALL_SPEC, ended, wait_for, working
from tests.service.test_budgets import PRICING, Shop
from tests.service.test_budgets import shop as shop
from tests.service.test_provider_runs import QUEUE, WORKER, held, installed, lines, waits

from superpose.errors import (
    BackendUnknownError,
    BudgetError,
    PriceUnknownError,
    RequestError,
    ResidencyError,
    SpecError,
)
from superpose.learning.measured.bill import bill
from superpose.learning.spec import TrainingSpec
from superpose.service import Dataset, Job, JobStatus, Principal, Service, ServiceConfig

SPEC: dict[str, Any] = {
    **SMALL_SPEC,
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
    "training": {"epochs": 2, "batch_size": 32},
}


@pytest.fixture
def config(tmp_path: Path, kernels: None) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path / "data", max_retries=2, progress_s=0.0, poll_max_s=0.05)


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backend "queue" that takes whole mini-batches."""
    wide = QUEUE.replace("max_batch=10, ", "").replace("return 10\n", "return 10**6\n")
    return installed(wide, tmp_path, monkeypatch)


def on(backend: str, **fields: Any) -> dict[str, Any]:
    return {**SPEC, "backend": {"name": backend, "shots": 20, **fields}}


def trained(service: Service, admin: Principal, dataset: Dataset, spec: dict[str, Any], **asked: Any) -> Job:
    job = service.jobs.submit(admin, "train", spec, dataset=dataset.id, model_name="outcome", **asked)
    with working(service.config):
        return ended(service, job)


def test_a_model_says_where_it_was_trained(service: Service, admin: Principal, dataset: Dataset) -> None:
    job = trained(service, admin, dataset, on("local", gradient="spsa", evaluate="backend"))
    assert job.status is JobStatus.SUCCEEDED, job.error
    version = service.models.version(admin, "outcome")
    measured = version.evaluation["measured"]
    assert (measured["backend"], measured["gradient_method"], measured["evaluated_on"]) == ("local", "spsa", "local")
    assert 0 < measured["shots_spent"] < measured["in_all"]["shots_spent"]
    provenance = version.manifest["provenance"]
    assert provenance["backend"] == "local" and provenance["measured"]["shots_spent"] == measured["shots_spent"]
    assert provenance["spec"]["backend"]["shots"] == 20
    cost = service.budgets.cost(admin, job.id)
    assert (cost.backend, cost.reserved_micros, cost.charged_micros) == ("local", 0, 0)


def test_it_is_reserved_at_its_most_and_charged_at_what_it_took(
    service: Service, admin: Principal, dataset: Dataset, shop: type[Shop]
) -> None:
    [most] = bill(TrainingSpec.from_dict(on("shop")), n_train=58, n_validation=14, n_test=18)
    least_usd = most.n_programs * most.n_rows * PRICING.per_circuit_usd
    service.budgets.set(admin, period="total", limit_usd=0.5 * least_usd)
    with pytest.raises(BudgetError, match="shop"):
        service.jobs.submit(admin, "train", on("shop"), dataset=dataset.id)
    service.budgets.set(admin, period="total", limit_usd=3 * least_usd)
    job = trained(service, admin, dataset, on("shop"))
    assert job.status is JobStatus.SUCCEEDED, job.error
    cost = service.budgets.cost(admin, job.id)
    taken = service.models.version(admin, "outcome").evaluation["measured"]["in_all"]
    usd = PRICING.price_usd(n_circuits=taken["n_circuits"], n_shots=taken["shots_spent"], seconds=0.0)
    assert cost.charged_micros == pytest.approx(usd * 1e6, abs=1.0)
    assert 0 < cost.charged_micros < cost.reserved_micros
    shop.pricing = None
    try:
        with pytest.raises(PriceUnknownError):
            service.jobs.submit(admin, "train", on("shop"), dataset=dataset.id)
    finally:
        shop.pricing = PRICING


@pytest.mark.parametrize("allocation", ["adaptive", "fixed"])
@pytest.mark.parametrize("gradient", ["parameter-shift", "spsa"])
def test_no_training_takes_more_than_its_bill(
    service: Service, admin: Principal, dataset: Dataset, allocation: str, gradient: str
) -> None:
    spec = on("local", allocation=allocation, gradient=gradient, evaluate="backend", shots=9)
    [steps, *figures] = bill(TrainingSpec.from_dict(spec), n_train=60, n_validation=14, n_test=18)
    job = trained(service, admin, dataset, spec)
    taken = service.models.version(admin, "outcome").evaluation["measured"]["in_all"]
    everything = [steps, *figures]
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert taken["n_submissions"] <= sum(one.n_programs for one in everything)
    assert taken["n_circuits"] <= sum(one.n_programs * one.n_rows for one in everything)
    assert taken["shots_spent"] <= sum(one.n_programs * one.n_rows * one.shots for one in everything)


def test_what_cannot_be_is_refused_before_anything_is_spent(
    service: Service, admin: Principal, dataset: Dataset
) -> None:
    for spec, error in (
        (on("nowhere"), BackendUnknownError),
        (on("local", gradient="adjoint"), SpecError),
        (on("local", shots=0), SpecError),
    ):
        with pytest.raises(error):
            service.jobs.submit(admin, "train", spec, dataset=dataset.id)
    with pytest.raises(RequestError, match="section 'backend'"):
        service.jobs.submit(admin, "train", SPEC, dataset=dataset.id, backend="aer")
    with pytest.raises(SpecError, match="trials of a sweep"):
        space = {"model.n_qubits": {"int": [2, 3]}}
        service.sweeps.submit(admin, {"spec": on("local"), "space": space}, dataset=dataset.id)


def test_rules_that_came_since_hold_before_each_submission(
    service: Service, admin: Principal, dataset: Dataset, shop: type[Shop]
) -> None:
    job = service.jobs.submit(admin, "train", on("shop"), dataset=dataset.id)
    service.residencies.set(admin, "default", {"deny_providers": ["shop"]})
    with pytest.raises(ResidencyError):
        service.jobs.submit(admin, "train", on("shop"), dataset=dataset.id)
    with working(service.config):
        found = ended(service, job)
    assert found.status is JobStatus.FAILED
    assert (found.error or {})["code"] == ResidencyError.code


def test_nobody_waits_in_a_worker_and_cancelling_calls_the_run_off(
    service: Service,
    admin: Principal,
    dataset: Dataset,
    queue: Path,
) -> None:
    job = service.jobs.submit(admin, "train", on("queue"), dataset=dataset.id)
    with working(replace(service.config, provider_patience_s=0.05)):
        wait_for(lambda: waits(service, job.id))
        attempt = service.store.get(job.id).attempt
        wait_for(lambda: service.store.get(job.id).attempt > attempt)  # asked for again
        [token] = held(service)
        (queue / "arrived").touch()
        found = ended(service, job)
        assert found.status is JobStatus.SUCCEEDED, found.error
        assert held(service) == []
        taken: Any = found.result
        tokens = Counter(lines(queue / "submissions"))
        assert len(tokens) == taken["evaluation"]["measured"]["in_all"]["n_submissions"]
        assert token in tokens
        (queue / "arrived").unlink()
        other = service.jobs.submit(admin, "train", on("queue"), dataset=dataset.id)
        wait_for(lambda: waits(service, other.id))
        [token] = held(service)
        service.jobs.cancel(admin, other.id)
        wait_for(lambda: lines(queue / "cancelled") == [f"q:{token}"])
        wait_for(lambda: held(service) == [])


@pytest.mark.slow
def test_kill_9_in_mid_training_charges_nothing_twice_and_changes_no_bit(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, queue: Path
) -> None:
    (queue / "arrived").touch()
    job = service.jobs.submit(admin, "train", on("queue"), dataset=dataset.id, model_name="killed")
    short = ServiceConfig.from_json({**config.to_json(), "lease_s": 1.0})
    process = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(short.to_json())])
    try:
        wait_for(lambda: len(lines(queue / "submissions")) > 2)
        (queue / "stall").write_text("")  # the next one is taken, and never told
        wait_for((queue / "stalled").exists)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    (queue / "stall").unlink()
    wait_for(lambda: service.store.expire_leases())
    with working(config):
        found = ended(service, job)
        assert found.status is JobStatus.SUCCEEDED, found.error
        result: Any = found.result
        tokens = Counter(lines(queue / "submissions"))
        n_taken = result["evaluation"]["measured"]["in_all"]["n_submissions"]
        assert len(list((queue / "programs").iterdir())) == len(tokens) == n_taken
        assert sorted(tokens.values())[-2:] == [1, 2]  # the one under way, under its token
        whole = service.jobs.submit(admin, "train", on("queue"), dataset=dataset.id, model_name="whole")
        assert ended(service, whole).status is JobStatus.SUCCEEDED
    digests = {service.models.version(admin, name).digest for name in ("killed", "whole")}
    assert len(digests) == 1
