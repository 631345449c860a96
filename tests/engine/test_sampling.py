"""State vectors, samples and counts."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import Circuit, Parameter, reference
from superpose.engine import compile_program, set_threads
from superpose.engine.sampling import draw


def test_samples_follow_the_probabilities(random_circuit):
    """Seed 7; a fair sampler exceeds the chi-squared bound (99.99 % quantile, 31 degrees of freedom) once in 10,000."""
    rng = np.random.default_rng(7)
    circuit = random_circuit(5, 40, rng)
    program = compile_program(circuit, [], dtype="float64")
    w = rng.normal(size=program.n_weights)
    shots = 200_000
    samples = program.sample(None, w, shots, seed=7)
    assert samples.shape == (1, shots)
    assert samples.dtype == np.int64
    wanted = reference.probabilities(circuit, dict(zip(program.weight_names, w, strict=True))) * shots
    found = np.bincount(samples[0], minlength=32)
    likely = wanted > 1e-9
    assert found[~likely].sum() == 0
    assert ((found - wanted)[likely] ** 2 / wanted[likely]).sum() < 71.0


def test_same_seed_same_samples_in_both_precisions(random_circuit):
    circuit = random_circuit(4, 20, np.random.default_rng(1))
    x = np.random.default_rng(2).normal(size=(9, len(circuit.parameters)))
    program = compile_program(circuit, [], inputs=circuit.parameters, dtype="float32")
    first = program.sample(x, None, 100, seed=3)
    assert np.array_equal(first, program.sample(x, None, 100, seed=3))
    assert not np.array_equal(first, program.sample(x, None, 100, seed=4))
    assert first.shape == (9, 100)
    assert program.sample(x, None, 10).shape == (9, 10)


def test_counts_read_qubit_0_leftmost():
    program = compile_program(Circuit(3).x(0).h(2), [], dtype="float64")
    (counts,) = program.counts(None, None, 1000, seed=1)
    assert set(counts) == {"100", "101"}
    assert sum(counts.values()) == 1000
    assert abs(counts["100"] - 500) < 100  # six standard deviations


def test_certain_outcomes_are_certain():
    program = compile_program(Circuit(4).x(1).cx(1, 3).swap(0, 1), [], inputs=[], dtype="float32")
    assert program.counts(None, None, 50, seed=0) == [{"1001": 50}]


def test_state_vectors_have_the_program_dtype_and_qubit_order():
    circuit = Circuit(2).ry(Parameter("a"), 0)
    for dtype, kind in (("float32", np.complex64), ("float64", np.complex128)):
        states = compile_program(circuit, [], inputs=["a"], dtype=dtype).state_vector([[0.0], [np.pi]], None)
        assert states.dtype == kind
        np.testing.assert_allclose(states, [[1, 0, 0, 0], [0, 0, 1, 0]], atol=1e-7)


@pytest.mark.parametrize("shots", [100, 100_000])
def test_counts_are_those_of_the_samples_with_few_and_many_shots(shots, random_circuit):
    circuit = random_circuit(9, 60, np.random.default_rng(3))
    program = compile_program(circuit, [], dtype="float32")
    w = np.linspace(0.1, 1.0, program.n_weights)
    (counts,) = program.counts(None, w, shots, seed=11)
    values, numbers = np.unique(program.sample(None, w, shots, seed=11)[0], return_counts=True)
    assert counts == {format(v, "09b"): k for v, k in zip(values.tolist(), numbers.tolist(), strict=True)}
    assert list(counts) == sorted(counts)


def test_few_shots_of_many_states_follow_the_probabilities():
    """Seed 5; a fair sampler exceeds the chi-squared bound of 16 blocks (15 degrees of freedom) once in 10,000."""
    weights = np.random.default_rng(0).random(1 << 18)
    weights[1000:20000] = 0.0
    (row,) = draw(weights[None], 60_000, 5)[0]
    assert (weights[row[0]] > 0).all()
    assert row[1].sum() == 60_000
    found = np.bincount(row[0] >> 14, weights=row[1], minlength=16)
    wanted = weights.reshape(16, -1).sum(axis=1) * 60_000 / weights.sum()
    likely = wanted > 0
    assert ((found - wanted)[likely] ** 2 / wanted[likely]).sum() < 44.3
    for n_threads in (1, 3):
        set_threads(n_threads)
        assert all(map(np.array_equal, draw(weights[None], 60_000, 5)[0][0], row))


def test_the_last_possible_state_is_never_passed():
    weights = np.zeros((1, 1 << 15))
    weights[0, [3, 20_000]] = 0.1, 0.3
    ((values, numbers),) = draw(weights, 2000, 0)[0]
    assert values.tolist() == [3, 20_000]
    assert numbers.sum() == 2000
