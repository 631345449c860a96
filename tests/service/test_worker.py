"""A worker, from claim to registered model, and all the ways in which an attempt can end early."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.full_disk import room_for
from tests.held import ENDLESS, Gate

import superpose.explain
from superpose.circuits import Circuit, Observable, Parameter, Program, program_to_json, result_from_json
from superpose.errors import StoreFullError
from superpose.learning import Predictor
from superpose.learning.checkpoint import Stopped
from superpose.service import Dataset, JobKind, JobStatus, ModelVersion, Principal, Service, ServiceConfig, nouns
from superpose.service.store.job_store import NewJob
from superpose.service.work import worker
from superpose.service.work.evidence import evidence_of_rows
from superpose.service.work.how_far import all_done
from superpose.trust import sha256_bytes

from .conftest import GATED_SPEC, SMALL_SPEC, ended, wait_for, working


@pytest.mark.parametrize("days", [30, -30])
def test_setting_the_clock_while_a_worker_runs_takes_no_job_from_it(
    service: Service,
    admin: Principal,
    dataset: Dataset,
    config: ServiceConfig,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
) -> None:
    """Server and worker see the time of day jump while the job runs, as when an operator or NTP sets it."""
    jump = timedelta(0)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + jump

    monkeypatch.setattr(nouns, "datetime", Clock)
    gate = Gate(at=20).put(monkeypatch)
    job = service.jobs.submit(admin, "train", GATED_SPEC, dataset="trial", model_name="outcome")
    with working(config):
        with gate.closed():
            jump = timedelta(days=days)
            assert abs(nouns.utc_now() - datetime.now(UTC)) > timedelta(days=29)
            for _ in range(20):
                assert service.store.expire_leases() == []
            found = service.store.get(job.id)
            assert (found.status, found.attempt) == (JobStatus.RUNNING, 1)
        done = ended(service, job)
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 1)
    assert kinds(service, job.id) == ["queued", "running", "succeeded"]
    assert service.audit.verify(admin).faults == ()  # the log bears times that go back


def kinds(service: Service, job_id: str) -> list[str]:
    return [event.kind for event in service.store.events(job_id) if event.kind not in {"progress", "metric", "log"}]


def test_training_registers_a_model(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, caplog: pytest.LogCaptureFixture
) -> None:
    with working(config):
        job = ended(service, service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="outcome"))
    assert (job.status, job.model, job.model_version, job.attempt) == (JobStatus.SUCCEEDED, "outcome", 1, 1)
    assert kinds(service, job.id) == ["queued", "running", "succeeded"]
    told = [event.data for event in service.store.events(job.id) if event.kind == "progress"]
    stages = ["judging what is trained", "explaining the model", "trained, judged and explained"]
    assert [data["stage"] for data in told[-3:]] == stages and job.progress["stage"] == stages[-1]
    assert [data["fraction"] for data in told[-3:]] == [0.99, 0.99, 1.0]
    assert all(data["fraction"] <= 0.99 for data in told[:-1]) and "eta_s" not in told[-3]
    assert "lost attempt" not in caplog.text
    version = service.models.version(admin, "outcome", 1)
    assert job.result == {
        "model": "outcome",
        "model_version": 1,
        "digest": version.digest,
        "evaluation": dict(version.evaluation),
    }
    assert set(version.metrics) >= {"accuracy", "auc", "brier"}
    content = service.models.content(service.models.version(admin, "outcome", 1))
    assert version.artifact == sha256_bytes(content)
    assert Predictor.load(content, expected_digest=version.digest).manifest == version.manifest
    assert not (config.data_dir / "jobs" / job.id).exists()
    assert not list((config.data_dir / "staging").iterdir())
    model = service.models.get(admin, "outcome")
    assert (model.latest, [v.job_id for v in model.versions]) == (1, [job.id])
    summary = {"model", "version", "digest", "job_id", "created_at", "metrics", "note", "tags", "aliases"}
    summary |= {"statements", "notice"}
    assert model.to_json()["versions"][0].keys() == summary
    assert version.to_json().keys() > {"manifest", "evaluation", "metrics", "evidence"}


def test_a_trained_model_is_kept_whatever_goes_wrong_while_it_is_explained(
    service: Service,
    admin: Principal,
    config: ServiceConfig,
    model: ModelVersion,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def explained(*_: Any) -> dict[str, Any]:
        raise TypeError(" ".join(("age", "42")))

    monkeypatch.setattr(superpose.explain, "explanation_sample", explained)
    with working(config):
        job = ended(service, service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="outcome"))
    assert job.status is JobStatus.SUCCEEDED, job.error
    version = service.models.version(admin, "outcome", job.model_version)
    assert version.digest == model.digest and version.evidence["energy"]["cpu_s"] > 0
    assert version.evidence["explanation"].keys() == {"refused"}
    report = service.endpoints.gate.report(admin, "outcome", job.model_version)
    told = {one["name"]: one["how"] for one in report["requirements"]}
    assert "An unforeseen TypeError" in told["explanation"]
    assert "in explained" in caplog.text and "age 42" not in caplog.text  # the place, never anybody's data


def test_a_job_that_is_cancelled_while_its_model_is_explained_ends_there(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Event()

    def explained(predictor: Any, rows: Any, seed: int, look: Callable[[], None]) -> dict[str, Any]:
        while True:  # as pictures that take minutes
            look()
            begun.set()

    monkeypatch.setattr(superpose.explain, "explanation_sample", explained)
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="outcome")
    with working(config):
        assert begun.wait(120)
        service.jobs.cancel(admin, job.id)
        assert ended(service, job).status is JobStatus.CANCELLED
    assert not service.models.list(admin).items


@pytest.mark.parametrize(("time_over", "cancelling"), [(True, False), (True, True), (False, False)])
def test_a_model_is_kept_where_its_time_is_over_while_it_is_explained(
    service: Service, admin: Principal, model: ModelVersion, tmp_path: Path, time_over: bool, cancelling: bool
) -> None:
    stopping, told = False, list[str]()
    context: Any = SimpleNamespace(
        config=service.config,
        directory=tmp_path,
        on_event=lambda kind, data: told.append(data["stage"]),
        should_stop=lambda: stopping,
        time_over=lambda: time_over,
        cancelling=lambda: cancelling,
    )
    predictor = Predictor.load(service.models.content(model))
    rows = pd.DataFrame(np.zeros((3, len(predictor.feature_names))), columns=list(predictor.feature_names))
    explain = partial(evidence_of_rows, predictor, rows, context, seed=0, evaluation=model.evaluation, most_rows=50)
    assert set(explain()["explanation"]) >= {"method", "columns"}
    with room_for(10), pytest.raises(OSError, match="File too large"):
        explain()  # to be tried again: a full disk is no reason for a version without an explanation
    stopping = True
    if time_over and not cancelling:
        evidence = explain()
        assert "was over before it was explained" in evidence["explanation"]["refused"]
        all_done(context.on_event, evidence)
        assert told[-1] == "trained and judged; not explained"
    else:
        with pytest.raises(Stopped, match="while the model was explained"):
            explain()


def test_versions_count_on_and_equal_runs_give_equal_models(
    service: Service, admin: Principal, model: ModelVersion, config: ServiceConfig
) -> None:
    other = {**SMALL_SPEC, "training": {"epochs": 2}}
    with working(config):
        again = ended(service, service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="outcome"))
        third = ended(service, service.jobs.submit(admin, "train", other, dataset="trial", model_name="outcome"))
    assert (again.model_version, third.model_version) == (2, 3)
    digests = [version.digest for version in service.models.get(admin, "outcome").versions]
    assert digests[0] == digests[1] == model.digest != digests[2]


def test_a_program_runs(service: Service, admin: Principal, config: ServiceConfig) -> None:
    theta = Parameter("theta")
    circuit = Circuit(2).ry(theta, 0).cx(0, 1)
    program = Program(circuit, {"theta": 0.0}, observables=(Observable({"ZZ": 1.0}), Observable({"ZI": 1.0})))
    with working(config):
        job = ended(service, service.jobs.submit(admin, "program", dict(program_to_json(program))))
    assert job.status is JobStatus.SUCCEEDED
    result = result_from_json(dict(job.result or {}))
    assert result.expectations is not None
    assert result.expectations.tolist() == [[1.0, 1.0]]
    assert result.provenance["backend"] == "local"


def test_a_result_that_is_too_large_is_refused_with_advice(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    circuit = Circuit(8)
    for qubit in range(8):
        circuit.h(qubit)
    program = dict(program_to_json(Program(circuit, {}, shots=4_000, seed=1)))
    with working(replace(config, max_result_bytes=1_000)):
        job = ended(service, service.jobs.submit(admin, "program", program))
    assert job.error and job.error["code"] == "service.payload_too_large"
    assert "at most 1,000 are kept" in str(job.error["message"])


def test_a_warm_worker_starts_a_job_soon(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig
) -> None:
    with working(config):
        for _ in range(2):
            job = ended(service, service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial"))
    assert job.started_at
    waited_s = (job.started_at - job.created_at).total_seconds()
    assert waited_s < 20.0  # the longest pause between two looks is 0.5; the rest is the machine's


def test_cancelling_a_running_job(service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig) -> None:
    job = service.jobs.submit(admin, "train", ENDLESS, dataset="trial", model_name="outcome")
    with working(config):
        wait_for(lambda: service.store.get(job.id).progress)
        assert service.jobs.cancel(admin, job.id).status is JobStatus.CANCELLING
        assert ended(service, job).status is JobStatus.CANCELLED
    assert kinds(service, job.id) == ["queued", "running", "cancelling", "cancelled"]
    assert service.models.list(admin).items == ()
    assert not (config.data_dir / "jobs" / job.id).exists()


def test_a_stopped_worker_gives_its_job_back_and_another_goes_on(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = service.jobs.submit(admin, "train", GATED_SPEC, dataset="trial", model_name="outcome")
    with working(config):
        assert ended(service, undisturbed).status is JobStatus.SUCCEEDED
    gate = Gate(at=20).put(monkeypatch)
    job = service.jobs.submit(admin, "train", GATED_SPEC, dataset="trial", model_name="outcome")
    with working(config) as stopped, gate.closed():
        stopped.stop()
    assert service.store.get(job.id).status is JobStatus.QUEUED
    with working(config):
        assert ended(service, job).attempt == 2
    assert kinds(service, job.id) == ["queued", "running", "queued", "running", "succeeded"]
    after = [e.data for e in service.store.events(job.id) if e.kind == "progress" and e.data["attempt"] == 2]
    assert (after[0]["split"], after[0]["variant"]) == (0, "hybrid")
    assert after[0]["epoch"] > gate.at  # nothing was done twice
    first, second = service.models.get(admin, "outcome").versions
    assert second.digest == first.digest and second.evaluation == first.evaluation


def test_damaged_checkpoints_cost_time_and_nothing_else(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, model: ModelVersion
) -> None:
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="outcome")
    directory = config.data_dir / "jobs" / job.id / "0"
    directory.mkdir(parents=True)
    (directory / "experiment.json").write_text("{ not what was written")
    with working(config):
        assert ended(service, job).status is JobStatus.SUCCEEDED
    assert service.models.version(admin, "outcome", 2).digest == model.digest
    logs = [event.data["message"] for event in service.store.events(job.id) if event.kind == "log"]
    assert any("are damaged or another release's and were thrown away" in message for message in logs)


def test_a_job_that_cannot_be_done_fails_with_code_and_message(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig
) -> None:
    # past admission, as if a later release had written it
    new = NewJob(
        project="default",
        kind=JobKind.TRAIN,
        payload={"model": {"n_qubits": 0}},
        created_by="k",
        dataset_id=dataset.id,
        model="m",
    )
    wrong_spec = service.store.submit(new)
    damaged = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial")
    with working(config):
        assert ended(service, wrong_spec).error == {
            "code": "spec.invalid",
            "message": "model.n_qubits: must be a whole number from 1 to 1000, got 0",
        }
        assert ended(service, damaged).status is JobStatus.SUCCEEDED  # the worker lives on
        path: Path = config.data_dir / "artifacts" / dataset.artifact
        path.write_bytes(path.read_bytes()[:-1])
        again = service.store.submit(replace(new, payload=SMALL_SPEC))
        error = ended(service, again).error
    assert error and error["code"] == "service.artifact"


def test_an_unforeseen_error_fails_the_job_and_tells_no_values(
    service: Service,
    admin: Principal,
    dataset: Dataset,
    config: ServiceConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def train(job: Any, context: Any) -> Any:
        value = "enaJ"[::-1]  # the source line may be shown, the value not
        raise ValueError(f"patient {value} Doe")

    monkeypatch.setattr(worker, "RUNS", MappingProxyType({JobKind.TRAIN: train}))
    with caplog.at_level(logging.INFO), working(config):
        job = ended(service, service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial"))
    assert job.error and job.error["code"] == "service.internal"
    assert "unforeseen ValueError" in str(job.error["message"])
    assert "builtins.ValueError" in caplog.text and "in train" in caplog.text
    assert "Jane" not in caplog.text + str(job.to_json()) + str(service.store.events(job.id))


def test_a_disk_that_is_full_at_the_end_of_the_last_transaction_costs_the_job_nothing(
    service: Service, admin: Principal, config: ServiceConfig, model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, n_tries = worker.insert_version, 0

    def full_at_first(*given: Any, **named: Any) -> Any:
        nonlocal n_tries
        values = insert(*given, **named)  # the file has its name by now
        n_tries += 1
        if n_tries == 1:
            raise StoreFullError("The store cannot be written: database or disk is full.")
        return values

    monkeypatch.setattr(worker, "insert_version", full_at_first)
    job = service.imports.submit(admin, "again", service.models.content(model))
    with working(config):
        done = ended(service, job)
    assert (done.status, done.error, n_tries) == (JobStatus.SUCCEEDED, None, 2)
    assert service.models.content(service.models.version(admin, "again", 1))
