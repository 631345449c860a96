"""Exact gradients through noise, measurement and feed-forward."""

from __future__ import annotations

import math

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, Parameter, z_all
from superpose.engine.dynamic import compile_dynamic, density
from superpose.errors import UnsupportedProgramError

from .conftest import random_dynamic, random_noisy


def differences(program, x, w, g, step=1e-5):
    """Gradients by central differences."""

    def loss(x, w):
        return float((program.expectation(x, w) * g).sum())

    by_weight = np.array([(loss(x, w + d) - loss(x, w - d)) / (2 * step) for d in step * np.eye(len(w))])
    by_input = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[place] = step
        by_input[place] = (loss(x + d, w) - loss(x - d, w)) / (2 * step)
    return by_input, by_weight


def random_observables(n_qubits, rng):
    strings = ["".join(rng.choice(list("IXYZ"), n_qubits)) for _ in range(6)]
    return [Observable([(s, float(rng.normal())) for s in strings[k::2]], n_qubits) for k in range(2)]


@pytest.mark.parametrize("seed", range(8))
def test_gradients_equal_finite_differences(seed):
    rng = np.random.default_rng(seed)
    n_qubits = 1 + seed % 4
    circuit = random_noisy(n_qubits, 30, rng) if seed % 2 else random_dynamic(n_qubits, 2, 30, rng)
    circuit.ry(Parameter("a"), 0)
    inputs = [name for name in circuit.parameters if rng.random() < 0.5]
    program = compile_dynamic(circuit, random_observables(n_qubits, rng), inputs=inputs)
    x, w = rng.normal(size=(3, len(inputs))), rng.normal(size=len(program.weight_names))
    g = rng.normal(size=(3, 2))
    values, by_input, by_weight = program.value_and_grad(x, w, g)
    np.testing.assert_allclose(values, program.expectation(x, w), atol=1e-13)
    want = differences(program, x, w, g)
    np.testing.assert_allclose(by_input, want[0], atol=1e-8)
    np.testing.assert_allclose(by_weight, want[1], atol=1e-8)


def noisy_layers(n_qubits, n_layers):
    circuit = Circuit(n_qubits, n_bits=1)
    for layer in range(n_layers):
        for q in range(n_qubits):
            circuit.ry(Parameter(f"a_{layer}_{q}"), q).amplitude_damping(0.05, q)
            circuit.rz(Parameter(f"b_{layer}_{q}"), q).phase_damping(0.03, q)
        for q in range(n_qubits - 1):
            circuit.cx(q, q + 1).depolarizing2(0.02, q, q + 1)
        circuit.measure(0, 0).if_(0, 1, Circuit(n_qubits).rx(Parameter(f"c_{layer}"), 1))
    return circuit


def test_gradients_equal_parameter_shifts():
    circuit = noisy_layers(3, 2)
    program = compile_dynamic(circuit, z_all(3))
    rng = np.random.default_rng(0)
    w, g = rng.normal(size=len(program.weight_names)), rng.normal(size=(1, 3))
    _, _, found = program.value_and_grad(None, w, g)
    shifts = math.pi / 2 * np.eye(len(w))
    want = [((program.expectation(None, w + d) - program.expectation(None, w - d)) * g).sum() / 2 for d in shifts]
    np.testing.assert_allclose(found, want, atol=1e-13)


def test_large_states_and_recomputed_segments(monkeypatch):
    """Tiles and square-root checkpoints, against a difference along a random direction."""
    circuit = noisy_layers(9, 2)
    program = compile_dynamic(circuit, z_all(9))
    rng = np.random.default_rng(1)
    w, g = rng.normal(size=len(program.weight_names)), rng.normal(size=(1, 9))
    values, _, found = program.value_and_grad(None, w, g)
    direction, step = rng.normal(size=w.shape), 1e-5
    up, down = (program.expectation(None, w + sign * step * direction) for sign in (1, -1))
    assert found @ direction == pytest.approx(((up - down) * g).sum() / (2 * step), abs=1e-8)
    monkeypatch.setattr(density, "KEEP_BYTES", 0)
    again = program.value_and_grad(None, w, g)
    np.testing.assert_array_equal(again[0], values)
    np.testing.assert_array_equal(again[2], found)


def test_gradients_need_a_density_matrix():
    circuit = Circuit(2, n_bits=1).ry(Parameter("a"), 0).measure(0, 0).x(0)
    for method in ("trajectories", "branching"):
        program = compile_dynamic(circuit, z_all(2), method=method)
        with pytest.raises(UnsupportedProgramError, match="density_matrix"):
            program.value_and_grad(None, [0.1], [[1.0, 1.0]])
