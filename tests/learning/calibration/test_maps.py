"""Calibrated probabilities: against scikit-learn, against what is known of them, and on classes drawn from them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import ecdf
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import precision_recall_curve

from superpose.learning.calibration.fitting import chosen_method, fit_isotonic, fit_map, fit_temperature, halves
from superpose.learning.calibration.maps import MAPS, Isotonic, Temperature
from superpose.learning.calibration.reliability import (
    abstaining_curve,
    calibration_error,
    log_loss,
    reliability_bins,
)

Floats = NDArray[np.float64]


def overconfident(n_rows: int, n_classes: int, factor: float, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Probabilities whose scores are ``factor`` times those that the classes were drawn by, and the classes."""
    drawn = np.random.default_rng(seed)
    scores = drawn.normal(size=(n_rows, n_classes)) * 1.5
    honest = softmax(scores, axis=1)
    truth = (drawn.random(n_rows)[:, None] > honest.cumsum(axis=1)).sum(axis=1)
    return softmax(scores * factor, axis=1), truth


class Given(ClassifierMixin, BaseEstimator):
    """A fitted scikit-learn classifier whose probabilities are the rows that it is handed."""

    def fit(self, rows: Floats, truth: object) -> Given:
        self.classes_ = np.arange(rows.shape[1])
        return self

    def predict_proba(self, rows: Floats) -> Floats:
        return rows

    def predict(self, rows: Floats) -> Floats:
        return rows.argmax(axis=1)


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_temperature_finds_the_factor_that_was_put_in(factor: float) -> None:
    probabilities, truth = overconfident(20_000, 3, factor, 0)
    assert fit_temperature(probabilities, truth).temperature == pytest.approx(factor, rel=0.05)


def test_temperature_is_the_softmax_of_divided_scores_and_the_least_loss() -> None:
    """Of 20,000 rows the smoothed targets are as good as the classes."""
    scores = np.random.default_rng(1).normal(size=(50, 4)) * 5
    applied = Temperature(2.5).apply(softmax(scores, axis=1))
    np.testing.assert_allclose(applied, softmax(scores / 2.5, axis=1), atol=1e-14)
    probabilities, truth = overconfident(20_000, 4, 2.0, 2)
    found = fit_temperature(probabilities, truth)
    for other in (0.99, 1.01):
        worse = Temperature(found.temperature * other).apply(probabilities)
        assert log_loss(truth, found.apply(probabilities)) < log_loss(truth, worse)
    np.testing.assert_array_equal(found.apply(probabilities).argmax(axis=1), probabilities.argmax(axis=1))
    assert np.isfinite(Temperature(3.0).apply(np.array([[0.0, 1.0]]))).all()


