"""Random circuits over the whole table against the slow reference and against PennyLane."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, reference, z_all
from superpose.engine import compile_program

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(12))
def test_states_and_expectations_equal_the_reference(seed, dtype, random_circuit, random_observables):
    rng = np.random.default_rng(seed)
    n_qubits = int(rng.integers(1, 8))
    circuit = random_circuit(n_qubits, int(rng.integers(1, 50)), rng)
    observables = [*random_observables(n_qubits, rng), *z_all(n_qubits)]
    inputs = [name for name in circuit.parameters if rng.random() < 0.5]
    program = compile_program(circuit, observables, inputs=inputs, dtype=dtype)
    batch = int(rng.integers(1, 40))
    x, w = rng.normal(size=(batch, program.n_inputs)), rng.normal(size=program.n_weights)
    states, values = program.state_vector(x, w), program.expectation(x, w)
    assert states.shape == (batch, 2**n_qubits)
    assert values.shape == (batch, len(observables))
    for row in {0, batch // 2, batch - 1}:
        params = dict(zip(inputs, x[row], strict=True)) | dict(zip(program.weight_names, w, strict=True))
        want = reference.state_vector(circuit, params)
        np.testing.assert_allclose(states[row], want, atol=TOLERANCE[dtype], rtol=0)
        exact = [reference.expectation(circuit, o, params) for o in observables]
        np.testing.assert_allclose(values[row], exact, atol=3 * TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("seed", range(12))
def test_gradients_equal_finite_differences(seed, random_circuit, random_observables):
    rng = np.random.default_rng(100 + seed)
    n_qubits = int(rng.integers(1, 7))
    circuit = random_circuit(n_qubits, int(rng.integers(4, 40)), rng)
    inputs = [name for name in circuit.parameters if rng.random() < 0.5]
    program = compile_program(
        circuit, [*random_observables(n_qubits, rng), *z_all(n_qubits)], inputs=inputs, dtype="float64"
    )
    batch, step = 11, 1e-5
    x, w = rng.normal(size=(batch, program.n_inputs)), rng.normal(size=program.n_weights)
    grad = rng.normal(size=(batch, program.n_observables))
    values, grad_inputs, grad_weights = program.value_and_grad(x, w, grad)
    np.testing.assert_allclose(values, program.expectation(x, w), atol=1e-13)
    for k, unit in enumerate(np.eye(program.n_weights)):
        up, down = program.expectation(x, w + step * unit), program.expectation(x, w - step * unit)
        assert grad_weights[k] == pytest.approx(((up - down) * grad).sum() / (2 * step), abs=3e-7)
    for k, unit in enumerate(np.eye(program.n_inputs)):
        up, down = program.expectation(x + step * unit, w), program.expectation(x - step * unit, w)
        np.testing.assert_allclose(grad_inputs[:, k], ((up - down) * grad).sum(1) / (2 * step), atol=1e-7)


@pytest.fixture(scope="module")
def qml():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return pytest.importorskip("pennylane")


def pennylane_states(qml, circuit: Circuit, values: dict[str, float]) -> np.ndarray:
    """The state of the circuit with each gate named in PennyLane's own terms where it has one, else as a matrix."""
    from superpose.circuits import GATES

    own = {
        "x": qml.PauliX, "y": qml.PauliY, "z": qml.PauliZ, "h": qml.Hadamard, "s": qml.S, "t": qml.T, "sx": qml.SX,
        "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "p": qml.PhaseShift, "cx": qml.CNOT, "cy": qml.CY, "cz": qml.CZ,
        "ch": qml.CH, "crx": qml.CRX, "cry": qml.CRY, "crz": qml.CRZ, "cp": qml.ControlledPhaseShift,
        "rxx": qml.IsingXX, "ryy": qml.IsingYY, "rzz": qml.IsingZZ, "swap": qml.SWAP, "cswap": qml.CSWAP,
        "ccx": qml.Toffoli,
    }  # fmt: skip
    device = qml.device("default.qubit", wires=circuit.n_qubits)

    @qml.qnode(device)
    def run():
        for item in circuit.instructions:
            angles = [float(angle.evaluate(values)) for angle in item.angles]
            if item.gate in own:
                own[item.gate](*angles, wires=list(item.qubits))
            else:
                qml.QubitUnitary(GATES[item.gate].matrix(angles), wires=list(item.qubits))
        return qml.state()

    return np.asarray(run())


@pytest.mark.parametrize("seed", range(4))
def test_states_equal_pennylane(seed, qml, random_circuit):
    rng = np.random.default_rng(200 + seed)
    circuit = random_circuit(5, 60, rng)
    program = compile_program(circuit, [], dtype="float64")
    w = rng.normal(size=program.n_weights)
    want = pennylane_states(qml, circuit, dict(zip(program.weight_names, w, strict=True)))
    np.testing.assert_allclose(program.state_vector(None, w)[0], want, atol=1e-10, rtol=0)
    rough = compile_program(circuit, [], dtype="float32").state_vector(None, w)[0]
    np.testing.assert_allclose(rough, want, atol=1e-5, rtol=0)


def test_worked_example_of_the_mission():
    """PennyLane's introduction: rotations and CX interleaved on four qubits."""
    from superpose.circuits import Parameter

    circuit = Circuit(4)
    for q in range(4):
        circuit.ry(Parameter(f"p_{q}"), q).cx(q, (q + 1) % 4)
    program = compile_program(circuit, z_all(4), dtype="float64")
    factors = np.array([[0.5, 0.1, -0.3, 0.8]])
    values, _, grad = program.value_and_grad(None, [0.2, 0.6, 0.1, 0.7], factors)
    np.testing.assert_allclose(values[0], [0.62809787, 0.80888385, 0.80484280, 0.61557773], atol=1e-8)
    assert float((values * factors).sum()) == pytest.approx(0.6459466621398504, abs=1e-14)
    np.testing.assert_allclose(grad, [-0.067279, -0.441916, -0.056695, -0.679315], atol=1e-6)


def test_identity_and_empty_observables():
    program = compile_program(
        Circuit(2).h(0).cx(0, 1), [Observable({"II": 2.5}), Observable({}, n_qubits=2)], dtype="float64"
    )
    values, _, _ = program.value_and_grad(None, None, [[1.0, 1.0]])
    np.testing.assert_allclose(values, [[2.5, 0.0]], atol=1e-15)
