"""Batch predictions: equal to the model's own, whatever the format, the policy, and who is killed on the way."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.held import caught

from superpose.errors import (
    ConflictError,
    DatasetFormatError,
    FeatureMismatchError,
    ForbiddenError,
    JobDependencyError,
    NotFoundError,
    RequestError,
    SafeguardAbsentError,
    VersionInUseError,
)
from superpose.learning import Predictor
from superpose.learning.calibration.asking import Asked as AskedFor
from superpose.learning.trained_model import TrainedModel
from superpose.service import Asked, JobStatus, Principal, Role, Service, ServiceConfig
from superpose.service.predictions import prediction_run
from superpose.trust import read_key_file

from .conftest import SMALL_SPEC, ended, wait_for, working


def table(n_rows: int, seed: int = 0) -> pd.DataFrame:
    """Rows with a category column."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": rng.integers(20, 90, n_rows).astype(float), "dose": rng.normal(size=n_rows)})
    frame["site"] = rng.choice(["north", "south"], n_rows)
    return frame


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path_factory.mktemp("batch") / "data")


@pytest.fixture(scope="module")
def service(config: ServiceConfig, kernels: None) -> Iterator[Service]:
    """A service with a model of three columns."""
    with Service.open(config) as opened:
        admin = opened.authenticate(read_key_file(opened.admin_key_path))
        frame = table(120)
        frame["ill"] = np.where(frame["dose"] > 0, "yes", "no")
        content = frame.to_csv(index=False).encode()
        opened.datasets.add(admin, name="trial", content=content, format="csv", target="ill")
        job = opened.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="ills")
        with working(config):
            assert ended(opened, job).status == "succeeded"
        yield opened


@pytest.fixture
def admin(service: Service) -> Principal:
    return service.authenticate(read_key_file(service.admin_key_path))


@pytest.fixture
def predictor(service: Service, admin: Principal) -> Predictor:
    return Predictor.load(service.models.content(service.models.version(admin, "ills")))


def written(tmp_path: Path, frame: pd.DataFrame, form: str = "csv") -> Path:
    path = tmp_path / f"rows.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def run(service: Service, admin: Principal, config: ServiceConfig, path: Path, **asked: Any) -> Any:
    """The batch prediction once it has ended, and its file's bytes."""
    made = service.predictions.submit_file(admin, path, path.suffix[1:], Asked(model="ills", **asked))
    with working(config):
        ended(service, made.job)
    found = service.predictions.get(admin, made.job.id)
    if found.job.status is not JobStatus.SUCCEEDED:
        return found, b""
    _, stored = service.predictions.file(admin, made.job.id)
    return found, b"".join(stored.chunks(0, stored.n_bytes))


def load(content: bytes, form: str, tmp_path: Path) -> tuple[Any, Any, Any]:
    """Row numbers, classes and probabilities of a file."""
    path = tmp_path / f"out.{form}"
    path.write_bytes(content)
    if form == "npz":
        with np.load(path) as archive:
            assert archive["classes"].tolist() == ["no", "yes"]
            return archive["row"], archive["prediction"], archive["probabilities"]
    frame = pd.read_csv(path) if form == "csv" else pd.read_parquet(path)
    return frame["row"], frame["prediction"], frame[["p(no)", "p(yes)"]].to_numpy()


@pytest.mark.parametrize("form", ["csv", "parquet", "npz"])
def test_every_format_holds_what_the_model_says(
    service: Service,
    admin: Principal,
    config: ServiceConfig,
    predictor: Predictor,
    tmp_path: Path,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prediction_run, "CHUNK_ROWS", 100)
    frame = table(450, seed=1)
    frame.loc[3, "site"] = "moon"
    source = frame.assign(id=range(450))
    found, content = run(
        service, admin, config, written(tmp_path, source, "parquet" if form == "csv" else "csv"), format=form
    )
    rows, classes, probabilities = load(content, form, tmp_path)
    expected = predictor.predict_proba(frame)
    np.testing.assert_array_equal(rows, np.arange(450))
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-12)
    assert list(classes) == [("no", "yes")[i] for i in expected.argmax(axis=1)]
    result = found.to_json()["result"]
    assert (result["n_rows"], result["n_predicted"], result["n_failed"]) == (450, 450, 0)
    assert result["unknown_categories"] == {"site": 1}
    assert result["ignored_columns"] == ["id"]


