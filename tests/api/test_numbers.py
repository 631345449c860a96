"""Models that predict numbers as versions and endpoints: imported, deployed, asked over every door, watched."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.cli import main
from superpose.client import Client
from superpose.datasets import column_baseline
from superpose.errors import ApiError
from superpose.learning import HybridRegressor, ModelFacts, Predictor
from superpose.learning.calibration.fitting import fit_novelty
from superpose.learning.calibration.intervals import NumberInterval
from superpose.learning.calibration.safeguards import Safeguards
from superpose.service import ServiceConfig
from superpose.service.serving import watching

from .conftest import Api, running, working

pytest.importorskip("torch")

ROWS = np.random.default_rng(0).normal(size=(60, 2))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service with a worker in this process."""
    config = ServiceConfig(data_dir=tmp_path_factory.mktemp("numbers") / "data", workers=0)
    with running(config) as api, working(config.data_dir):
        yield api


@pytest.fixture(scope="module")
def predictor(home: Api, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A regressor, imported as model ``load`` and deployed under the same name."""
    place = tmp_path_factory.mktemp("models") / "load.superpose"
    model = HybridRegressor(n_qubits=2, layers=1, epochs=1, random_state=0).fit(ROWS, ROWS @ [1.0, -2.0])
    encoded = model.preprocessor_.transform(ROWS)
    model.save(
        place,
        ModelFacts(baseline=column_baseline({"x0": ROWS[:, 0], "x1": ROWS[:, 1]})),
        Safeguards(interval=NumberInterval(0.8, -1.5, 2.5, 60), novelty=fit_novelty(encoded[:40], encoded[40:])),
    )
    with Client(home.url, key=home.admin_key) as client:
        assert client.jobs.wait(client.models.import_file("load", place).id).status == "succeeded"
        client.endpoints.create("load", "load")
    return Predictor.load(place)


@pytest.fixture
def client(home: Api, predictor: Predictor) -> Iterator[Client]:
    with Client(home.url, key=home.admin_key) as made:
        yield made


def test_an_endpoint_answers_with_numbers_and_intervals(home: Api, client: Client, predictor: Predictor) -> None:
    rows, numbers = ROWS[:3].tolist(), predictor.predict(ROWS[:3])
    answer = home.call("POST", "/v1/endpoints/load/predict", {"rows": rows}).json
    assert set(answer) == {"model", "model_version", "request_id", "target", "predictions", "intervals", "coverage"}
    assert np.allclose(answer["predictions"], numbers) and (answer["target"], answer["coverage"]) == ("y", 0.8)
    assert np.allclose(answer["intervals"], predictor.predict_intervals(ROWS[:3]))
    found = client.predict("load", rows, novelty=True)
    assert np.allclose(found.predictions, numbers) and found.intervals is not None and found.novelty is not None
    assert found.classes == () and "target" in found.to_dict() and "<table" in found._repr_html_()
    for more in ({"prediction_set": True}, {"abstain": 0.9}):
        with pytest.raises(ApiError, match="predicts a number") as refused:
            client.predict("load", rows, **more)  # type: ignore[arg-type]
        assert (refused.value.problem_code, refused.value.status) == ("learning.predicts_numbers", 422)
    told = home.call("POST", "/v1/endpoints/load/explain", {"rows": rows}).json
    assert told["target"] == "y" and set(told["rows"][0]) == {
        "number",
        "typical_number",
        "attributions",
        "completeness_error",
    }
    explained = client.explain("load", rows, method="shapley", words=True)
    assert explained.target == "y" and "of a typical row" in explained._repr_html_()
    for row, number in zip(explained.rows, numbers, strict=True):
        assert (row.label, row.probability) == (None, None) and row.number == pytest.approx(number) and row.words
        assert row.typical_number is not None
        assert sum(row.attributions.values()) == pytest.approx(number - row.typical_number, abs=1e-9)
    for more in ({"counterfactuals": 2}, {"shots": 100}, {"of_class": "high"}):
        with pytest.raises(ApiError, match="predicts a number") as refused:
            client.explain("load", rows, **more)  # type: ignore[arg-type]
        assert refused.value.status == 422


def test_requests_that_come_together_are_answered_each_with_its_own(home: Api, predictor: Predictor) -> None:
    answers: dict[int, Any] = {}

    def ask(place: int) -> None:
        rows = ROWS[place : place + 1 + place % 3].tolist()
        answers[place] = home.call("POST", "/v1/endpoints/load/predict", {"rows": rows}).json["predictions"]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(answers[k], predictor.predict(ROWS[k : k + 1 + k % 3])) for k in range(20))


def test_the_inference_protocol_has_them_as_tensors(home: Api, predictor: Predictor) -> None:
    told = home.call("GET", "/v2/models/load").json
    assert told["outputs"] == [
        {"name": "number", "datatype": "FP64", "shape": [-1]},
        {"name": "interval", "datatype": "FP64", "shape": [-1, 2]},
    ]
    assert told["parameters"]["target"] == "y"
    tensor = {"name": "input", "shape": [2, 2], "datatype": "FP64", "data": ROWS[:2].tolist()}
    outputs = home.call("POST", "/v2/models/load/infer", {"inputs": [tensor]}).json["outputs"]
    assert [one["name"] for one in outputs] == ["number", "interval"] and outputs[1]["shape"] == [2, 2]
    assert np.allclose(outputs[0]["data"], predictor.predict(ROWS[:2]))
    assert np.allclose(outputs[1]["data"], predictor.predict_intervals(ROWS[:2]).ravel())
    body = {"inputs": [tensor], "parameters": {"binary_data_output": True}, "outputs": [{"name": "number"}]}
    reply = home.call("POST", "/v2/models/load/infer", body)
    length = int(reply.headers["inference-header-content-length"])
    assert np.allclose(np.frombuffer(reply.body[length:], dtype="<f8"), predictor.predict(ROWS[:2]))
    refused = home.call("POST", "/v2/models/load/infer", {"inputs": [tensor], "outputs": [{"name": "label"}]})
    assert (refused.status, refused.json["code"]) == (422, "learning.predicts_numbers")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "npz", "parquet"])
def test_a_file_of_rows_becomes_a_file_of_numbers(
    client: Client, predictor: Predictor, tmp_path: Path, form: str
) -> None:
    import pandas as pd

    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["x0", "x1"], *ROWS.tolist()])
    job = client.predictions.create("load", tmp_path / "rows.csv", format=form, novelty=True)
    client.jobs.wait(job.id)
    client.predictions.download(job.id, tmp_path / f"out.{form}")
    if form == "npz":
        found = dict(np.load(tmp_path / "out.npz"))
    else:
        frame = pd.read_csv(tmp_path / "out.csv") if form == "csv" else pd.read_parquet(tmp_path / "out.parquet")
        found = {name: frame[name].to_numpy() for name in frame}
    assert list(found) == ["row", "prediction", "low", "high", "novelty", "novel"]
    assert np.allclose(found["prediction"], predictor.predict(ROWS))
    assert np.allclose(np.stack([found["low"], found["high"]], axis=1), predictor.predict_intervals(ROWS))
    with pytest.raises(ApiError, match="no prediction sets"):
        client.predictions.create("load", tmp_path / "rows.csv", prediction_set=True)


@pytest.mark.slow
def test_the_command_line_shows_numbers(
    home: Api, predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS[:2].tolist()))
    place = ["--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")]

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*words, *place])
        assert ended.value.code == 0
        return capsys.readouterr().out

    told = json.loads(run("predict", "load", str(tmp_path / "rows.json"), "--json"))
    assert np.allclose(told["predictions"], predictor.predict(ROWS[:2])) and told["coverage"] == 0.8
    shown = run("predict", "load", str(tmp_path / "rows.json"))
    assert "80% from" in shown and f"{predictor.predict(ROWS[:1])[0]:.6g}" in shown
    assert "Predicts a number: y" in run("models", "card", "load")


@pytest.mark.slow
def test_rows_of_another_kind_raise_an_alarm(
    home: Api, client: Client, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ROWS_PER_S", 1e9)
    client.endpoints.create("watched", "load")
    far = (np.random.default_rng(3).normal(size=(100, 2)) + 40.0).tolist()
    for _ in range(60):
        client.predict("watched", far)
        if {alarm.kind for alarm in client.endpoints.alarms("watched")} == {"drift", "novelty"}:
            break
    assert {alarm.kind for alarm in client.endpoints.alarms("watched")} == {"drift", "novelty"}


def test_the_gate_says_what_a_model_of_numbers_lacks(client: Client) -> None:
    gate = client.models.gate("load")
    assert not gate.ready and "drift_baseline" not in gate.missing
    assert {"data", "metrics", "controls", "calibration", "intended_use"} <= set(gate.missing)
