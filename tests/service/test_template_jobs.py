"""Templates as jobs: a registered set of pictures becomes a model version with a report, stopped on the way or not."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from superpose.errors import ConflictError, DatasetFormatError, RequestError, SpecError
from superpose.service import JobStatus, Principal, Service, ServiceConfig, Worker
from superpose.service.work.runs import RUNS
from superpose.trust import read_key_file

from .conftest import CSV, ended, small_pictures, wait_for, working
from .test_kill import Server, worker_pids

QUICK = {"template": "pneumonia", "options": {"seeds": 1, "epochs": 2, "variants": ["frozen"]}}


@pytest.fixture
def pictures(service: Service, admin: Principal, kernels: None) -> str:
    return service.datasets.add(admin, name="films", content=small_pictures(), format="npz", target="class").name


@pytest.mark.parametrize(
    ("payload", "error", "said"),
    [
        ({"template": "knee"}, RequestError, "template must be one of pneumonia, got 'knee'"),
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


def test_a_job_stopped_at_an_epoch_goes_on_and_leaves_version_report_and_evidence(
    service: Service, admin: Principal, config: ServiceConfig, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = service.jobs.submit(admin, "train_template", QUICK, dataset=pictures, model_name="films")
    assert job.kind == "train_template" and job.dataset == "films"
    first = Worker(config)
    run = RUNS[job.kind]

    def stopped_after_an_epoch(job: Any, context: Any) -> Any:
        monkeypatch.setitem(RUNS, job.kind, run)
        tell = context.on_event

        def on_event(kind: str, data: Any) -> None:
            tell(kind, data)
            if kind == "progress":
                first.stop()

        return run(job, replace(context, on_event=on_event))

    monkeypatch.setitem(RUNS, job.kind, stopped_after_an_epoch)
    first.run()
    left = service.jobs.get(admin, job.id)
    assert left.status is JobStatus.QUEUED and left.progress["stage"] == "hybrid seed 0: epoch 1 of 2"
    assert list((config.data_dir / "jobs" / job.id).rglob("hybrid-0.checkpoint"))
    with pytest.raises(ConflictError, match="is queued; there is a report once it has succeeded"):
        service.reports.of_job(admin, job.id)
    with working(config):
        done = ended(service, job)
    assert done.status is JobStatus.SUCCEEDED, done.error
    stages = [event.data.get("stage") for event in service.jobs.events(admin, job.id) if event.kind == "progress"]
    assert stages.count("hybrid seed 0: epoch 1 of 2") == 1
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
    service.outputs.remove(admin, job.id)
    assert "Every look at the test pictures" not in page(service.reports.of_job(admin, job.id))


@pytest.mark.slow
def test_a_worker_killed_with_9_loses_at_most_an_epoch(tmp_path: Path, kernels: None) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data", progress_s=0.0)
    server = Server(config)
    try:
        with Service.open(config, exclusive=False) as service:
            admin = service.authenticate(read_key_file(service.admin_key_path))
            service.datasets.add(admin, name="films", content=small_pictures(), format="npz", target="class")
            payload = {"template": "pneumonia", "options": {"seeds": 1, "epochs": 300, "variants": []}}
            job = service.jobs.submit(admin, "train_template", payload, dataset="films")

            def epochs() -> list[int]:
                events = service.jobs.events(admin, job.id, limit=10_000)
                return [int(str(event.data["stage"]).split()[4]) for event in events if event.kind == "progress"]

            wait_for(lambda: len(epochs()) > 4)
            (worker,) = worker_pids(config).values()
            os.kill(worker, signal.SIGKILL)
            done = ended(service, job)
            assert done.status is JobStatus.SUCCEEDED and done.attempt == 2, done.error
            seen = epochs()
            steps = [after - before for before, after in pairwise(seen)]
            assert seen[0] == 1 and seen[-1] == 300
            assert set(steps) <= {1, 2} and steps.count(2) <= 1  # none twice; the last before the kill may be untold
            assert service.models.version(admin, "films", 1).job_id == job.id
    finally:
        server.clear_away()
