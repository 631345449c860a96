"""Sweeps over the command line against a real service, with their table and plots."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.held import ENDLESS, cancelled_in_the_end

from superpose import Client

SWEEP = """
dataset: flowers
model: searched
spec:
  model: {ansatz: {layers: 1}}
  training: {epochs: 2}
  evaluation: {n_splits: 2, controls: [], baseline: none}
space:
  model.n_qubits: {int: [1, 2]}
  training.learning_rate: [0.01, 0.1]
objective: {folds: 2}
sampler: {name: grid}
"""


@pytest.fixture(scope="session")
def sweep_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def test_a_sweep_from_file_to_plots(
    at_home: Callable[..., Any], trained: str, sweep_file: Path, tmp_path: Path
) -> None:
    said = at_home("sweep", sweep_file, "--name", "look", "--json")
    assert said.code == 0, said.err
    sweep = said.json
    assert (sweep["status"], sweep["model"], sweep["model_version"]) == ("succeeded", "searched", 1)
    assert [trial["state"] for trial in sweep["trials"]] == ["complete"] * 4
    assert [tuple(trial["params"].values()) for trial in sweep["trials"]] == [(1, 0.01), (1, 0.1), (2, 0.01), (2, 0.1)]
    best = max(sweep["trials"], key=lambda trial: (trial["value"], -trial["number"]))
    assert sweep["best"]["number"] == best["number"]
    assert sum(sweep["importances"].values()) == pytest.approx(1.0)
    shown = at_home("sweeps", "show", "look").out
    lines = [line.split() for line in shown.splitlines()]
    table = [line for line in lines if line[1:2] == ["complete"]]
    assert table[0][0] == str(best["number"])  # the best first
    assert "searched version 1" in shown
    assert "importance of" in shown
    assert "4 of 4" in at_home("sweeps", "list").out
    assert at_home("models", "show", "searched", "--json").json["manifest"]["provenance"]["sweep"]["n_trials"] == 4
    card = at_home("models", "card", "searched").out
    assert "chosen by a sweep of 4 trials" in " ".join(card.split())
    drawn = at_home("sweeps", "plot", "look", tmp_path, "--format", "png", "--format", "svg", "--json").json
    assert sorted(Path(name).name for name in drawn["files"]) == sorted(
        f"look-{what}.{form}" for what in ("history", "importance", "parallel") for form in ("png", "svg")
    )
    for name in drawn["files"]:
        if name.endswith("png"):
            with Image.open(name) as image:
                assert len(image.convert("RGB").getcolors(1_000_000) or []) > 20  # something is drawn
        else:
            assert "<svg" in Path(name).read_text()
    first = {name: Path(name).read_bytes() for name in drawn["files"]}
    at_home("sweeps", "plot", "look", tmp_path, "--format", "png", "--format", "svg")
    assert first == {name: Path(name).read_bytes() for name in first}  # equal sweeps, equal files
    assert at_home("sweeps", "plot", "look", tmp_path, "--format", "gif").err.startswith("error[service.request]")


def test_what_is_refused(at_home: Callable[..., Any], trained: str, sweep_file: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(SWEEP.replace("model.n_qubits", "model.n_wings"))
    refused = at_home("sweep", wrong, "--name", "w", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "spec.invalid")
    assert refused.json["error"]["details"]["field"] == "space.model.n_wings"
    wrong.write_text("space: {model.n_qubits: [1, 2]}")
    assert "--dataset" in at_home("sweep", wrong).err
    wrong.write_text(SWEEP + "colour: red")
    assert at_home("sweep", wrong, "--json").json["error"]["code"] == "service.request"
    assert at_home("sweeps", "show", "nothing").err.startswith("error[service.not_found]")


def test_a_sweep_can_be_left_alone_and_cancelled(
    at_home: Callable[..., Any], client: Client, trained: str, tmp_path: Path
) -> None:
    endless = {"dataset": trained, "model": "brief", "spec": ENDLESS, "space": {"training.learning_rate": [0.01, 0.1]}}
    (tmp_path / "endless.yaml").write_text(json.dumps({**endless, "sampler": {"name": "grid"}}))
    sweep = ("sweep", tmp_path / "endless.yaml", "--name", "brief")
    made = at_home(*sweep, "--detach", "--json").json
    with cancelled_in_the_end(client, made["job"]):
        assert made["status"] in {"queued", "running", "waiting"}
        cancelled = at_home("sweeps", "cancel", "brief", "--json").json
        assert cancelled["status"] in {"cancelled", "cancelling"}
    again = at_home(*sweep, "--json")
    assert again.json["error"]["code"] == "service.conflict"
