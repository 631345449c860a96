"""Probabilities and their gradients, Hessian-vector products, and the quantum Fisher information."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, Parameter, reference, z_all
from superpose.engine import compile_program
from superpose.engine.gradients import directional_derivatives
from superpose.errors import QubitOutOfRangeError, ShapeError, UnsupportedProgramError


def case(seed, random_circuit, random_observables, batch=5, dtype="float64"):
    """A random program with inputs and weights, and values for it."""
    rng = np.random.default_rng(seed)
    n_qubits = int(rng.integers(1, 6))
    circuit = random_circuit(n_qubits, int(rng.integers(6, 40)), rng)
    inputs = [name for name in circuit.parameters if rng.random() < 0.5]
    observables = [*random_observables(n_qubits, rng), *z_all(n_qubits)]
    program = compile_program(circuit, observables, inputs=inputs, dtype=dtype)
    x, w = rng.normal(size=(batch, program.n_inputs)), rng.normal(size=program.n_weights)
    return program, x, w, rng


def random_states(rng, batch, n_qubits):
    states = rng.normal(size=(batch, 2**n_qubits)) + 1j * rng.normal(size=(batch, 2**n_qubits))
    return states / np.linalg.norm(states, axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(6))
def test_probabilities_and_their_gradients(seed, random_circuit, random_observables):
    program, x, w, rng = case(seed, random_circuit, random_observables)
    n = program.n_qubits
    states = random_states(rng, 5, n) if seed % 2 else None
    qubits = [int(q) for q in rng.permutation(n)[: rng.integers(1, n + 1)]] if seed % 3 else None
    found = program.probabilities(x, w, qubits=qubits, initial_state=states)
    whole = np.abs(program.state_vector(x, w, initial_state=states)) ** 2
    chosen = list(range(n)) if qubits is None else qubits
    want = np.zeros((5, 2 ** len(chosen)))
    for index in range(2**n):
        bits = format(index, f"0{n}b")
        want[:, int("".join(bits[q] for q in chosen), 2)] += whole[:, index]
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-13)
    grad = rng.normal(size=found.shape)
    again, grad_inputs, grad_weights = program.probabilities_and_grad(x, w, grad, qubits=qubits, initial_state=states)
    np.testing.assert_allclose(again, want, rtol=0, atol=1e-13)
    step = 1e-5

    def loss(x, w):
        return (program.probabilities(x, w, qubits=qubits, initial_state=states) * grad).sum(axis=1)

    for k, unit in enumerate(np.eye(program.n_inputs)):
        slope = (loss(x + step * unit, w) - loss(x - step * unit, w)) / (2 * step)
        np.testing.assert_allclose(grad_inputs[:, k], slope, rtol=0, atol=1e-8)
    for k, unit in enumerate(np.eye(program.n_weights)):
        slope = (loss(x, w + step * unit) - loss(x, w - step * unit)) / (2 * step)
        assert grad_weights[k] == pytest.approx(slope.sum(), abs=5e-8)


def test_probabilities_of_many_qubits_and_their_limits(entangling_circuit):
    program = compile_program(entangling_circuit(15, 1), [], dtype="float32")
    w = np.random.default_rng(0).normal(size=program.n_weights)
    whole = program.probabilities(None, w)
    assert (whole.shape, whole.dtype) == ((1, 2**15), np.float32)
    assert whole.sum() == pytest.approx(1.0, abs=1e-5)
    some = [14, 3, 0]
    part, _, grad = program.probabilities_and_grad(None, w, [[1.0] + [0.0] * 7], qubits=some)
    np.testing.assert_allclose(part, program.probabilities(None, w, qubits=some), rtol=0, atol=1e-5)
    projector = Observable.projector("0--0----------0")
    _, _, want = compile_program(program.circuit, [projector], dtype="float32").value_and_grad(None, w, [[1.0]])
    np.testing.assert_allclose(grad, want, rtol=0, atol=1e-6)
    with pytest.raises(UnsupportedProgramError, match="at most 14 qubits"):
        program.probabilities_and_grad(None, w, np.zeros((1, 2**15)))
    for qubits in ([], [0, 0], [15], [-1]):
        with pytest.raises(QubitOutOfRangeError):
            program.probabilities(None, w, qubits=qubits)
    for wrong in ([[1.0]], np.ones((2, 4)), 1.0):
        with pytest.raises(ShapeError, match=r"grad_probabilities must have shape \(1, 4\)"):
            program.probabilities_and_grad(None, w, wrong, qubits=[0, 1])


@pytest.mark.parametrize("seed", range(8))
def test_hessian_vector_products(seed, random_circuit, random_observables):
    program, x, w, rng = case(20 + seed, random_circuit, random_observables)
    states = random_states(rng, 5, program.n_qubits) if seed % 2 else None
    grad = rng.normal(size=(5, program.n_observables))
    dx, dw = rng.normal(size=x.shape), rng.normal(size=w.shape)
    got = directional_derivatives(program, (x, w, grad), dx, dw, initial_state=states)
    carried = directional_derivatives(program, (x, w, grad), dx, dw, initial_state=states, method="tangents")
    for found, exact in zip(got, carried, strict=True):
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-10)
    step = 1e-5
    ahead, behind = (program.value_and_grad(x + s * dx, w + s * dw, grad, initial_state=states) for s in (step, -step))
    for found, up, down in zip(got, ahead, behind, strict=True):
        np.testing.assert_allclose(found, (up - down) / (2 * step), rtol=0, atol=1e-6)
    product = program.hessian_vector(x, w, grad, dw, initial_state=states)
    other = rng.normal(size=w.shape)
    assert product @ other == pytest.approx(
        program.hessian_vector(x, w, grad, other, initial_state=states) @ dw, abs=1e-10
    )


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_directions_of_any_length(size, entangling_circuit):
    """Shifts along the line scale with the direction, and directions that turn nothing give zeros."""
    program = compile_program(entangling_circuit(4, 3), z_all(4), dtype="float64")
    rng = np.random.default_rng(8)
    w, grad = rng.normal(size=program.n_weights), rng.normal(size=(1, 4))
    v = size * rng.normal(size=program.n_weights)
    want = directional_derivatives(program, (None, w, grad), None, v, method="tangents")
    got = directional_derivatives(program, (None, w, grad), None, v)
    for found, exact in zip(got, want, strict=True):
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-11 * size)
    assert not any(part.any() for part in directional_derivatives(program, (None, w, grad), None, 0 * v))
    with pytest.raises(UnsupportedProgramError, match="'shifts' or 'tangents'"):
        directional_derivatives(program, (None, w, grad), None, v, method="guess")


@pytest.mark.parametrize("method", ["shifts", "tangents"])
def test_the_hessian_of_a_closed_form(method):
    """<ZZ> of two-qubit MaxCut is sin(4 b) sin(2 g): its second derivatives are known, to rounding."""
    b, g = Parameter("b"), Parameter("g")
    circuit = Circuit(2).h(0).h(1).rzz(2 * g, 0, 1).rx(2 * b, 0).rx(2 * b, 1)
    program = compile_program(circuit, [Observable("ZZ")], dtype="float64")
    for b_value, g_value in np.random.default_rng(1).uniform(-3, 3, (5, 2)):
        at = {"b": b_value, "g": g_value}
        point = [at[name] for name in program.weight_names]
        four, two = (
            np.array([np.sin(4 * b_value), np.cos(4 * b_value)]),
            np.array([np.sin(2 * g_value), np.cos(2 * g_value)]),
        )
        second = {("b", "b"): -16 * four[0] * two[0], ("g", "g"): -4 * four[0] * two[0]}
        second["b", "g"] = second["g", "b"] = 8 * four[1] * two[1]
        sign = program.expectation(None, point)[0, 0] / (four[0] * two[0])
        assert sign == pytest.approx(1.0, abs=1e-12)
        for k, name in enumerate(program.weight_names):
            row = directional_derivatives(program, (None, point, [[1.0]]), None, np.eye(2)[k], method=method)[2]
            want = [second[name, other] for other in program.weight_names]
            np.testing.assert_allclose(row, want, rtol=0, atol=1e-12)


def test_second_derivatives_in_float32_and_refusals():
    circuit = Circuit(2).ry(Parameter("x"), 0).ry(Parameter("w"), 1).cx(0, 1)
    program = compile_program(circuit, z_all(2), inputs=["x"], dtype="float32")
    got = program.hessian_vector([[0.1], [0.2]], [0.5], np.ones((2, 2)), [1.0])
    assert got.dtype == np.float32
    want = -sum(np.cos(x) * np.cos(0.5) for x in (0.1, 0.2))
    np.testing.assert_allclose(got, [want], rtol=1e-6)
    for vector in ([1.0, 2.0], [float("nan")], 1.0):
        with pytest.raises(ShapeError, match="vector"):
            program.hessian_vector([[0.1]], [0.5], np.ones((1, 2)), vector)
    with pytest.raises(ShapeError, match="weights must be finite"):
        program.hessian_vector([[0.1]], [np.inf], np.ones((1, 2)), [1.0])
    with pytest.raises(ShapeError, match="inputs must be finite"):
        program.fisher_metric([[np.nan]], [0.5])


def by_differences(program, x, w, state):
    """4 Re(<di|dj> - <di|s><s|dj>) with derivatives of the reference's state vectors."""

    def vector(point):
        names = dict(zip(program.input_names, x, strict=True)) | dict(zip(program.weight_names, point, strict=True))
        return reference.state_vector(program.circuit, names, state)

    step, here = 1e-5, vector(w)
    slopes = np.array([(vector(w + step * unit) - vector(w - step * unit)) / (2 * step) for unit in np.eye(len(w))])
    slopes = slopes.reshape(len(w), -1)
    along = slopes @ here.conj()
    return 4 * (slopes.conj() @ slopes.T - np.outer(along.conj(), along)).real


