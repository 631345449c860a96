"""Programs that measure, branch, reset or have noise, through the local backend and the facade."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import superpose
from superpose.backends import LocalBackend
from superpose.circuits import Circuit, NoiseModel, Observable, Parameter, Program, z_all
from superpose.engine import get_threads, set_threads
from superpose.errors import StateTooLargeError, UnsupportedProgramError

SHOTS = 20_000
WIDTH = 6.5 / math.sqrt(SHOTS)
"""Of an expectation between -1 and 1; a right backend strays further once in 1e10."""

MODEL = NoiseModel(
    one_qubit=[("depolarizing", (0.02,))],
    two_qubit=[("depolarizing2", (0.05,))],
    readout=(0.03, 0.06),
    t1_ns=50_000.0,
    t2_ns=60_000.0,
    gate_times_ns={"h": 30.0, "cx": 300.0},
)


def bell() -> Circuit:
    return Circuit(2).h(0).cx(0, 1)


def test_noise_model_shrinks_expectations_and_flips_readout():
    observables = [Observable("ZZ"), Observable("XX"), Observable("ZI")]
    result = superpose.run(bell(), observables=observables, noise=MODEL)
    exact = result.expectations[0]
    assert 0.85 < exact[0] < 0.97 and 0.85 < exact[1] < 0.97 and abs(exact[2]) < 0.02
    assert result.provenance["method"] == "density_matrix"
    assert json.loads(json.dumps(dict(result.provenance))) == dict(result.provenance)
    sampled = superpose.run(bell(), observables=observables, shots=SHOTS, seed=1, noise=MODEL)
    np.testing.assert_allclose(sampled.expectations[0], exact, atol=WIDTH)
    counts = superpose.run(bell().measure_all(), shots=SHOTS, seed=1, noise=MODEL).counts[0]
    assert sum(counts.values()) == SHOTS
    parity = sum(k * (-1) ** bits.count("1") for bits, k in counts.items()) / SHOTS
    # each read bit is the true one scaled by 1 - flip0 - flip1 and shifted by flip1 - flip0
    scale, shift = 1 - 0.03 - 0.06, 0.06 - 0.03
    want = scale**2 * exact[0] + 2 * scale * shift * exact[2] + shift**2
    assert abs(parity - want) < WIDTH + 1e-3


def test_feed_forward_batches_and_seeds():
    x = Parameter("x")
    circuit = Circuit(2, n_bits=2).rx(x, 0).measure(0, 0).if_(0, 1, Circuit(2).x(1)).measure(1, 1)
    angles = np.array([0.0, 1.0, math.pi])
    result = superpose.run(circuit, {"x": angles}, observables=z_all(2))
    np.testing.assert_allclose(result.expectations, np.cos(angles)[:, None] * [1, 1], atol=1e-14)
    assert result.provenance["method"] in ("branching", "density_matrix")
    assert result.provenance["n_branches"] >= 1
    counts = superpose.run(circuit, {"x": angles}, shots=SHOTS, seed=2).counts
    assert counts[0] == {"00": SHOTS} and counts[2] == {"11": SHOTS} and set(counts[1]) == {"00", "11"}
    again = superpose.run(circuit, {"x": angles}, shots=SHOTS, seed=2).counts
    assert again == counts
    estimated = superpose.run(circuit, {"x": angles}, observables=[Observable("ZZ")], shots=500, seed=2)
    np.testing.assert_array_equal(estimated.expectations, 1.0)
    assert estimated.provenance["measured_bases"] == ["ZZ"]


@pytest.mark.slow
def test_trajectories_beyond_the_density_matrix():
    n = 14
    circuit = Circuit(n).h(0)
    for q in range(n - 1):
        circuit.cx(q, q + 1)
    model = NoiseModel(two_qubit=[("depolarizing2", (0.01,))])
    program = Program(model.apply(circuit), {}, [Observable("Z" + "I" * (n - 2) + "Z")], seed=4)
    results = []
    before = get_threads()
    try:
        for threads in (1, 2):
            set_threads(threads)
            results.append(LocalBackend().run(program))
    finally:
        set_threads(before)
    assert replace(results[0], provenance={}) == replace(results[1], provenance={})
    assert results[0].provenance["method"] == "trajectories"
    error = results[0].provenance["largest_standard_error"]
    want = (1 - 0.01) ** (n - 1)  # each depolarisation takes its share of a string that acts on its qubits
    assert abs(results[0].expectations[0, 0] - want) < 6.5 * error + 1e-9 or want < results[0].expectations[0, 0]
    assert 0 < error < 0.02


def test_readout_errors_of_a_large_unitary_circuit():
    n = 20
    circuit = Circuit(n).x(0).measure_all()
    counts = superpose.run(circuit, shots=2000, seed=1, noise=NoiseModel(readout=(0.0, 0.25)))
    assert counts.provenance["method"] == "branching"
    assert set(counts.counts[0]) == {"0" * n, "1" + "0" * (n - 1)}
    assert abs(counts.counts[0]["0" * n] - 500) < 6.5 * math.sqrt(2000 * 3 / 16)


def test_final_measurements_without_noise_still_run_on_tapes():
    result = superpose.run(bell().measure_all(), shots=100, seed=1)
    assert set(result.counts[0]) == {"00", "11"}
    assert "method" not in result.provenance
    np.testing.assert_allclose(abs(superpose.run(bell().measure_all()).state_vectors[0]) ** 2, [0.5, 0, 0, 0.5])


def test_what_is_refused():
    noisy = bell().depolarizing(0.1, 0)
    with pytest.raises(UnsupportedProgramError, match="no single state vector"):
        superpose.run(noisy)
    with pytest.raises(StateTooLargeError):
        superpose.run(Circuit(60).h(0).depolarizing(0.1, 0), observables=z_all(60))


def test_compiled_templates_and_gradients_through_noise():
    a = Parameter("a")
    circuit = Circuit(1).ry(a, 0).amplitude_damping(0.3, 0)
    compiled = superpose.compile(circuit, observables=Observable("Z"))
    want = 0.3 + 0.7 * np.cos([0.0, 0.5, 2.0])
    np.testing.assert_allclose([compiled.run([x]).expectations[0, 0] for x in (0.0, 0.5, 2.0)], want, atol=1e-15)
    values, _, grad = compiled.value_and_grad([0.5])
    assert values[0, 0] == pytest.approx(want[1]) and grad[0] == pytest.approx(-0.7 * math.sin(0.5), abs=1e-14)
    for method in ("adjoint", "parameter-shift", "finite-difference"):
        found = superpose.gradient(circuit, {"a": [0.1, 0.5]}, observables=Observable("Z"), method=method)
        np.testing.assert_allclose(found[:, 0, 0], -0.7 * np.sin([0.1, 0.5]), atol=1e-7)
    model = NoiseModel(gates={"ry": [("amplitude_damping", (0.3,))]})
    plain = Circuit(1).ry(a, 0)
    found = superpose.gradient(plain, {"a": 0.5}, observables=Observable("Z"), noise=model)
    assert found[0, 0, 0] == pytest.approx(-0.7 * math.sin(0.5), abs=1e-14)


def test_delays_relax_under_a_noise_model():
    circuit = Circuit(1).x(0).delay(700.0, 0)
    model = NoiseModel(t1_ns=1000.0, t2_ns=1500.0)
    found = superpose.run(circuit, observables=Observable("Z"), noise=model).expectations[0, 0]
    assert found == pytest.approx(1 - 2 * math.exp(-0.7), abs=1e-14)
    assert superpose.run(circuit, observables=Observable("Z")).expectations[0, 0] == -1.0
