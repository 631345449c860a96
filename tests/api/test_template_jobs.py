"""A template trained as a job: over HTTP, by the client and on the command line."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from superpose.cli import main
from superpose.client import Client
from superpose.errors import ApiError
from superpose.learning.templates.demand import features
from superpose.service import ServiceConfig, Worker

from .conftest import Api, running

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service with a worker in this process, and pictures registered there."""
    config = ServiceConfig(data_dir=tmp_path_factory.mktemp("templates") / "data", workers=0)
    worker = Worker(config)
    with running(config) as api:
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield api
        finally:
            worker.stop()
            thread.join(60)


@pytest.fixture(scope="module")
def client(home: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for part in ("train", "val", "test"):
        labels = np.arange(12) % 2
        pictures = random.integers(0, 120, (12, 6, 6)) + 100 * labels[:, None, None]
        arrays |= {f"{part}_images": pictures.astype(np.uint8), f"{part}_labels": labels[:, None].astype(np.uint8)}
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub knows no mapping
    path = tmp_path_factory.mktemp("pictures") / "films.npz"
    path.write_bytes(file.getvalue())
    with Client(home.url, key=home.admin_key) as made:
        made.datasets.add(path, target="class", domain="medical")
        yield made


SALES = "date,quantity\n" + "".join(f"{date(2026, 1, 1) + timedelta(i)},{40 + i % 7 * 3}.5\n" for i in range(60))


def command(home: Api, *words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command that succeeds prints."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")])
    told = capsys.readouterr()
    assert ended.value.code == 0, told.err
    return told.out


