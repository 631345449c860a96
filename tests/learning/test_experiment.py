"""Experiments: all variants on the same splits, durable, and the same bytes however often they are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.datasets import Table, builtin_table
from superpose.errors import CheckpointError, SpecError, StateTooLargeError
from superpose.learning import METRICS, ExperimentResult, Predictor, Stopped, TrainingSpec, run_experiment
from superpose.learning.checkpoint import read_sealed_json, write_sealed_json

TINY = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 4, "learning_rate": 0.1, "batch_size": 64},
    "evaluation": {"n_splits": 2, "baseline": "logistic_regression"},
}
SPEC = TrainingSpec.from_dict(TINY)


class Events:
    """Remembers what an experiment reports."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, kind: str, data: dict[str, Any]) -> None:
        json.dumps(data, allow_nan=False)
        self.all.append((kind, data))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.all if name == kind]


@pytest.fixture(scope="module")
def table() -> Table:
    return builtin_table("iris")


@pytest.fixture(scope="module")
def undisturbed(table: Table, tmp_path_factory: pytest.TempPathFactory) -> tuple[ExperimentResult, Events]:
    events = Events()
    return run_experiment(SPEC, table, tmp_path_factory.mktemp("run"), on_event=events), events


def test_the_evaluation_has_every_model_with_every_metric(undisturbed: tuple[ExperimentResult, Events]) -> None:
    evaluation = undisturbed[0].evaluation
    assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation
    assert (evaluation["primary_metric"], evaluation["n_splits"], evaluation["confidence"]) == ("accuracy", 2, 0.95)
    models = evaluation["models"]
    assert set(models["controls"]) == {"classical_twin", "no_entanglement", "frozen"}
    rows = [models["hybrid"], models["baseline"], *models["controls"].values()]
    for row in rows:
        told = {"folds"} if row is models["baseline"] else set()
        assert set(row) == {"label", "n_params", "n_trainable", "metrics"} | told
        assert set(row["metrics"]) == set(METRICS)
        for metric in row["metrics"].values():
            assert len(metric["values"]) == 2
            assert metric["low"] <= metric["mean"] <= metric["high"]
            assert metric["mean"] == pytest.approx(np.mean(metric["values"]))
    assert len({row["n_params"] for row in (models["hybrid"], *models["controls"].values())}) == 1
    assert models["controls"]["frozen"]["n_trainable"] == models["hybrid"]["n_trainable"] - 6
    assert [c["against"] for c in evaluation["comparisons"]] == [*models["controls"], "baseline"]
    first = {name: metric["values"][0] for name, metric in models["hybrid"]["metrics"].items()}
    assert evaluation["model_metrics"] == first
    assert evaluation["verdict"].endswith(".")
    assert evaluation["quantum_part"] in ("better", "equal", "worse", "undecided")
    for row in evaluation["comparisons"]:
        assert row["cases"]["n_cases"] > 0
        assert 0 <= row["mcnemar_p"] <= 1


def test_events_tell_how_far_it_is(undisturbed: tuple[ExperimentResult, Events]) -> None:
    events = undisturbed[1]
    progress = events.of("progress")
    assert len(events.of("metric")) == 10
    assert [p["fraction"] for p in progress] == sorted(p["fraction"] for p in progress)
    assert progress[-1]["fraction"] == 1.0
    keys = {"stage", "split", "n_splits", "variant", "epoch", "n_epochs", "eta_s", "fraction"}
    assert all(keys <= set(p) for p in progress)
    assert any("validation_accuracy" in p and p["loss"] > 0 for p in progress)
    assert events.of("log")[-1]["message"] == undisturbed[0].evaluation["verdict"]


def test_the_model_file_is_the_hybrid_of_the_first_split(
    undisturbed: tuple[ExperimentResult, Events], table: Table
) -> None:
    result = undisturbed[0]
    predictor = Predictor.load(result.model_path, result.model_digest)
    manifest = predictor.manifest
    assert manifest["evaluation"] == result.evaluation
    assert manifest["data"]["digest"] == table.digest
    assert sum(manifest["data"]["split"].values()) == table.n_rows
    assert manifest["provenance"]["spec"] == SPEC.to_dict()
    assert predictor.classes == table.classes
    right = np.mean(np.array(predictor.predict(table.features)) == table.target.to_numpy())
    assert right == pytest.approx(result.evaluation["model_metrics"]["accuracy"], abs=0.15)
    assert str(result.model_path.parent) not in json.dumps(manifest), "no host facts"