def test_rows_that_cannot_be_predicted_fail_the_job_or_are_left_out(
    service: Service, admin: Principal, config: ServiceConfig, predictor: Predictor, tmp_path: Path
) -> None:
    frame = table(40, seed=2)
    path = tmp_path / "rows.csv"
    lines = frame.to_csv(index=False).splitlines()
    lines[8] = "grey-haired,1.0,north"  # row 7
    lines[21] = "1e300,1.0,south"  # row 20: a number, but too far from all others
    path.write_text("\n".join(lines))
    failed, _ = run(service, admin, config, path)
    assert failed.job.error is not None
    assert failed.job.error["code"] == "learning.row_refused"
    assert "Row 7 (counted from 0)" in str(failed.job.error["message"])
    assert "grey" not in str(failed.job.error)  # no value of the data
    with pytest.raises(ConflictError, match="is failed"):
        service.predictions.file(admin, failed.job.id)
    found, content = run(service, admin, config, path, on_error="skip")
    rows, _, probabilities = load(content, "csv", tmp_path)
    kept = [i for i in range(40) if i not in (7, 20)]
    assert list(rows) == kept
    np.testing.assert_allclose(probabilities, predictor.predict_proba(frame.iloc[kept]), atol=1e-12)
    result = found.to_json()["result"]
    assert (result["n_rows"], result["n_predicted"], result["n_failed"]) == (40, 38, 2)
    assert [failure["row"] for failure in result["failures"]] == [7, 20]
    assert "'age'" in result["failures"][1]["reason"]


