"""Trajectories against density matrices: seeds are fixed; bounds are so wide that a right engine fails once in 1e9."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import CHANNELS, Circuit, Observable, Parameter, z_all
from superpose.engine import set_threads
from superpose.engine.dynamic import compile_dynamic
from superpose.engine.kernels.philox import philox
from superpose.errors import ShapeError, UnsupportedProgramError

from .conftest import VALUES, random_dynamic, random_kraus, random_noisy

N = 4000
WIDTH = 6.5
"""Standard errors allowed; a normal deviate exceeds them once in 1e10."""


def agree(circuit, observables, params=None, seed=1):
    weights = [(params or {})[name] for name in circuit.parameters]
    exact = compile_dynamic(circuit, observables, method="density_matrix").expectation(None, weights)
    program = compile_dynamic(circuit, observables, method="trajectories")
    values, errors = program.expectation_and_error(None, weights, n_trajectories=N, seed=seed)
    assert values.shape == errors.shape == exact.shape
    np.testing.assert_array_less(np.abs(values - exact), WIDTH * errors + 0.01)
    # one number for all: the sum of squared deviates
    deviates = ((values - exact) / np.maximum(errors, 1e-3)).reshape(-1)
    assert (deviates**2).sum() < len(deviates) + 9 * np.sqrt(2 * len(deviates)) + 20


def pauli_sums(n_qubits, rng, n=6):
    return [*z_all(n_qubits), *(Observable("".join(rng.choice(list("IXYZ"), n_qubits))) for _ in range(n))]


@pytest.mark.parametrize("name", CHANNELS)
def test_every_channel(name):
    row = CHANNELS[name]
    circuit = Circuit(3).u(0.3, 0.7, -0.4, 0).cx(0, 1).u(1.1, -0.2, 0.5, 1).cx(1, 2).ry(0.4, 2)
    circuit.channel(name, VALUES[name], (2, 1)[: row.n_qubits]).cx(2, 0)
    circuit.channel(name, VALUES[name], (0, 1)[: row.n_qubits]).h(0)
    agree(circuit, pauli_sums(3, np.random.default_rng(0)))


@pytest.mark.parametrize("seed", range(6))
def test_random_noisy_circuits(seed):
    rng = np.random.default_rng(seed)
    n_qubits = 2 + seed
    circuit = random_noisy(n_qubits, 40, rng, kraus=False)
    for q in range(min(2, n_qubits)):
        circuit.kraus(random_kraus(1, 3, rng), q)
    circuit.kraus(random_kraus(2, 2, rng), n_qubits - 1, 0).reset(1).ry(0.2, 1)
    agree(circuit, pauli_sums(n_qubits, rng), {name: float(rng.normal()) for name in circuit.parameters}, seed)


@pytest.mark.parametrize("seed", range(6))
def test_feed_forward(seed):
    rng = np.random.default_rng(50 + seed)
    circuit = random_dynamic(3, 3, 25, rng)
    circuit = Circuit(3, n_bits=3).extend(item for item in circuit.instructions if not_large(item))
    params = {name: float(rng.normal()) for name in circuit.parameters}
    agree(circuit, pauli_sums(3, rng), params, seed)
    weights = [params[name] for name in circuit.parameters]
    measured = circuit.copy().measure_all()
    exact = compile_dynamic(measured, method="density_matrix").probabilities(None, weights)[0]
    rows = compile_dynamic(measured, method="trajectories").sample(None, weights, N, seed)[0]
    found = np.bincount(rows @ [4, 2, 1], minlength=8) / N
    np.testing.assert_array_less(np.abs(found - exact), WIDTH * np.sqrt(np.abs(exact * (1 - exact)) / N) + 0.002)


def not_large(item):
    from superpose.circuits import If, KrausChannel

    if isinstance(item, If):
        return all(map(not_large, (*item.then, *item.otherwise)))
    return not isinstance(item, KrausChannel) or len(item.qubits) <= 2


def test_states_of_noiseless_circuits_are_exact(random_circuit):
    """Without chance, one trajectory is the state: every lane and pair of qubits of the vector loops."""
    from superpose.circuits.reference import expectation

    for seed in range(6):
        rng = np.random.default_rng(seed)
        n_qubits = 1 + seed
        circuit = random_circuit(n_qubits, 60, rng)
        observables = pauli_sums(n_qubits, rng)
        program = compile_dynamic(circuit, observables, inputs=circuit.parameters[:1], method="trajectories")
        x, w = rng.normal(size=(2, program_inputs(program))), rng.normal(size=len(program.weight_names))
        states = rng.normal(size=(2, 2**n_qubits)) + 1j * rng.normal(size=(2, 2**n_qubits))
        states /= np.linalg.norm(states, axis=1)[:, None]
        found = program.expectation(x, w, n_trajectories=1, initial_state=states)
        for row in range(2):
            params = dict(zip(program.input_names, x[row], strict=True))
            params |= dict(zip(program.weight_names, w, strict=True))
            want = [expectation(circuit, o, params, states[row]) for o in observables]
            np.testing.assert_allclose(found[row], want, atol=1e-12)


def program_inputs(program):
    return len(program.input_names)


def test_threads_do_not_change_numbers_and_seeds_do():
    rng = np.random.default_rng(3)
    circuit = random_noisy(4, 40, rng, names=(), kraus=False).measure_all()
    program = compile_dynamic(circuit, z_all(4), method="trajectories")
    results = []
    for threads in (1, 2, 3):
        set_threads(threads)
        results.append(
            (program.expectation(None, None, n_trajectories=50, seed=7), program.sample(None, None, 50, seed=7))
        )
    for other in results[1:]:
        np.testing.assert_array_equal(results[0][0], other[0])
        np.testing.assert_array_equal(results[0][1], other[1])
    assert (program.sample(None, None, 50, seed=8) != results[0][1]).any()
    first = program.sample(None, None, 20, seed=7)
    np.testing.assert_array_equal(first[0], results[0][1][0, :20])  # a trajectory does not know how many there are


def test_entries_of_a_batch_have_their_own_numbers():
    circuit = Circuit(1, n_bits=1).rx(Parameter("x"), 0).measure(0, 0)
    rows = compile_dynamic(circuit, inputs=["x"], method="trajectories").sample([[1.5], [1.5]], None, 200, seed=1)
    assert (rows[0] != rows[1]).any()


def test_a_thousand_strong_channels_do_not_underflow():
    circuit = Circuit(2).h(0).cx(0, 1)
    for _ in range(400):
        circuit.amplitude_damping(0.3, 0).rx(0.7, 0).generalized_amplitude_damping(0.2, 0.4, 1).ry(0.3, 1)
    agree(circuit, pauli_sums(2, np.random.default_rng(0)))


def test_philox_gives_the_published_numbers():
    """Known answers of Random123 for philox4x32-10."""
    cases = [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ]
    for counter, key, want in cases:
        out = np.zeros(4, np.uint64)
        with np.errstate(over="ignore"):
            philox.py_func(np.array(counter, np.uint64), *map(np.uint64, key), out)
        assert " ".join(f"{int(word):08x}" for word in out) == want


def test_what_trajectories_refuse():
    rng = np.random.default_rng(0)
    circuit = Circuit(3).kraus(random_kraus(3, 2, rng), 0, 1, 2)
    with pytest.raises(UnsupportedProgramError, match="at most 2 qubits"):
        compile_dynamic(circuit, z_all(3), method="trajectories").expectation(None, None)
    program = compile_dynamic(Circuit(1).h(0).bit_flip(0.1, 0), z_all(1), method="trajectories")
    for call in (program.density_matrix, program.probabilities):
        with pytest.raises(UnsupportedProgramError, match="density_matrix"):
            call(None, None)
    with pytest.raises(ShapeError, match="shots"):
        program.expectation(None, None, n_trajectories=0)
    assert np.isinf(program.expectation_and_error(None, None, n_trajectories=1)[1]).all()
