"""The client against a real service in its own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.held import ENDLESS, WAITING_FUNCTION, held_training

from superpose import Circuit, Client, Observable, Parameter, Program
from superpose.client import Dataset, Endpoint, Event, Job, Key, Listing, Model, ModelVersion
from superpose.errors import ApiError, DatasetFormatError, UnreachableError

SPEC = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 2, "seed": 3},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
}


@dataclass
class Server:
    """A server process on a port of its own, which can be killed and started again."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        ready = self.home / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "superpose", "serve", "--data-dir", str(self.home / "data")]
        command += ["--port", str(self.port), "--ready-file", str(ready)]
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
        deadline = time.monotonic() + 120
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError((self.home / "server.log").read_text())
            time.sleep(0.02)
        self.port = int(json.loads(ready.read_text())["url"].rpartition(":")[2])

    def end(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)

    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", key_file=self.home / "data" / "keys" / "admin.key")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("service"), 0)
    running.start()
    yield running
    running.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with server.client() as made:
        yield made


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"age": rng.integers(20, 90, 80), "dose": rng.normal(size=80), "site": ["n", "s"] * 40})
    frame.loc[3, "dose"] = np.nan
    frame["ill"] = np.where(frame["age"] > 55, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def version(client: Client, patients: pd.DataFrame) -> ModelVersion:
    client.datasets.add(patients.to_csv(index=False).encode(), name="patients", target="ill", format="csv")
    seen: list[Event] = []
    submitted = client.jobs.train(dataset="patients", model="triage", spec=SPEC)
    assert isinstance(submitted, Job)
    job = client.jobs.wait(submitted.id, seen.append, timeout_s=240)
    assert job.succeeded, job.error
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert (seen[0].kind, seen[-1].kind) == ("queued", "succeeded")
    assert {"metric", "progress"} <= {event.kind for event in seen}
    assert list(client.jobs.events(job.id, after=seen[-1].seq)) == []
    found = client.models.version("triage")
    assert (found.version, found.job_id) == (job.model_version, job.id)
    return found


def test_datasets_come_from_files_bytes_and_superpose(client: Client, patients: pd.DataFrame, tmp_path: Path) -> None:
    for suffix, write in (("csv", patients.to_csv), ("parquet", patients.to_parquet)):
        path = tmp_path / f"from_{suffix}.{suffix}"
        write(path, index=False)
        added = client.datasets.add(path, target="ill")
        assert (added.name, added.n_rows, added.n_features, added.classes) == (f"from_{suffix}", 80, 3, ("no", "yes"))
        assert next(column for column in added.columns if column.name == "dose").n_missing == 1
    assert client.datasets.get("from_csv").digest == client.datasets.get("from_parquet").digest
    np.savez(tmp_path / "arrays.npz", X=np.arange(20.0).reshape(10, 2), y=np.array([0, 1] * 5))
    iris = client.datasets.add_builtin("iris")
    assert client.datasets.get(iris.id) == client.datasets.get("iris") == iris
    listed = client.datasets.list()
    assert isinstance(listed, Listing)
    assert {"iris", "from_csv", "from_parquet"} <= {dataset.name for dataset in listed}
    assert all(isinstance(dataset, Dataset) for dataset in listed)
    client.datasets.delete("from_csv")
    with pytest.raises(ApiError) as caught:
        client.datasets.get("from_csv")
    assert (caught.value.problem_code, caught.value.status) == ("service.not_found", 404)
    with pytest.raises(DatasetFormatError, match=r"csv, parquet, npz, images"):
        client.datasets.add(b"a,b", target="b", name="x")
    with pytest.raises(DatasetFormatError, match="needs a name"):
        client.datasets.add(b"a,b", target="b", format="csv")
    with pytest.raises(DatasetFormatError, match="cannot be read"):
        client.datasets.add(tmp_path / "absent.csv", target="b")


def test_jobs_are_listed_and_equal_submissions_are_one(client: Client, version: ModelVersion) -> None:
    assert version.job_id in [job.id for job in client.jobs.list(status="succeeded")]
    assert len(client.jobs.list(limit=1)) == 1
    with held_training(client, "patients", model="triage", idempotency_key="once") as first:
        second = client.jobs.train(dataset="patients", model="triage", spec=ENDLESS, idempotency_key="once")
        assert first.id == second.id
        cancelled = client.jobs.cancel(first.id)
        assert cancelled.status in {"cancelled", "cancelling"}
        assert client.jobs.wait(first.id, timeout_s=120).status == "cancelled"


def test_a_job_comes_after_another_and_fails_with_it(client: Client, version: ModelVersion) -> None:
    first = client.jobs.train(dataset="patients", model="triage", spec=SPEC, after=[version.job_id])
    second = client.jobs.train(dataset="patients", model="triage", spec=SPEC, after=[first, version.job_id])
    assert second.after == (first.id, version.job_id)
    assert client.jobs.wait(second.id, timeout_s=120).succeeded
    began, before = client.jobs.get(second.id).started_at, client.jobs.get(first.id).finished_at
    assert began and before and began >= before

    with held_training(client, "patients", model="triage") as first:
        second = client.jobs.train(dataset="patients", model="triage", spec=SPEC, after=[first])
        client.jobs.cancel(first.id)
    failed = client.jobs.wait(second.id, timeout_s=120)
    assert failed.error and failed.error["code"] == "service.job_dependency"
    assert f"comes after job {first.id}, which is cancelled" in failed.error["message"]
    with pytest.raises(ApiError) as refused:
        client.jobs.train(dataset="patients", model="triage", spec=SPEC, after=[first])
    assert (refused.value.problem_code, refused.value.status) == ("service.job_dependency", 409)
    with pytest.raises(ApiError, match="no job 'job_nowhere' in this project to come after"):
        client.jobs.train(dataset="patients", model="triage", spec=SPEC, after=["job_nowhere"])


def test_models_are_downloaded_whole_or_not_at_all(client: Client, version: ModelVersion, tmp_path: Path) -> None:
    assert [model.name for model in client.models.list()] == ["triage"]
    assert isinstance(client.models.get("triage"), Model)
    assert version.version in client.models.get("triage").versions
    assert version.metrics["accuracy"] > 0.5
    assert version.evaluation["models"]["hybrid"]["metrics"]["auc"]["values"]
    path = client.models.download("triage", version.version, tmp_path / "mine.superpose")
    assert zipfile.ZipFile(path).testzip() is None
    assert client.models.download("triage", version.version, tmp_path).name == f"triage-{version.version}.superpose"
    with pytest.raises(ApiError):
        client.models.download("triage", 99, tmp_path / "never.superpose")
    assert not (tmp_path / "never.superpose").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.superpose", f"triage-{version.version}.superpose"]


def test_predictions_take_what_data_scientists_hold(
    client: Client, version: ModelVersion, patients: pd.DataFrame
) -> None:
    endpoint = client.endpoints.create("triage", model="triage", version=version.version)
    assert isinstance(endpoint, Endpoint)
    assert client.endpoints.get("triage").model == "triage"
    rows = patients.drop(columns="ill").head(5)
    from_frame = client.predict("triage", rows)
    assert (from_frame.model, from_frame.model_version) == ("triage", version.version)
    assert from_frame.classes == ("no", "yes")
    assert np.allclose(np.sum(from_frame.probabilities, axis=1), 1)
    records = [{k: None if v != v else v for k, v in row.items()} for row in rows.to_dict("records")]
    for same in (records, [list(row.values()) for row in records], rows.to_numpy()):
        assert client.predict("triage", same).probabilities == from_frame.probabilities
    one = client.predict("triage", records[0])
    assert len(one) == 1
    assert one.predictions[0] == from_frame.predictions[0]
    with pytest.raises(ApiError) as caught:
        client.predict("triage", [{"height": 3}])
    assert caught.value.problem_code == "learning.feature_mismatch"
    assert "triage" in [endpoint.name for endpoint in client.endpoints.list()]
    client.endpoints.delete("triage")
    with pytest.raises(ApiError):
        client.predict("triage", rows)


def test_predictions_are_explained(client: Client, version: ModelVersion, patients: pd.DataFrame) -> None:
    client.endpoints.create("explained", version.model, version=version.version)
    rows = patients.drop(columns="ill").head(3)
    found = client.explain("explained", rows)
    assert len(found) == 3
    assert [row.label for row in found.rows] == list(client.predict("explained", rows).predictions)
    assert all(row.completeness_error < 1e-6 for row in found.rows)
    assert set(found.rows[0].attributions) == set(rows.columns)
    assert "integrated_gradients" in found._repr_html_()
    assert found.rows[0].counterfactuals is None and found.rows[0].shot_noise is None and found.rows[0].words is None
    fixed = rows.columns[0]
    more = client.explain("explained", rows, counterfactuals={"n": 2, "fixed": [fixed]}, shots=40, words=True)
    assert more.shot_noise is not None and more.shot_noise["shots"] == 40
    records = rows.to_dict("records")
    for row, record in zip(more.rows, records, strict=True):
        assert row.shot_noise is not None and 0 <= row.shot_noise.flip_probability < 1
        assert row.words and row.words[0].endswith(f"to {row.label}.")
        for one in row.counterfactuals or ():
            assert fixed not in one.changes
            changed = {k: None if v != v else v for k, v in record.items()}
            changed |= {name: after for name, (_, after) in one.changes.items()}
            assert client.predict("explained", [changed]).predictions == (one.label,)
    assert any(row.counterfactuals for row in more.rows)
    assert client.explain("explained", rows, counterfactuals=1).rows[0].counterfactuals is not None
    for wrong in ({"n": 3, "ranges": {fixed: [1]}}, {"n": 0}, {"norm": "l7"}, {"fixed": ["shoe"]}):
        with pytest.raises(ApiError):
            client.explain("explained", rows, counterfactuals=wrong)
    with pytest.raises(ApiError, match="made for 20 rows at a time"):
        client.explain("explained", pd.concat([rows] * 7), counterfactuals=1)
    with pytest.raises(ApiError, match="1 to 100 rows"):
        client.explain("explained", pd.concat([rows] * 40))
    client.endpoints.delete("explained")


def test_programs_run_and_come_back_as_results(client: Client) -> None:
    theta = Parameter("theta")
    angles = np.linspace(0, np.pi, 5)
    program = Program(Circuit(2).rx(theta, 0).cx(0, 1), {"theta": angles}, (Observable("ZI"),))
    result = client.run(program, timeout_s=120)
    assert result.expectations is not None
    assert np.allclose(result.expectations[:, 0], np.cos(angles))
    assert result.provenance["backend"] == "local"
    counted = client.run(Program(Circuit(2).h(0).cx(0, 1), shots=100, seed=5))
    assert counted.counts is not None
    assert set(counted.counts[0]) == {"00", "11"}
    with pytest.raises(ApiError) as caught:
        client.run(Program(Circuit(40).h(0), shots=1))
    assert caught.value.problem_code == "engine.state_too_large"


def test_keys_open_what_their_role_allows(client: Client, server: Server, tmp_path: Path) -> None:
    new = client.keys.create(role="viewer", label="reader", expires_at=datetime.now(UTC) + timedelta(days=1))
    assert isinstance(new.key, Key)
    path = new.write(tmp_path / "reader.key")
    assert new.key.id in [key.id for key in client.keys.list()]
    with Client(client.url, key_file=path) as reader:
        assert reader.datasets.list() == client.datasets.list()
        with pytest.raises(ApiError) as caught:
            reader.datasets.add_builtin("wine")
        assert (caught.value.problem_code, caught.value.status) == ("auth.forbidden", 403)
        client.keys.revoke(new.key.id)
        time.sleep(1.2)  # keys are looked up again after a second
        with pytest.raises(ApiError) as caught:
            reader.datasets.list()
        assert caught.value.problem_code == "auth.key_invalid"
        assert new.secret not in str(caught.value) + repr(reader)
    with Client(client.url) as stranger:
        assert stranger.ready()
        with pytest.raises(ApiError) as caught:
            stranger.datasets.list()
        assert caught.value.problem_code == "auth.key_missing"


def test_a_wait_survives_the_servers_death(tmp_path: Path) -> None:
    server = Server(tmp_path, 0)
    server.start(SUPERPOSE_ALLOW_USER_CODE="true")
    (tmp_path / "held.py").write_text(WAITING_FUNCTION)
    let_go = tmp_path / "let_go"
    seen: list[Event] = []
    killed: list[bool] = []

    def kill_once_then_let_go(event: Event) -> None:
        seen.append(event)
        if event.kind == "progress" and not killed:
            killed.append(True)
            server.end(signal.SIGKILL)
            server.start(SUPERPOSE_ALLOW_USER_CODE="true")
        if event.kind == "running" and killed:  # another worker has it
            let_go.touch()

    try:
        with server.client() as client:
            job = client.jobs.submit(f"{tmp_path / 'held.py'}:wait", {"let_go": str(let_go)})
            job = client.jobs.wait(job.id, kill_once_then_let_go, timeout_s=240)
            assert job.succeeded, job.error
            assert job.attempt >= 2
    finally:
        server.end(signal.SIGTERM)
    assert killed
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    with server.client() as client, pytest.raises(UnreachableError):
        client.datasets.list()
