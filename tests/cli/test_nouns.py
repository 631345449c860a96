"""The commands of each noun against a real service."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.held import cancelled_in_the_end

from superpose import Client

ROW = {"sepal length": 5.1, "sepal width": 3.5, "petal length": 1.4, "petal width": 0.2}


@pytest.fixture
def table_file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(20, 90, 60), "dose": rng.normal(size=60), "site": ["a", "b", "c"] * 20})
    frame["ill"] = np.where(frame["age"] + 10 * frame["dose"] > 55, "yes", "no")
    path = tmp_path / "patients.csv"
    frame.to_csv(path, index=False)
    return path


def test_datasets(at_home: Callable[..., Any], table_file: Path) -> None:
    said = at_home("datasets", "add", table_file, "--target", "ill")
    assert said.code == 0, said.err
    assert said.out.startswith("patients: 60 rows, 3 features, target ill (no, yes); id ds_")
    shown = at_home("datasets", "show", "patients", "--json").json
    assert shown["classes"] == ["no", "yes"]
    assert {column["name"]: column["kind"] for column in shown["columns"]}["site"] == "category"
    assert "category" in at_home("datasets", "show", shown["id"]).out
    assert [d["name"] for d in at_home("datasets", "list", "--json").json].count("patients") == 1
    assert "patients" in at_home("datasets", "list").out
    again = at_home("datasets", "add", table_file, "--target", "ill", "--json")
    assert again.json["id"] == shown["id"]
    again = at_home("datasets", "add", "--builtin", "wine", "--name", "patients", "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "service.conflict")
    assert at_home("datasets", "remove", "patients", "--json").json == {"removed": "patients"}
    gone = at_home("datasets", "show", "patients")
    assert (gone.code, gone.out) == (1, "")
    assert gone.err.startswith("error[service.not_found]: ")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--builtin", "iris", "some.csv"], ["some.csv"]],
)
def test_datasets_add_says_what_is_missing(superpose: Callable[..., Any], arguments: list[str]) -> None:
    assert superpose("datasets", "add", *arguments).code == 2


def test_a_table_that_cannot_be_used_is_refused_with_its_code(at_home: Callable[..., Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    said = at_home("datasets", "add", empty, "--target", "x", "--json")
    assert said.code == 1
    assert said.json["error"]["code"].startswith("dataset.")
    assert at_home("datasets", "add", tmp_path / "absent.csv", "--target", "x").err.startswith("error[dataset.format]")


def test_jobs(at_home: Callable[..., Any], client: Client, trained: str, endless_file: Path) -> None:
    job_id = client.models.version(trained, 1).job_id
    assert "succeeded" in at_home("jobs", "show", job_id).out
    succeeded = at_home("jobs", "list", "--status", "succeeded", "--limit", "1000", "--json").json
    assert {job["status"] for job in succeeded} == {"succeeded"} and job_id in {job["id"] for job in succeeded}
    assert len(at_home("jobs", "list", "--limit", "1", "--json").json) == 1
    assert job_id in at_home("jobs", "list", "--limit", "1000").out
    watched = at_home("jobs", "watch", job_id)
    assert (watched.code, watched.out) == (0, f"{job_id} succeeded\n")
    assert "split 1 of 2" in watched.err
    assert at_home("jobs", "watch", job_id, "--json").json["id"] == job_id

    train = ("train", endless_file, "--dataset", trained, "--model", "other", "--detach", "--json")
    submitted = at_home(*train).json
    with cancelled_in_the_end(client, submitted["id"]):
        assert submitted["status"] in {"queued", "running"}
        second = at_home(*train, "--after", job_id, "--after", submitted["id"]).json
        assert second["after"] == [job_id, submitted["id"]]
        assert submitted["id"] in at_home("jobs", "show", second["id"]).out
        at_home("jobs", "cancel", second["id"])
        cancelled = at_home("jobs", "cancel", submitted["id"], "--json").json
        assert cancelled["status"] in {"cancelled", "cancelling"}
        ended = at_home("jobs", "watch", submitted["id"])
        assert (ended.code, ended.out) == (1, f"{submitted['id']} cancelled\n")
    assert at_home("jobs", "show", "job_aaaaaaaaaaaa").err.startswith("error[service.not_found]")


def test_training_prints_the_comparison_and_refuses_a_wrong_spec(
    at_home: Callable[..., Any], trained: str, spec_file: Path, tmp_path: Path
) -> None:
    said = at_home("train", spec_file, "--dataset", trained)
    assert said.code == 0, said.err
    for words in ("hybrid", "classical", "logistic", "parameters", "balanced accuracy", "confidence interval"):
        assert words in said.out
    assert f"deploy it with: superpose deploy {trained}" in said.out
    both = " ".join(f"{said.err} {said.out}".split())
    assert both.count(" paired splits at 95 % confidence") == 1  # the verdict, not in the log too
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("model: {layers: 3}")
    refused = at_home("train", wrong, "--dataset", trained, "--json")
    assert refused.code == 1
    assert refused.json["error"]["code"] == "spec.invalid"
    assert refused.json["error"]["details"]["field"] == "model.layers"
    wrong.write_text("- a\n- list")
    assert "must hold one object" in at_home("train", wrong, "--dataset", trained).err
    wrong.write_text("a: [")
    assert "neither YAML nor JSON" in at_home("train", wrong, "--dataset", trained).err


def test_models(at_home: Callable[..., Any], trained: str, tmp_path: Path) -> None:
    listed = {model["name"]: model for model in at_home("models", "list", "--json").json}
    assert listed[trained]["latest"] >= 1
    assert trained in at_home("models", "list").out
    shown = at_home("models", "show", trained, "--version", "1", "--json").json
    assert set(shown) >= {"digest", "evaluation", "manifest", "metrics"}
    assert "AUC" in at_home("models", "show", trained).out
    saved = at_home("models", "download", trained, "--version", "1", "--output", tmp_path, "--json").json
    assert saved["path"] == str(tmp_path / f"{trained}-1.superpose")
    nowhere = at_home("models", "download", trained, "--output", tmp_path / "none" / "x", "--json").json
    assert nowhere["error"]["code"] == "service.request"
    assert "cannot be written" in nowhere["error"]["message"]
    from superpose.learning.predictor import Predictor

    assert len(Predictor.load(Path(saved["path"]), expected_digest=shown["digest"]).classes) == 3
    card = at_home("models", "card", trained)
    assert card.out.startswith("# Model card")
    assert "## Compared with" in card.out
    assert at_home("models", "card", trained, "--json").json == {"model": trained, "card": card.out, "path": None}
    target = tmp_path / "card.md"
    assert at_home("models", "card", trained, "--output", target).out == f"{target}\n"
    assert target.read_text() == card.out
    assert at_home("models", "show", "nothing").err.startswith("error[service.not_found]")


def test_endpoints_and_predictions(
    at_home: Callable[..., Any], served: Any, trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [c["name"] for c in at_home("datasets", "show", trained, "--json").json["columns"]]
    deployed = at_home("deploy", trained, "--version", "1", "--name", "second")
    assert deployed.out == f"second: {trained} version 1 answers at {served.url}/v1/endpoints/second/predict\n"
    assert {e["name"] for e in at_home("endpoints", "list", "--json").json} >= {trained, "second"}
    assert "second" in at_home("endpoints", "list").out
    assert f"{trained} version 1" in at_home("endpoints", "show", "second").out

    frame = pd.DataFrame([[5.1, 3.5, 1.4, 0.2], [6.9, 3.1, 5.4, 2.1]], columns=columns)
    csv, parquet, document = tmp_path / "rows.csv", tmp_path / "rows.parquet", tmp_path / "rows.json"
    frame.to_csv(csv, index=False)
    frame.to_parquet(parquet)
    document.write_text(json.dumps({"rows": frame.to_dict("records")}))
    answers = [at_home("predict", "second", path, "--json").json for path in (csv, parquet, document)]
    assert answers[0]["probabilities"] == answers[1]["probabilities"] == answers[2]["probabilities"]
    assert np.allclose(np.sum(answers[0]["probabilities"], axis=1), 1)
    shown = at_home("predict", "second", csv)
    assert answers[0]["predictions"][0] in shown.out
    assert "request" in shown.err
    environment = {**os.environ, "XDG_DATA_HOME": str(served.home)}
    piped = subprocess.run(
        [sys.executable, "-m", "superpose", "predict", "second", "-", "--json"],
        input=frame.to_json(orient="values"),
        capture_output=True,
        text=True,
        env=environment,
    )
    assert np.allclose(json.loads(piped.stdout)["probabilities"], answers[0]["probabilities"])

    explained = at_home("explain", "second", csv, "--json").json
    assert (explained["model"], explained["model_version"]) == (trained, 1)
    assert [row["label"] for row in explained["rows"]] == answers[0]["predictions"]
    for row, probabilities in zip(explained["rows"], answers[0]["probabilities"], strict=True):
        assert np.isclose(row["probability"], max(probabilities))
        gain = row["probability"] - row["typical_probability"]
        assert np.isclose(sum(row["attributions"].values()), gain, atol=1e-6)
    told = at_home("explain", "second", csv, "--method", "shapley", "--class", explained["rows"][0]["label"])
    assert "a typical row" in told.out
    assert columns[0] in told.out
    wanted = ("--counterfactuals", 2, "--fixed", columns[0], "--range", f"{columns[2]}=1..6", "--shots", 100, "--words")
    more = at_home("explain", "second", csv, *wanted, "--json").json
    assert more["shot_noise"]["shots"] == 100
    for row in more["rows"]:
        assert row["words"][0].startswith("The model gives ")
        assert all(columns[0] not in one["changes"] for one in row["counterfactuals"])
    shown = at_home("explain", "second", csv, *wanted)
    assert "flips with probability" in shown.out
    assert "of the rows have a label that 100 shots flip" in shown.err
    assert "is not COLUMN=LOW..HIGH" in at_home("explain", "second", csv, *wanted, "--range", "age").err
    assert "are for --counterfactuals" in at_home("explain", "second", csv, "--fixed", columns[0]).err
    assert at_home("explain", "second", csv, "--method", "lime").err.startswith("error[learning.explanation]")

    document.write_text('[{"colour": "red"}]')
    assert at_home("predict", "second", document).err.startswith("error[learning.feature_mismatch]")
    document.write_text("[")
    assert "is not JSON" in at_home("predict", "second", document).err
    assert at_home("endpoints", "remove", "second", "--json").json == {"removed": "second"}
    assert at_home("predict", "second", csv).err.startswith("error[service.not_found]")


def test_keys_never_show_their_secret(at_home: Callable[..., Any], served: Any, tmp_path: Path, trained: str) -> None:
    path = tmp_path / "reader.key"
    made = at_home("keys", "create", "--role", "viewer", "--label", "reader", "--output", path)
    assert made.code == 0, made.err
    secret = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret not in made.out + made.err
    assert str(path) in made.out
    again = at_home("keys", "create", "--output", path)
    assert again.code == 2
    assert "never overwrites" in again.err

    listed = at_home("keys", "list", "--json")
    assert secret not in listed.out
    (key,) = [key for key in listed.json if key["label"] == "reader"]
    assert (key["role"], key["revoked_at"]) == ("viewer", None)
    options = ("--url", served.url, "--key-file", path)
    assert at_home("models", "list", *options, "--json").json
    refused = at_home("deploy", trained, "--name", "third", *options, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "auth.forbidden")
    assert at_home("keys", "revoke", key["id"]).out == f"revoked {key['id']}\n"
    assert "revoked" in at_home("keys", "list").out
    refused = at_home("models", "list", *options)
    assert refused.err.startswith("error[auth.key_invalid]")
    assert secret not in refused.err
    path.chmod(0o644)
    assert at_home("models", "list", *options).err.startswith("error[auth.key_file]")


def test_expired_keys_are_told_apart(at_home: Callable[..., Any], served: Any, tmp_path: Path) -> None:
    path = tmp_path / "brief.key"
    for days in ("0.00001", "0.0001"):  # 0.9 s, and more for a machine that is busy elsewhere meanwhile
        made = at_home("keys", "create", "--role", "viewer", "--expires-in-days", days, "--output", path, "--json")
        if made.code == 0:
            break
    assert made.code == 0, made.err
    assert set(made.json) >= {"id", "key_file", "expires_at"}
    assert "secret" not in made.json
    until_s = time.monotonic() + 60
    while (said := at_home("models", "list", "--url", served.url, "--key-file", path)).code == 0:
        assert time.monotonic() < until_s
        time.sleep(0.1)
    assert said.err.startswith("error[auth.key_expired]")


def test_training_on_a_backend_is_asked_for_by_options(
    at_home: Callable[..., Any], trained: str, spec_file: Path
) -> None:
    asked = ("train", spec_file, "--dataset", trained, "--model", "measured", "--backend", "local", "--shots", "5")
    said = at_home(*asked, "--gradient", "spsa", "--json")
    assert said.code == 0, said.err
    measured = said.json["model_version"]["evaluation"]["measured"]
    assert (measured["backend"], measured["shots"], measured["gradient_method"]) == ("local", 5, "spsa")
    assert measured["in_all"]["shots_spent"] >= measured["shots_spent"] > 0
    refused = at_home("train", spec_file, "--dataset", trained, "--shots", "5", "--json")
    assert refused.code == 1
    assert refused.json["error"]["details"]["field"] == "backend"


@pytest.mark.parametrize("arguments", [("--picture", "occlusion"), ("--image", "8x8"), ("--fixed", "age")])
def test_options_of_explain_that_would_do_nothing_are_refused(
    superpose: Callable[..., Any], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text("[[1]]")
    said = superpose("explain", "triage", rows, *arguments)
    assert said.code == 2
    assert "are for" in said.err
