"""`HybridClassifier`: accuracy on real data, and what scikit-learn's conventions promise."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.exceptions
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from superpose.errors import DatasetOneClassError, FeatureMismatchError, ModelFormatError, NotFittedError, SpecError
from superpose.learning import HybridClassifier, HybridRegressor, ModelFacts, Stopped, TrainingWatch, load_model
from superpose.learning.class_weights import class_weights_of

SMALL: dict[str, Any] = {"n_qubits": 2, "layers": 1, "epochs": 15, "learning_rate": 0.1, "random_state": 0}


def test_it_does_well_on_real_data() -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(rows, labels, random_state=0, stratify=labels)
    model = HybridClassifier(random_state=0).fit(train, train_labels)
    assert model.score(test, test_labels) > 0.94
    assert 1 <= model.n_iter_ <= 60
    assert len(model.history_) == model.n_iter_


def test_three_classes_with_text_labels() -> None:
    data = load_iris(as_frame=True)
    names = data.target_names[data.target]
    model = HybridClassifier(random_state=0, epochs=60).fit(data.data, names)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert model.score(data.data, names) > 0.9
    probabilities = model.predict_proba(data.data)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert list(model.feature_names_in_) == list(data.data.columns)


def mixed(n_rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose class hangs on a category and a number, both with missing values."""
    rng = np.random.default_rng(seed)
    ward = rng.choice(["north", "south", "east"], n_rows)
    dose = rng.normal(size=n_rows)
    labels = np.where((ward == "north") ^ (dose > 0.5), "ill", "well")
    frame = pd.DataFrame({"ward": ward, "dose": dose, "note": rng.choice(["a", "b"], n_rows)})
    frame.loc[rng.random(n_rows) < 0.05, "dose"] = np.nan
    frame.loc[rng.random(n_rows) < 0.05, "ward"] = None
    return frame, labels


def test_data_frames_with_categories_and_missing_values() -> None:
    frame, labels = mixed(300, 0)
    model = HybridClassifier(n_qubits=3, epochs=80, patience=30, random_state=0).fit(frame, labels)
    test, test_labels = mixed(300, 1)
    assert model.score(test, test_labels) > 0.85
    shuffled = test[["note", "dose", "ward"]]
    np.testing.assert_array_equal(model.predict_proba(shuffled), model.predict_proba(test))
    records = [{k: None if v != v else v for k, v in row.items()} for row in test.to_dict("records")]
    np.testing.assert_array_equal(model.predict_proba(records), model.predict_proba(test))
    with pytest.raises(FeatureMismatchError, match="lacks 'ward'"):
        model.predict(test.drop(columns="ward"))
    unknown = test.assign(ward="west")
    assert np.isfinite(model.predict_proba(unknown)).all()


def test_rows_may_be_named_also_where_all_columns_are_numbers() -> None:
    frame, labels = load_iris(return_X_y=True, as_frame=True)
    model = HybridClassifier(**SMALL).fit(frame, labels)
    records = frame.head(5)[frame.columns[::-1]].to_dict("records")
    np.testing.assert_array_equal(model.predict_proba(records), model.predict_proba(frame.head(5)))
    with pytest.raises(FeatureMismatchError, match="row 0 lacks"):
        model.predict([{"sepal length (cm)": 5.0}])


def test_equal_seeds_give_equal_models_and_other_seeds_others() -> None:
    rows, labels = load_iris(return_X_y=True)
    first = HybridClassifier(**SMALL).fit(rows, labels)
    second = clone(first).fit(rows, labels)
    np.testing.assert_array_equal(first.predict_proba(rows), second.predict_proba(rows))
    other = HybridClassifier(**{**SMALL, "random_state": 1}).fit(rows, labels)
    assert np.abs(first.predict_proba(rows) - other.predict_proba(rows)).max() > 1e-3
    state = HybridClassifier(**{**SMALL, "random_state": np.random.RandomState(3)}).fit(rows, labels)
    again = HybridClassifier(**{**SMALL, "random_state": np.random.RandomState(3)}).fit(rows, labels)
    np.testing.assert_array_equal(state.predict_proba(rows), again.predict_proba(rows))


def test_class_weights_shift_what_is_predicted() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (180, 2)), rng.normal(1, 1, (20, 2))])
    labels = np.repeat(["common", "rare"], [180, 20])

    def share(class_weight: Any) -> float:
        model = HybridClassifier(**SMALL, class_weight=class_weight).fit(rows, labels)
        return float(np.mean(model.predict(rows) == "rare"))

    assert share(None) < share("balanced") < share({"common": 0.01, "rare": 10.0})
    with pytest.raises(SpecError, match="class_weight"):
        share("unfair")
    for weight in (-1.0, 0.0, 1e7, float("nan"), float("inf"), "high"):
        with pytest.raises(SpecError, match="class_weight: must map labels to numbers above 0, at most 1e6"):
            share({"rare": weight})


