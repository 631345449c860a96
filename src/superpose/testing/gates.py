"""What every row of the gate table must satisfy: one check per column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from superpose.circuits import GATES, Circuit, Gate, Observable, Step, from_qasm, to_qasm
from superpose.circuits.reference import unitary

__all__ = ["GATE_CHECKS", "check_gate"]

Complex = npt.NDArray[np.complex128]
TOLERANCE = 1e-12
DIFFERENCE_STEP = 1e-6
DIFFERENCE_TOLERANCE = 1e-8


def check_gate(gate: Gate) -> None:
    """Check that all columns of a row describe one gate; the tests run this on every row of the table.

    Raises:
        AssertionError: A column contradicts the matrix; the message names gate and column.
    """
    for check in GATE_CHECKS:
        check(gate)


def check_matrix(gate: Gate) -> None:
    """The matrix is unitary, of the right shape, and takes arrays of angles as it takes numbers."""
    d = 2**gate.n_qubits
    for angles in _angle_sets(gate):
        matrix = gate.matrix(angles)
        _require(gate, "matrix shape", matrix.shape == (d, d))
        _same(gate, "matrix unitary", matrix @ matrix.conj().T, np.eye(d))
        many = gate.matrix([np.full((2, 3), angle) for angle in angles])
        _same(gate, "matrix of arrays", many, np.broadcast_to(matrix, many.shape))


def check_inverse(gate: Gate) -> None:
    """The inverse undoes the gate, global phase included."""
    for angles in _angle_sets(gate):
        back = _circuit(gate, (gate.inverse,), angles)
        _same(gate, "inverse", unitary(back) @ gate.matrix(angles), np.eye(2**gate.n_qubits))


def check_generators(gate: Gate) -> None:
    """The generators are Hermitian and give the derivatives; a gate of one angle is their exponential."""
    for angles in _angle_sets(gate):
        generators, derivatives = gate.generators(angles), gate.derivatives(angles)
        _same(gate, "generators Hermitian", generators, generators.conj().swapaxes(-1, -2))
        for k in range(gate.n_angles):
            up, down = ([a + s * (i == k) for i, a in enumerate(angles)] for s in (DIFFERENCE_STEP, -DIFFERENCE_STEP))
            difference = (gate.matrix(up) - gate.matrix(down)) / (2 * DIFFERENCE_STEP)
            _same(gate, f"derivative by {gate.angle_names[k]}", derivatives[k], difference, DIFFERENCE_TOLERANCE)
        if gate.n_angles == 1:
            _same(gate, "exponential of the generator", _exponential(generators[0], angles[0]), gate.matrix(angles))
    if gate.generator is not None:
        _same(gate, "generator", Observable(gate.generator).matrix(), gate.generators([0.0] * gate.n_angles)[0])


def check_decomposition(gate: Gate) -> None:
    """The decomposition gives the gate, with its phase where the row says so and only there, and ends in u and cx."""
    if gate.name in ("u", "cx"):
        _require(gate, "decomposition", not gate.decomposition)
        return
    for angles in _angle_sets(gate):
        made, matrix = unitary(_circuit(gate, gate.decomposition, angles)), gate.matrix(angles)
        phase = np.vdot(matrix, made) / 2**gate.n_qubits
        _same(gate, "decomposition up to phase", made, phase * matrix)
        if gate.exact:
            _same(gate, "decomposition with phase", made, matrix)
    primitive = _primitive(Circuit(gate.n_qubits).append(gate.name, range(gate.n_qubits), _angle_sets(gate)[0]))
    _require(gate, "decomposition to u and cx", {item.gate for item in primitive.gate_calls()} <= {"u", "cx"})


def check_controlled(gate: Gate) -> None:
    """The controlled form is the gate under one more control; without one, the decomposition must be exact."""
    if gate.controlled is None:
        _require(gate, "controlled, or else an exact decomposition to control", gate.exact)
        return
    d = 2**gate.n_qubits
    for angles in _angle_sets(gate):
        wanted = np.eye(2 * d, dtype=np.complex128)
        wanted[d:, d:] = gate.matrix(angles)
        _same(gate, "controlled", unitary(_circuit(gate, (gate.controlled,), angles, extra=1)), wanted)


def check_text(gate: Gate) -> None:
    """OpenQASM and the drawing name the gate, and the text reads back as the same circuit."""
    circuit = Circuit(gate.n_qubits).append(gate.name, range(gate.n_qubits), _angle_sets(gate)[0])
    _require(gate, "qasm", from_qasm(to_qasm(circuit)) == circuit)
    _require(gate, "symbols", len(gate.symbols) == gate.n_qubits)


GATE_CHECKS: tuple[Callable[[Gate], None], ...] = (
    check_matrix,
    check_inverse,
    check_generators,
    check_decomposition,
    check_controlled,
    check_text,
)
"""The checks, one per column."""


def _angle_sets(gate: Gate) -> list[list[float]]:
    """Zero, special and generic angles, the same every time."""
    generic = np.random.default_rng(7).uniform(-2 * np.pi, 2 * np.pi, (5, gate.n_angles))
    special = [[value] * gate.n_angles for value in (0.0, np.pi, -np.pi / 2, 2 * np.pi)]
    return [*special, *generic.tolist()] if gate.n_angles else [[]]


def _circuit(gate: Gate, steps: tuple[Step, ...], angles: list[float], extra: int = 0) -> Circuit:
    values = dict(zip(gate.angle_names, angles, strict=True))
    circuit = Circuit(gate.n_qubits + extra)
    for step in steps:
        circuit.append(step.gate, step.qubits, step.angles_at(values))
    return circuit


def _primitive(circuit: Circuit) -> Circuit:
    """``circuit`` with decompositions put in until none is left."""
    while any(GATES[item.gate].decomposition for item in circuit.gate_calls()):
        flat = Circuit(circuit.n_qubits)
        for item in circuit.gate_calls():
            row = GATES[item.gate]
            steps = [row.call(step, item.qubits, item.angles) for step in row.decomposition]
            for step in steps or [Step(item.gate, item.qubits, item.angles)]:
                flat.append(step.gate, step.qubits, step.angles)
        circuit = flat
    return circuit


def _exponential(generator: Complex, angle: float) -> Complex:
    """``exp(-i angle generator)`` by the eigenvectors of the Hermitian ``generator``."""
    values, vectors = np.linalg.eigh(generator)
    matrix: Complex = (vectors * np.exp(-1j * angle * values)) @ vectors.conj().T
    return matrix


def _require(gate: Gate, column: str, holds: bool) -> None:
    if not holds:
        raise AssertionError(f"gate {gate.name}: column {column} does not hold.")


def _same(gate: Gate, column: str, got: npt.ArrayLike, wanted: npt.ArrayLike, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(
        np.asarray(got), np.asarray(wanted), rtol=0, atol=tolerance, err_msg=f"gate {gate.name}, column {column}"
    )
