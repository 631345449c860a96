"""Safeguards from a spec to an answer: fitted without test rows, kept in the model file, applied without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from scipy import stats

from superpose.datasets import Table, builtin_table
from superpose.errors import ModelFileCorruptError, SafeguardAbsentError, SpecError
from superpose.learning import ExperimentResult, Predictor, TrainingSpec, read_model, run_experiment
from superpose.learning.admission import admit
from superpose.learning.calibration.asking import Asked, detailed
from superpose.learning.calibration.conformal import ConformalSets
from superpose.learning.calibration.reliability import abstaining_curve
from superpose.learning.calibration.report import calibration_report, safeguarded
from superpose.learning.calibration.safeguards import AbstainRule, Safeguards
from superpose.learning.container import pack, unpack
from superpose.learning.model_file import encode_model
from superpose.learning.splitting import splits_of

SPEC = TrainingSpec.from_dict(
    {
        "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
        "training": {"epochs": 4, "learning_rate": 0.05, "batch_size": 64},
        "evaluation": {"n_splits": 2, "validation_fraction": 0.3, "controls": [], "baseline": "none"},
        "calibration": {
            "method": "temperature",
            "conformal": {"coverage": 0.9, "method": "aps"},
            "abstain": {"by": "probability", "below": 0.7},
        },
    }
)


@pytest.fixture(scope="module")
def table() -> Table:
    return builtin_table("breast_cancer")


@pytest.fixture(scope="module")
def result(table: Table, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return run_experiment(SPEC, table, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def predictor(result: ExperimentResult) -> Predictor:
    return Predictor.load(result.model_path, result.model_digest)


def test_the_predictor_answers_as_the_trained_model_with_its_safeguards(
    result: ExperimentResult, predictor: Predictor, table: Table
) -> None:
    file = read_model(result.model_path)
    encoded = file.model.preprocessor.transform(table.features)
    raw = file.model.probabilities(encoded)
    expected = file.safeguards.calibrated(raw)
    np.testing.assert_allclose(predictor.predict_proba(table.features), expected, atol=1e-12)
    assert np.abs(expected - raw).max() > 1e-6
    assert file.safeguards.calibration is not None
    assert file.safeguards.calibration.method == "temperature"


def test_fitting_sees_no_test_row(result: ExperimentResult, predictor: Predictor, table: Table) -> None:
    """With the test rows' labels and features spoilt, the same model gets the same safeguards."""
    split = splits_of(SPEC, table)[0]
    index = {label: i for i, label in enumerate(table.classes)}
    classes = np.array([index[label] for label in table.target])
    encoded = predictor.model.preprocessor.transform(table.features)
    spoilt, flipped = encoded.copy(), classes.copy()
    spoilt[split.test], flipped[split.test] = 7.0, 1 - classes[split.test]
    found, figures = safeguarded(SPEC, predictor.model, spoilt, flipped, split, positive=1)
    assert found.to_parts()[0] == predictor.manifest["safeguards"]
    assert figures["calibration"]["before"] != result.evaluation["calibration"]["before"]


