"""Model files that were trained elsewhere become versions: over HTTP, by the client and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from superpose.cli import main
from superpose.client import Client
from superpose.errors import ApiError, RequestError
from superpose.explain import model_card
from superpose.learning import HybridClassifier, ModelFacts, Predictor, read_model
from superpose.learning.families import FAMILIES
from superpose.learning.templates.demand import train_demand
from superpose.service import ServiceConfig

from .conftest import Api, running, working

pytest.importorskip("torch")
pytestmark = pytest.mark.slow  # a template is trained


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service with a worker in this process."""
    config = ServiceConfig(data_dir=tmp_path_factory.mktemp("imports") / "data", workers=0)
    with running(config) as api, working(config.data_dir):
        yield api


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the template of pictures leaves, trained for an epoch on small pictures."""
    from superpose.learning.templates.pneumonia import train_pneumonia

    place = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for part, n in (("train", 24), ("val", 12), ("test", 12)):
        labels = np.arange(n) % 2
        pictures = random.integers(0, 120, (n, 28, 28)) + 100 * labels[:, None, None]
        arrays |= {f"{part}_images": pictures.astype(np.uint8), f"{part}_labels": labels[:, None].astype(np.uint8)}
    np.savez(place / "small.npz", **arrays)
    train_pneumonia(place / "small.npz", place / "run", seeds=2, epochs=1, variants=["strong_cnn"])
    return place / "run" / "model.superpose"


@pytest.fixture
def client(home: Api) -> Iterator[Client]:
    with Client(home.url, key=home.admin_key) as made:
        yield made


def test_a_template_s_model_becomes_a_version_and_an_endpoint(client: Client, model_file: Path) -> None:
    job = client.jobs.wait(client.models.import_file("chest", model_file).id)
    assert (job.status, job.kind, job.model_version) == ("succeeded", "import_model", 1)
    found = client.models.version("chest")
    told = read_model(model_file)
    assert found.digest == told.digest and found.job_id == job.id
    assert found.metrics["auc"] == told.manifest["evaluation"]["model_metrics"]["auc"]
    assert found.notice == "Not for clinical use."
    gate = client.models.gate("chest")
    assert not gate.ready and {"data", "metrics"}.isdisjoint(gate.missing)
    told_how = {one.name: one.how for one in gate.requirements}
    assert "a template's model comes as a file" in (told_how["energy_and_cost"] or "")
    nodes = {node["kind"] for node in client.models.lineage("chest").to_dict()["nodes"]}
    assert nodes >= {"job", "version"}
    endpoint = client.endpoints.create("look", "chest")
    columns = [column["name"] for column in told.manifest["pipeline"]["preprocessing"]["columns"]]
    answer = client.predict(endpoint.name, [dict.fromkeys(columns, 0.9)])
    assert len(answer) == 1
    client.endpoints.delete("look")
    client.models.delete("chest")
    assert "chest" not in {model.name for model in client.models.list()}


def test_one_key_gives_one_version(client: Client, model_file: Path) -> None:
    jobs = [client.models.import_file("once", model_file, idempotency_key="k1") for _ in range(2)]
    assert jobs[0].id == jobs[1].id
    client.jobs.wait(jobs[0].id)
    assert [version.model for version in [client.models.version("once", 1)]] == ["once"]
    with pytest.raises(ApiError, match="once"):
        client.models.version("once", 2)


def test_what_is_no_whole_model_file_is_refused_at_once(client: Client, model_file: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="gone cannot be read"):
        client.models.import_file("chest", tmp_path / "gone")
    with pytest.raises(ApiError, match="cannot be imported: the file of 6 bytes is not a whole model file"):
        client.models.import_file("chest", b"\x80\x04]q\x00.")  # a pickle
    content = bytearray(model_file.read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(ApiError, match="cannot be imported") as refused:
        client.models.import_file("chest", bytes(content))
    assert refused.value.problem_code == "service.request"
    with pytest.raises(ApiError):
        client.models.import_file("-", model_file)


def test_an_evaluation_that_no_report_can_show_is_told_as_such(client: Client, tmp_path: Path) -> None:
    model = HybridClassifier(n_qubits=2, layers=1, epochs=1, random_state=0).fit(*load_iris(return_X_y=True))
    model.save(tmp_path / "odd.superpose", ModelFacts(evaluation={"learning_curves": [1, 2]}))
    assert client.jobs.wait(client.models.import_file("odd", tmp_path / "odd.superpose").id).status == "succeeded"
    with pytest.raises(ApiError, match="not in this release's form") as refused:
        client.models.report("odd", 1, tmp_path / "odd.html")
    assert (refused.value.status, refused.value.problem_code) == (409, "service.conflict")


def test_a_family_s_model_becomes_an_endpoint(client: Client, tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = FAMILIES["projected_kernel"].load()().fit(rows, labels)
    model.save(tmp_path / "iris.superpose")
    assert client.jobs.wait(client.models.import_file("iris", tmp_path / "iris.superpose").id).status == "succeeded"
    endpoint = client.endpoints.create("flowers", "iris")
    answer = client.predict(endpoint.name, [list(row) for row in rows[::10]])
    assert list(answer.predictions) == [str(label) for label in model.predict(rows[::10])]
    client.endpoints.delete("flowers")


def test_a_demand_model_becomes_an_endpoint_with_its_figures(client: Client, tmp_path: Path) -> None:
    dates = pd.date_range("2026-01-01", periods=60, freq="D").strftime("%Y-%m-%d")
    quantity = 50 + 10 * np.sin(2 * np.pi * np.arange(60) / 7) + np.random.default_rng(0).normal(0, 1, 60)
    pd.DataFrame({"date": dates, "quantity": quantity}).to_csv(tmp_path / "sales.csv", index=False)
    fast: dict[str, Any] = {"horizon": 6, "origins": 2, "calibration": 2, "seeds": 1, "epochs": 1}
    report = train_demand(tmp_path / "sales.csv", tmp_path / "run", variants=["frozen", "ridge"], **fast)
    job = client.jobs.wait(client.models.import_file("sales", tmp_path / "run" / "model.superpose").id)
    assert job.status == "succeeded"
    found = client.models.version("sales")
    assert found.metrics["mase"] == pytest.approx(report["metrics"]["mase"]["mean"])
    assert found.evaluation["models"]["hybrid"]["metrics"]["mae"]["mean"] == pytest.approx(
        report["metrics"]["mae"]["mean"]
    )
    missing = set(client.models.gate("sales").missing)
    assert missing == {"subgroups", "energy_and_cost", "explanation"}  # what nobody has measured or said yet
    card = model_card(found.manifest)
    assert "ridge on the same features" in card and "80 % intervals held the true number" in card
    endpoint = client.endpoints.create("sales", "sales")
    predictor = Predictor.load(tmp_path / "run" / "model.superpose")
    rows = np.random.default_rng(1).normal(1.0, 0.1, (5, len(predictor.feature_names)))
    answer = client.predict(endpoint.name, rows)
    assert np.allclose(answer.predictions, predictor.predict(rows)) and answer.coverage == 0.8
    assert [model.name for model in client.models.list(query="mase<100")] == ["sales"]
    page = client.models.report("sales", path=tmp_path / "sales.html").path.read_text()
    assert "MASE" in page and "intervals held the true number" in page
    client.endpoints.delete("sales")


def test_the_command_line_imports_and_shows_the_card(
    home: Api, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")]

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*words, *place])
        assert ended.value.code == 0
        return capsys.readouterr().out

    made = json.loads(run("models", "import", str(model_file), "--name", "pictures", "--json"))
    assert made["model"] == "pictures" and made["version"] == 1
    card = run("models", "card", "pictures")
    assert "Not for clinical use." in card and "strong CNN" in card and "Means over 2 seeds" in card
    assert "AUC" in run("models", "show", "pictures")


def test_pictures_of_another_organ_carry_an_imported_model_on(
    home: Api, client: Client, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The issue's own example in small: chest X-rays -> breast ultrasound, few labels, through the command line."""
    parent = client.jobs.wait(client.models.import_file("xray", model_file).id)
    told = read_model(model_file)
    columns = [column["name"] for column in told.manifest["pipeline"]["preprocessing"]["columns"]]
    random = np.random.default_rng(1)
    labels = np.arange(40) % 2
    pictures = np.clip(random.random((40, 784)) * 0.5 + 0.3 * labels[:, None], 0.0, 1.0)
    file = tmp_path / "breast.npz"
    np.savez(file, x=pictures, y=np.where(labels == 1, "malignant", "benign"), names=np.array(columns))
    client.datasets.add(file, name="breast", target="class")
    spec = tmp_path / "spec.yaml"
    spec.write_text("training: {epochs: 2, batch_size: 16}\nevaluation: {n_splits: 2, baseline: none}\n")

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")])
        return int(ended.value.code or 0), capsys.readouterr().out

    begin = ("train", str(spec), "--from", "xray:1", "--dataset", "breast", "--json")
    code, said = run(*begin, "--freeze", "features", "--learning-rates", "circuit=0.002,head=0.02")
    assert code == 0, said
    version = json.loads(said)["model_version"]
    carried = version["evaluation"]["fine_tuning"]
    assert (carried["parent"], carried["entry"], carried["head"]) == ("xray:1", "keep", "new")
    assert (carried["freeze"], carried["digest"]) == (["features"], told.digest)
    assert list(version["evaluation"]["models"]["controls"]) == ["from_scratch", "frozen"]
    found = client.models.version("breast")
    assert found.notice == "Not for clinical use."  # of its parent
    arrays = dict(read_model(client.models.download("breast", path=tmp_path / "child.superpose")).model.arrays)
    for name, array in told_arrays(model_file).items():
        assert np.array_equal(arrays[name], array) == name.startswith("features."), name
    edges = {edge["relation"] for edge in client.models.lineage("xray").to_dict()["edges"]}
    assert "fine-tuned into" in edges
    card = run("models", "card", "breast")[1]
    assert "same model trained from scratch" in card and "Not trained: features" in card
    endpoint = client.endpoints.create("ultrasound", "breast")
    assert len(client.predict(endpoint.name, [dict(zip(columns, pictures[0].tolist(), strict=True))])) == 1
    code, said = run(*begin, "--freeze", "features,entry,circuit,head")
    assert (code, json.loads(said)["error"]["code"]) == (1, "spec.invalid")
    assert parent.model_version == 1


def told_arrays(model_file: Path) -> dict[str, np.ndarray]:
    """Parameters of the file's network, without counts."""
    arrays = read_model(model_file).model.arrays
    return {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
