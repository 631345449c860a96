"""`HybridClassifier` with calibrated probabilities, prediction sets and abstaining, by scikit-learn's conventions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binom
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score

from superpose import HybridClassifier, load_model
from superpose.errors import SafeguardAbsentError, SpecError
from superpose.learning import Predictor
from superpose.learning.calibration.asking import Asked
from superpose.learning.estimator import early_stopping_split

ROWS, LABELS = load_breast_cancer(return_X_y=True)
TRAIN, TEST = np.arange(0, 569, 2), np.arange(1, 569, 2)
SMALL: dict[str, Any] = {"n_qubits": 2, "layers": 1, "epochs": 6, "random_state": 3, "validation_fraction": 0.3}


@pytest.fixture(scope="module")
def plain() -> HybridClassifier:
    return HybridClassifier(**SMALL).fit(ROWS[TRAIN], LABELS[TRAIN])


@pytest.fixture(scope="module")
def guarded() -> HybridClassifier:
    asked = HybridClassifier(**SMALL, calibration="temperature", conformal=0.9, abstain_below=0.95)
    return asked.fit(ROWS[TRAIN], LABELS[TRAIN])


def held_out() -> np.ndarray:
    """The rows that decide when to stop, which is the split of the estimator."""
    return early_stopping_split(LABELS[TRAIN], 0.3, 3)[1]


def test_temperature_alone_is_the_least_loss_on_the_rows_held_out(plain: HybridClassifier) -> None:
    """Against a fine grid of softmaxes by SciPy, with Platt's targets; training is as without."""
    model = HybridClassifier(**SMALL, calibration="temperature").fit(ROWS[TRAIN], LABELS[TRAIN])
    held = held_out()
    logs = np.log(plain.predict_proba(ROWS[TRAIN][held]))
    right = np.eye(2)[LABELS[TRAIN][held]]
    targets = np.where(right == 1, 1 - 1 / (len(held) + 2), 1 / (len(held) + 2))
    grid = np.exp(np.linspace(-3, 3, 6_001))
    losses = [-np.mean(np.sum(targets * np.log(softmax(logs / t, axis=1)), axis=1)) for t in grid]
    best = grid[int(np.argmin(losses))]
    np.testing.assert_allclose(
        model.predict_proba(ROWS[TEST]), softmax(np.log(plain.predict_proba(ROWS[TEST])) / best, axis=1), atol=1e-3
    )
    assert model.history_ == plain.history_
    np.testing.assert_array_equal(model.predict(ROWS[TEST]), plain.predict(ROWS[TEST]))


def test_isotonic_is_scikit_learns(plain: HybridClassifier) -> None:
    model = HybridClassifier(**SMALL, calibration="isotonic").fit(ROWS[TRAIN], LABELS[TRAIN])
    held = held_out()
    bound = 1 / (len(held) + 2)
    curve = IsotonicRegression(y_min=bound, y_max=1 - bound, out_of_bounds="clip")
    curve.fit(plain.predict_proba(ROWS[TRAIN][held])[:, 1], LABELS[TRAIN][held])
    expected = curve.predict(plain.predict_proba(ROWS[TEST])[:, 1])
    np.testing.assert_allclose(model.predict_proba(ROWS[TEST])[:, 1], expected, atol=1e-9)


def test_sets_hold_the_true_class_and_are_those_of_the_served_file(guarded: HybridClassifier, tmp_path: Path) -> None:
    sets = guarded.predict_set(ROWS[TEST])
    assert sets.shape == (len(TEST), 2) and sets.any(axis=1).all()
    n_covered = int(sets[np.arange(len(TEST)), LABELS[TEST]].sum())
    assert n_covered >= binom.ppf(1e-4, len(TEST), 0.85)  # of 43 held-out rows; their chance is in the 0.85
    guarded.save(tmp_path / "guarded.superpose")
    predictor = Predictor.load(tmp_path / "guarded.superpose")
    served, details = predictor.detailed(ROWS[TEST], Asked(prediction_set=True, abstain=True, novelty=True))
    np.testing.assert_allclose(guarded.predict_proba(ROWS[TEST]), served, atol=1e-5)
    assert details.coverage == 0.9 and details.sets is not None and details.reasons is not None
    near = np.abs(served.max(axis=1) - 0.95) > 1e-4
    abstains = guarded.abstains(ROWS[TEST])
    assert [reason is not None for reason in np.array(details.reasons)[near]] == abstains[near].tolist()
    assert 0 < abstains.sum() < len(TEST)
    for row, told in zip(sets, details.sets, strict=True):
        assert {str(label) for label in guarded.classes_[row]} == set(told)


def test_a_file_keeps_the_options_and_what_they_gave(guarded: HybridClassifier, tmp_path: Path) -> None:
    guarded.save(tmp_path / "guarded.superpose")
    again = load_model(tmp_path / "guarded.superpose")
    assert (again.calibration, again.conformal, again.abstain_below) == ("temperature", 0.9, 0.95)
    np.testing.assert_array_equal(again.predict_proba(ROWS[TEST]), guarded.predict_proba(ROWS[TEST]))
    np.testing.assert_array_equal(again.predict_set(ROWS[TEST]), guarded.predict_set(ROWS[TEST]))
    assert again.save(tmp_path / "again.superpose") == guarded.save(tmp_path / "guarded.superpose")


def test_scikit_learn_clones_and_scores_it() -> None:
    model = clone(HybridClassifier(**SMALL, calibration="auto", conformal=0.8))
    assert (model.get_params()["calibration"], model.get_params()["conformal"]) == ("auto", 0.8)
    scores = cross_val_score(model, ROWS[TRAIN], LABELS[TRAIN], cv=2, scoring="neg_log_loss")
    assert np.isfinite(scores).all()
    fitted = model.fit(ROWS[TRAIN], LABELS[TRAIN])
    assert log_loss(LABELS[TEST], fitted.predict_proba(ROWS[TEST])) < 0.69


def test_what_was_not_asked_for_is_refused_by_name(plain: HybridClassifier) -> None:
    with pytest.raises(SafeguardAbsentError, match=r"conformal=0\.9"):
        plain.predict_set(ROWS)
    with pytest.raises(SafeguardAbsentError, match=r"abstain_below=0\.8"):
        plain.abstains(ROWS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calibration": "platt"}, "temperature"),
        ({"conformal": 0.3}, "conformal"),
        ({"abstain_below": 1.5}, "abstain"),
        ({"calibration": "isotonic", "validation_fraction": 0.1}, "needs at least 50 validation rows"),
        ({"conformal": 0.99}, "needs at least 99 validation rows"),
        ({"calibration": "temperature", "epsilon": 3.0}, "all rows train"),
    ],
)
def test_what_cannot_be_is_refused_before_training(options: dict[str, Any], said: str) -> None:
    watched = HybridClassifier(**{**SMALL, **options})
    with pytest.raises(SpecError, match=said):
        watched.fit(ROWS[TRAIN], LABELS[TRAIN])
    assert not hasattr(watched, "history_")
