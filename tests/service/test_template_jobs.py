"""Templates as jobs: a registered set of pictures becomes a model version with a report, stopped on the way or not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.errors import (
    ConflictError,
    DatasetFormatError,
    DatasetTargetError,
    DatasetTooSmallError,
    RequestError,
    SpecError,
)
from superpose.learning.templates.demand import features
from superpose.service import Job, JobKind, JobStatus, Principal, Service, ServiceConfig, Worker
from superpose.service.work.runs import RUNS
from superpose.trust import read_key_file

from .conftest import CSV, ended, small_pictures, wait_for, working
from .test_kill import Server, worker_pids

SALES = "date,series,price,quantity\n" + "".join(
    f"{date(2026, 1, 1) + timedelta(i)},{shop},{i % 3},{'' if i > 52 else 40.5 + i % 7 * 3}\n"
    for shop in ("north", "south")
    for i in range(56)
)
"""Two shops' sales by day, and three days whose prices are known."""

FORECAST: dict[str, Any] = {
    "template": "demand",
    "options": {"horizon": 3, "origins": 2, "calibration": 1, "seeds": 1, "epochs": 1, "variants": ["ridge"]},
}

QUICK = {"template": "pneumonia", "options": {"seeds": 1, "epochs": 2, "variants": ["frozen"]}}


@pytest.fixture
def pictures(service: Service, admin: Principal, kernels: None) -> str:
    return service.datasets.add(admin, name="films", content=small_pictures(), format="npz", target="class").name