def test_the_report_tells_rows_and_figures(result: ExperimentResult, predictor: Predictor, table: Table) -> None:
    found = result.evaluation["calibration"]
    split = splits_of(SPEC, table)[0]
    assert found["rows"]["calibration"] + found["rows"]["conformal"] == len(split.validation)
    assert found["n_rows"] == len(split.test) == sum(b["n_rows"] for b in found["after"]["bins"])
    test = table.features.iloc[split.test]
    truth = table.target.to_numpy()[split.test]
    probabilities, details = predictor.detailed(test, Asked(prediction_set=True, abstain=True, novelty=True))
    assert details.sets is not None
    assert details.reasons is not None
    assert details.novel is not None
    covered = np.mean([label in row for label, row in zip(truth, details.sets, strict=True)])
    assert found["conformal"]["covered"]["share"] == pytest.approx(covered)
    assert found["conformal"]["mean_size"]["mean"] == pytest.approx(np.mean([len(row) for row in details.sets]))
    assert details.coverage == 0.9
    kept = [reason is None for reason in details.reasons]
    assert kept == (probabilities.max(axis=1) >= 0.7).tolist()
    assert found["abstain"]["answered"]["share"] == pytest.approx(np.mean(kept))
    assert found["novelty"]["novel"]["share"] == pytest.approx(np.mean(details.novel))
    own = result.evaluation["model_metrics"]
    assert own["brier"] == pytest.approx(found["after"]["brier"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_intervals_of_sets_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    probabilities, truth = rng.dirichlet(np.ones(5), 200), rng.integers(5, size=200)
    sets = ConformalSets.from_rows("lac", 0.8, rng.dirichlet(np.ones(5), 99), rng.integers(5, size=99))
    figures = calibration_report(
        Safeguards(sets=sets), probabilities=probabilities, truth=truth, encoded=np.zeros((200, 1)), confidence=0.9
    )["conformal"]
    members = sets.sets(probabilities)
    bounds = stats.ttest_1samp(members.sum(axis=1), 0.0).confidence_interval(0.9)
    assert 1.0 < bounds.low < bounds.high < 5.0
    assert (figures["mean_size"]["low"], figures["mean_size"]["high"]) == pytest.approx((bounds.low, bounds.high))
    n_covered = int(members[np.arange(200), truth].sum())
    share = stats.binomtest(n_covered, 200).proportion_ci(0.9, method="wilson")
    assert (figures["covered"]["low"], figures["covered"]["high"]) == pytest.approx((share.low, share.high))


@pytest.mark.parametrize(("n_classes", "size"), [(2, 1), (2, 2), (5, 1), (5, 5)])
def test_the_mean_size_of_sets_of_one_size_has_an_interval_too(n_classes: int, size: int) -> None:
    """Without variance a t interval has no width, of 20 rows as of 20,000."""
    probabilities, truth = np.full((20, n_classes), 0.1 / (n_classes - 1)), np.zeros(20, dtype=int)
    probabilities[:, 0] = 0.9
    sets = ConformalSets("lac", 0.9, 0.5 if size == 1 else 1.0, 99)
    for groups, n in ((None, 20), (np.arange(20) % 4, 4)):
        found = calibration_report(
            Safeguards(sets=sets), probabilities=probabilities, truth=truth, encoded=np.zeros((20, 1)), confidence=0.9,
            groups=groups,
        )["conformal"]["mean_size"]  # fmt: skip
        others = stats.binomtest(0, n).proportion_ci(0.9, method="wilson").high
        wanted = (
            (1.0, 1.0 + others * (n_classes - 1)) if size == 1 else (n_classes - others * (n_classes - 1), n_classes)
        )
        assert found["mean"] == size
        assert (found["low"], found["high"]) == pytest.approx(wanted)


def test_of_two_classes_the_mean_size_says_what_the_share_of_single_ones_says(result: ExperimentResult) -> None:
    found = result.evaluation["calibration"]["conformal"]
    size, single = found["mean_size"], found["single"]
    assert size["low"] <= size["mean"] < size["high"]
    assert (size["low"], size["high"]) == pytest.approx((2.0 - single["high"], 2.0 - single["low"]))


def test_without_asking_only_novelty_and_the_report_come(table: Table, tmp_path: Path) -> None:
    plain = TrainingSpec.from_dict({k: v for k, v in SPEC.to_dict().items() if k != "calibration"})
    assert "calibration" not in plain.to_dict()
    found = run_experiment(plain, table, tmp_path)
    predictor = Predictor.load(found.model_path)
    calibration = found.evaluation["calibration"]
    assert (calibration["method"], calibration["conformal"], calibration["abstain"]) == ("none", None, None)
    assert calibration["before"] == calibration["after"]
    encoded = predictor.encode(table.features)
    np.testing.assert_array_equal(predictor.predict_encoded(encoded), predictor.model.probabilities(encoded))
    with pytest.raises(SafeguardAbsentError, match=r"conformal\.coverage"):
        predictor.detailed(table.features, Asked(prediction_set=True))
    with pytest.raises(SafeguardAbsentError, match=r"such as 0\.8"):
        predictor.detailed(table.features, Asked(abstain=True))
    reasons = predictor.detailed(table.features, Asked(abstain=0.99))[1].reasons
    assert reasons is not None
    assert any(reason is not None and "is below 0.99" in reason for reason in reasons)


def test_files_without_safeguards_are_as_before_and_load(predictor: Predictor, table: Table) -> None:
    content, _ = encode_model(predictor.model)
    assert "safeguards.safetensors" not in unpack(content)
    old = Predictor.load(content)
    assert old.manifest["format_version"] == 1
    assert old.safeguards.empty
    assert old.predict_proba(table.features).shape == (table.n_rows, 2)
    with pytest.raises(SafeguardAbsentError, match="before novelty scores"):
        old.detailed(table.features, Asked(novelty=True))


def resealed(content: bytes, change: Any) -> bytes:
    from superpose.learning.canonical import digest_bytes

    members = unpack(content)
    manifest = json.loads(members.pop("manifest.json"))
    change(manifest, members)
    manifest["members"] = {n: {"sha256": digest_bytes(c), "size": len(c)} for n, c in sorted(members.items())}
    return pack({"manifest.json": json.dumps(manifest).encode(), **members})


def drop(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    del members["safeguards.safetensors"]


def older(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    manifest["format_version"] = 1


def cold(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    manifest["safeguards"]["calibration"]["temperature"] = 0.0


def unknown(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    manifest["safeguards"]["calibration"]["method"] = "magic"


def narrow(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    arrays = safetensors.numpy.load(members["safeguards.safetensors"])
    arrays["novelty.mean"] = arrays["novelty.mean"][:2].copy()
    arrays["novelty.directions"] = np.ascontiguousarray(arrays["novelty.directions"][:, :2])
    members["safeguards.safetensors"] = safetensors.numpy.save(arrays)


def homeless(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    del manifest["safeguards"]["conformal"]
    manifest["safeguards"]["abstain"] = {"by": "set", "below": 0.0}


@pytest.mark.parametrize("change", [drop, older, cold, unknown, narrow, homeless])
def test_safeguards_that_do_not_fit_are_refused(result: ExperimentResult, change: Any) -> None:
    content = result.model_path.read_bytes()
    read_model(resealed(content, lambda manifest, members: None))
    with pytest.raises(ModelFileCorruptError):
        read_model(resealed(content, change))


@pytest.mark.parametrize(
    ("section", "field", "message"),
    [
        ({"method": "platt"}, "calibration.method", "temperature, isotonic, auto"),
        ({"conformal": {"coverage": 1.0}}, "calibration.conformal.coverage", "0.999"),
        ({"conformal": {"coverage": 0.9, "method": "raps"}}, "calibration.conformal.method", "lac, aps"),
        ({"abstain": {"by": "set"}}, "calibration.abstain.by", "coverage, such as 0.9"),
        ({"abstain": {"by": "probability", "below": 2}}, "calibration.abstain.below", "from 0.0 to 1.0"),
        ({"method": "isotonic", "conformal": {"coverage": 0.9}}, "calibration.method", "at least 100 validation rows"),
        ({"conformal": {"coverage": 0.99}}, "calibration.conformal.coverage", "at least 99 validation rows"),
    ],
)
def test_what_cannot_be_is_refused_before_training(
    table: Table, section: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        admit(TrainingSpec.from_dict({"calibration": section}), table)
    assert caught.value.field == field


def test_abstaining_by_sets_names_the_classes_between_which_it_cannot_tell(predictor: Predictor, table: Table) -> None:
    _, details = predictor.detailed(table.features, Asked(prediction_set=True, abstain="set"))
    assert details.sets is not None
    assert details.reasons is not None
    for row, reason in zip(details.sets, details.reasons, strict=True):
        assert (reason is None) == (len(row) == 1)
        assert reason is None or reason == f"the prediction set has 2 classes: {', '.join(row)}"
    with pytest.raises(ValueError, match="needs prediction sets"):
        Safeguards(abstain=AbstainRule("set")).check(2, 30)


def test_a_probability_at_the_rules_own_is_answered_however_it_is_rounded() -> None:
    """Of rows of few kinds 14 % got no label one by one ("0.5224, is below 0.522396") that got one in a batch."""
    rule = 0.538461538461538
    rows = np.array([[1 - p, p] for p in (np.nextafter(rule, 0), rule, np.nextafter(rule, 1), rule - 1e-8, 0.53)])
    asked = detailed(Safeguards(), Asked(abstain=rule), rows, ("a", "b"), None)
    assert asked.reasons == (None,) * 4 + ("the largest probability, 0.53, is below 0.538462",)
    curve = abstaining_curve(np.ones(4, dtype=int), rows[:4])
    assert [point["answered"] for point in curve] == [1.0] * len(curve)


def test_serving_safeguards_loads_no_torch_no_scipy_and_no_scikit_learn(result: ExperimentResult) -> None:
    script = (
        "import sys\n"
        "from superpose.learning import Predictor\n"
        "from superpose.learning.calibration.asking import Asked\n"
        f"predictor = Predictor.load({str(result.model_path)!r})\n"
        "rows = [[0.0] * len(predictor.feature_names)]\n"
        "print(predictor.detailed(rows, Asked(prediction_set=True, abstain=True, novelty=True))[1].novel)\n"
        "print([name for name in ('torch', 'sklearn', 'scipy', 'pandas') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.splitlines() == ["(True,)", "[]"]
