"""The quantum Boltzmann machine: thermal states and gradients against SciPy, the twin, classes beyond two."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from sklearn.datasets import load_iris

from superpose.errors import SpecError
from superpose.learning.families import BoltzmannMachineClassifier
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
