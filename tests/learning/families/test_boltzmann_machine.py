"""The quantum Boltzmann machine: thermal states and gradients against SciPy, the twin, classes beyond two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from sklearn.datasets import load_iris
from sklearn.metrics import log_loss

from superpose.datasets.generated import generate
from superpose.errors import SpecError
from superpose.learning.families import BoltzmannMachineClassifier, load_family
from superpose.learning.families.boltzmann_machine import hamiltonian_terms


def test_probabilities_are_those_of_thermal_states() -> None:
    rows, labels = load_iris(return_X_y=True)
    model = BoltzmannMachineClassifier(n_qubits=3, max_iterations=20, random_state=0).fit(rows, labels)
    terms = hamiltonian_terms(3, True)
    for row in rows[::30]:
        encoded = np.append(model.preprocessor_.transform(row[None])[0], 1.0)
        state = scipy.linalg.expm(-np.tensordot(encoded @ model.coefficients_, terms, 1))
        weights = np.diag(state).reshape(4, 2).sum(axis=1)[:3]  # two output qubits of three
        np.testing.assert_allclose(model.predict_proba(row[None])[0], weights / weights.sum(), atol=1e-9)


@pytest.mark.parametrize("separable", [False, True])
def test_gradients_equal_finite_differences(separable: bool) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = BoltzmannMachineClassifier(n_qubits=3, max_iterations=1, separable=separable, random_state=0)
    model.fit(rows, labels)
    random = np.random.default_rng(0)
    coefficients = random.normal(size=(5, len(hamiltonian_terms(3, not separable))))
    coefficients[0] = 0.0  # all eigenvalues alike
    codes = np.array([0, 1, 2, 1, 0])
    _, slopes = model._loss(coefficients, codes)
    numeric = np.zeros_like(slopes)
    for place in np.ndindex(*slopes.shape):
        step = np.zeros_like(coefficients)
        step[place] = 1e-5
        numeric[place] = (
            model._loss(coefficients + step, codes)[0] - model._loss(coefficients - step, codes)[0]
        ) / 2e-5
    np.testing.assert_allclose(slopes, numeric, rtol=0, atol=1e-8)


def test_the_twin_s_hamiltonian_acts_on_single_qubits() -> None:
    terms = hamiltonian_terms(3, False)
    assert len(terms) == 6 and len(hamiltonian_terms(3, True)) == 9
    for term in terms:
        as_tensor = term.reshape((2,) * 6)
        trivial = 0
        for qubit in range(3):
            moved = np.moveaxis(as_tensor, (qubit, qubit + 3), (0, 1))
            alike = np.array_equal(moved[0, 0], moved[1, 1]) and not moved[0, 1].any() and not moved[1, 0].any()
            trivial += alike
        assert trivial == 2, "the identity on all qubits but one"


def test_too_few_qubits_for_the_classes_are_refused() -> None:
    rows, labels = load_iris(return_X_y=True)
    with pytest.raises(SpecError, match="at least 2 for 3 classes"):
        BoltzmannMachineClassifier(n_qubits=1).fit(rows, labels)
    with pytest.raises(SpecError, match="regularization"):
        BoltzmannMachineClassifier(regularization=-1.0).fit(rows, labels)


def test_the_regularization_suits_the_rows_and_is_kept_in_the_file(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    noisy = random.normal(size=(160, 6))
    labels = (noisy[:, 0] + random.normal(scale=1.5, size=160) > 0).astype(int)
    strong = BoltzmannMachineClassifier(n_qubits=2, random_state=0).fit(noisy, labels)
    assert strong.regularization_ == 0.1
    free = BoltzmannMachineClassifier(n_qubits=2, regularization=0.0, random_state=0).fit(noisy, labels)
    fresh = random.normal(size=(2000, 6))
    answers = (fresh[:, 0] + random.normal(scale=1.5, size=2000) > 0).astype(int)
    assert log_loss(answers, strong.predict_proba(fresh)) < log_loss(answers, free.predict_proba(fresh)) - 0.1

    curves = generate("two_curves_diff", 4, seed=3)
    weak = BoltzmannMachineClassifier(random_state=0).fit(curves.train, curves.train_labels)
    assert weak.regularization_ < 0.1
    as_given = BoltzmannMachineClassifier(regularization=weak.regularization_, random_state=0)
    as_given.fit(curves.train, curves.train_labels)
    np.testing.assert_array_equal(weak.coefficients_, as_given.coefficients_)

    digest = strong.save(tmp_path / "machine.superpose")
    read = load_family(tmp_path / "machine.superpose", digest)
    assert read.regularization_ == 0.1
    assert read.regularization is None


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 1, 2, 0, 1, 2]])
def test_too_few_rows_to_choose_by_get_the_strongest(labels: list[int]) -> None:
    rows = np.random.default_rng(0).normal(size=(len(labels), 2))
    assert BoltzmannMachineClassifier(n_qubits=2, random_state=0).fit(rows, labels).regularization_ == 0.1
