"""The quantum metric learner: distances of mean states against density matrices, its gradient, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

import superpose
from superpose.errors import SpecError
from superpose.learning.families import MetricLearnerClassifier
from superpose.learning.families.metric_learner import _overlap_of_classes


def test_rows_go_to_the_class_of_the_nearest_mean_state() -> None:
    rows, labels = load_iris(return_X_y=True)
    model = MetricLearnerClassifier(n_qubits=2, max_iterations=5, random_state=0).fit(rows, labels)
    (block,) = model.quantum_blocks_
    angles = model.preprocessor_.transform(rows) @ model.slopes_ + model.offsets_
    values = dict(zip(block.angle_names, angles.T, strict=True)) | dict(
        zip(block.weight_names, model.weights_, strict=True)
    )
    states = superpose.run(block.circuit, values).state_vectors
    densities = np.einsum("bi,bj->bij", states, states.conj())
    means = [densities[labels == label].mean(axis=0) for label in range(3)]
    distances = np.array([[np.linalg.norm(density - mean) ** 2 for mean in means] for density in densities])
    scores = np.exp(-model.temperature_ * (distances - distances.min(axis=1, keepdims=True)))
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(rows), expected, rtol=0, atol=1e-9)
    gaps = [np.linalg.norm(means[i] - means[j]) ** 2 for i, j in ((0, 1), (0, 2), (1, 2))]
    expectations = np.array([[np.trace(d @ observable_matrix(string)).real for string in strings()] for d in densities])
    assert _overlap_of_classes(expectations, labels, 3)[0] == pytest.approx(1 - np.mean(gaps) / 2, abs=1e-12)


def strings() -> list[str]:
    """Pauli strings of two qubits but the identity."""
    return [a + b for a in "IXYZ" for b in "IXYZ"][1:]


def observable_matrix(string: str) -> np.ndarray:
    """The matrix of a Pauli string of two qubits."""
    pauli = {
        "I": np.eye(2),
        "X": np.array([[0, 1], [1, 0]]),
        "Y": np.array([[0, -1j], [1j, 0]]),
        "Z": np.diag([1, -1]),
    }
    return np.kron(pauli[string[0]], pauli[string[1]])


def test_the_loss_has_the_gradient_of_finite_differences() -> None:
    random = np.random.default_rng(0)
    expectations, codes = random.normal(size=(6, 15)), np.array([0, 1, 2, 0, 1, 2])
    _, grad = _overlap_of_classes(expectations, codes, 3)
    for place in [(0, 0), (1, 7), (5, 14)]:
        step = np.zeros_like(expectations)
        step[place] = 1e-5
        above, below = (_overlap_of_classes(expectations + sign * step, codes, 3)[0] for sign in (1, -1))
        assert grad[place] == pytest.approx((above - below) / 2e-5, abs=1e-8)


def test_training_parts_the_classes() -> None:
    rows, labels = load_iris(return_X_y=True)
    short = MetricLearnerClassifier(n_qubits=2, max_iterations=1, random_state=0).fit(rows, labels)
    long = MetricLearnerClassifier(n_qubits=2, max_iterations=40, random_state=0).fit(rows, labels)

    def gap(model: MetricLearnerClassifier) -> float:
        means = model.means_
        return min(float(((means[i] - means[j]) ** 2).sum()) for i, j in ((0, 1), (0, 2), (1, 2)))

    assert gap(long) > gap(short)
    with pytest.raises(SpecError, match="regularization"):
        MetricLearnerClassifier(regularization=-1.0).fit(rows, labels)
