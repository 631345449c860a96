"""Density matrices against Qiskit Aer and against plain matrices."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import CHANNELS, Circuit, Observable, z_all
from superpose.engine import set_threads
from superpose.engine.dynamic import compile_dynamic

from .conftest import VALUES, random_dynamic, random_kraus, random_noisy, slow_probabilities, slow_run


def random_values(circuit, rng):
    return {name: float(rng.normal()) for name in circuit.parameters}


def weights_of(program, params):
    return [params[name] for name in program.weight_names]


@pytest.mark.parametrize("name", CHANNELS)
def test_every_channel_equals_its_kraus_form_and_aer(name, aer):
    row = CHANNELS[name]
    for qubits in ((0, 2), (2, 1)):
        circuit = Circuit(3).u(0.3, 0.7, -0.4, 0).cx(0, 1).u(1.1, -0.2, 0.5, 1).cx(1, 2).ry(0.4, 2)
        circuit.channel(name, VALUES[name], qubits[: row.n_qubits])
        found = compile_dynamic(circuit, method="density_matrix").density_matrix(None, None)[0]
        np.testing.assert_allclose(found, slow_run(circuit)[()], atol=1e-14)
        np.testing.assert_allclose(found, aer(circuit, {}), atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_random_noisy_circuits_equal_aer(seed, aer):
    rng = np.random.default_rng(seed)
    n_qubits = 1 + seed % 6
    circuit = random_noisy(n_qubits, 40, rng)
    for q in range(0, n_qubits, 2):
        circuit.reset(q).ry(0.3, q)
    program = compile_dynamic(circuit, method="density_matrix")
    params = random_values(circuit, rng)
    found = program.density_matrix(None, weights_of(program, params))[0]
    np.testing.assert_allclose(found, aer(circuit, params), atol=1e-10, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("n_qubits", [10, 12])
def test_large_noisy_circuits_equal_aer(n_qubits, aer):
    rng = np.random.default_rng(n_qubits)
    circuit = random_noisy(n_qubits, 30, rng, kraus=False)
    program = compile_dynamic(circuit, method="density_matrix")
    params = random_values(circuit, rng)
    found = program.density_matrix(None, weights_of(program, params))[0]
    np.testing.assert_allclose(found, aer(circuit, params), atol=1e-10, rtol=0)


@pytest.mark.parametrize("n_qubits", [9, 10])
def test_tiles_of_large_states(n_qubits):
    """Unitary and Pauli noise only: compared with the closed form of depolarised expectations."""
    rng = np.random.default_rng(n_qubits)
    circuit, plain = Circuit(n_qubits), Circuit(n_qubits)
    for _ in range(3):
        for q in range(n_qubits):
            angle = float(rng.normal())
            plain.ry(angle, q)
            circuit.ry(angle, q)
        for q in range(n_qubits):
            plain.cx(q, (q + 1) % n_qubits)
            circuit.cx(q, (q + 1) % n_qubits)
    for q in range(n_qubits):
        circuit.depolarizing(0.1, q)
    letters = "".join(rng.choice(list("IXYZ"), n_qubits))
    observables = [Observable(letters), *z_all(n_qubits)]
    from superpose.circuits.reference import expectation

    want = [expectation(plain, o) * 0.9 ** sum(letter != "I" for letter in o.terms[0][0]) for o in observables]
    found = compile_dynamic(circuit, observables, method="density_matrix").expectation(None, None)[0]
    np.testing.assert_allclose(found, want, atol=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_kraus_channels_of_ones_own(m):
    rng = np.random.default_rng(m)
    circuit = Circuit(4).h(0).cx(0, 1).cx(1, 2).ry(0.3, 3).cx(3, 0)
    qubits = [int(q) for q in rng.permutation(4)[:m]]
    circuit.kraus(random_kraus(m, 3, rng), *qubits).ry(0.2, qubits[0])
    found = compile_dynamic(circuit, method="density_matrix").density_matrix(None, None)[0]
    np.testing.assert_allclose(found, slow_run(circuit)[()], atol=1e-14)


@pytest.mark.parametrize("seed", range(15))
def test_feed_forward_equals_plain_matrices(seed):
    rng = np.random.default_rng(seed)
    n_qubits, n_bits = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    circuit = random_dynamic(n_qubits, n_bits, 25, rng).measure(0, 0)
    params = random_values(circuit, rng)
    program = compile_dynamic(circuit, method="density_matrix")
    weights = weights_of(program, params)
    found = program.probabilities(None, weights)[0]
    np.testing.assert_allclose(found, slow_probabilities(circuit, params), atol=1e-13)
    body, _ = circuit.without_final_measurements()
    want = sum(slow_run(body, params).values())
    np.testing.assert_allclose(program.density_matrix(None, weights)[0], want, atol=1e-13)


def test_batches_and_initial_states():
    rng = np.random.default_rng(5)
    circuit = random_noisy(3, 30, rng)
    inputs = circuit.parameters[:2]
    observables = [Observable({"XYZ": 0.3, "ZZI": 1.0}), Observable("IIZ"), Observable({"III": 2.0})]
    program = compile_dynamic(circuit, observables, inputs=inputs, method="density_matrix")
    x, w = rng.normal(size=(7, 2)), rng.normal(size=len(program.weight_names))
    states = rng.normal(size=(7, 8)) + 1j * rng.normal(size=(7, 8))
    states /= np.linalg.norm(states, axis=1)[:, None]
    found = program.expectation(x, w, initial_state=states)
    for row in range(7):
        params = dict(zip(inputs, x[row], strict=True)) | dict(zip(program.weight_names, w, strict=True))
        rho = slow_run(circuit, params, states[row])[()]
        want = [np.trace(o.matrix() @ rho).real for o in observables]
        np.testing.assert_allclose(found[row], want, atol=1e-13)
    rough = compile_dynamic(circuit, observables, inputs=inputs, dtype="float32", method="density_matrix")
    assert rough.expectation(x, w, initial_state=states).dtype == np.float32


def test_threads_do_not_change_numbers():
    rng = np.random.default_rng(8)
    circuit = random_noisy(9, 60, rng, kraus=False)
    program = compile_dynamic(circuit, z_all(9), inputs=circuit.parameters[:1], method="density_matrix")
    x, w, g = rng.normal(size=(2, 1)), rng.normal(size=len(program.weight_names)), rng.normal(size=(2, 9))
    results = []
    for threads in (1, 2, 3):
        set_threads(threads)
        results.append(program.value_and_grad(x, w, g))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
