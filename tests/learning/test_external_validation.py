"""External validation: metrics against scikit-learn, intervals against statsmodels and SciPy, and its sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from scipy.stats import bootstrap, norm, t
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, confusion_matrix, r2_score, roc_auc_score
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from superpose import HybridClassifier
from superpose.api.validation_documents import NewValidation
from superpose.datasets import builtin_table
from superpose.datasets.drift import drift_baseline
from superpose.errors import (
    DatasetFormatError,
    DatasetTargetError,
    FeatureMismatchError,
    ModelFormatError,
    ModelPredictsNumbersError,
    SpecError,
)
from superpose.explain import external_report
from superpose.explain.validation_words import validation_table
from superpose.learning import HybridRegressor, ModelFacts, Predictor
from superpose.learning.external_validation import external_validation
from superpose.learning.external_words import difference_of_shares, summary_of
from superpose.learning.recalibration import recalibration
from superpose.learning.shares import mean_of_shares, wilson_interval
from superpose.learning.validation_record import record_of, sentences_of


def drawn(seed: int, n: int = 400, *, shift: float = 0.0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Truth of rows, and probabilities whose intercept and slope are known."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0.0, 1.5, n)
    return rng.random(n) < expit(shift + slope * z), expit(z)


def test_intercept_and_slope_are_those_of_statsmodels() -> None:
    truth, said = drawn(0, shift=0.5, slope=0.6)
    found = recalibration(truth, said, 0.9)
    assert found is not None
    z, scale = logit(said), t.ppf(0.95, len(said) - 1) / norm.ppf(0.95)
    fitted = sm.Logit(truth.astype(float), sm.add_constant(z)).fit(disp=0, cov_type="HC0", tol=1e-12)
    reach = norm.ppf(0.95) * fitted.bse[1] * np.sqrt(len(z) / (len(z) - 1)) * scale
    assert found["slope"]["value"] == pytest.approx(fitted.params[1], rel=1e-6)
    assert found["slope"]["high"] - found["slope"]["value"] == pytest.approx(reach, rel=1e-6)
    offset = sm.GLM(truth.astype(float), np.ones(len(z)), family=sm.families.Binomial(), offset=z).fit(
        cov_type="HC0", tol=1e-12
    )
    assert found["intercept"]["value"] == pytest.approx(offset.params[0], rel=1e-6)
    own = norm.ppf(0.95) * offset.bse[0] * np.sqrt(len(z) / (len(z) - 1)) * scale
    assert found["intercept"]["value"] - found["intercept"]["low"] == pytest.approx(own, rel=1e-6)
    assert found["n_positive"] == truth.sum() and found["n_expected"] == pytest.approx(said.sum())
    assert found["ratio"] == pytest.approx(truth.sum() / said.sum())


def test_of_groups_they_have_the_variance_of_clusters() -> None:
    truth, said = drawn(1)
    members = np.random.default_rng(1).integers(0, 60, len(truth))
    found, n_groups = recalibration(truth, said, 0.95, members), len(np.unique(members))
    fitted = sm.Logit(truth.astype(float), sm.add_constant(logit(said))).fit(
        disp=0, tol=1e-12, cov_type="cluster", cov_kwds={"groups": members, "use_correction": False}
    )
    reach = t.ppf(0.975, n_groups - 1) * fitted.bse[1] * np.sqrt(n_groups / (n_groups - 1))
    assert found is not None
    assert found["slope"]["high"] - found["slope"]["value"] == pytest.approx(reach, rel=1e-6)


def test_intervals_hold_what_is_true_as_often_as_they_say() -> None:
    """A model whose probabilities are right: intercept 0 and slope 1, in 19 of 20 data sets."""
    held = np.zeros(2)
    for seed in range(300):
        found: Any = recalibration(*drawn(seed, 150), 0.95)
        held += [found[name]["low"] <= right <= found[name]["high"] for name, right in (("intercept", 0), ("slope", 1))]
    assert np.all(held / 300 > 0.91) and np.all(held / 300 < 0.985)


def test_rows_that_tell_no_slope() -> None:
    truth = np.arange(20) < 10
    parted: Any = recalibration(truth, np.where(truth, 1.0, 0.0), 0.95)
    assert parted["slope"] is None and parted["intercept"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert recalibration(truth, np.full(20, 0.3), 0.95)["slope"] is None  # type: ignore[index]  # it is none
    assert recalibration(np.ones(20, dtype=bool), np.full(20, 0.3), 0.95) is None
    assert recalibration(truth, np.full(20, 0.3), 0.95, np.arange(20) % 2) is None


def test_a_difference_of_shares_is_newcombes() -> None:
    low, high = proportion_confint(56, 70, method="wilson")
    other_low, other_high = proportion_confint(48, 80, method="wilson")
    found = difference_of_shares(
        {"value": 0.8, "low": low, "high": high}, {"value": 0.6, "low": other_low, "high": other_high}
    )
    expected = confint_proportions_2indep(56, 70, 48, 80, method="newcomb")
    assert found == pytest.approx((0.2, *expected))


def test_intervals_of_balanced_accuracy_hold_as_often_as_they_say() -> None:
    """Sensitivity 0.9 of 30 rows and specificity 0.75 of 60: 19 of 20 intervals hold 0.825."""
    rng, held = np.random.default_rng(0), 0
    for seen, kept in zip(rng.binomial(30, 0.9, 2_000), rng.binomial(60, 0.75, 2_000), strict=True):
        low, high = mean_of_shares(
            [(n / of, *wilson_interval(n, of, 0.95)) for n, of in ((int(seen), 30), (int(kept), 60))]
        )
        held += low <= 0.825 <= high
    assert 0.935 < held / 2_000 < 0.965
    sure = mean_of_shares([(1.0, *wilson_interval(20, 20, 0.95))] * 2)
    assert sure == pytest.approx((1.0 - (1.0 - proportion_confint(20, 20, method="wilson")[0]) / np.sqrt(2), 1.0))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A weak model of two classes, with prediction sets, that knows how it did on 400 test rows of its own."""
    table = builtin_table("breast_cancer")
    places = np.arange(0, 300)
    made = HybridClassifier(n_qubits=2, layers=1, epochs=3, conformal=0.9, random_state=0)
    made.fit(table.features.iloc[places, :4], table.target.iloc[places])
    path = tmp_path_factory.mktemp("external") / "weak.superpose"
    facts = ModelFacts(
        evaluation={"model_metrics": {"accuracy": 0.975}, "positive_class": "malignant"},
        data={"target": "diagnosis", "split": {"test": 400}, "class_counts": {"benign": 150, "malignant": 150}},
    )
    made.save(path, facts)
    return Predictor.load(path)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    table = builtin_table("breast_cancer")
    frame = table.features.iloc[300:, :4].assign(diagnosis=table.target.iloc[300:].to_numpy())
    return frame.assign(ward=np.arange(len(frame)) % 3, patient=np.arange(len(frame)) // 2).reset_index(drop=True)


def test_figures_are_those_of_scikit_learn_with_intervals(model: Predictor, rows: pd.DataFrame) -> None:
    found = external_validation(model, rows, subgroups=["ward"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    said = model.predict_proba(rows[list(model.feature_names)])
    ill, called = (rows["diagnosis"] == "malignant").to_numpy(), said.argmax(axis=1) == 1
    figures = {name: figure["value"] for name, figure in found["metrics"].items()}
    assert figures["auc"] == pytest.approx(roc_auc_score(ill, said[:, 1]))
    assert figures["brier"] == pytest.approx(brier_score_loss(ill, said[:, 1]))
    assert figures["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(ill, called))
    assert found["confusion"] == confusion_matrix(ill, called).tolist()
    assert found["classes"] == {"benign": int((~ill).sum()), "malignant": int(ill.sum())}
    accuracy, sensitivity = found["metrics"]["accuracy"], found["metrics"]["sensitivity"]
    right = int((called == ill).sum())
    assert (accuracy["low"], accuracy["high"]) == pytest.approx(proportion_confint(right, len(ill), method="wilson"))
    of_ill = proportion_confint(int((called & ill).sum()), int(ill.sum()), method="wilson")
    assert (sensitivity["low"], sensitivity["high"]) == pytest.approx(of_ill)
    assert all(figure["low"] <= figure["value"] <= figure["high"] for figure in found["metrics"].values())
    balanced = bootstrap(
        (ill, called), balanced_accuracy_score, paired=True, vectorized=False, method="percentile", n_resamples=1000,
        random_state=0,
    ).confidence_interval  # fmt: skip
    ends = found["metrics"]["balanced_accuracy"]
    assert (ends["low"], ends["high"]) == pytest.approx((balanced.low, balanced.high), abs=0.015)
    assert [group["n_cases"] for group in found["subgroups"][0]["groups"]] == [90, 90, 89]
    assert found["calibration"]["conformal"]["coverage"] == 0.9 and found["recalibration"]["n_positive"] == ill.sum()


def test_rows_of_one_patient_tell_less(model: Predictor, rows: pd.DataFrame) -> None:
    """Each row twice is no more than each once, where it is known whose they are."""
    twice = pd.concat([rows.assign(patient=rows.index)] * 2)
    alone, known, doubled = (
        external_validation(model, frame, groups=groups)["metrics"]
        for frame, groups in ((rows, None), (twice, "patient"), (twice, None))
    )
    for name in ("accuracy", "auc", "brier", "balanced_accuracy"):
        widths = [told[name]["high"] - told[name]["low"] for told in (alone, known, doubled)]
        assert widths[1] == pytest.approx(widths[0], rel=0.06) and widths[2] < 0.8 * widths[0], name


def test_sentences_say_what_the_figures_do(model: Predictor, rows: pd.DataFrame) -> None:
    told = " ".join(external_validation(model, rows)["summary"])
    assert "Accuracy is lower here than on the model's own 400 test rows" in told
    assert "Few rows of malignant (66): with fewer than 100 of a class an external validation is imprecise." in told
    assert "% of rows are malignant here, 50.0 % were in the model's own data." in told
    ill = rows["diagnosis"] == "malignant"
    turned = rows.assign(diagnosis=np.where(ill, "benign", "malignant"))
    assert "labels may be the wrong way round" in " ".join(external_validation(model, turned)["summary"])
    noise = rows.assign(diagnosis=np.random.default_rng(3).permutation(rows["diagnosis"]))
    assert "nothing shows that the model ranks these rows" in " ".join(external_validation(model, noise)["summary"])
    better = external_validation(model, rows) | {"own": {"metrics": {"accuracy": 0.3}, "n_rows": 400}}
    assert "Accuracy is higher here" in summary_of(better)[0]
    own = {"metrics": {"accuracy": better["metrics"]["accuracy"]["value"]}, "n_rows": 30}
    assert "that does not show that they are equal" in summary_of(better | {"own": own})[0]
    assert "own" not in " ".join(summary_of(better | {"own": None, "trained_on": None}))


def test_the_page_says_what_the_document_does(model: Predictor, rows: pd.DataFrame) -> None:
    found = external_validation(model, rows.rename(columns={"ward": "<ward>"}), subgroups=["<ward>"], groups="patient")
    html = external_report(found, "weak <model>", "rows.csv", notice="Not for clinical use.", digest="d" * 64)
    assert html == external_report(
        json.loads(json.dumps(found)), "weak <model>", "rows.csv", notice="Not for clinical use.", digest="d" * 64
    )
    page = html.decode()
    assert "<ward>" not in page and "&lt;ward&gt;" in page and "weak &lt;model&gt;" in page and "d" * 64 in page
    assert f"{found['metrics']['auc']['value']:.3f}" in page and "on its own 400 test rows" in page
    assert "Made by superpose from the validation's document alone" in page.replace("&#39;", "'")
    assert all(sentence.split(":")[0] in page.replace("&#39;", "'") for sentence in found["summary"])
    bare = external_validation(model, rows[rows["diagnosis"] == "benign"].head(3))
    assert b"Slope" not in external_report(bare, "weak", "three rows")
    with pytest.raises(ModelFormatError, match="document of an external validation"):
        external_report({}, "weak", "nothing")


def test_labels_of_another_site(model: Predictor, rows: pd.DataFrame) -> None:
    coded = rows.assign(outcome=(rows["diagnosis"] == "malignant").astype(float)).drop(columns="diagnosis")
    coded.loc[:4, "outcome"] = np.nan
    with pytest.raises(DatasetTargetError, match=r"no column 'diagnosis'.*Columns are 'mean radius'|no column 'diagn"):
        external_validation(model, coded)
    with pytest.raises(DatasetTargetError, match=r"has '0', '1'; the model knows 'benign', 'malignant'.*--label"):
        external_validation(model, coded, target="outcome")
    with pytest.raises(DatasetTargetError, match="to be read as 'ill'"):
        external_validation(model, coded, target="outcome", labels={"1": "ill", "0": "benign"})
    found = external_validation(model, coded, target="outcome", labels={"1": "malignant", "0": "benign"})
    assert (found["n_rows"], found["n_without_truth"]) == (264, 5)
    assert found["metrics"] == external_validation(model, rows.iloc[5:])["metrics"]
    with pytest.raises(DatasetTargetError, match="nothing to hold the model against"):
        external_validation(model, rows.assign(diagnosis=None))
    with pytest.raises(SpecError, match="'town' is not a column"):
        external_validation(model, rows, subgroups=["town"])
    with pytest.raises(SpecError, match="'town' is not a column"):
        external_validation(model, rows, groups="town")
    with pytest.raises(FeatureMismatchError, match="mean area"):
        external_validation(model, rows.drop(columns="mean area"))


def test_truth_values_are_labels_however_they_are_written(rows: pd.DataFrame, tmp_path: Path) -> None:
    ill = rows["diagnosis"] == "malignant"
    HybridClassifier(n_qubits=2, layers=1, epochs=2, random_state=0).fit(rows.iloc[:, :4], ill).save(
        tmp_path / "m.superpose"
    )
    predictor = Predictor.load(tmp_path / "m.superpose")
    told = [
        external_validation(predictor, rows.iloc[:, :4].assign(ill=values), target="ill")["confusion"]
        for values in (ill, ill.map({True: "TRUE", False: "False"}))
    ]
    assert told[0] == told[1]
    with pytest.raises(SpecError, match="between 0 and 1"):
        external_validation(predictor, rows, target="ill", confidence=95)
    with pytest.raises(DatasetFormatError, match="'ward' is there more than once"):
        external_validation(predictor, pd.concat([rows, rows[["ward"]]], axis=1), target="ward")


def test_rows_of_one_class_tell_what_they_can(model: Predictor, rows: pd.DataFrame) -> None:
    found = external_validation(model, rows[rows["diagnosis"] == "benign"])
    assert found["metrics"]["auc"] == found["metrics"]["sensitivity"] == {"value": None, "low": None, "high": None}
    assert found["metrics"]["specificity"]["low"] is not None and found["recalibration"] is None
    assert found["classes"]["malignant"] == 0
    assert external_validation(model, rows.iloc[:1])["metrics"]["brier"]["low"] is None


def test_a_models_own_data_are_known_again(tmp_path: Path) -> None:
    table = builtin_table("iris")
    made = HybridClassifier(n_qubits=2, layers=1, epochs=2, random_state=0).fit(table.features, table.target)
    data = {"target": table.target_name, "digest": table.digest, "n_rows": 150, "class_counts": table.class_counts}
    made.save(tmp_path / "iris.superpose", ModelFacts(data=data))
    predictor = Predictor.load(tmp_path / "iris.superpose")
    frame = table.features.assign(**{table.target_name: table.target.to_numpy()})
    found = external_validation(predictor, frame)
    assert found["is_own_data"] and "most trained it" in found["summary"][0]
    assert found["positive_class"] is None and found["recalibration"] is None
    assert found["metrics"]["auc"]["low"] <= found["metrics"]["auc"]["value"] <= found["metrics"]["auc"]["high"]
    assert not external_validation(predictor, frame.iloc[::-1])["is_own_data"]


def test_a_record_holds_figures_and_makes_the_same_sentences(
    model: Predictor, rows: pd.DataFrame, tmp_path: Path
) -> None:
    table = builtin_table("iris")
    made = HybridClassifier(n_qubits=2, layers=1, epochs=2, random_state=0).fit(table.features, table.target)
    data = {"target": table.target_name, "digest": table.digest, "n_rows": 150, "class_counts": table.class_counts}
    facts = ModelFacts(data=data, evaluation={"model_metrics": {"accuracy": 0.9}}, baseline=drift_baseline(table))
    made.save(tmp_path / "iris.superpose", facts)
    flowers = Predictor.load(tmp_path / "iris.superpose")
    own = table.features.assign(**{table.target_name: table.target.to_numpy()})
    moved = own.assign(**{name: own[name] * 3 for name in ("petal width", "sepal width")}).iloc[20:]
    for predictor, frame, options in (
        (model, rows, {"subgroups": ["ward"], "groups": "patient", "confidence": 0.9}),
        (model, rows[rows["diagnosis"] == "benign"].head(3), {}),
        (flowers, own, {}),
        (flowers, moved, {}),
    ):
        found = external_validation(predictor, frame, **options)
        record = json.loads(json.dumps(record_of(found, predictor.digest), allow_nan=False, sort_keys=True))
        assert sentences_of(record, predictor.manifest) == found["summary"]
        assert len(json.dumps(record)) < 8_000 and "plots" not in record and record["metrics"] == found["metrics"]
        NewValidation.model_validate_json(json.dumps(record))  # what the service takes
        groups = [(one["column"], one["group"], one["n_rows"]) for one in record["subgroups"]]
        assert groups == ([("ward", str(n), size) for n, size in enumerate((90, 90, 89))] if options else [])
    assert record["drift"]["drifted"] == 2 and {one["name"] for one in record["drift"]["farthest"]} == {
        "petal width",
        "sepal width",
    }


def test_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(100, 30, 160), "place": ["in", "out"] * 80})
    frame["price"] = 3_000 * frame["size"] + 9_000 * (frame["place"] == "in") + rng.normal(0, 2_000, 160)
    made = HybridRegressor(n_qubits=2, epochs=5, conformal=0.8, random_state=0)
    made.fit(frame.iloc[:100, :2], frame["price"][:100]).save(tmp_path / "price.superpose")
    predictor = Predictor.load(tmp_path / "price.superpose")
    rest = frame.iloc[100:]
    found = external_validation(predictor, rest, target="price")
    said = np.array(predictor.predict(rest[["size", "place"]]))
    metrics = found["metrics"]
    assert metrics["mae"]["value"] == pytest.approx(np.mean(np.abs(said - rest["price"])))
    assert metrics["bias"]["value"] == pytest.approx(np.mean(said - rest["price"]))
    assert metrics["r2"]["value"] == pytest.approx(r2_score(rest["price"], said))
    assert metrics["rmse"]["low"] < metrics["rmse"]["value"] < metrics["rmse"]["high"]
    ends = predictor.predict_intervals(rest[["size", "place"]])
    held = np.mean((ends[:, 0] <= rest["price"]) & (rest["price"] <= ends[:, 1]))
    assert metrics["coverage"]["value"] == held and metrics["coverage"]["asked"] == 0.8
    assert b"bias (predicted less true)" in external_report(found, "price", "rows")
    far = external_validation(predictor, rest.assign(price=rest["price"] * 3), target="price")
    assert "Intervals of 80 % hold the true number of" in " ".join(far["summary"])
    record = record_of(far, predictor.digest)
    assert sentences_of(record, predictor.manifest) == far["summary"] and record["classes"] is None
    NewValidation.model_validate_json(json.dumps(record))
    mean = record["metrics"]["mae"]["value"]
    for unit, told in ((1.0, f"{mean:,.0f} ("), (1e-9, f"{mean * 1e-9:.4g} (")):  # whatever the number's unit is
        figures = {"value": mean * unit, "low": mean * unit / 2, "high": mean * unit * 2}
        head, (row,) = validation_table([{"site": "north", **record, "metrics": {"mae": figures}}])
        assert mean > 1e4 and row[head.index("mean absolute error")].startswith(told)
    with pytest.raises(DatasetTargetError, match="must have numbers, got 'dear'"):
        external_validation(predictor, rest.assign(price="dear"), target="price")
    with pytest.raises(ModelPredictsNumbersError, match="neither subgroups nor labels"):
        external_validation(predictor, rest, target="price", subgroups=["place"])