def test_a_target_of_numbers_is_registered_over_every_door(
    client: Client, home: Api, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(SALES.replace("2026-01-02,43.5", "2026-01-02,"))
    add = ["datasets", "add", str(path), "--target", "quantity", "--target-kind", "number"]
    assert "target quantity (numbers)" in command(home, *add, capsys=capsys)
    told = json.loads(command(home, *add, "--json", capsys=capsys))
    assert (told["target_kind"], told["classes"], told["n_rows"]) == ("number", [], 60)
    made = client.datasets.add(path, target="quantity", target_kind="number", name="again")
    assert (made.target_kind, made.classes, made.digest) == ("number", (), told["digest"])
    column = client.datasets.sheet("again").target_column
    assert column is not None and (column.n_missing, column.low, column.high) == (1, 40.5, 58.5)
    assert "quantity (numbers, 40.5 .. 58.5, median 49.5)" in command(home, "datasets", "sheet", "again", capsys=capsys)
    assert "numbers" in command(home, "datasets", "list", capsys=capsys)
    assert "quantity (numbers)" in command(home, "datasets", "show", "orders", capsys=capsys)
    path.write_text(SALES.replace("43.5", "many"))
    with pytest.raises(ApiError, match="was said to hold numbers, but data row 2 has 'many'") as refused:
        client.datasets.add(path, target="quantity", target_kind="number", name="wrong")
    assert refused.value.problem_code == "dataset.target"
    with pytest.raises(ApiError, match="target_kind"):
        client.datasets.add(path, target="quantity", target_kind="text", name="wrong")
    with pytest.raises(ApiError, match="holds numbers, and this learns classes"):
        client.jobs.train(dataset="again", spec={"model": {"n_qubits": 2}})
    with pytest.raises(ApiError, match="holds numbers, and this learns classes"):
        client.sweeps.create({"space": {"training.epochs": [1, 2]}}, dataset="again")


@pytest.mark.slow
def test_a_forecast_is_trained_over_http_and_on_the_command_line(
    client: Client, home: Api, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(SALES)
    client.datasets.add(path, target="quantity", target_kind="number")
    options = {"horizon": 3, "origins": 2, "calibration": 1, "seeds": 1, "epochs": 1, "variants": ["ridge"]}
    done = client.jobs.wait(client.jobs.train_template("demand", dataset="sales", model="next", options=options).id)
    assert (done.status, done.kind, done.model_version) == ("succeeded", "train_template", 1), done.error
    report = json.loads(client.jobs.download(done.id, "report.json", tmp_path / "report.json").read_text())
    assert report["template"] == "demand" and len(report["forecast"]["rows"]) == 6
    words = ["train", "demand", "--dataset", "sales", "--model", "next", "--seeds", "1", "--epochs", "1"]
    words += ["--horizon", "3", "--origins", "2", "--frequency", "daily", "--gaps", "zero"]
    words += ["--beside", "seasonal_naive"]
    told = json.loads(command(home, *words, "--json", capsys=capsys))
    assert told["job"]["kind"] == "train_template" and told["model_version"]["version"] == 2
    shown = " ".join(command(home, *words, capsys=capsys).split())
    assert "next version 3 is registered" in shown and "seasonal naive" in shown and "mase" in shown.lower()
    card = command(home, "models", "card", "next", capsys=capsys)
    assert "rows of the test periods, of which the model has learnt since, in units of the predicted number" in card
    assert {"explanation", "energy_and_cost"}.isdisjoint(client.models.gate("next", 1).missing)
    client.endpoints.create("tomorrow", "next")
    rows = features(path, horizon=3).rows
    explained = client.explain("tomorrow", rows.to_dict("records"), words=True)
    assert explained.target is not None and [row.label for row in explained.rows] == [None] * 3
    for row in explained.rows:
        assert row.number is not None and row.typical_number is not None and row.words
        assert abs(sum(row.attributions.values()) - (row.number - row.typical_number)) < 1e-5
    rows.to_csv(tmp_path / "rows.csv", index=False)
    words = ["explain", "tomorrow", str(tmp_path / "rows.csv"), "--method", "occlusion"]
    assert "a typical row" in command(home, *words, capsys=capsys)
    assert json.loads(command(home, *words, "--json", capsys=capsys))["target"] == explained.target
    with pytest.raises(ApiError, match="has no classes, of which shots would tell"):
        client.explain("tomorrow", rows.to_dict("records"), shots=100)


def test_what_a_job_would_take_is_told_before_it_is_submitted(
    client: Client, home: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [job.id for job in client.jobs.list()]
    quote = client.jobs.estimate_template("pneumonia", dataset="films", options={"seeds": 1, "variants": []})
    assert set(quote["estimate"]["parts"]) == {"hybrid", "explanation", "rest"} and quote["estimate"]["cpu_s"] > 0
    assert (quote["kind"], quote["backend"], quote["reserved_usd"], quote["max_seconds"]) == (
        *("train_template", "local"),
        *(0.0, None),
    )
    options = {"seeds": 9, "variants": []}
    more = client.jobs.estimate_template("pneumonia", dataset="films", options=options, max_seconds=60)
    assert more["estimate"]["parts"]["hybrid"] == pytest.approx(9 * quote["estimate"]["parts"]["hybrid"], rel=0.01)
    assert more["max_seconds"] == 60
    words = ["train", "pneumonia", "--dataset", "films", "--seeds", "1", "--beside", "none", "--estimate"]
    assert json.loads(command(home, *words, "--json", capsys=capsys)) == quote
    told = command(home, *words, "--max-seconds", "60", capsys=capsys)
    assert told.startswith(f"about {quote['estimate']['cpu_s']:,.3g} s of processor time (")
    assert told.endswith("set aside when submitted: $0.00, for at most 60 s of workers\n")
    with pytest.raises(SystemExit) as ended:
        main(["train", "pneumonia", "--estimate"])
    assert ended.value.code == 2 and "--estimate needs --dataset NAME" in capsys.readouterr().err
    with pytest.raises(ApiError, match="seeds: must be 1 to 100, got 0"):
        client.jobs.estimate_template("pneumonia", dataset="films", options={"seeds": 0})
    assert [job.id for job in client.jobs.list()] == before


def test_a_submission_says_what_it_is_expected_to_take(
    client: Client, home: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")]
    words = ["train", "pneumonia", "--dataset", "films", "--model", "told", "--seeds", "1", "--epochs", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--beside", "none", "--detach", "--json", *place])
    told = capsys.readouterr()
    assert ended.value.code == 0, told.err
    job = client.jobs.get(json.loads(told.out)["id"])
    assert job.estimate is not None and set(job.estimate["parts"]) == {"hybrid", "explanation", "rest"}
    said = f"about {job.estimate['cpu_s']:,.3g} s of processor time ("
    assert f"job {job.id}: expected to take {said}" in told.err
    assert said in " ".join(command(home, "jobs", "show", job.id, capsys=capsys).split())
    with contextlib.suppress(ApiError):  # it may have ended
        client.jobs.cancel(job.id)


def test_wrong_submissions_are_refused_by_name(client: Client, home: Api) -> None:
    for options, code, said in (
        ({"seeds": 0}, "spec.invalid", "seeds: must be 1 to 100, got 0"),
        ({"hurry": True}, "spec.invalid", "hurry: is no option of this template; it takes preset, seeds"),
    ):
        with pytest.raises(ApiError, match=said) as refused:
            client.jobs.train_template("pneumonia", dataset="films", options=options)
        assert refused.value.problem_code == code
    with pytest.raises(ApiError, match="template must be one of pneumonia, demand, got 'knee'"):
        client.jobs.train_template("knee", dataset="films")
    client.datasets.add_builtin("flowers", "iris")
    with pytest.raises(ApiError, match="holds no square grey pictures") as refused:
        client.jobs.train_template("pneumonia", dataset="flowers")
    assert refused.value.problem_code.startswith("dataset.")


@pytest.mark.slow
def test_the_client_and_the_command_line_train_it(
    client: Client, home: Api, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    job = client.jobs.train_template(
        "pneumonia", dataset="films", model="chest", options={"seeds": 2, "epochs": 1, "variants": ["strong_cnn"]}
    )
    done = client.jobs.wait(job.id)
    assert (done.status, done.kind, done.model_version) == ("succeeded", "train_template", 1), done.error
    assert client.models.version("chest").notice == "Not for clinical use."
    saved = client.jobs.download(job.id, "report.json", tmp_path / "study.json")
    assert json.loads(saved.read_text())["variants"]["strong_cnn"]["n_seeds"] == 2
    assert "controls" not in client.models.gate("chest").missing

    place = ["--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")]
    words = ["train", "pneumonia", "--dataset", "films", "--model", "chest", "--seeds", "1", "--epochs", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--beside", "none", "--json", *place])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["job"]["kind"] == "train_template" and told["model_version"]["version"] == 2
    cures = {one.name: one.how or one.found for one in client.models.gate("chest", 2).requirements}
    assert "at least 2 seeds" in cures["controls"] and "an admin can override" in cures["controls"]
    assert "--no-subgroups" in cures["subgroups"]
    assert "validation pictures: " in cures["explanation"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--beside", "none", *place])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and "Means over 1 seed on one test part" in " ".join(shown.split())