@pytest.mark.parametrize("seed", range(6))
def test_fisher_metric_equals_finite_differences_of_states(seed, random_circuit, random_observables):
    program, x, w, rng = case(80 + seed, random_circuit, random_observables, batch=3)
    states = random_states(rng, 3, program.n_qubits) if seed % 2 else None
    got = program.fisher_metric(x, w, initial_state=states)
    assert got.shape == (3, len(w), len(w))
    for entry in range(3):
        want = by_differences(program, x[entry], w, None if states is None else states[entry])
        np.testing.assert_allclose(got[entry], want, rtol=0, atol=2e-7)
        assert np.linalg.eigvalsh(got[entry]).min(initial=0.0) > -1e-12


def test_fisher_metric_of_twelve_qubits(entangling_circuit):
    """One row of the metric against the fidelity: 1 - |<psi(w)|psi(w + e)>|^2 = F e e / 4 + O(e^4)."""
    program = compile_program(entangling_circuit(12, 1), [], dtype="float64")
    rng = np.random.default_rng(5)
    w, e = rng.normal(size=program.n_weights), 1e-3 * rng.normal(size=program.n_weights)
    metric = program.fisher_metric(None, w)[0]
    ahead, behind = (program.state_vector(None, w + sign * e / 2)[0] for sign in (1, -1))
    lost = 1 - abs(np.vdot(behind, ahead)) ** 2
    assert lost == pytest.approx(e @ metric @ e / 4, rel=1e-4)


