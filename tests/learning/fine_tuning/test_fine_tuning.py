"""Fine-tuning: what is taken over, what is refused, and the comparison with training from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose import HybridClassifier, load_model
from superpose.datasets import Table, table_from_frame
from superpose.errors import SpecError
from superpose.learning import Predictor, Stopped, TrainingSpec, read_model, run_experiment
from superpose.learning.fine_tuning.parent import Parent
from superpose.learning.fine_tuning.plan import FineTuning, plan_fine_tuning
from superpose.learning.recipe import CircuitRecipe
from superpose.learning.rows import ColumnNames

FEW = {"epochs": 3, "validation_fraction": 0.0, "random_state": 1}


def _rows(names: str, seed: int, n_rows: int = 60) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=n_rows) for name in names})
    return frame, np.where(frame[names[0]] + 0.3 * rng.normal(size=n_rows) > 0, "ill", "well")


@pytest.fixture(scope="module")
def parent() -> HybridClassifier:
    return HybridClassifier(n_qubits=2, layers=1, epochs=8, learning_rate=0.1, random_state=0).fit(*_rows("abc", 0))


def _weights(model: HybridClassifier) -> dict[str, np.ndarray[Any, Any]]:
    return dict(model.to_trained_model().arrays)


def test_equal_columns_and_classes_keep_everything_and_the_parent_stays(parent: HybridClassifier) -> None:
    before = _weights(parent)
    child = parent.fine_tune(*_rows("abc", 1), **{**FEW, "learning_rate": 1e-7, "epochs": 1})
    assert (child.fine_tuning_["entry"], child.fine_tuning_["head"]) == ("keep", "keep")
    assert child.preprocessor_ is not None
    for name, array in _weights(child).items():
        np.testing.assert_allclose(array, before[name], atol=1e-5)
        np.testing.assert_array_equal(_weights(parent)[name], before[name])
    np.testing.assert_array_equal(child.preprocessor_.centre, parent.preprocessor_.centre)


def test_equal_columns_in_another_order_keep_their_own_weights_and_scales(
    parent: HybridClassifier, tmp_path: Path
) -> None:
    rows, labels = _rows("abc", 1)
    child = parent.fine_tune(rows[["c", "a", "b"]], labels, **{**FEW, "learning_rate": 1e-7, "epochs": 1})
    assert child.fine_tuning_["entry"] == "keep"
    given = child.predict_proba(rows[["c", "a", "b"]])
    np.testing.assert_allclose(given, parent.predict_proba(rows), atol=1e-4)
    child.save(tmp_path / "child")
    np.testing.assert_allclose(Predictor.load(tmp_path / "child").predict_proba(rows), given, atol=1e-6)


def test_a_model_tells_of_its_parent_until_it_is_trained_anew(parent: HybridClassifier, tmp_path: Path) -> None:
    path = tmp_path / "model"
    parent.save(path)
    child = load_model(path).fine_tune(*_rows("abc", 1), **FEW)
    child.save(path)
    loaded = load_model(path)
    loaded.save(path)
    assert read_model(path).manifest["provenance"]["fine_tuned_from"] == child.fine_tuning_
    loaded.fit(*_rows("abc", 2)).save(path)
    assert "fine_tuned_from" not in read_model(path).manifest["provenance"]
    assert loaded.fine_tune(*_rows("abc", 1), **FEW).fine_tuning_["digest"] is None


def test_columns_are_matched_by_name_and_new_classes_get_a_new_head(parent: HybridClassifier) -> None:
    rows, labels = _rows("cxa", 2)
    child = parent.fine_tune(rows, np.where(labels == "ill", "dies", "lives"), **{**FEW, "learning_rate": 1e-7})
    assert (child.fine_tuning_["entry"], child.fine_tuning_["head"]) == ("match", "new")
    before, after = _weights(parent), _weights(child)
    np.testing.assert_allclose(after["entry.weight"][:, [0, 2]], before["entry.weight"][:, [2, 0]], atol=1e-5)
    np.testing.assert_allclose(after["block.weights"], before["block.weights"], atol=1e-5)
    assert not np.allclose(after["exit.weight"], before["exit.weight"], atol=1e-3)
    assert child.preprocessor_.centre[0] != parent.preprocessor_.centre[2]
    assert parent.fine_tune(*_rows("xyz", 3), **FEW).fine_tuning_["entry"] == "new"


def test_categories_that_the_parent_knows_none_of_are_learnt_anew() -> None:
    """Another site's codes: with the parent's categories kept, a column that says all said nothing, unsaid."""

    def site(words: str, seed: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
        frame, _ = _rows("ab", seed)
        ward = np.random.default_rng(seed).choice(list(words), len(frame))
        return frame.assign(ward=ward), np.where(ward == words[0], "ill", "well")

    parent = HybridClassifier(n_qubits=2, layers=1, epochs=3, random_state=0).fit(*site("uv", 0))
    child = parent.fine_tune(*site("cd", 1), **FEW)
    assert (child.fine_tuning_["entry"], child.preprocessor_.categories) == ("match", (("c", "d"),))
    for words in ("vw", "c"):  # one is known; and a column of one value says nothing in any case
        rows, labels = site(words, 1)
        told = parent.fine_tune(rows, np.where(rows["a"] > 0, "ill", "well") if words == "c" else labels, **FEW)
        assert told.fine_tuning_["entry"] == "keep"
    with pytest.raises(SpecError, match=r"fine_tune.entry: .*knows no value of column 'ward'.*\"match\""):
        parent.fine_tune(*site("cd", 1), entry="keep", **FEW)


def test_frozen_blocks_stay_and_rates_are_of_each_block(parent: HybridClassifier) -> None:
    before = _weights(parent)
    frozen = _weights(parent.fine_tune(*_rows("abc", 4), freeze=["circuit", "entry"], **FEW))
    with pytest.raises(SpecError, match="got 'middle'"):
        parent.fine_tune(*_rows("abc", 4), freeze="middle", **FEW)
    for name in ("entry.weight", "entry.bias", "block.weights"):
        np.testing.assert_array_equal(frozen[name], before[name])
    assert not np.array_equal(frozen["exit.weight"], before["exit.weight"])
    slow = _weights(parent.fine_tune(*_rows("abc", 4), learning_rates={"circuit": 1e-7}, **FEW))
    plain = _weights(parent.fine_tune(*_rows("abc", 4), **FEW))
    assert np.abs(slow["block.weights"] - before["block.weights"]).max() < 1e-5
    assert np.abs(plain["block.weights"] - before["block.weights"]).max() > 1e-3
    assert np.abs(slow["exit.weight"] - before["exit.weight"]).max() > 1e-3
    same = _weights(parent.fine_tune(*_rows("abc", 4), learning_rates={"circuit": 0.1, "head": 0.1}, **FEW))
    for name, array in plain.items():
        np.testing.assert_allclose(same[name], array, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "classes", "options", "field", "said"),
    [
        ("abx", None, {"entry": "keep"}, "fine_tune.entry", "lacks c; also has x"),
        ("xyz", None, {"entry": "match"}, "fine_tune.entry", "no column"),
        ("abc", ("p", "q"), {"head": "keep"}, "fine_tune.head", "the classes are p, q here and ill, well"),
        ("xyz", None, {"freeze": ["entry"]}, "fine_tune.freeze", "random weights"),
        ("abx", None, {"freeze": ["entry"]}, "fine_tune.freeze", "some of its columns are new"),
        ("abc", ("p", "q"), {"freeze": ["head"]}, "fine_tune.freeze", "random weights"),
        ("abc", None, {"freeze": ["entry", "circuit", "head"]}, "fine_tune.freeze", "nothing would be trained"),
        ("abc", None, {"freeze": ["qubits"]}, "fine_tune.freeze", "entry, circuit, head"),
        ("abc", None, {"learning_rates": {"circuit": 0}}, "fine_tune.learning_rates.circuit", "above 0"),
        ("abc", None, {"learning_rates": {"wires": 1}}, "fine_tune.learning_rates", "may name"),
        (
            "abc",
            None,
            {"freeze": ["head"], "learning_rates": {"head": 0.1}},
            "fine_tune.learning_rates",
            "leave one of them out",
        ),
        ("abc", None, {"n_qubits": 3}, "model.n_qubits", "keeps its parent's circuit"),
    ],
)
def test_what_does_not_fit_is_refused_by_field(
    parent: HybridClassifier, names: str, classes: Any, options: dict[str, Any], field: str, said: str
) -> None:
    rows, labels = _rows(names, 5)
    labels = labels if classes is None else np.where(labels == "ill", *classes)
    with pytest.raises(SpecError, match=said) as refused:
        parent.fine_tune(rows, labels, **{**FEW, **options})
    assert refused.value.field == field


def test_a_model_file_is_carried_on_and_says_so(parent: HybridClassifier, tmp_path: Path) -> None:
    digest = parent.save(tmp_path / "parent.superpose")
    child = load_model(tmp_path / "parent.superpose").fine_tune(*_rows("ab", 6), **FEW)
    child.save(tmp_path / "child.superpose")
    began = read_model(tmp_path / "child.superpose").manifest["provenance"]["fine_tuned_from"]
    assert (began["digest"], began["entry"], began["head"]) == (digest, "match", "keep")


SPEC = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 3, "learning_rate": 0.1},
    "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "none"},
    "fine_tune": {"parent": "first", "learning_rates": {"circuit": 0.01}},
}


@pytest.fixture(scope="module")
def table() -> Table:
    frame, labels = _rows("abcd", 7, 80)
    return table_from_frame(frame.assign(end=labels), name="other", target="end")


def _plan(parent: HybridClassifier, spec: TrainingSpec, table: Table, folder: Path) -> FineTuning:
    parent.save(folder / "first.superpose")
    began = Parent.from_file(read_model(folder / "first.superpose"), "first")
    columns = ColumnNames(table.feature_names, tuple(column.kind for column in table.columns))
    return plan_fine_tuning(spec, began, columns, table.classes, table)


def test_an_experiment_has_the_same_model_from_scratch_among_its_controls(
    parent: HybridClassifier, table: Table, tmp_path: Path
) -> None:
    spec = TrainingSpec.from_dict(SPEC)
    plan = _plan(parent, spec, table, tmp_path)
    found = run_experiment(spec, table, tmp_path / "run", recipe=CircuitRecipe(spec, fine_tuning=plan))
    evaluation = found.evaluation
    assert list(evaluation["models"]["controls"]) == ["from_scratch", "frozen"]
    scratch, hybrid = evaluation["models"]["controls"]["from_scratch"], evaluation["models"]["hybrid"]
    assert (scratch["label"], scratch["n_params"]) == ("same model trained from scratch", hybrid["n_params"])
    row = evaluation["comparisons"][0]
    told = evaluation["fine_tuning"]
    assert (row["against"], told["outcome"]) == ("from_scratch", row["outcome"])
    assert (told["parent"], told["digest"]) == ("first", plan.parent.digest)
    assert evaluation["quantum_part"] == "undecided"
    assert "learned without its parent" in evaluation["verdict"]
    assert read_model(found.model_path).manifest["provenance"]["fine_tuned_from"] == plan.to_dict()
    plain = TrainingSpec.from_dict({name: value for name, value in SPEC.items() if name != "fine_tune"})
    alone = run_experiment(plain, table, tmp_path / "plain").evaluation["models"]
    assert alone["hybrid"]["metrics"] == scratch["metrics"]  # the control is what training from scratch gives
    assert "fine_tune" not in plain.to_dict()


def test_an_interrupted_run_ends_with_the_same_bytes(parent: HybridClassifier, table: Table, tmp_path: Path) -> None:
    spec = TrainingSpec.from_dict(SPEC)
    plan = _plan(parent, spec, table, tmp_path)
    whole = run_experiment(spec, table, tmp_path / "whole", recipe=CircuitRecipe(spec, fine_tuning=plan))
    asked = iter([False, True])
    with pytest.raises(Stopped):
        run_experiment(
            spec,
            table,
            tmp_path / "cut",
            should_stop=lambda: next(asked, True),
            recipe=CircuitRecipe(spec, fine_tuning=plan),
        )
    again = run_experiment(spec, table, tmp_path / "cut", recipe=CircuitRecipe(spec, fine_tuning=plan))
    assert again.model_digest == whole.model_digest


def test_a_spec_with_a_parent_needs_one(table: Table, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="begin from a parent"):
        run_experiment(TrainingSpec.from_dict(SPEC), table, tmp_path)
    with pytest.raises(SpecError, match="trained model to begin from"):
        TrainingSpec.from_dict({"fine_tune": {"head": "new"}})
