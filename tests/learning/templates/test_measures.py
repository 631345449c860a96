"""Measures of findings against scikit-learn and hand-made cases; the threshold; the sealed test part."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import bootstrap, gaussian_kde, ttest_1samp
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats.weightstats import DescrStatsW

from superpose.datasets.picture_sets import Pictures
from superpose.errors import CheckpointError
from superpose.learning.checkpoint import start_over
from superpose.learning.templates.pneumonia.measures import measured, measures_of, threshold_of
from superpose.learning.templates.pneumonia.openings import SealedTest
from superpose.learning.templates.pneumonia.report import comparisons_of, verdict_of


def cases(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = (random.random(n) < 0.6).astype(np.int64)
    return truth, random.normal(2.0 * truth - 1.0, 1.5)


def test_measures_are_those_of_scikit_learn() -> None:
    truth, scores = cases()
    called = (scores > 0).astype(int)
    found = measured(truth, scores)
    expected = {
        "auc": metrics.roc_auc_score(truth, scores),
        "accuracy": metrics.accuracy_score(truth, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, called),
        "sensitivity": metrics.recall_score(truth, called),
        "specificity": metrics.recall_score(truth, called, pos_label=0),
        "precision": metrics.precision_score(truth, called),
        "f1": metrics.f1_score(truth, called),
        "brier": metrics.brier_score_loss(truth, expit(scores)),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_scores_too_large_for_probabilities_keep_their_order() -> None:
    truth, scores = np.array([0, 1, 0, 1]), np.array([50.0, 60.0, 70.0, 80.0])
    assert measured(truth, scores)["auc"] == metrics.roc_auc_score(truth, scores) == 0.75


def test_calibration_error_of_two_bins_by_hand() -> None:
    truth = np.array([1, 0, 1, 1])
    scores = np.log(np.array([0.7, 0.7, 0.95, 0.95]) / np.array([0.3, 0.3, 0.05, 0.05]))
    assert measured(truth, scores)["ece"] == pytest.approx(0.5 * 0.2 + 0.5 * 0.05)


def test_calibration_error_is_that_of_scikit_learns_curve() -> None:
    truth, scores = cases(400)
    shares, means = calibration_curve(truth, expit(scores), n_bins=15)
    counts, _ = np.histogram(expit(scores), np.linspace(0.0, 1.0, 16))
    expected = np.average(np.abs(shares - means), weights=counts[counts > 0])
    assert measured(truth, scores)["ece"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["sensitivity", "specificity", "brier"])
def test_intervals_over_images_are_those_of_scipys_bootstrap(name: str) -> None:
    """Both draw at random: with 1,000 and 2,000 resamples a bound is known to some 6 % of the width.

    A measure of one class alone is a mean over its images; the Brier score one over both, each drawn by itself.
    """
    truth, scores = cases()
    own = {
        "sensitivity": (scores[truth == 1] > 0, np.zeros(2)),
        "specificity": (scores[truth == 0] <= 0, np.zeros(2)),
        "brier": tuple((expit(scores[truth == label]) - label) ** 2 for label in (0, 1)),
    }[name]
    parts = own if name == "brier" else own[:1]

    def mean(*drawn: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(sum(part.sum(axis=axis) for part in drawn) / sum(part.shape[axis] for part in drawn))

    reference = bootstrap(
        tuple(np.asarray(part, dtype=float) for part in parts), mean, n_resamples=2000, method="percentile",
        random_state=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    found = measures_of(truth, [scores])[name]["over_images"]
    assert found == pytest.approx([reference.low, reference.high], abs=0.12 * (reference.high - reference.low))


def test_intervals_over_seeds_are_students_and_over_images_shrink_with_their_number() -> None:
    truth, _ = cases()
    found = measures_of(truth, [cases(seed=s)[1] + 2.0 * truth for s in range(4)])
    own = found["auc"]
    bounds = ttest_1samp(own["values"], 0.0).confidence_interval(0.95)
    assert own["over_seeds"] == pytest.approx([bounds.low, bounds.high])
    assert own["over_seeds"] == pytest.approx(DescrStatsW(own["values"]).tconfint_mean(0.05))
    assert own["sd"] == pytest.approx(DescrStatsW(own["values"], ddof=1).std)
    assert own["over_images"][0] < own["mean"] < own["over_images"][1]
    few, many = (measures_of(*_repeated(k)) for k in (1, 9))
    width = [bounds[1] - bounds[0] for bounds in (f["accuracy"]["over_images"] for f in (few, many))]
    assert width[1] == pytest.approx(width[0] / 3.0, rel=0.25)
    assert few["auc"]["over_seeds"] is None


def test_whole_patients_are_drawn_within_the_class_of_most_of_their_images() -> None:
    """Two patients a class: of the sixteen choices, equally likely, the least and greatest accuracy are the bounds."""
    groups, truth = np.array([7, 7, 7, 3, 5, 5, 9]), np.array([1, 1, 0, 1, 0, 0, 0])
    right = np.array([1, 0, 0, 1, 1, 1, 0], dtype=bool)
    scores = np.where(right == (truth == 1), 1.0, -1.0)
    possible = []
    for drawn in itertools.product([7, 3], [7, 3], [5, 9], [5, 9]):
        places = np.concatenate([np.flatnonzero(groups == one) for one in drawn])
        possible.append(right[places].mean())
    found = measures_of(truth, [scores], groups=groups)["accuracy"]["over_images"]
    assert found == pytest.approx([min(possible), max(possible)])


def test_images_repeated_in_a_patient_make_no_interval_narrower() -> None:
    truth, scores = _repeated(9)
    once = measures_of(*_repeated(1))
    found = measures_of(truth, scores, groups=np.tile(np.arange(len(truth) // 9), 9))
    for name, own in once.items():
        assert found[name]["over_images"] == pytest.approx(own["over_images"])


def test_patients_are_drawn_from_all_together_where_a_class_has_one() -> None:
    truth, scores = np.array([1, 1, 0, 0, 0]), np.array([1.0, 1.0, -1.0, 1.0, 1.0])
    found = measures_of(truth, [scores], groups=np.array([0, 0, 1, 2, 2]))
    assert found["sensitivity"]["over_images"] == [1.0, 1.0]
    assert found["accuracy"]["over_images"] == pytest.approx([0.0, 1.0])


def _repeated(k: int) -> tuple[np.ndarray, list[np.ndarray]]:
    truth, scores = cases()
    return np.tile(truth, k), [np.tile(scores, k)]


def test_precision_without_a_finding_has_no_value_and_no_interval() -> None:
    found = measures_of(np.array([0, 1]), [np.array([-1.0, -2.0])])
    assert found["precision"] == {"mean": None, "values": [None], "over_seeds": None, "over_images": None, "sd": None}
    assert found["sensitivity"]["mean"] == 0.0


def test_the_threshold_lies_between_the_classes_wherever_they_are() -> None:
    truth = np.array([0] * 30 + [1] * 30)
    random = np.random.default_rng(1)
    logits = np.where(truth == 1, 5.0, 3.0) + random.normal(0.0, 0.2, 60)
    assert threshold_of(truth, logits) == pytest.approx(4.0, abs=0.2)


def test_the_threshold_is_where_scipys_densities_part_the_classes_best() -> None:
    """Four of Silverman's widths, as factors of each class's standard deviation, integrated by SciPy."""
    random = np.random.default_rng(2)
    truth = np.array([0] * 40 + [1] * 60)
    logits = np.where(truth == 1, 2.0, -1.0) + random.normal(0.0, 1.0, 100)
    densities = []
    for label in (0, 1):
        own = logits[truth == label]
        width = 4.0 * 1.06 * own.std() * len(own) ** -0.2
        densities.append(gaussian_kde(own, width / own.std(ddof=1)))

    def missed(threshold: float) -> float:
        well, ill = densities
        return float(well.integrate_box_1d(threshold, np.inf) + ill.integrate_box_1d(-np.inf, threshold))

    step = float(np.ptp(logits)) / 400
    found = threshold_of(truth, logits)
    assert missed(found) <= min(missed(place) for place in np.linspace(logits.min(), logits.max(), 401)) + 1e-9
    assert missed(found) < missed(found - 4 * step) and missed(found) < missed(found + 4 * step)


def test_the_test_part_is_sealed_until_the_configuration_is_on_disk(tmp_path: Path) -> None:
    pictures = Pictures(np.zeros((3, 4), np.float32), np.array([0, 1, 1]))
    sealed = SealedTest(pictures, {"epochs": 1}, tmp_path)
    stated = json.loads((tmp_path / "configuration.json").read_text())["content"]
    assert stated["digest"] == sealed.digest and sealed.openings == []
    assert len(sealed.open("first look")) == 3
    again = SealedTest(pictures, {"epochs": 1}, tmp_path)
    again.open("second look")
    assert [look["purpose"] for look in sealed.openings] == ["first look", "second look"]
    assert again.recorded_at == sealed.recorded_at <= sealed.openings[0]["at"]
    with pytest.raises(CheckpointError, match=r"another configuration .* Give another --out"):
        SealedTest(pictures, {"epochs": 2}, tmp_path)
    before = (tmp_path / "openings.json").stat().st_ino
    (tmp_path / "shadows").mkdir()
    (tmp_path / "shadows" / "0.json").write_text("{")
    start_over(tmp_path)  # as where files of the run are damaged: what was looked at stays
    assert (tmp_path / "openings.json").stat().st_ino == before  # it was never away, whenever a kill might have come
    assert [path.name for path in tmp_path.iterdir()] == ["openings.json"]
    other = SealedTest(pictures, {"epochs": 2}, tmp_path)
    other.open("third look")
    looks = [(look["purpose"], look["configuration"] == other.digest) for look in other.openings]
    assert looks == [("first look", False), ("second look", False), ("third look", True)]
    log = tmp_path / "openings.json"
    log.write_text(log.read_text().replace("first look", "no look   "))
    with pytest.raises(CheckpointError, match="damaged"):
        _ = again.openings
    start_over(tmp_path)
    assert not list(tmp_path.iterdir())


def figures(**values: list[float]) -> dict[str, dict[str, dict[str, list[float]]]]:
    return {name: {"accuracy": {"values": own}, "auc": {"values": own}} for name, own in values.items()}


@pytest.mark.parametrize(
    ("mine", "others", "said"),
    [
        ([0.95, 0.951, 0.949, 0.95, 0.952], [0.949, 0.951, 0.95, 0.95, 0.951], "within half a point of the strong CNN"),
        ([0.97, 0.971, 0.969, 0.972, 0.97], [0.95, 0.952, 0.951, 0.95, 0.949], "within half a point of the strong CNN"),
        ([0.90, 0.901, 0.899, 0.902, 0.90], [0.95, 0.952, 0.951, 0.95, 0.949], "is worse than the strong CNN"),
        ([0.90, 0.95, 0.93, 0.97, 0.91], [0.93, 0.92, 0.95, 0.94, 0.95], "is undecided"),
    ],
)
def test_the_verdict_says_what_the_seeds_allow(mine: list[float], others: list[float], said: str) -> None:
    found = comparisons_of(figures(hybrid=mine, strong_cnn=others))
    assert said in verdict_of(found, 5)
    expected = ttest_1samp(np.subtract(mine, others), -0.005, alternative="greater").pvalue
    assert found[0]["p_worse"] == pytest.approx(expected)


def test_one_seed_decides_nothing() -> None:
    assert comparisons_of(figures(hybrid=[0.9], strong_cnn=[0.8])) == []
    assert verdict_of([], 1).startswith("Undecided: 1 seed")