def test_weights_of_what_is_no_label_are_refused() -> None:
    labels = np.array(["ill", "well"])
    codes = np.array([0, 1, 1])
    with pytest.raises(SpecError, match="a weight for 'Ill', which is no label; labels without"):
        class_weights_of({"Ill": 3.0}, labels, codes)
    with pytest.raises(SpecError, match="a weight for '0'"):
        class_weights_of({"0": 3.0}, np.array([0, 1]), codes)
    np.testing.assert_array_equal(class_weights_of({"ill": 3.0, "well": 2.0, "dead": 9.0}, labels, codes), [3.0, 2.0])
    np.testing.assert_array_equal(class_weights_of({np.int64(1): 3.0}, np.array([0, 1]), codes), [1.0, 3.0])


def test_it_stops_early_and_keeps_its_best_weights() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(80, 10)), rng.integers(0, 2, 80)  # nothing to learn: validation soon gets worse
    model = HybridClassifier(random_state=0, epochs=200, patience=5).fit(rows, labels)
    assert model.n_iter_ < 200
    losses = [report.validation_loss for report in model.history_]
    assert len(losses) - 1 - int(np.argmin(losses)) == 5


def test_without_validation_rows_the_training_loss_decides() -> None:
    rows, labels = load_iris(return_X_y=True)
    model = HybridClassifier(**SMALL, validation_fraction=0).fit(rows, labels)
    assert all(report.validation_loss is None for report in model.history_)
    few = HybridClassifier(**SMALL).fit([[0.0], [1.0]], ["a", "b"])
    assert list(few.predict([[0.0], [1.0]])) == ["a", "b"]


def test_it_works_within_scikit_learns_tools() -> None:
    rows, labels = load_iris(return_X_y=True)
    scores = cross_val_score(make_pipeline(StandardScaler(), HybridClassifier(**SMALL)), rows, labels, cv=3)
    assert scores.mean() > 0.6
    search = GridSearchCV(HybridClassifier(**SMALL), {"layers": [1, 2]}, cv=2).fit(rows, labels)
    assert search.best_params_["layers"] in (1, 2)


def test_a_pickle_of_a_release_that_kept_less_is_told_as_such() -> None:
    model = HybridClassifier(**SMALL).fit(*load_iris(return_X_y=True))
    for name in ("trained_spec_", "trained_params_"):  # what a fit did not leave before
        delattr(model, name)
    with pytest.raises(NotFittedError, match=r"pickle of another release.*save it as a model file"):
        model.predict_proba(load_iris().data)


def test_errors_are_ours_and_scikit_learns_at_once() -> None:
    rows, labels = load_iris(return_X_y=True)
    for error in (NotFittedError, sklearn.exceptions.NotFittedError):
        with pytest.raises(error, match="not fitted"):
            HybridClassifier().predict(rows)
    for error in (DatasetOneClassError, ValueError):
        with pytest.raises(error, match="at least two classes"):
            HybridClassifier().fit(rows, np.zeros(len(rows)))
    with pytest.raises(SpecError, match=r"model\.n_qubits"):
        HybridClassifier(n_qubits=0).fit(rows, labels)
    for share in (1.0, "a third"):
        with pytest.raises(SpecError, match="validation_fraction"):
            HybridClassifier(validation_fraction=share).fit(rows, labels)
    with pytest.raises(SpecError, match="random_state"):
        HybridClassifier(random_state=-1).fit(rows, labels)


@pytest.mark.parametrize("estimator", [HybridClassifier, HybridRegressor])
def test_a_search_may_draw_hyperparameters_as_numpys_numbers(estimator: Any, tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    plain = {"n_qubits": 2, "layers": 1, "epochs": 3, "learning_rate": 0.125, "encoding": "iqp", "random_state": 0}
    model = estimator(**{name: np.array([value])[0] for name, value in plain.items()}).fit(rows, labels)
    np.testing.assert_array_equal(model.predict(rows), estimator(**plain).fit(rows, labels).predict(rows))
    model.save(tmp_path / "model")
    loaded = (
        HybridRegressor.load(tmp_path / "model") if estimator is HybridRegressor else load_model(tmp_path / "model")
    )
    assert loaded.get_params().items() >= plain.items()


def test_numbers_in_columns_of_objects_are_numbers() -> None:
    rng = np.random.default_rng(0)
    age, dose = rng.integers(20, 80, 40), rng.normal(size=40).round(3)
    frame = pd.DataFrame({"age": age, "dose": dose, "site": ["a", "b"] * 20})
    frame.loc[3, "dose"] = np.nan
    objects = frame.astype(object)  # as of an array of mixed values, or of rows of a database
    objects.loc[3, "dose"] = None
    objects["age"] = [Decimal(int(years)) for years in age]
    labels = np.where(age > 50, "old", "young")
    first, second = (HybridClassifier(**SMALL).fit(rows, labels) for rows in (frame, objects))
    assert second.preprocessor_.encoded_names == ("age", "dose", "site=a", "site=b")
    np.testing.assert_array_equal(first.predict_proba(frame), second.predict_proba(objects))
    numbers = HybridClassifier(**SMALL).fit(objects[["age", "dose"]], labels)
    np.testing.assert_array_equal(numbers.predict(objects[["age", "dose"]]), numbers.predict(frame[["age", "dose"]]))


LABELS = [
    np.array([0, 1]),
    np.array(["no", "yes"]),
    np.array(["no", "yes"], dtype=object),
    np.array([False, True]),
    np.array([1.0, 2.0]),
]


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: str(labels.dtype))
def test_a_saved_model_comes_back_with_labels_of_their_type(labels: np.ndarray, tmp_path: Path) -> None:
    rows, codes = load_breast_cancer(return_X_y=True)
    model = HybridClassifier(**{**SMALL, "epochs": 2}).fit(rows, labels[codes])
    digest = model.save(tmp_path / "model.superpose")
    loaded = load_model(tmp_path / "model.superpose", digest)
    assert loaded.classes_.dtype.kind == labels.dtype.kind.replace("O", "U")
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))
    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))
    assert loaded.save(tmp_path / "again.superpose") == digest
    assert clone(loaded).fit(rows, codes).score(rows, codes) > 0.6, "hyperparameters come back too"
    assert loaded.get_params()["layers"] == 1