@pytest.mark.parametrize(
    ("payload", "error", "said"),
    [
        ({"template": "knee"}, RequestError, "template must be one of pneumonia, demand, got 'knee'"),
        ({"template": "pneumonia", "more": 1}, RequestError, "takes template and options; got also .'more'"),
        ({"template": "pneumonia", "options": {"seed": 1}}, SpecError, "seed: is no option of this template; it takes"),
        ({"template": "pneumonia", "options": {"seeds": "5"}}, SpecError, "seeds: must be a whole number, got '5'"),
        ({"template": "pneumonia", "options": {"seeds": 0}}, SpecError, "seeds: must be 1 to 100, got 0"),
        ({"template": "pneumonia", "options": {"epochs": True}}, SpecError, "epochs: must be a whole number"),
        ({"template": "pneumonia", "options": {"preset": 3}}, SpecError, "preset: must be a name"),
        ({"template": "pneumonia", "options": {"variants": "all"}}, SpecError, "variants: must be a list of names"),
        ({"template": "pneumonia", "options": {"variants": ["x"]}}, SpecError, "variants: must be out of hybrid,"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    service: Service, admin: Principal, pictures: str, payload: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        service.jobs.submit(admin, "train_template", payload, dataset=pictures)
    assert not service.jobs.list(admin).items


def test_a_table_without_pictures_is_refused_at_once(service: Service, admin: Principal) -> None:
    service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
    with pytest.raises(DatasetFormatError, match="'trial' holds no square grey pictures"):
        service.jobs.submit(admin, "train_template", QUICK, dataset="trial")


@pytest.fixture
def sales(service: Service, admin: Principal) -> str:
    found = service.datasets.add(
        admin, name="sales", content=SALES.encode(), format="csv", target="quantity", target_kind="number"
    )
    assert (found.target_kind, found.classes) == ("number", ())
    return found.name


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"preset": "chest"}, SpecError, "preset: is no option of this template; it takes frequency, horizon"),
        ({"seeds": "3"}, SpecError, "seeds: must be a whole number, got '3'"),
        ({"origins": 1}, SpecError, "origins: must be 2 to 60, got 1"),
        ({"gaps": "guess"}, SpecError, "gaps: must be one of refuse, zero, got 'guess'"),
        ({"frequency": "hourly"}, SpecError, "frequency: must be one of daily, weekly, monthly, got 'hourly'"),
        ({"variants": "all"}, SpecError, "variants: must be a list of names, got 'all'"),
        ({"variants": ["oracle"]}, SpecError, "variants: must be out of hybrid,"),
        ({}, DatasetTooSmallError, "14 origins of 14 periods need"),
    ],
)
def test_what_no_forecast_can_be_made_of_is_refused_at_once(
    service: Service, admin: Principal, sales: str, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        service.jobs.submit(admin, "train_template", {"template": "demand", "options": options}, dataset=sales)


def test_numbers_are_refused_where_classes_are_learnt_and_classes_by_forecasts(
    service: Service, admin: Principal, sales: str
) -> None:
    spec = {"model": {"n_qubits": 2}}
    for submit in (
        lambda: service.jobs.submit(admin, "train", spec, dataset=sales),
        lambda: service.jobs.submit(admin, "train_template", {"template": "pneumonia"}, dataset=sales),
        lambda: service.datasets.check(admin, sales, spec),
    ):
        with pytest.raises(DatasetTargetError, match="holds numbers, and this learns classes"):
            submit()
    service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
    with pytest.raises(DatasetTargetError, match="holds classes; demand is learnt from numbers"):
        service.jobs.submit(admin, "train_template", FORECAST, dataset="trial")
    assert not service.jobs.list(admin).items


def test_a_job_says_what_it_is_expected_to_take_from_its_submission_on(
    service: Service, admin: Principal, pictures: str, sales: str
) -> None:
    def expected(payload: dict[str, Any], data: str, **options: Any) -> Any:
        payload = {**payload, "options": {**payload["options"], **options}}
        job = service.jobs.submit(admin, "train_template", payload, dataset=data)
        assert service.jobs.get(admin, job.id).to_json()["estimate"] == job.estimate
        return job.estimate

    films, forecast = expected(QUICK, pictures), expected(FORECAST, sales)
    assert set(films["parts"]) == {"hybrid", "frozen", "explanation", "rest"}
    assert set(forecast["parts"]) == {"hybrid", "ridge", "rest"}
    for estimate in (films, forecast):
        assert min(estimate["parts"].values()) > 0
        assert estimate["cpu_s"] == pytest.approx(sum(estimate["parts"].values()), rel=0.01)  # three figures each
    assert expected(QUICK, pictures, seeds=3)["parts"]["hybrid"] == pytest.approx(3 * films["parts"]["hybrid"], 0.01)
    assert expected(FORECAST, sales, seeds=9)["cpu_s"] > forecast["cpu_s"]


def test_the_same_submission_is_one_job_whatever_it_was_expected_to_take(
    service: Service, admin: Principal, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = service.jobs.submit(admin, "train_template", QUICK, dataset=pictures, idempotency_key="once")
    monkeypatch.setattr("superpose.learning.templates.pneumonia.estimate._FIXED_S", 99.0)  # a later release knows more
    again = service.jobs.submit(admin, "train_template", QUICK, dataset=pictures, idempotency_key="once")
    other: Any = service.jobs.submit(admin, "train_template", QUICK, dataset=pictures)
    assert again == first and other.estimate["cpu_s"] > 99 > first.estimate["cpu_s"]  # type: ignore[index, operator]


@pytest.mark.slow
def test_a_forecast_s_job_stopped_on_the_way_goes_on_and_its_version_answers(
    service: Service, admin: Principal, config: ServiceConfig, sales: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, progress_s=0.0)
    job = service.jobs.submit(admin, "train_template", FORECAST, dataset=sales, model_name="next")
    assert job.payload["options"]["frequency"] == "daily"
    first = Worker(config)
    at_first_progress(job.kind, first.stop, monkeypatch)
    first.run()
    left = service.jobs.get(admin, job.id)
    assert left.status is JobStatus.QUEUED and left.progress["stage"] == "hybrid seed 0: origin 1 of 3"
    other = service.jobs.submit(admin, "train_template", FORECAST, dataset=sales, model_name="never", priority=1)
    at_first_progress(other.kind, lambda: service.jobs.cancel(admin, other.id), monkeypatch)
    with working(config):
        done = ended(service, job)
        assert ended(service, other).status is JobStatus.CANCELLED
    assert [model.name for model in service.models.list(admin).items] == ["next"]
    assert done.status is JobStatus.SUCCEEDED, done.error
    events = service.jobs.events(admin, job.id)
    told = [event.data["message"] for event in events if event.kind == "log"]
    assert len(told) == len(set(told)) == 8  # two variants, three origins and beyond the data: none trained twice
    result: Any = done.result
    version = service.models.version(admin, "next", 1)
    assert version.digest == result["digest"] and version.metrics["mase"] > 0
    dataset = service.datasets.get(admin, sales)
    assert version.manifest["data"]["digest"] == dataset.digest
    nodes = {node["kind"] for node in service.lineages.of_model(admin, "next").nodes}
    assert nodes >= {"dataset", "job", "version"}
    assert set(service.endpoints.gate.report(admin, "next", 1)["missing"]) <= {"subgroups", "controls"}
    file = service.outputs.file(admin, job.id, "report.json")
    document = json.loads(b"".join(file.chunks(0, file.n_bytes)))
    assert document["verdict"] == result["study"]["verdict"] and document["data"]["name"] == "sales"
    assert [row["period"] for row in document["forecast"]["rows"][:3]] == ["2026-02-23", "2026-02-24", "2026-02-25"]
    (tmp := config.data_dir.parent / "sales.csv").write_text(SALES)
    ahead = features(tmp, horizon=3)
    service.endpoints.create(admin, "tomorrow", "next")
    answer = asyncio.run(service.endpoints.predict(admin, "tomorrow", ahead.rows.to_dict("records")))
    quantities = ahead.quantities([float(number) for number in answer.predictions])
    assert np.isfinite(quantities).all() and quantities.shape == (6,)
    pytest.importorskip("jinja2", reason="reports are drawn by the extra report")
    whole = b"".join((made := service.reports.of_job(admin, job.id)).file.chunks(0, made.file.n_bytes)).decode()
    assert document["configuration_sha256"] in whole and "Training report: demand, sales" in whole


def at_first_progress(kind: JobKind, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something done at the next progress of a run of a kind; runs after it go as always."""
    run = RUNS[kind]

    def stopped(job: Any, context: Any) -> Any:
        monkeypatch.setitem(RUNS, kind, run)  # type: ignore[arg-type]  # a Mapping by type
        tell = context.on_event

        def on_event(what: str, data: Any) -> None:
            tell(what, data)
            if what == "progress":
                act()

        return run(job, replace(context, on_event=on_event))

    monkeypatch.setitem(RUNS, kind, stopped)  # type: ignore[arg-type]  # a Mapping by type


def test_a_job_stopped_at_an_epoch_goes_on_and_leaves_version_report_and_evidence(
    service: Service, admin: Principal, config: ServiceConfig, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, progress_s=0.0)
    job = service.jobs.submit(admin, "train_template", QUICK, dataset=pictures, model_name="films")
    assert job.kind == "train_template" and job.dataset == "films"
    first = Worker(config)
    at_first_progress(job.kind, first.stop, monkeypatch)
    first.run()
    left = service.jobs.get(admin, job.id)
    assert left.status is JobStatus.QUEUED and left.progress["stage"] == "hybrid seed 0: epoch 1 of 2"
    assert list((config.data_dir / "jobs" / job.id).rglob("hybrid-0.checkpoint"))
    with pytest.raises(ConflictError, match="is queued; there is a report once it has succeeded"):
        service.reports.of_job(admin, job.id)
    with working(config):
        done = ended(service, job)
    assert done.status is JobStatus.SUCCEEDED, done.error
    told = [event.data for event in service.jobs.events(admin, job.id) if event.kind == "progress"]
    stages = [data["stage"] for data in told]
    assert stages.count("hybrid seed 0: epoch 1 of 2") == 1
    estimate: Any = job.estimate  # training is not the whole of the job: its model is explained too
    trained = 1.0 - estimate["parts"]["explanation"] / estimate["cpu_s"]
    assert done.progress == {"stage": "trained, judged and explained", "fraction": 1.0}
    assert told.pop()["fraction"] == 1.0
    explained = [data for data in told if data["stage"].startswith("explaining validation pictures: ")]
    assert explained == told[-len(explained) :] and ": 0 of " in explained[0]["stage"]
    assert explained[0]["fraction"] == pytest.approx(trained) and trained < 1.0
    assert len(explained) == 1 or explained[0]["fraction"] < explained[-1]["fraction"] < 1.0
    fractions = [data["fraction"] for data in told]
    assert fractions == sorted(fractions)
    result: Any = done.result
    assert len(result["study"]["test_openings"]) == 1
    version = service.models.version(admin, "films", 1)
    assert version.job_id == job.id and version.digest == result["digest"]
    assert version.notice == "Not for clinical use."
    missing = set(service.endpoints.gate.report(admin, "films", 1)["missing"])
    assert missing == {"controls", "subgroups"}  # one seed is compared with nothing, and patients are not known
    nodes = {node["kind"] for node in service.lineages.of_model(admin, "films").nodes}
    assert nodes >= {"dataset", "job", "version"}
    file = service.outputs.file(admin, job.id, "report.json")
    document = json.loads(b"".join(file.chunks(0, file.n_bytes)))
    pytest.importorskip("jinja2", reason="reports are drawn by the extra report")

    def page(made: Any) -> str:
        return b"".join(made.file.chunks(0, made.file.n_bytes)).decode()

    whole = page(service.reports.of_job(admin, job.id))
    assert document["configuration_sha256"] in whole and "Every look at the test pictures" in whole
    assert page(service.reports.of_version(admin, "films", 1)) == whole
    assert "Mean absolute attributions" in whole and "validation pictures, in units of probability" in whole
    assert "One seed on the official test part" in whole and "intervals over pictures (bootstrap)" in whole
    assert "Processor time:" in whole and "were not measured" not in whole
    assert "Not ready for production: 2 missing." in whole and job.id in whole
    service.outputs.remove(admin, job.id)
    assert "Every look at the test pictures" not in page(service.reports.of_job(admin, job.id))


@pytest.mark.slow
def test_a_worker_killed_with_9_loses_at_most_an_epoch_or_a_forecast(tmp_path: Path, kernels: None) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data", progress_s=0.0)
    server = Server(config)
    try:
        with Service.open(config, exclusive=False) as service:
            admin = service.authenticate(read_key_file(service.admin_key_path))
            service.datasets.add(admin, name="films", content=small_pictures(), format="npz", target="class")
            service.datasets.add(
                admin, name="sales", content=SALES.encode(), format="csv", target="quantity", target_kind="number"
            )

            gone: set[int] = set()

            def told(job: Job, kind: str, field: str) -> list[str]:
                events = service.jobs.events(admin, job.id, limit=10_000)
                return [str(event.data[field]) for event in events if event.kind == kind]

            def killed(payload: dict[str, Any], dataset: str, progress: Callable[[Job], object]) -> Job:
                """A job whose worker is killed once there is progress, when it has ended."""
                job = service.jobs.submit(admin, "train_template", payload, dataset=dataset)
                wait_for(lambda: bool(progress(job)))
                (worker,) = set(worker_pids(config).values()) - gone
                gone.add(worker)
                os.kill(worker, signal.SIGKILL)
                done = ended(service, job)
                assert done.status is JobStatus.SUCCEEDED and done.attempt == 2, done.error
                assert service.models.version(admin, dataset, 1).job_id == job.id
                return done

            def epochs(job: Job) -> list[int]:
                return [int(stage.split()[4]) for stage in told(job, "progress", "stage") if ": epoch " in stage]

            def forecasts(job: Job) -> list[str]:
                return [line.rsplit(",", 1)[0] for line in told(job, "log", "message")]  # without the seconds

            payload = {"template": "pneumonia", "options": {"seeds": 1, "epochs": 300, "variants": []}}
            seen = epochs(killed(payload, "films", lambda job: len(epochs(job)) > 4))
            steps = [after - before for before, after in pairwise(seen)]
            assert seen[0] == 1 and seen[-1] == 300
            assert set(steps) <= {1, 2} and steps.count(2) <= 1  # none twice; the last before the kill may be untold

            payload = {"template": "demand", "options": {**FORECAST["options"], "seeds": 12, "variants": []}}
            made = forecasts(killed(payload, "sales", lambda job: len(forecasts(job)) > 2))
            assert len(made) == len(set(made)) >= 47  # 12 seeds at four origins, none twice; one may be untold
    finally:
        server.clear_away()
