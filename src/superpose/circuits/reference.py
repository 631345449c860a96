"""A slow, plain NumPy simulator that the tests hold every fast path to. For at most a dozen qubits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from superpose.circuits.circuit import Circuit
from superpose.circuits.gates import GATES
from superpose.circuits.observables import Observable
from superpose.errors import ProgramError

__all__ = ["expectation", "probabilities", "state_vector", "unitary"]

MAX_QUBITS = 20

Complex = npt.NDArray[np.complex128]


def state_vector(
    circuit: Circuit, params: Mapping[str, float] | None = None, initial_state: npt.ArrayLike | None = None
) -> Complex:
    """Return the final state, complex128 ``(2**n_qubits,)``, from ``|0...0>`` or ``initial_state``.

    Raises:
        ParameterUnboundError: A parameter has no value.
        ProgramError: More than 20 qubits, or an initial state of another shape.

    Cost: ``2**n_qubits`` numbers per instruction, each through a copy.
    """
    n, d = circuit.n_qubits, _dimension(circuit)
    if initial_state is None:
        state: Complex = np.zeros(d, dtype=np.complex128)
        state[0] = 1.0
    else:
        state = np.array(initial_state, dtype=np.complex128)
    if state.shape != (d,):
        raise ProgramError(f"initial_state must have shape ({d},), got {state.shape}.")
    return _apply(circuit, params or {}, state.reshape((2,) * n)).reshape(d)


def unitary(circuit: Circuit, params: Mapping[str, float] | None = None) -> Complex:
    """Return the circuit's matrix, complex128 ``(2**n_qubits, 2**n_qubits)``, global phase included."""
    n, d = circuit.n_qubits, _dimension(circuit)
    columns = np.eye(d, dtype=np.complex128).reshape((2,) * n + (d,))
    return _apply(circuit, params or {}, columns).reshape(d, d)


def expectation(
    circuit: Circuit,
    observable: Observable,
    params: Mapping[str, float] | None = None,
    initial_state: npt.ArrayLike | None = None,
) -> float:
    """Return the expectation of ``observable`` in the final state.

    >>> round(expectation(Circuit(2).h(0).cx(0, 1), Observable({"ZZ": 1.0, "XX": 0.5})), 12)
    1.5
    """
    state = state_vector(circuit, params, initial_state)
    total = 0.0
    for pauli, coefficient in observable.terms:
        image = Circuit(circuit.n_qubits)
        for qubit, letter in enumerate(pauli):
            image.append("id" if letter == "I" else letter.lower(), (qubit,))
        total += coefficient * float(np.vdot(state, state_vector(image, initial_state=state)).real)
    return total


def probabilities(circuit: Circuit, params: Mapping[str, float] | None = None) -> npt.NDArray[np.float64]:
    """Return the probability of each basis state, float64 ``(2**n_qubits,)``, qubit 0 the most significant bit."""
    return np.abs(state_vector(circuit, params)) ** 2


def _apply(circuit: Circuit, params: Mapping[str, float], state: Complex) -> Complex:
    for item in circuit.gate_calls():
        k = len(item.qubits)
        matrix = GATES[item.gate].matrix([float(angle.evaluate(params)) for angle in item.angles])
        axes = (tuple(range(k, 2 * k)), item.qubits)
        product: Complex = np.asarray(np.tensordot(matrix.reshape((2,) * (2 * k)), state, axes))
        state = np.moveaxis(product, range(k), item.qubits)  # tensordot left the gate's axes in front
    return state


def _dimension(circuit: Circuit) -> int:
    if circuit.n_qubits > MAX_QUBITS:
        raise ProgramError(f"The reference takes at most {MAX_QUBITS} qubits, got {circuit.n_qubits}; use a backend.")
    return int(2**circuit.n_qubits)