@pytest.mark.parametrize(
    ("labels", "weight"),
    [([0, 1], {0: 3, np.int64(1): np.float32(1.5)}), ([False, True], {True: 2.0}), (["no", "yes"], {"yes": 2.0})],
)
def test_a_loaded_model_would_be_trained_like_the_saved_one(labels: list[Any], weight: Any, tmp_path: Path) -> None:
    rows, codes = load_breast_cancer(return_X_y=True)
    truth = np.array(labels)[codes]
    changed = {"scaling": "minmax", "validation_fraction": 0.3, "gradient_method": "adjoint", "class_weight": weight}
    model = HybridClassifier(**{**SMALL, "epochs": 2, **changed}).fit(rows, truth)
    model.save(tmp_path / "model.superpose", ModelFacts(data={"name": "own facts"}))
    loaded = load_model(tmp_path / "model.superpose")
    assert loaded.get_params() == model.get_params()
    again = clone(loaded).fit(rows, truth)
    np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))


def test_a_file_tells_how_its_model_was_made_whatever_is_set_afterwards(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = HybridClassifier(**{**SMALL, "epochs": 2}).fit(rows, labels).set_params(n_qubits=3, scaling="none")
    model.save(tmp_path / "model.superpose")
    loaded = load_model(tmp_path / "model.superpose")
    assert (loaded.n_qubits, loaded.scaling) == (2, "standard")
    model.set_params(n_qubits=2).fine_tune(rows, labels, epochs=1)


def test_a_training_that_was_stopped_leaves_nothing_that_predicts() -> None:
    rows, labels = load_iris(return_X_y=True)
    model = HybridClassifier(**SMALL).fit(rows, labels)
    with pytest.raises(Stopped):
        model.fit(rows, labels, watch=TrainingWatch(should_stop=lambda: True))
    with pytest.raises(NotFittedError):
        model.predict(rows)


def test_hyperparameters_of_a_file_that_cannot_be_are_refused(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = HybridClassifier(**{**SMALL, "epochs": 1}).fit(rows, labels)
    for spec in ({"model": {"encoding": 3}}, {"model": [1]}, 7, {"training": {"epochs": -1}}):
        model.save(tmp_path / "model.superpose", ModelFacts(provenance={"spec": spec}))
        with pytest.raises(ModelFormatError, match="hyperparameters"):
            load_model(tmp_path / "model.superpose")


def test_shifted_angles_train_the_same_model_as_the_adjoint_method() -> None:
    rows, labels = load_iris(return_X_y=True)
    options: dict[str, Any] = {"n_qubits": 2, "layers": 1, "epochs": 3, "random_state": 0}
    exact = HybridClassifier(**options).fit(rows, labels).predict_proba(rows)
    shifted = HybridClassifier(**options, gradient_method="parameter-shift").fit(rows, labels).predict_proba(rows)
    np.testing.assert_allclose(shifted, exact, rtol=0, atol=1e-3)


def test_masked_values_are_missing_and_masked_labels_refused() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    labels, mask = (rows[:, 0] > 0).astype(int), np.zeros((40, 2), bool)
    mask[5, 1] = True
    hidden = np.ma.masked_array(np.where(mask, 1e9, rows), mask=mask)
    told = [
        HybridClassifier(n_qubits=2, epochs=1, random_state=0).fit(one, labels).predict_proba(one)
        for one in (hidden, np.where(mask, np.nan, rows))
    ]
    np.testing.assert_array_equal(*told)
    model = HybridClassifier(n_qubits=2, epochs=1, random_state=0)
    with pytest.raises(ValueError, match=r"y has no label in row 3 \(masked\)"):
        model.fit(rows, np.ma.masked_array(labels, mask=np.arange(40) == 3))
    with pytest.raises(ValueError, match="groups has no value in row 3"):
        model.fit(rows, labels, groups=np.ma.masked_array(np.arange(40), mask=np.arange(40) == 3))
