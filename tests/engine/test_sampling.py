"""State vectors, samples and counts."""

from __future__ import annotations

import numpy as np

from superpose.circuits import Circuit, Parameter, reference
from superpose.engine import compile_program


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