def test_a_file_that_does_not_fit_ends_its_job_and_leaves_no_half_behind(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path
) -> None:
    """On a full disk it would take the room in which the store writes down how the job has ended."""
    path = written(tmp_path, pd.concat([table(20)] * 6_000), "parquet")
    asked = service.predictions.submit_file(admin, path, "parquet", Asked(model="ills", format="csv"))
    before, config = resource.getrlimit(resource.RLIMIT_FSIZE), replace(config, max_retries=3, retry_first_s=1_000.0)
    with service.store.database.read() as connection:
        busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()  # so that the store is small
    assert not busy
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, before[1]))  # more than the store and less than the file
    try:
        with working(config):
            wait_for(lambda: any(event.data.get("error") for event in service.store.events(asked.job.id)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = service.store.events(asked.job.id)[-1]
    assert (told.kind, told.data["error"]["code"]) == ("queued", "service.store_full")
    (directory,) = (config.data_dir / "jobs" / asked.job.id).iterdir()
    assert {found.name for found in directory.iterdir()} == {"chunks", "input"}
    service.jobs.cancel(admin, asked.job.id)


def test_rows_that_take_long_are_told_and_left_off_within_a_chunk(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of networks of pictures, which say how many rows they compute at once."""
    path, config = written(tmp_path, table(4_096)), replace(config, progress_s=0.0)
    found, whole = run(service, admin, config, path, format="csv")
    monkeypatch.setattr(TrainedModel, "rows_at_once", 64, raising=False)
    again, parts = run(service, admin, config, path, format="csv", priority=1)
    assert parts == whole and again.job.id != found.job.id
    told = [event.data.get("n_rows") for event in service.store.events(again.job.id)]
    assert [n_rows for n_rows in told if n_rows is not None][:3] == [64, 128, 192]
    predict = TrainedModel.probabilities
    monkeypatch.setattr(TrainedModel, "probabilities", lambda *given: (time.sleep(0.05), predict(*given))[1])
    left = service.predictions.submit_file(admin, path, "csv", Asked(model="ills", format="csv", priority=2)).job
    with working(config):
        wait_for(lambda: service.jobs.get(admin, left.id).progress)
        service.jobs.cancel(admin, left.id)
        done = ended(service, left)
    assert done.status is JobStatus.CANCELLED and done.progress["n_rows"] < 4_096


def test_a_stored_data_set_is_predicted(
    service: Service, admin: Principal, config: ServiceConfig, predictor: Predictor, tmp_path: Path
) -> None:
    made = service.predictions.submit_dataset(admin, "trial", Asked(model="ills", format="parquet"))
    with working(config):
        assert ended(service, made.job).status == "succeeded"
    _, stored = service.predictions.file(admin, made.job.id)
    _, _, probabilities = load(b"".join(stored.chunks(0, stored.n_bytes)), "parquet", tmp_path)
    np.testing.assert_allclose(probabilities, predictor.predict_proba(table(120)), atol=1e-12)
    assert service.predictions.get(admin, made.job.id).to_json()["result"]["ignored_columns"] == ["ill"]


def test_what_is_refused(
    service: Service, admin: Principal, stranger: Principal, tmp_path: Path, config: ServiceConfig
) -> None:
    good = written(tmp_path, table(5))
    lacking = tmp_path / "lacking.csv"
    lacking.write_text("age,site\n1,north\n")
    with pytest.raises(FeatureMismatchError, match="lacks 'dose'"):
        service.predictions.submit_file(admin, lacking, "csv", Asked(model="ills"))
    with pytest.raises(DatasetFormatError):
        service.predictions.submit_file(admin, good, "parquet", Asked(model="ills"))
    for asked in (Asked(model="ills", format="xml"), Asked(model="ills", on_error="guess")):
        with pytest.raises(RequestError):
            service.predictions.submit_file(admin, good, "csv", asked)
    with pytest.raises(NotFoundError):
        service.predictions.submit_file(admin, good, "csv", Asked(model="ills", version=9))
    with pytest.raises(NotFoundError):
        service.predictions.submit_file(stranger, good, "csv", Asked(model="ills"))
    _, secret = service.keys.create(admin, role=Role.VIEWER)
    with pytest.raises(ForbiddenError):
        service.predictions.submit_file(service.authenticate(secret), good, "csv", Asked(model="ills"))
    once = service.predictions.submit_file(admin, good, "csv", Asked(model="ills", idempotency_key="k"))
    again = service.predictions.submit_file(admin, good, "csv", Asked(model="ills", idempotency_key="k"))
    assert again.job.id == once.job.id
    with pytest.raises(VersionInUseError, match=f"job '{once.job.id}'"):
        service.curation.delete_version(admin, "ills", 1)
    with pytest.raises(NotFoundError):
        service.predictions.get(stranger, once.job.id)
    with pytest.raises(ConflictError, match="Cancel it first"):
        service.predictions.delete(admin, once.job.id)
    service.jobs.cancel(admin, once.job.id)
    service.predictions.delete(admin, once.job.id)


def test_a_batch_prediction_comes_after_another_job_and_fails_with_it(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path
) -> None:
    path = written(tmp_path, table(5))
    first = service.predictions.submit_file(admin, path, "csv", Asked(model="ills"))
    second = service.predictions.submit_file(admin, path, "csv", Asked(model="ills", after=(first.job.id,)))
    third = service.predictions.submit_dataset(admin, "trial", Asked(model="ills", after=(second.job.id,)))
    assert second.job.after == (first.job.id,)
    with working(config):
        assert ended(service, third.job).status == "succeeded"
    began = [service.store.get(one.job.id).started_at for one in (second, third)]
    over = [service.store.get(one.job.id).finished_at for one in (first, second)]
    assert all(b is not None and o is not None and b >= o for b, o in zip(began, over, strict=True))
    first = service.predictions.submit_file(admin, path, "csv", Asked(model="ills"))
    second = service.predictions.submit_file(admin, path, "csv", Asked(model="ills", after=(first.job.id,)))
    service.jobs.cancel(admin, first.job.id)
    error = service.store.get(second.job.id).error
    assert error and error["code"] == "service.job_dependency"
    with pytest.raises(JobDependencyError):
        service.predictions.submit_file(admin, path, "csv", Asked(model="ills", after=(first.job.id,)))
    with pytest.raises(NotFoundError, match="to come after"):
        service.predictions.submit_file(admin, path, "csv", Asked(model="ills", after=("job_nowhere",)))


def artifacts(config: ServiceConfig) -> set[str]:
    """Names of all files kept."""
    return {path.name for path in (config.data_dir / "artifacts").iterdir()}


def test_files_are_kept_by_a_restart_and_go_when_deleted(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path
) -> None:
    before = artifacts(config)
    found, _ = run(service, admin, config, written(tmp_path, table(30, seed=9)))
    kept = artifacts(config) - before
    assert len(kept) == 2  # what came in, and what came out
    service._sweep()  # what the next start does
    assert kept <= artifacts(config)
    service.predictions.delete(admin, found.job.id)
    assert not kept & artifacts(config)
    assert service.predictions.get(admin, found.job.id).to_json()["deleted"] is True
    with pytest.raises(NotFoundError, match="were deleted"):
        service.predictions.file(admin, found.job.id)


WORKER = """
import json, sys
from superpose.service import ServiceConfig, run_worker
from superpose.service.predictions import prediction_run
prediction_run.CHUNK_ROWS = 500
run_worker(ServiceConfig.from_json(json.loads(sys.argv[1])), on_ready=lambda: print("up", flush=True))
"""


@pytest.mark.slow
def test_kill_9_keeps_the_chunks_done_and_gives_the_same_bytes(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_run, "CHUNK_ROWS", 500)
    frame = table(60_000, seed=4)
    path = written(tmp_path, frame, "parquet")
    _, calm = run(service, admin, config, path, format="parquet")
    short = ServiceConfig.from_json({**config.to_json(), "lease_s": 1.0, "progress_s": 0.0})
    made = service.predictions.submit_file(admin, path, "parquet", Asked(model="ills", format="parquet"))
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(short.to_json())], stdout=subprocess.PIPE)
        try:
            attempt = service.store.get(made.job.id).attempt + 1
            caught(process.pid, lambda n=attempt: n_chunks(config, made.job.id, n) >= 5 * n)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
            assert process.stdout
            process.stdout.close()
        time.sleep(1.1)  # the lease runs out
        service.store.expire_leases()
        assert service.store.get(made.job.id).status is JobStatus.QUEUED
    done_before = n_chunks(config, made.job.id, 2)
    old = max(p.stat().st_mtime for p in (config.data_dir / "jobs" / made.job.id).rglob("*.arrow"))
    with working(config):
        assert ended(service, made.job).status == "succeeded"
    _, stored = service.predictions.file(admin, made.job.id)
    assert b"".join(stored.chunks(0, stored.n_bytes)) == calm
    assert 5 <= done_before < 120
    assert old < time.time()


def n_chunks(config: ServiceConfig, job_id: str, attempt: int) -> int:
    """Chunks done in an attempt's directory."""
    return len(list((config.data_dir / "jobs" / job_id / str(attempt) / "chunks").glob("*.arrow")))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path
) -> None:
    """The worker's peak on ten times the rows is at most 30 MB more; as text cells they would be some 40 MB."""
    code = (
        WORKER.replace("prediction_run.CHUNK_ROWS = 500", "").replace('print("up", flush=True)', "None")
        + "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = []
    for n_rows in (20_000, 200_000):
        path = written(tmp_path, table(n_rows, seed=5))
        made = service.predictions.submit_file(admin, path, "csv", Asked(model="ills", format="npz"))
        process = subprocess.Popen([sys.executable, "-c", code, json.dumps(config.to_json())], stdout=subprocess.PIPE)
        assert ended(service, made.job, 200).status == "succeeded"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        peaks.append(int(out) / 1024)
    assert peaks[1] < peaks[0] + 30, peaks


@pytest.fixture(scope="module")
def guarded(service: Service, config: ServiceConfig) -> str:
    """A model with prediction sets and a rule for abstaining."""
    admin = service.authenticate(read_key_file(service.admin_key_path))
    spec = {**SMALL_SPEC, "calibration": {"conformal": {"coverage": 0.8}, "abstain": {"by": "set"}}}
    job = service.jobs.submit(admin, "train", spec, dataset="trial", model_name="guarded")
    with working(config):
        assert ended(service, job).status == "succeeded"
    return "guarded"


def test_sets_withheld_labels_and_novelty_go_into_the_file_too(
    service: Service, admin: Principal, config: ServiceConfig, guarded: str, tmp_path: Path
) -> None:
    model = Predictor.load(service.models.content(service.models.version(admin, guarded)))
    frame = table(60, seed=3)
    frame.loc[7, "dose"] = 900.0
    more = {"prediction_set": True, "abstain": True, "novelty": True}
    made = {
        form: service.predictions.submit_file(
            admin, written(tmp_path, frame), "csv", Asked(model=guarded, format=form, more=more)
        )
        for form in ("csv", "npz")
    }
    contents = {}
    with working(config):
        for one in made.values():
            assert ended(service, one.job).status == "succeeded"
    for form, one in made.items():
        _, stored = service.predictions.file(admin, one.job.id)
        contents[form] = tmp_path / f"more.{form}"
        contents[form].write_bytes(b"".join(stored.chunks(0, stored.n_bytes)))
    _, details = model.detailed(frame, AskedFor(True, True, True))
    assert details.sets is not None
    assert details.reasons is not None
    assert details.novelty is not None
    found = pd.read_csv(contents["csv"], keep_default_na=True)
    assert [tuple(c for c in ("no", "yes") if row[f"in set({c})"]) for _, row in found.iterrows()] == [
        tuple(sorted(row)) for row in details.sets
    ]
    assert [None if pd.isna(reason) else reason for reason in found["abstained"]] == list(details.reasons)
    assert found["prediction"].isna().tolist() == [reason is not None for reason in details.reasons]
    np.testing.assert_allclose(found["novelty"], details.novelty)
    assert found["novel"][7]
    with np.load(contents["npz"]) as archive:
        assert archive["prediction_set"].sum(axis=1).tolist() == [len(row) for row in details.sets]
        assert archive["abstained"].tolist() == [reason is not None for reason in details.reasons]
        np.testing.assert_allclose(archive["novelty"], details.novelty)
    with pytest.raises(SafeguardAbsentError, match=r"calibration\.conformal"):
        service.predictions.submit_file(
            admin, written(tmp_path, frame), "csv", Asked(model="ills", more={"prediction_set": True})
        )
