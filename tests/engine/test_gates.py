"""Every row of the gate table, in both roles: angles per sample and angles shared by the batch."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import GATES, Circuit, Observable, Parameter, reference
from superpose.engine import compile_program

TOLERANCE = {"float64": 1e-12, "float32": 2e-6}
WITH_ANGLES = [name for name, row in GATES.items() if row.n_angles]
OBSERVABLES = [Observable({"ZII": 1.0}), Observable({"XYZ": 0.7, "IXX": -0.4, "ZZI": 0.2}), Observable({"YIY": 1.1})]


def around(name: str, angles: list[Parameter]) -> Circuit:
    """The gate between rotations that leave no symmetry."""
    row = GATES[name]
    circuit = Circuit(3)
    for q in range(3):
        circuit.ry(0.4 + 0.3 * q, q).rz(0.2 - 0.5 * q, q)
    circuit.cx(0, 1).append(name, [2, 0, 1][: row.n_qubits], angles)
    for q in range(3):
        circuit.rx(0.6 * q - 0.7, q)
    return circuit.cx(1, 2)


def parameters_of(name: str) -> list[Parameter]:
    return [Parameter(f"angle_{k}") for k in range(GATES[name].n_angles)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", GATES)
def test_state_equals_the_reference(name, dtype):
    angles = parameters_of(name)
    names = [p.name for p in angles]
    circuit = around(name, angles)
    values = np.random.default_rng(1).normal(size=(5, len(angles))) * 2
    want = np.array([reference.state_vector(circuit, dict(zip(names, row, strict=True))) for row in values])
    per_sample = compile_program(circuit, [], inputs=names, dtype=dtype).state_vector(values, None)
    np.testing.assert_allclose(per_sample, want, atol=TOLERANCE[dtype], rtol=0)
    shared = compile_program(circuit, [], dtype=dtype)
    for row, state in zip(values, want, strict=True):
        np.testing.assert_allclose(shared.state_vector(None, row)[0], state, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("name", GATES)
def test_bare_gate_from_zero_state(name):
    row = GATES[name]
    angles = [0.7, -1.9, 0.4, 2.2][: row.n_angles]
    circuit = Circuit(3).append(name, [1, 2, 0][: row.n_qubits], angles)
    got = compile_program(circuit, [], dtype="float64").state_vector(None, None)[0]
    np.testing.assert_allclose(got, reference.state_vector(circuit), atol=1e-14, rtol=0)


@pytest.mark.parametrize("role", ["inputs", "weights"])
@pytest.mark.parametrize("name", WITH_ANGLES)
def test_adjoint_equals_parameter_shift_and_finite_difference(name, role):
    """Every gate's angles enter expectations with frequencies 1/2 and 1 only, for which four shifts are exact."""
    angles = parameters_of(name)
    names = [p.name for p in angles]
    as_inputs = role == "inputs"
    program = compile_program(around(name, angles), OBSERVABLES, inputs=names if as_inputs else (), dtype="float64")
    rng = np.random.default_rng(2)
    values, grad = rng.normal(size=len(names)) * 2, rng.normal(size=(1, 3))

    def loss(point):
        got = program.expectation([point], None) if as_inputs else program.expectation(None, point)
        return float((got * grad).sum())

    def shifted(k, by):
        return loss(values + by * np.eye(len(names))[k])

    _, grad_inputs, grad_weights = program.value_and_grad(*(([values], None) if as_inputs else (None, values)), grad)
    got = grad_inputs[0] if as_inputs else grad_weights
    root = 2**0.5
    for k in range(len(names)):
        near = shifted(k, np.pi / 2) - shifted(k, -np.pi / 2)
        far = shifted(k, 3 * np.pi / 2) - shifted(k, -3 * np.pi / 2)
        by_shift = (root + 1) / (4 * root) * near - (root - 1) / (4 * root) * far
        by_difference = (shifted(k, 1e-6) - shifted(k, -1e-6)) / 2e-6
        assert got[k] == pytest.approx(by_shift, abs=1e-12)
        assert got[k] == pytest.approx(by_difference, abs=1e-8)


@pytest.mark.parametrize("name", WITH_ANGLES)
def test_float32_gradient_is_close(name):
    angles = parameters_of(name)
    names = [p.name for p in angles]
    rng = np.random.default_rng(3)
    values, grad = rng.normal(size=(7, len(names))), rng.normal(size=(7, 3))
    circuit = around(name, angles)
    exact = compile_program(circuit, OBSERVABLES, inputs=names, dtype="float64").value_and_grad(values, None, grad)
    rough = compile_program(circuit, OBSERVABLES, inputs=names, dtype="float32").value_and_grad(values, None, grad)
    for want, got in zip(exact, rough, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, atol=1e-5, rtol=0)
