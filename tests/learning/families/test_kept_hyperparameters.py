"""A fitted family is what it was fitted as: whatever is set, stopped or saved afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose.errors import ModelFileCorruptError, ModelFormatError, NotFittedError, SpecError
from superpose.learning import Predictor, Stopped, TrainingWatch, read_model
from superpose.learning.container import pack, unpack
from superpose.learning.families import (
    FAMILIES,
    BoltzmannMachineClassifier,
    DressedCircuitClassifier,
    KitchenSinksClassifier,
    QuanvolutionalClassifier,
    TreeTensorClassifier,
    load_family,
    plain,
)
from superpose.learning.model_file import encode_model

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(40, 3))
LABELS = (ROWS[:, 0] > 0).astype(int)
QUICK: dict[str, dict[str, Any]] = {
    "boltzmann_machine": {"n_qubits": 2, "max_iterations": 3, "regularization": 0.1},
    "dressed_circuit": {"n_qubits": 2, "layers": 1, "epochs": 1},
    "iqp_kernel": {"bandwidth": 1.0, "C": 1.0},
    "kitchen_sinks": {"episodes": 20, "bandwidth": 1.0, "C": 1.0},
    "metric_learner": {"n_qubits": 2, "max_iterations": 3},
    "projected_kernel": {"bandwidth": 1.0, "C": 1.0},
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("boltzmann_machine", {"n_qubits": 3}),
        ("boltzmann_machine", {"separable": True}),
        ("dressed_circuit", {"n_qubits": 3}),
        ("dressed_circuit", {"separable": True}),
        ("iqp_kernel", {"layers": 1}),
        ("kitchen_sinks", {"n_qubits": 3, "episodes": 5}),
        ("kitchen_sinks", {"separable": True}),
        ("metric_learner", {"layers": 1, "n_qubits": 3}),
        ("projected_kernel", {"max_qubits": 1}),
    ],
)
def test_what_is_set_after_a_fit_waits_for_the_next(name: str, change: dict[str, Any], tmp_path: Path) -> None:
    model = FAMILIES[name].load()(random_state=0, **QUICK[name]).fit(ROWS, LABELS)
    before = model.predict_proba(ROWS)
    model.set_params(**change)
    np.testing.assert_array_equal(model.predict_proba(ROWS), before)
    model.save(tmp_path / "model")
    for loaded in (Predictor.load(tmp_path / "model"), load_family(tmp_path / "model")):
        np.testing.assert_allclose(loaded.predict_proba(ROWS), before, atol=1e-12)
    assert load_family(tmp_path / "model").get_params().items() >= QUICK[name].items()
    model.fit(ROWS, LABELS)
    assert np.abs(model.predict_proba(ROWS) - before).max() > 1e-6


def test_what_a_search_draws_as_numpys_numbers_is_kept(tmp_path: Path) -> None:
    plain = {"n_qubits": 4, "epochs": 1, "batch_size": 16, "learning_rate": 0.125, "separable": True, "refit": False}
    drawn = {name: np.array([value])[0] for name, value in plain.items()}
    model = TreeTensorClassifier(random_state=np.int64(2**40), **drawn).fit(ROWS, LABELS)
    model.save(tmp_path / "model")
    assert load_family(tmp_path / "model").get_params().items() >= {**plain, "random_state": 2**40}.items()


def test_large_seeds_choose_folds_too() -> None:
    model = KitchenSinksClassifier(episodes=2, bandwidth=1.0, random_state=2**40).fit(ROWS, LABELS)
    assert model.choice_.accuracy > 0.0


@pytest.mark.parametrize("name", ["separable", "classical", "refit"])
def test_words_are_no_truth_values(name: str) -> None:
    with pytest.raises(SpecError, match=f"{name}: must be True or False, got 'no'"):
        DressedCircuitClassifier(**{name: "no"}).fit(ROWS, LABELS)


@pytest.mark.parametrize(
    ("labels", "weight", "expected"),
    [
        ([0, 1], {np.int64(0): np.float32(1.5), 1: 2}, {0: 1.5, 1: 2}),
        ([False, True], {True: 2.0}, {True: 2.0}),
        (["no", "yes"], {"yes": 2.0}, {"yes": 2.0}),
    ],
)
def test_weights_of_classes_come_back_with_their_labels(
    labels: list[Any], weight: Any, expected: Any, tmp_path: Path
) -> None:
    options = {**QUICK["dressed_circuit"], "class_weight": weight, "random_state": np.int64(3)}
    model = DressedCircuitClassifier(**options).fit(ROWS, np.array(labels)[LABELS])
    model.save(tmp_path / "model")
    loaded = load_family(tmp_path / "model")
    assert isinstance(loaded, DressedCircuitClassifier)
    assert (loaded.class_weight, loaded.random_state) == (expected, 3)
    assert [type(label) for label in loaded.class_weight] == [type(label) for label in expected]  # type: ignore[union-attr]
    again = loaded.fit(ROWS, np.array(labels)[LABELS])
    np.testing.assert_array_equal(again.predict_proba(ROWS), model.predict_proba(ROWS))


def test_the_shape_of_pictures_is_kept_and_two_whole_numbers(tmp_path: Path) -> None:
    rows = RANDOM.uniform(size=(20, 24))
    options: dict[str, Any] = {"epochs": 1, "n_filters": 1, "random_state": 0}
    shape: Any = (np.int64(4), 6)
    QuanvolutionalClassifier(**options, picture_shape=shape).fit(rows, LABELS[:20]).save(tmp_path / "model")
    assert load_family(tmp_path / "model").get_params()["picture_shape"] == (4, 6)
    for wrong in (24, (24,), "ab", (4, 6, 1), (4.0, 6.0)):
        with pytest.raises(SpecError, match="picture_shape: must be two whole numbers"):
            QuanvolutionalClassifier(**options, picture_shape=wrong).fit(rows, LABELS[:20])  # type: ignore[arg-type]


def test_a_training_that_was_stopped_leaves_nothing_that_predicts() -> None:
    model = DressedCircuitClassifier(**QUICK["dressed_circuit"]).fit(ROWS, LABELS)
    with pytest.raises(Stopped):
        model.set_params(epochs=5).fit(ROWS[:, :2], LABELS, watch=TrainingWatch(should_stop=lambda: True))
    with pytest.raises(NotFittedError):
        model.predict(ROWS[:, :2])


def test_predictions_are_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Watched(KitchenSinksClassifier):
        def _scores(self, rows: Any) -> Any:
            sizes.append(len(rows))
            return super()._scores(rows)

    model = Watched(**QUICK["kitchen_sinks"], random_state=0).fit(ROWS, LABELS)
    whole = model.predict_proba(ROWS)
    monkeypatch.setattr(plain, "_CHUNK_ROWS", 7)
    sizes.clear()
    np.testing.assert_allclose(model.predict_proba(ROWS), whole, atol=1e-12)
    assert sizes == [7, 7, 7, 7, 7, 5]


def test_hamiltonians_of_few_rows_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Watched(BoltzmannMachineClassifier):
        def _spectra(self, coefficients: Any) -> Any:
            sizes.append(len(coefficients))
            return super()._spectra(coefficients)

    model = Watched(**QUICK["boltzmann_machine"], random_state=0).fit(ROWS, LABELS)
    whole, grad = model.predict_proba(ROWS), np.ones((len(ROWS), 2)) * [1.0, -2.0]
    slopes = model._scores_back(ROWS, grad)
    monkeypatch.setattr("superpose.learning.families.boltzmann_machine._AT_ONCE", 3 * 16)
    sizes.clear()
    np.testing.assert_allclose(model.predict_proba(ROWS), whole, atol=1e-12)
    np.testing.assert_allclose(model._scores_back(ROWS, grad), slopes, atol=1e-12)
    np.testing.assert_allclose(model.fit(ROWS, LABELS).predict_proba(ROWS), whole, atol=1e-9)
    assert max(sizes) == 3, "of predictions, explanations and training"


@pytest.mark.parametrize("fact", ["nan", "inf", None, [1.0], 10**400])
def test_facts_of_a_file_that_are_no_finite_numbers_are_refused(fact: Any) -> None:
    model = KitchenSinksClassifier(**QUICK["kitchen_sinks"], random_state=0).fit(ROWS, LABELS)
    members = unpack(encode_model(model.to_model())[0])
    manifest = json.loads(members.pop("manifest.json"))
    manifest["pipeline"]["network"]["facts"]["bandwidth"] = fact
    with pytest.raises(ModelFileCorruptError, match="do not make a model"):
        read_model(pack({"manifest.json": json.dumps(manifest).encode(), **members}))


@pytest.mark.parametrize("name", sorted(QUICK))
def test_rows_of_names_alone_are_refused(name: str) -> None:
    names = pd.DataFrame({"patient": [f"p{i}" for i in range(40)]})
    with pytest.raises(ValueError, match="nothing to learn from"):
        FAMILIES[name].load()(**QUICK[name]).fit(names, LABELS)


def test_columns_may_be_called_by_numbers_but_not_alike(tmp_path: Path) -> None:
    frame = pd.DataFrame({0: ROWS[:, 0], 7: ["u", "v"] * 20})
    model = DressedCircuitClassifier(**QUICK["dressed_circuit"], random_state=0).fit(frame, LABELS)
    model.save(tmp_path / "model")
    expected = model.predict_proba(frame)
    np.testing.assert_array_equal(model.predict_proba(frame[[7, 0]]), expected)
    np.testing.assert_allclose(Predictor.load(tmp_path / "model").predict_proba(frame.to_numpy()), expected, atol=1e-9)
    frame.columns = pd.Index(["a", "a"])
    with pytest.raises(ValueError, match="two columns called 'a'"):
        DressedCircuitClassifier(**QUICK["dressed_circuit"]).fit(frame, LABELS)


@pytest.mark.parametrize("rows", [ROWS, pd.DataFrame({"a": ["u", "v"] * 20})], ids=["numbers", "categories"])
def test_a_row_without_a_label_is_named(rows: Any) -> None:
    with pytest.raises(ValueError, match="no label in row 3"):
        DressedCircuitClassifier(**QUICK["dressed_circuit"]).fit(rows, ["x", "y", "x", None] * 10)


@pytest.mark.parametrize(
    ("name", "param", "value"),
    [("quanvolution", "picture_shape", "ab"), ("kitchen_sinks", "bandwidth", -1.0)],
)
def test_hyperparameters_of_a_file_that_cannot_be_are_refused(
    name: str, param: str, value: Any, tmp_path: Path
) -> None:
    rows = RANDOM.uniform(size=(20, 16))
    quick = QUICK.get(name, {"epochs": 1, "n_filters": 1})
    model = FAMILIES[name].load()(**quick, random_state=0).fit(rows, LABELS[:20])
    model.trained_params_[param] = value
    if name == "kitchen_sinks":
        with pytest.raises(ModelFormatError, match="cannot be used"):
            model.save(tmp_path / "model")
        return
    model.save(tmp_path / "model")
    with pytest.raises(ModelFormatError, match="not those of a QuanvolutionalClassifier"):
        load_family(tmp_path / "model")