def test_the_registered_model_gives_its_own_held_out_metrics(
    undisturbed: tuple[ExperimentResult, Events], table: Table
) -> None:
    from superpose.datasets import stratified_splits
    from superpose.learning import evaluate

    result, options = undisturbed[0], SPEC.evaluation
    split = stratified_splits(
        table.target.to_numpy(),
        n_splits=2,
        test_fraction=options.test_fraction,
        validation_fraction=options.validation_fraction,
        seed=0,
    )[0]
    predicted = Predictor.load(result.model_path).predict_proba(table.features.iloc[split.test])
    truth = np.array([table.classes.index(label) for label in table.target.iloc[split.test]])
    assert evaluate(truth, predicted, 2) == pytest.approx(result.evaluation["model_metrics"], abs=1e-9)


def files(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def test_stopping_anywhere_and_calling_again_gives_the_same_bytes(
    undisturbed: tuple[ExperimentResult, Events], table: Table, tmp_path: Path
) -> None:
    n_calls = 0
    while True:
        n_calls += 1
        answers = iter([False] * 5)
        try:
            result = run_experiment(SPEC, table, tmp_path, should_stop=lambda a=answers: next(a, True))
        except Stopped as stopped:
            assert stopped.code == "learning.stopped"
            continue
        break
    assert n_calls > 3
    assert result.evaluation == undisturbed[0].evaluation
    assert result.model_digest == undisturbed[0].model_digest
    assert files(tmp_path) == files(undisturbed[0].model_path.parent)


def test_a_finished_run_is_not_done_again(table: Table, tmp_path: Path, undisturbed: Any) -> None:
    first = run_experiment(SPEC, table, tmp_path)
    events = Events()
    again = run_experiment(SPEC, table, tmp_path, on_event=events)
    assert (again.evaluation, again.model_digest) == (first.evaluation, first.model_digest)
    assert not events.of("metric")


RUNNER = """
import functools, json, sys
from pathlib import Path
from superpose.datasets import builtin_table
from superpose.learning import TrainingSpec, TrainingWatch, experiment, run_experiment
experiment.TrainingWatch = functools.partial(TrainingWatch, checkpoint_every_s=-1.0)  # after every step
print("ready", flush=True)
result = run_experiment(TrainingSpec.from_json(sys.argv[1]), builtin_table("iris"), Path(sys.argv[2]))
print(result.model_digest, json.dumps(result.evaluation))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_kill_9_at_any_instant_and_calling_again_gives_the_same_bytes(
    undisturbed: tuple[ExperimentResult, Events], tmp_path: Path
) -> None:
    pauses_s = [0.2, 0.7]
    while True:
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, json.dumps(TINY), str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if not pauses_s:
            break
        time.sleep(pauses_s.pop())
        process.send_signal(signal.SIGKILL)
        process.communicate()
    printed, _ = process.communicate(timeout=120)
    digest, evaluation = printed.split(" ", 1)
    assert process.returncode == 0
    assert digest == undisturbed[0].model_digest
    assert json.loads(evaluation) == undisturbed[0].evaluation


def test_damaged_results_are_made_anew(
    undisturbed: tuple[ExperimentResult, Events], table: Table, tmp_path: Path
) -> None:
    run_experiment(SPEC, table, tmp_path)
    result = tmp_path / "units" / "split-000" / "hybrid" / "result.json"
    result.write_bytes(result.read_bytes().replace(b"0", b"1", 1))
    network = tmp_path / "units" / "split-000" / "hybrid" / "network.safetensors"
    said = tmp_path / "units" / "split-001" / "baseline" / "probabilities.safetensors"
    (tmp_path / "units" / "split-001" / "frozen" / "result.json").write_bytes(b"")
    for path in (result, network, said):
        events = Events()
        path.write_bytes(path.read_bytes()[:-1])
        again = run_experiment(SPEC, table, tmp_path, on_event=events)
        assert again.model_digest == undisturbed[0].model_digest
        assert any("done again" in data["message"] for data in events.of("log"))


@pytest.mark.parametrize("absent", [["defaults"], ["defaults", "recipe"]])  # the second as release 0.1.0 has it
def test_a_run_begun_when_specs_had_other_fields_starts_over(
    undisturbed: tuple[ExperimentResult, Events], table: Table, tmp_path: Path, absent: list[str]
) -> None:
    run_experiment(SPEC, table, tmp_path)
    claim = tmp_path / "experiment.json"
    begun = read_sealed_json(claim)
    assert begun is not None
    for name in absent:
        del begun[name]
    write_sealed_json(claim, begun | {"spec": "0" * 64})
    events = Events()
    again = run_experiment(SPEC, table, tmp_path, on_event=events)
    assert again.model_digest == undisturbed[0].model_digest
    assert any("starting over" in data["message"] for data in events.of("log"))


def test_another_spec_or_other_data_do_not_continue_a_run(table: Table, tmp_path: Path) -> None:
    spec = TrainingSpec.from_dict(TINY | {"evaluation": {"n_splits": 2, "controls": [], "baseline": "none"}})
    result = run_experiment(spec, table, tmp_path)
    assert result.evaluation["verdict"].startswith("Undecided: the hybrid model was trained without controls")
    assert result.evaluation["models"]["baseline"] is None
    for other, data in ((SPEC, table), (spec, builtin_table("wine"))):
        with pytest.raises(CheckpointError, match="another spec or other data"):
            run_experiment(other, data, tmp_path)


def test_other_seeds_split_and_train_differently(
    undisturbed: tuple[ExperimentResult, Events], table: Table, tmp_path: Path
) -> None:
    spec = TrainingSpec.from_dict(TINY | {"training": TINY["training"] | {"seed": 1}})
    assert run_experiment(spec, table, tmp_path).model_digest != undisturbed[0].model_digest


def test_what_cannot_run_is_refused_before_anything_is_written(table: Table, tmp_path: Path) -> None:
    big = TrainingSpec.from_dict({"model": {"n_qubits": 40}})
    with pytest.raises(StateTooLargeError, match="40 qubits"):
        run_experiment(big, table, tmp_path / "run")
    with pytest.raises(SpecError, match=r"evaluation\.positive_class"):
        run_experiment(TrainingSpec.from_dict({"evaluation": {"positive_class": "tulip"}}), table, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_columns_with_categories_missing_values_and_two_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n_rows = 120
    ward = rng.choice(np.array(["north", "south", "east"], dtype=object), n_rows)
    dose = rng.normal(size=n_rows)
    label = np.where((ward == "north") | (dose > 1), "ill", "well").astype(object)
    ward[::17], dose[::13] = None, np.nan
    table = Table.from_columns("wards", {"ward": ward, "dose": dose}, "outcome", label, {"dose": "mg"})
    spec = TrainingSpec.from_dict(TINY | {"evaluation": {"n_splits": 2, "controls": [], "positive_class": "ill"}})
    result = run_experiment(spec, table, tmp_path)
    assert result.evaluation["positive_class"] == "ill"
    predictor = Predictor.load(result.model_path)
    assert predictor.manifest["data"]["units"] == {"dose": "mg"}
    assert predictor.input_schema[0]["categories"] == ["east", "north", "south"]
    assert predictor.predict_proba([{"ward": None, "dose": 0.2}]).shape == (1, 2)
    assert predictor.predict_proba(table.features).shape == (n_rows, 2)


def test_a_class_that_is_never_recognised_is_named_in_the_verdict(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(200) < 12, "ill", "well").astype(object)
    table = Table.from_columns("rare", {"dose": rng.normal(size=200), "age": rng.normal(size=200)}, "outcome", labels)
    spec = TrainingSpec.from_dict(TINY | {"evaluation": {"n_splits": 2, "controls": [], "baseline": "none"}})
    evaluation = run_experiment(spec, table, tmp_path).evaluation
    assert evaluation["model_metrics"]["accuracy"] > 0.9
    assert evaluation["verdict"].endswith(" The hybrid model recognised no test case of class ill.")