def test_fisher_metric_equals_pennylane():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        qml = pytest.importorskip("pennylane")
    n, w = 3, np.random.default_rng(9).normal(size=9)
    circuit = Circuit(n)
    names = [Parameter(f"w_{k}") for k in range(9)]
    for q in range(n):
        circuit.ry(names[q], q).rz(names[n + q], q)
    circuit.cx(0, 1).cx(1, 2)
    for q in range(n):
        circuit.rx(names[2 * n + q], q)

    @qml.qnode(qml.device("default.qubit", wires=n))
    def node(w):
        for q in range(n):
            qml.RY(w[q], wires=q)
            qml.RZ(w[n + q], wires=q)
        qml.CNOT(wires=[0, 1])
        qml.CNOT(wires=[1, 2])
        for q in range(n):
            qml.RX(w[2 * n + q], wires=q)
        return qml.expval(qml.PauliZ(0))

    want = np.asarray(qml.adjoint_metric_tensor(node)(qml.numpy.array(w, requires_grad=True)))
    program = compile_program(circuit, [], dtype="float64")
    order = [program.weight_names.index(f"w_{k}") for k in range(9)]
    point = np.empty(9)
    point[order] = w
    got = program.fisher_metric(None, point)[0][np.ix_(order, order)]
    np.testing.assert_allclose(got / 4, want, rtol=0, atol=1e-10)
