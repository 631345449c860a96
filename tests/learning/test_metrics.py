"""Metrics against scikit-learn and against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference

from superpose.learning.metrics import METRICS, evaluate


def predictions(n_rows: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which every class occurs, and probabilities with ties."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n_rows - n_classes)])
    scores = np.round(rng.random((n_rows, n_classes)) + 0.5 * np.eye(n_classes)[truth], 1) + 0.01
    return truth, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_two_classes_agree_with_scikit_learn(seed: int) -> None:
    truth, probabilities = predictions(80, 2, seed)
    predicted = probabilities.argmax(axis=1)
    for positive in (0, 1):
        found = evaluate(truth, probabilities, positive)
        is_positive = truth == positive
        assert found["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
        assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, predicted))
        assert found["auc"] == pytest.approx(reference.roc_auc_score(is_positive, probabilities[:, positive]))
        assert found["sensitivity"] == pytest.approx(reference.recall_score(is_positive, predicted == positive))
        assert found["specificity"] == pytest.approx(reference.recall_score(~is_positive, predicted != positive))
        assert found["brier"] == pytest.approx(reference.brier_score_loss(is_positive, probabilities[:, positive]))


@pytest.mark.parametrize("seed", range(5))
def test_more_classes_agree_with_scikit_learn(seed: int) -> None:
    truth, probabilities = predictions(120, 4, seed)
    predicted = probabilities.argmax(axis=1)
    found = evaluate(truth, probabilities)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert found["auc"] == pytest.approx(reference.roc_auc_score(truth, probabilities, multi_class="ovr"))
    assert found["sensitivity"] == pytest.approx(reference.recall_score(truth, predicted, average="macro"))
    each = [reference.recall_score(truth != c, predicted != c) for c in range(4)]
    assert found["specificity"] == pytest.approx(np.mean(each))
    assert found["brier"] == pytest.approx(0.5 * np.mean(((probabilities - np.eye(4)[truth]) ** 2).sum(axis=1)))


def test_perfect_and_hopeless_predictions() -> None:
    truth = np.array([0, 1, 1, 0])
    perfect = np.eye(2)[truth]
    assert evaluate(truth, perfect) == {name: float(row.higher_is_better) for name, row in METRICS.items()}
    hopeless = evaluate(truth, 1.0 - perfect)
    assert hopeless["accuracy"] == hopeless["auc"] == 0.0
    assert hopeless["brier"] == 1.0


def test_a_class_that_does_not_occur_gives_nan_not_a_wrong_number() -> None:
    truth = np.zeros(3, dtype=int)
    found = evaluate(truth, np.full((3, 2), 0.5), 1)
    assert np.isnan(found["auc"])
    assert np.isnan(found["sensitivity"])
    assert found["accuracy"] == 1.0
