"""The reference simulator against known states, and against itself two ways."""

import numpy as np
import pytest
from hypothesis import given, settings

from superpose.circuits import Circuit, Observable, Parameter
from superpose.circuits.reference import expectation, probabilities, state_vector, unitary
from superpose.errors import ParameterUnboundError, ProgramError
from superpose.testing.strategies import circuits

R = 0.5**0.5


def test_known_states():
    np.testing.assert_allclose(state_vector(Circuit(2).h(0).cx(0, 1)), [R, 0, 0, R], atol=1e-15)
    np.testing.assert_allclose(state_vector(Circuit(2).x(1)), [0, 1, 0, 0])
    np.testing.assert_allclose(state_vector(Circuit(1).h(0).s(0)), [R, R * 1j])
    np.testing.assert_allclose(probabilities(Circuit(1).ry(np.pi / 3, 0)), [0.75, 0.25])


@settings(deadline=None, max_examples=40)
@given(circuits())
def test_unitary_and_state_agree(circuit):
    params = {name: 0.3 for name in circuit.parameters}
    matrix, rng = unitary(circuit, params), np.random.default_rng(0)
    state = rng.normal(size=2**circuit.n_qubits) + 1j * rng.normal(size=2**circuit.n_qubits)
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(len(state)), atol=1e-12)
    np.testing.assert_allclose(state_vector(circuit, params), matrix[:, 0], atol=1e-12)
    np.testing.assert_allclose(state_vector(circuit, params, state), matrix @ state, atol=1e-12)


def test_expectation():
    circuit = Circuit(2).ry(Parameter("t"), 0).cx(0, 1)
    params = {"t": 0.4}
    observable = Observable({"ZI": 0.5, "XX": 2.0, "YY": -1.0, "II": 3.0})
    state = state_vector(circuit, params)
    wanted = np.vdot(state, observable.matrix() @ state).real
    assert expectation(circuit, observable, params) == pytest.approx(wanted, abs=1e-14)
    assert expectation(Circuit(1), Observable("Z"), initial_state=[0, 1]) == -1


def test_refused():
    with pytest.raises(ParameterUnboundError):
        state_vector(Circuit(1).rx(Parameter("t"), 0))
    with pytest.raises(ProgramError, match="at most 20 qubits"):
        state_vector(Circuit(21))
    with pytest.raises(ProgramError, match="shape"):
        state_vector(Circuit(1), initial_state=[1, 0, 0])
