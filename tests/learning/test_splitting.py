"""Splits, class weights, excluded columns and missing values, as the spec asks for them and as experiments obey."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from superpose.datasets import Table, image_row, read_table
from superpose.errors import DatasetEmptyError, FeatureMismatchError, SpecError
from superpose.learning import Predictor, TrainingSpec, admit, run_experiment
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.spec import PreprocessingSpec
from superpose.learning.splitting import feature_table, splits_of

N_ROWS = 160


def make_table(*, gaps: bool = False) -> Table:
    """Forty patients with four visits each, at three hospitals; the dose tells the outcome."""
    rng = np.random.default_rng(2)
    dose = rng.normal(size=N_ROWS)
    age = rng.integers(20, 90, N_ROWS).astype(np.float64)
    if gaps:
        age[::7] = np.nan
    patients = np.repeat(np.arange(40), 4)
    hospital = np.array(["north", "south", "west"], dtype=object)[patients % 3]
    days = rng.permutation(N_ROWS)
    return Table.from_columns(
        "visits",
        {
            "patient": np.array([f"p{p}" for p in patients], dtype=object),
            "hospital": hospital,
            "day": np.array([f"2025-{1 + d // 28:02d}-{1 + d % 28:02d}" for d in days], dtype=object),
            "age": age,
            "dose": dose,
        },
        "outcome",
        np.where(dose + 0.3 * rng.normal(size=N_ROWS) > 0.4, "ill", "well").astype(object),
    )


TABLE = make_table()
SMALL: dict[str, Any] = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 2, "batch_size": 32},
    "preprocessing": {"exclude": ["patient", "hospital", "day"]},
    "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "logistic_regression"},
}


def spec_of(**sections: Any) -> TrainingSpec:
    return TrainingSpec.from_dict({**SMALL, **sections})


def column(name: str) -> np.ndarray:
    return TABLE.features[name].to_numpy()


def test_each_kind_of_split_keeps_its_promise() -> None:
    for split in splits_of(spec_of(split={"kind": "grouped", "column": "patient"}), TABLE):
        assert not set(column("patient")[split.train]) & set(column("patient")[split.test])
    for split in splits_of(spec_of(split={"kind": "site", "column": "hospital"}), TABLE):
        assert len(set(column("hospital")[split.test])) == 1
    for split in splits_of(spec_of(split={"kind": "time", "column": "day"}), TABLE):
        assert max(column("day")[split.train]) < min(column("day")[split.test])
    folds = splits_of(spec_of(split={"kind": "k_fold"}, evaluation={"n_splits": 4}), TABLE)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(N_ROWS))


@pytest.mark.parametrize(
    ("split", "field"),
    [
        ({"kind": "grouped"}, "split.column"),
        ({"kind": "stratified", "column": "patient"}, "split.column"),
        ({"kind": "grouped", "column": "outcome"}, "split.column"),
        ({"kind": "time", "column": "hospital"}, "split.column"),
        ({"kind": "random"}, "split.kind"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused_by_field(split: dict[str, str], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec = spec_of(split=split)
        admit(spec, TABLE)
        splits_of(spec, TABLE)
    assert caught.value.field == field


def test_groups_with_gaps_are_refused_with_their_number() -> None:
    with pytest.raises(SpecError, match="missing in 23 of 160 rows"):
        splits_of(spec_of(split={"kind": "grouped", "column": "age"}), make_table(gaps=True))


def test_columns_that_split_or_are_excluded_are_no_features() -> None:
    spec = spec_of(split={"kind": "grouped", "column": "patient"}, preprocessing={"exclude": ["day", "hospital"]})
    assert feature_table(spec, TABLE).feature_names == ("age", "dose")
    with pytest.raises(SpecError, match="'dosage' is not a feature column"):
        admit(spec_of(preprocessing={"exclude": ["dosage"]}), TABLE)
    with pytest.raises(DatasetEmptyError):
        admit(spec_of(preprocessing={"exclude": list(TABLE.feature_names)}), TABLE)


def test_an_experiment_obeys_split_exclusion_and_weights(tmp_path: Path) -> None:
    spec = spec_of(
        split={"kind": "grouped", "column": "patient"},
        preprocessing={"exclude": ["day", "hospital"]},
        training={"epochs": 2, "batch_size": 32, "class_weights": {"ill": 50.0}},
    )
    found = run_experiment(spec, TABLE, tmp_path / "weighted")
    predictor = Predictor.load(found.model_path.read_bytes())
    assert predictor.feature_names == ("age", "dose")
    assert predictor.manifest["data"]["split_by"] == {"kind": "grouped", "column": "patient"}
    plain = spec_of(split={"kind": "grouped", "column": "patient"}, preprocessing={"exclude": ["day", "hospital"]})
    unweighted = run_experiment(plain, TABLE, tmp_path / "plain")
    for variant in ("hybrid", "baseline"):
        plain_share, weighted_share = (
            run.evaluation["models"][variant]["metrics"]["sensitivity"]["mean"] for run in (unweighted, found)
        )
        assert weighted_share <= plain_share  # the positive class is "well"; a heavy "ill" takes rows from it
    assert found.evaluation["models"]["baseline"]["metrics"]["specificity"]["mean"] == 1.0
    with pytest.raises(SpecError, match="weighs 'sick'"):
        admit(spec_of(training={"class_weights": {"sick": 2}}), TABLE)


@pytest.mark.parametrize("weights", [{}, {"ill": 0}, {"ill": True}, {"ill": "2"}, 3, ["ill"]])
def test_weights_that_are_none_are_refused(weights: Any) -> None:
    with pytest.raises(SpecError, match=r"training\.class_weights"):
        spec_of(training={"class_weights": weights})


def test_a_spec_with_weights_goes_through_json() -> None:
    spec = spec_of(training={"class_weights": {"ill": 2}})
    assert TrainingSpec.from_dict(spec.to_dict()) == spec


def test_missing_values_are_indicated() -> None:
    rows = [[1.0, "a"], [np.nan, "a"], [3.0, None], [5.0, "b"]]
    options = PreprocessingSpec(missing="indicator", scaling="none", min_category_rows=1)
    model = Preprocessor.fit(rows, ["x", "c"], ["number", "category"], options)
    assert model.encoded_names == ("x", "c=a", "c=b", "x is missing", "c is missing")
    expected = [[1, 1, 0, 0, 0], [3, 1, 0, 1, 0], [3, 0, 0, 0, 1], [5, 0, 1, 0, 0]]
    np.testing.assert_array_equal(model.transform(rows), expected)
    again = Preprocessor.from_parts(*model.to_parts())
    np.testing.assert_array_equal(again.transform(rows), expected)
    whole = Preprocessor.fit([[1.0], [2.0]], ["x"], ["number"], options)
    assert whole.n_encoded == 1


def test_missing_values_are_refused() -> None:
    options = PreprocessingSpec(missing="refuse")
    with pytest.raises(FeatureMismatchError, match=r"'x' has no value in row 1"):
        Preprocessor.fit([[1.0], [np.nan]], ["x"], ["number"], options)
    model = Preprocessor.fit([[1.0], [2.0]], ["x"], ["number"], options)
    for refusing in (model, Preprocessor.from_parts(*model.to_parts())):
        with pytest.raises(FeatureMismatchError, match=r"'x' has no value in row 0"):
            refusing.transform([[None]])
    with pytest.raises(SpecError, match=r"preprocessing\.missing: is 'refuse', but 1 column\(s\)") as caught:
        admit(spec_of(preprocessing={"missing": "refuse"}), make_table(gaps=True))
    assert caught.value.details["missing"] == {"age": 23}


def test_an_experiment_with_indicators_makes_a_model_that_loads(tmp_path: Path) -> None:
    spec = spec_of(preprocessing={"exclude": ["patient", "hospital", "day"], "missing": "indicator"})
    found = run_experiment(spec, make_table(gaps=True), tmp_path)
    predictor = Predictor.load(found.model_path.read_bytes())
    with_age, without = predictor.predict_proba([{"age": 50, "dose": 0.1}, {"age": None, "dose": 0.1}])
    assert not np.array_equal(with_age, without)


def test_an_experiment_says_what_is_odd_between_its_parts(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    spec = spec_of(evaluation={"n_splits": 2, "controls": [], "baseline": "none"})
    found = run_experiment(
        spec, TABLE, tmp_path, on_event=lambda kind, data: said.append(data) if kind == "log" else None
    )
    kinds = [data["finding"]["kind"] for data in said if "finding" in data]
    assert kinds == ["group_overlap"]  # the patient is excluded from the features, and still on both sides
    baseline = Predictor.load(found.model_path.read_bytes()).manifest["drift_baseline"]
    assert [column["name"] for column in baseline["columns"]] == ["age", "dose"]
    (told,) = found.evaluation["findings"]
    assert (told["kind"], told["columns"], told["doubtful"]) == ("group_overlap", ["patient"], True)
    assert "rows" not in told  # of whom, the document does not say


X_RAYS = Path(__file__).resolve().parents[3] / "shared" / "data" / "health" / "pneumoniamnist" / "pneumoniamnist.npz"


@pytest.mark.slow
@pytest.mark.skipif(not X_RAYS.is_file(), reason="the shared pneumonia images are not on this machine")
def test_a_model_learns_from_real_images(tmp_path: Path) -> None:
    arrays = np.load(X_RAYS)
    labels = arrays["train_labels"].reshape(-1)
    chosen = np.concatenate([np.flatnonzero(labels == label)[:80] for label in (0, 1)])
    archive = tmp_path / "images.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for place in chosen:
            name = f"{('normal', 'pneumonia')[labels[place]]}/{place:04d}.png"
            file.writestr(name, png(arrays["train_images"][place]))
    table = read_table(archive, format="images", name="x-rays", target="finding", options={"size": 8})
    spec = TrainingSpec.from_dict(
        {
            "model": {"n_qubits": 4},
            "training": {"epochs": 15, "learning_rate": 0.05},
            "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
        }
    )
    found = run_experiment(spec, table, tmp_path / "run")
    assert found.evaluation["models"]["hybrid"]["metrics"]["accuracy"]["mean"] > 0.75  # chance is 0.5
    row = image_row(png(arrays["test_images"][0]), size=8)
    assert Predictor.load(found.model_path.read_bytes()).predict([row])[0] in ("normal", "pneumonia")


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
