"""Few samples, or large states, run with amplitudes in the vector lanes; many samples with a sample per lane."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, Parameter, reference, z_all
from superpose.engine import compile_program, set_threads

TOLERANCE = {"float64": 1e-11, "float32": 3e-5}
SMALLEST = {"float64": 7, "float32": 9}
"""Fewer qubits always run a sample per lane."""


def string(rng, n_qubits, weight):
    letters = ["I"] * n_qubits
    for qubit in rng.permutation(n_qubits)[:weight]:
        letters[qubit] = str(rng.choice(list("XYZ")))
    return "".join(letters)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(12))
def test_few_samples_equal_many(seed, dtype, random_circuit):
    """Strings of any weight, so that no numbering of the amplitudes suits all of them."""
    rng = np.random.default_rng(seed)
    n_qubits = int(rng.integers(SMALLEST[dtype], 12))
    circuit = random_circuit(n_qubits, int(rng.integers(5, 80)), rng)
    inputs = [name for name in circuit.parameters if rng.random() < 0.5]
    observables = [
        Observable([(string(rng, n_qubits, int(rng.integers(1, n_qubits + 1))), float(rng.normal()))], n_qubits)
        for _ in range(int(rng.integers(1, 14)))
    ]
    observables += z_all(n_qubits)[: int(rng.integers(n_qubits))]
    program = compile_program(circuit, observables, inputs=inputs, dtype=dtype)
    batch = int(rng.integers(1, 4))
    x, w = rng.normal(size=(batch, len(inputs))), rng.normal(size=program.n_weights)
    g = rng.normal(size=(batch, len(observables)))
    few = program.value_and_grad(x, w, g)
    exact = compile_program(circuit, observables, inputs=inputs, dtype="float64")
    many = exact.value_and_grad(np.tile(x, (16, 1)), w, np.concatenate([g, np.zeros((15 * batch, len(observables)))]))
    for got, want in zip(few, (many[0][:batch], many[1][:batch], many[2]), strict=True):
        np.testing.assert_allclose(got, want, atol=TOLERANCE[dtype], rtol=0)
    forward, state = program.forward(x, w)
    assert np.array_equal(forward, few[0])
    assert all(map(np.array_equal, program.backward(state, g), few[1:]))
    params = dict(zip(inputs, x[-1], strict=True)) | dict(zip(program.weight_names, w, strict=True))
    want = reference.state_vector(circuit, params)
    np.testing.assert_allclose(program.state_vector(x, w)[-1], want, atol=TOLERANCE[dtype], rtol=0)
    assert np.array_equal(program.sample(x, w, 50, seed=1).shape, (batch, 50))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_transverse_field_flips_every_qubit(dtype, entangling_circuit):
    n_qubits = 10
    circuit = entangling_circuit(n_qubits, 2)
    terms = [("I" * q + "X" + "I" * (n_qubits - q - 1), 0.7) for q in range(n_qubits)]
    terms += [("I" * q + "ZZ" + "I" * (n_qubits - q - 2), -1.0) for q in range(n_qubits - 1)]
    energy = Observable(terms)
    program = compile_program(circuit, [energy], dtype=dtype)
    w = np.random.default_rng(0).normal(size=program.n_weights)
    values, _, grad = program.value_and_grad(None, w, [[1.0]])
    params = dict(zip(program.weight_names, w, strict=True))
    assert values[0, 0] == pytest.approx(reference.expectation(circuit, energy, params), abs=2 * TOLERANCE[dtype])
    step = 1e-2 if dtype == "float32" else 1e-5
    for k in (0, 17, program.n_weights - 1):
        unit = step * np.eye(program.n_weights)[k]
        up, down = program.expectation(None, w + unit), program.expectation(None, w - unit)
        assert grad[k] == pytest.approx(float((up - down).sum()) / (2 * step), abs=2e-3 if dtype == "float32" else 1e-7)


def test_initial_states_of_few_samples(random_circuit, random_observables):
    rng = np.random.default_rng(3)
    circuit = random_circuit(9, 40, rng)
    program = compile_program(circuit, random_observables(9, rng), dtype="float64")
    w = rng.normal(size=program.n_weights)
    states = rng.normal(size=(2, 512)) + 1j * rng.normal(size=(2, 512))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    params = dict(zip(program.weight_names, w, strict=True))
    finals = program.state_vector(None, w, initial_state=states)
    values = program.expectation(None, w, initial_state=states)
    for k in range(2):
        np.testing.assert_allclose(finals[k], reference.state_vector(circuit, params, states[k]), atol=1e-12)
        want = [reference.expectation(circuit, o, params, states[k]) for o in program.observables]
        np.testing.assert_allclose(values[k], want, atol=1e-11)


def test_few_samples_do_not_depend_on_the_threads(entangling_circuit):
    program = compile_program(entangling_circuit(13, 2), z_all(13), inputs=[f"x_{q}" for q in range(13)])
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(5, 13)), rng.normal(size=program.n_weights), rng.normal(size=(5, 13))
    results = []
    for n_threads in (1, 3):
        set_threads(n_threads)
        results.append(program.value_and_grad(*arrays))
    assert all(map(np.array_equal, *results))


@pytest.mark.parametrize("n_qubits", [9, 11, 12, 13])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tables_of_each_sample_equal_tables_of_all(dtype, n_qubits):
    """Layers of diagonal rotations, shared and with inputs, between rotations with parameters and without.

    Run with the inputs as weights, one sample after the other, the layers are tables that all samples share.
    """
    rng = np.random.default_rng(n_qubits)
    circuit = Circuit(n_qubits)
    for layer in range(3):
        for qubit in range(n_qubits):
            circuit.h(qubit).rz(Parameter(f"x{qubit}") * (1.5 - layer) + 0.1 * qubit, qubit)
        for qubit in range(n_qubits - 1):
            circuit.rzz(Parameter(f"w{layer}_{qubit}"), qubit, qubit + 1)
        if layer == 1:
            for qubit in range(n_qubits):
                circuit.ry(Parameter(f"v{qubit}"), qubit)
    inputs = [f"x{qubit}" for qubit in range(n_qubits)]
    observables = [*z_all(n_qubits), Observable("XY" + "Z" * (n_qubits - 2))]
    own, shared = (compile_program(circuit, observables, inputs=names, dtype=dtype) for names in (inputs, ()))
    x, g = rng.normal(size=(3, n_qubits)), rng.normal(size=(3, n_qubits + 1))
    w = dict(zip(own.weight_names, rng.normal(size=own.n_weights), strict=True))
    got = own.value_and_grad(x, list(w.values()), g)
    forward, state = own.forward(x, list(w.values()))
    assert np.array_equal(forward, got[0])
    assert all(map(np.array_equal, own.backward(state, g), got[1:]))
    total = np.zeros(own.n_weights)
    for row in range(3):
        given = w | dict(zip(inputs, x[row], strict=True))
        values, _, gradient = shared.value_and_grad(
            None, [given[name] for name in shared.weight_names], g[row : row + 1]
        )
        gradients = dict(zip(shared.weight_names, gradient, strict=True))
        np.testing.assert_allclose(got[0][row], values[0], atol=TOLERANCE[dtype], rtol=0)
        np.testing.assert_allclose(got[1][row], [gradients[name] for name in inputs], atol=TOLERANCE[dtype], rtol=0)
        total += [gradients[name] for name in own.weight_names]
    np.testing.assert_allclose(got[2], total, atol=3 * TOLERANCE[dtype], rtol=0)