def test_rows_that_are_all_right_do_not_make_a_model_certain() -> None:
    """Plain log loss would take the temperature to 0; n right rows in a row speak for no more than 1 - 1 / (n + 2)."""
    sure = np.array([[0.9, 0.1]] * 20 + [[0.1, 0.9]] * 20)
    after = fit_temperature(sure, np.array([0] * 20 + [1] * 20)).apply(sure)
    np.testing.assert_allclose(after.max(axis=1), 1 - 1 / 42, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_isotonic_is_scikit_learns_but_for_certainty(n_classes: int) -> None:
    probabilities, truth = overconfident(400, n_classes, 3.0, 3)
    new = overconfident(200, n_classes, 3.0, 4)[0]
    ours = fit_isotonic(probabilities, truth)
    fitted = FrozenEstimator(Given().fit(probabilities, truth))
    reference = CalibratedClassifierCV(fitted, method="isotonic").fit(probabilities, truth)
    curves = reference.calibrated_classifiers_[0].calibrators
    columns = [1] if n_classes == 2 else range(n_classes)
    for rows, tolerance in ((probabilities, 1e-12), (new, 5e-3)):  # between its knots a bounded curve bends otherwise
        bounded = [np.clip(c.predict(rows[:, i]), 1 / 402, 1 - 1 / 402) for c, i in zip(curves, columns, strict=True)]
        one_by_one = np.stack([1 - bounded[0], *bounded] if n_classes == 2 else bounded, axis=1)
        expected = one_by_one / one_by_one.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(ours.apply(rows), expected, atol=tolerance, rtol=0)
    assert ours.fits(n_classes)
    assert not ours.fits(n_classes + 1)


@pytest.mark.parametrize("method", list(MAPS))
@pytest.mark.parametrize("n_classes", [2, 4])
def test_every_method_improves_what_is_overconfident_and_comes_back_from_its_parts(method: str, n_classes: int) -> None:
    probabilities, truth = overconfident(1_000, n_classes, 3.0, 5)
    new, new_truth = overconfident(4_000, n_classes, 3.0, 6)
    fitted = fit_map(method, probabilities, truth)
    assert fitted is not None
    after = fitted.apply(new)
    np.testing.assert_allclose(after.sum(axis=1), 1.0, atol=1e-12)
    assert calibration_error(new_truth, after) < 0.5 * calibration_error(new_truth, new)
    assert log_loss(new_truth, after) < log_loss(new_truth, new)
    description, arrays = fitted.to_parts()
    np.testing.assert_array_equal(MAPS[method].from_parts(description, arrays).apply(new), after)


def test_auto_takes_what_loses_least_out_of_fold_and_leaves_honest_probabilities_alone() -> None:
    probabilities, truth = overconfident(600, 3, 3.0, 7)
    method, losses = chosen_method(probabilities, truth, 0)
    assert set(losses) == {"none", "temperature", "isotonic"}
    assert method == min(losses, key=lambda name: losses[name]) == "temperature"
    bent = np.stack([1 - (p := probabilities[:, 1] ** 4 / 3), p], axis=1)
    drawn = (np.random.default_rng(8).random(600) < probabilities[:, 1]).astype(int)
    assert chosen_method(bent, drawn, 0)[0] == "isotonic"
    honest, classes = overconfident(4_000, 2, 1.0, 9)
    _, losses = chosen_method(honest, classes, 0)
    assert losses["none"] <= losses["isotonic"]
    assert set(chosen_method(honest[:40], classes[:40], 0)[1]) == {"none", "temperature"}


def test_halves_part_all_rows_with_each_class_in_proportion() -> None:
    truth = np.array([0] * 21 + [1] * 40 + [2] * 3)
    first, second = halves(truth, 3)
    assert sorted([*first, *second]) == list(range(64))
    assert abs(np.bincount(truth[first]) - np.bincount(truth[second])).max() <= 1
    np.testing.assert_array_equal(first, halves(truth, 3)[0])


def test_figures_are_scikit_learns_and_those_of_a_hand_made_case() -> None:
    probabilities, truth = overconfident(500, 2, 2.0, 10)
    assert log_loss(truth, probabilities) == pytest.approx(sklearn_log_loss(truth, probabilities), rel=1e-12)
    bins = reliability_bins(truth, probabilities)
    right = (probabilities.argmax(axis=1) == truth).astype(int)
    shares, means = calibration_curve(right, probabilities.max(axis=1), n_bins=15)
    np.testing.assert_allclose([b["accuracy"] for b in bins], shares)
    np.testing.assert_allclose([b["confidence"] for b in bins], means)
    assert sum(b["n_rows"] for b in bins) == 500
    weights = [b["n_rows"] / 500 for b in bins]
    assert calibration_error(truth, probabilities) == pytest.approx(np.dot(weights, np.abs(shares - means)))
    hand = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    assert calibration_error(np.array([0, 1, 1, 1]), hand) == pytest.approx((2 * 0.4 + 0.2 + 0.4) / 4)
    curve = abstaining_curve(np.array([0, 1, 1, 1]), hand)
    assert (curve[0]["answered"], curve[0]["accuracy"], curve[0]["below"]) == (1.0, 0.75, 0.6)
    assert (curve[-1]["answered"], curve[-1]["accuracy"]) == (0.5, 0.5)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_abstaining_curve_is_that_of_scikit_learn_and_scipy(n_classes: int) -> None:
    """Where a right answer is what is to be found and sureness its score, accuracy of what is answered is precision;
    the share answered is the survival function of sureness.
    """
    probabilities, truth = overconfident(700, n_classes, 2.0, 11)
    probabilities = np.round(probabilities, 2)  # equal ones too
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    precision, _, thresholds = precision_recall_curve(right, sure)
    expected = dict(zip(thresholds.tolist(), precision.tolist(), strict=False))
    beyond = ecdf(sure).sf
    curve = abstaining_curve(truth, probabilities)
    assert [round(point["answered"], 1) for point in curve] != [1.0] * len(curve)
    for point, share in zip(curve, (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5), strict=True):
        assert point["accuracy"] == pytest.approx(expected[point["below"]], rel=1e-12)
        assert point["answered"] == pytest.approx(float(beyond.evaluate(point["below"] - 1e-9)), rel=1e-12)
        assert point["answered"] >= share - 1e-9 > float(beyond.evaluate(point["below"])) - 0.01


@pytest.mark.parametrize(
    "curve",
    [
        (np.array([0.2, 0.1]), np.array([0.1, 0.2])),
        (np.array([0.1, 0.2]), np.array([0.2, 0.1])),
        (np.array([0.1, 0.2]), np.array([0.0, 0.2])),
        (np.array([0.1, np.nan]), np.array([0.1, 0.2])),
        (np.array([]), np.array([])),
    ],
)
def test_curves_that_are_none_are_refused(curve: tuple[Floats, Floats]) -> None:
    with pytest.raises(ValueError, match="curve"):
        Isotonic((curve,))
    with pytest.raises(ValueError, match="temperature"):
        Temperature(float("nan"))
