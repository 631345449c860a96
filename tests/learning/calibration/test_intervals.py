"""Intervals around numbers: ranks, coverage, what a model file keeps of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from superpose.errors import (
    ModelFileCorruptError,
    ModelPredictsClassesError,
    ModelPredictsNumbersError,
    SafeguardAbsentError,
)
from superpose.learning import HybridClassifier, HybridRegressor, Predictor, read_model
from superpose.learning.calibration.asking import Asked
from superpose.learning.calibration.fitting import fit_novelty
from superpose.learning.calibration.intervals import NumberInterval, conformal_reach, fewest_residuals
from superpose.learning.calibration.safeguards import AbstainRule, Safeguards
from superpose.learning.model_file import encode_model

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def regressor() -> HybridRegressor:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    return HybridRegressor(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows, rows @ [1.0, -2.0])


def test_the_ranks_are_those_of_the_definition() -> None:
    for coverage in (0.5, 0.8, 0.9, 0.95):
        for n in range(fewest_residuals(coverage), 60):
            low, high = conformal_reach(np.arange(1.0, n + 1.0), coverage)
            outside = (n + 1) * (1 - coverage) / 2
            assert low <= outside + 1e-9 and n + 1 - high <= outside + 1e-9  # no more than half of it at either end
            assert low + 1 > outside - 1e-9 and n + 2 - high > outside - 1e-9  # and no rank to spare
        assert conformal_reach(np.array([1.0]), coverage) == (1.0, 1.0)
        with pytest.raises(ValueError, match=f"at least {fewest_residuals(coverage)} rows"):
            NumberInterval.from_residuals(coverage, np.zeros(fewest_residuals(coverage) - 1))


def test_exchangeable_numbers_are_held_as_often_as_stated() -> None:
    """2,000 draws of 19 residuals and a new one at 80 %: the share held is 0.8 within four standard errors."""
    drawn = np.random.default_rng(1).standard_t(3, size=(2_000, 20))
    held = 0
    for row in drawn:
        low, high = NumberInterval.from_residuals(0.8, row[:19]).around(np.array([5.0]))[0]
        held += low <= 5.0 + row[19] <= high
    assert abs(held / 2_000 - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 2_000)


def test_counts_at_the_ends_are_held_however_their_prediction_is_rounded() -> None:
    drawn = np.random.default_rng(3)
    numbers = np.array([0.1, 0.7, 1300.3])[drawn.integers(3, size=200)]
    counts = np.rint(numbers) + drawn.integers(3, size=200)
    interval = NumberInterval.from_residuals(0.8, counts - numbers)
    held = []
    for rounded in (np.nextafter(numbers, -np.inf), numbers, np.nextafter(numbers, np.inf)):
        low, high = interval.around(rounded).T
        held.append(float(np.mean((low <= counts) & (counts <= high))))
    assert held[0] == held[1] == held[2] >= 0.8


def test_a_model_file_keeps_the_interval_and_the_predictor_gives_it(regressor: HybridRegressor, tmp_path: Path) -> None:
    interval = NumberInterval.from_residuals(0.8, np.linspace(-1.0, 3.0, 41))
    rows = np.array([[0.5, 1.0], [0.1, -1.0]])
    encoded = regressor.preprocessor_.transform(np.random.default_rng(2).normal(size=(50, 2)))
    kept = Safeguards(interval=interval, novelty=fit_novelty(encoded[:40], encoded[40:]))
    regressor.save(tmp_path / "y.superpose", safeguards=kept)
    predictor = Predictor.load(tmp_path / "y.superpose")
    numbers = np.array(predictor.predict(rows))
    assert predictor.target == "y" and predictor.interval == interval
    assert np.allclose(predictor.predict_intervals(rows), np.stack([numbers - 0.7, numbers + 2.7], axis=1))
    assert np.allclose(predictor.numbers_encoded(predictor.encode(rows)), numbers)
    with pytest.raises(ModelPredictsNumbersError):
        predictor.detailed(rows, Asked(prediction_set=True))


def test_what_is_of_classes_is_refused_of_numbers_and_the_other_way_round(
    regressor: HybridRegressor, tmp_path: Path
) -> None:
    interval = NumberInterval(0.8, -1.0, 1.0, 30)
    with pytest.raises(ValueError, match="intervals are for numbers"):
        Safeguards(interval=interval).check(2, 30)
    with pytest.raises(ValueError, match="intervals are for numbers"):
        encode_model(regressor.to_trained_model(), None, Safeguards(abstain=AbstainRule("probability", 0.8)))
    for wrong in ({"coverage": 1.0}, {"below": 2.0}, {"above": math.inf}):
        with pytest.raises(ValueError, match="coverage must be between"):
            replace(interval, **wrong)
    regressor.save(tmp_path / "y.superpose")
    predictor = Predictor.load(tmp_path / "y.superpose")
    with pytest.raises(SafeguardAbsentError, match="keeps no interval"):
        predictor.predict_intervals([[0.0, 0.0]])
    rows = np.random.default_rng(0).normal(size=(20, 2))
    classifier = HybridClassifier(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows, rows[:, 0] > 0)
    classifier.save(tmp_path / "c.superpose")
    with pytest.raises(ModelPredictsClassesError, match="one of 2 classes"):
        Predictor.load(tmp_path / "c.superpose").predict_intervals(rows)


def test_a_file_whose_interval_is_none_is_damaged(regressor: HybridRegressor) -> None:
    content, _ = encode_model(regressor.to_trained_model(), None, Safeguards(interval=NumberInterval(0.8, -1, 1, 9)))
    assert read_model(content).safeguards.interval == NumberInterval(0.8, -1.0, 1.0, 9)
    with pytest.raises(ModelFileCorruptError):
        read_model(content.replace(b'"coverage": 0.8', b'"coverage": 1.8'))
