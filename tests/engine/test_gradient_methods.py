"""All gradient methods agree: on every gate of the table, on random circuits, for inputs and weights."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import GATES, Circuit, Observable, Parameter, z_all
from superpose.engine import compile_program
from superpose.engine.gradients import (
    GRADIENT_METHODS,
    GradientOptions,
    GradientProblem,
    gradient,
    program_gradient,
    shift_rule,
)
from superpose.engine.gradients.methods import engine_problem
from superpose.engine.gradients.occurrences import frequencies, occurrences
from superpose.errors import StateTooLargeError, UnsupportedProgramError

EXACT = {"adjoint": 1e-12, "parameter-shift": 1e-12, "finite-difference": 1e-8}
OBSERVABLES = [Observable({"ZII": 1.0}), Observable({"XYZ": 0.7, "IXX": -0.4, "ZZI": 0.2})]
WITH_ANGLES = [name for name, row in GATES.items() if row.n_angles]


def around(name: str) -> Circuit:
    """The gate between rotations, each of its angles an affine sum, one parameter used twice."""
    row = GATES[name]
    a, b = Parameter("a"), Parameter("b")
    angles = [2 * a + 0.1, b - 0.5 * a, -1.5 * b, a + b][: row.n_angles]
    circuit = Circuit(3)
    for q in range(3):
        circuit.ry(0.4 + 0.3 * q, q).rz(0.2 - 0.5 * q, q)
    circuit.cx(0, 1).append(name, [2, 0, 1][: row.n_qubits], angles)
    for q in range(3):
        circuit.rx(0.6 * q - 0.7, q)
    return circuit.cx(1, 2).rz(3 * a, 2).ry(b, 2)


@pytest.mark.parametrize("name", WITH_ANGLES)
def test_every_gate_by_every_exact_method(name):
    circuit = around(name)
    values = np.random.default_rng(0).normal(size=(3, 2)) * 2
    problem = engine_problem(circuit, values, OBSERVABLES, "float64")
    want = gradient(problem, "adjoint")
    assert want.shape == (3, 2, 2)
    for method, tolerance in EXACT.items():
        np.testing.assert_allclose(gradient(problem, method), want, rtol=0, atol=10 * tolerance, err_msg=method)


def test_shift_rules_of_the_table():
    rules = {(name, k): frequencies(name, k) for name in WITH_ANGLES for k in range(GATES[name].n_angles)}
    assert set(rules.values()) == {(1.0,), (0.5, 1.0)}
    assert {name for (name, _), found in rules.items() if len(found) == 2} == {"crx", "cry", "crz", "cu"}
    (near, far) = shift_rule((0.5, 1.0))
    root = 2**0.5
    assert near == pytest.approx((np.pi / 2, (root + 1) / (4 * root)))
    assert far == pytest.approx((3 * np.pi / 2, -(root - 1) / (4 * root)))
    for waves in [(1.0,), (0.5, 1.0), (1.0, 2.0, 3.0), (0.5, 1.5, 2.0)]:
        for wave in waves:
            slope = sum(c * (np.sin(wave * shift) - np.sin(-wave * shift)) for shift, c in shift_rule(waves))
            assert slope == pytest.approx(wave, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_random_circuits_with_inputs_and_weights(seed, random_circuit, random_observables):
    rng = np.random.default_rng(seed)
    n_qubits = int(rng.integers(1, 6))
    circuit = random_circuit(n_qubits, int(rng.integers(4, 30)), rng)
    observables = [*random_observables(n_qubits, rng), *z_all(n_qubits)]
    inputs = [name for name in circuit.parameters if rng.random() < 0.5]
    program = compile_program(circuit, observables, inputs=inputs, dtype="float64")
    x, w = rng.normal(size=(5, program.n_inputs)), rng.normal(size=program.n_weights)
    grad = rng.normal(size=(5, program.n_observables))
    _, want_inputs, want_weights = program.value_and_grad(x, w, grad)
    for method, tolerance in EXACT.items():
        got = program_gradient(program, x, w, grad, method)
        np.testing.assert_allclose(got[0], want_inputs, rtol=0, atol=300 * tolerance, err_msg=method)
        np.testing.assert_allclose(got[1], want_weights, rtol=0, atol=300 * tolerance, err_msg=method)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_float32_and_initial_states(method, entangling_circuit):
    rng = np.random.default_rng(7)
    circuit = entangling_circuit(3, 1)
    values = rng.normal(size=(4, circuit.n_params))
    states = rng.normal(size=(4, 8)) + 1j * rng.normal(size=(4, 8))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    want = gradient(engine_problem(circuit, values, z_all(3), "float64", states), "adjoint")
    got = gradient(engine_problem(circuit, values, z_all(3), "float32", states), method, GradientOptions(seed=1))
    assert (got.shape, got.dtype) == (want.shape, np.float64)
    if method != "spsa":
        tolerance = 3e-4 if method == "finite-difference" else 1e-5
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)
    program = compile_program(circuit, z_all(3), inputs=("x_0",), dtype="float32")
    parts = program_gradient(program, values[:, :1], values[0, 1:], np.ones((4, 3)), method)
    assert [(part.shape, part.dtype) for part in parts] == [((4, 1), np.float32), ((11,), np.float32)]


def test_spsa_is_unbiased_with_the_variance_that_it_states(entangling_circuit):
    """200,000 directions: each mean lies within 6 of its standard errors, each variance within 5 %.

    Means are of terms bounded by 12, so near enough to normal: 6 standard errors fail once in 5e8 entries. The relative
    standard error of a variance is below 0.5 % here (kurtosis below 6); 5 % are ten of those.
    """
    rng = np.random.default_rng(3)
    circuit = entangling_circuit(2, 1)
    values = rng.normal(size=(1, circuit.n_params))
    problem = engine_problem(circuit, values, z_all(2), "float64")
    exact = gradient(problem, "adjoint")[0]  # (n_observables, n_params)
    n = 200_000
    tall = engine_problem(circuit, np.repeat(values, n, axis=0), z_all(2), "float64")
    singles = gradient(tall, "spsa", GradientOptions(n_directions=1, seed=11, step=1e-4))
    variance = (exact**2).sum(axis=1, keepdims=True) - exact**2
    assert (np.abs(singles.mean(axis=0) - exact) < 6 * np.sqrt(variance / n) + 1e-6).all()
    np.testing.assert_allclose(singles.var(axis=0), variance, rtol=0.05)
    mean_of_many = gradient(problem, "spsa", GradientOptions(n_directions=n, seed=11, step=1e-4))[0]
    assert (np.abs(mean_of_many - exact) < 6 * np.sqrt(variance / n) + 1e-6).all()


def test_spsa_is_seeded():
    problem = engine_problem(around("crx"), np.ones((2, 2)), OBSERVABLES, "float64")
    first, again, other = (gradient(problem, "spsa", GradientOptions(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_all_points_go_in_one_call_and_without_parameters_nothing_is_differentiated(method):
    for circuit in (around("cu"), Circuit(3).h(0)):
        inner = engine_problem(circuit, np.full((2, circuit.n_params), 0.3), OBSERVABLES, "float64")
        calls = []

        def evaluate(some, points, inner=inner, calls=calls):
            calls.append(points.shape)
            return inner.evaluate(some, points)

        problem = GradientProblem(inner.circuit, inner.values, evaluate, inner.adjoint)
        assert gradient(problem, method).shape == (2, 2, circuit.n_params)
        assert len(calls) == (method != "adjoint")


def test_occurrences_keep_everything_but_the_angles():
    theta = Parameter("theta")
    circuit = Circuit(2, n_bits=1).rx(2 * theta + 0.1, 0).u(0.3, theta, 0.0, 1).measure(0, 0)
    circuit.if_([0], 1, Circuit(2).rz(-theta, 1), Circuit(2).cry(theta, 0, 1))
    own = occurrences(circuit)
    assert own.circuit.n_bits == 1
    assert own.calls == (("rx", 0), ("u", 1), ("rz", 0), ("cry", 0))
    assert own.jacobian(("theta",)).ravel().tolist() == [2.0, 1.0, -1.0, 1.0]
    names = own.circuit.parameters
    assert own.circuit.bind(dict(zip(names, own.angles, strict=True))) == circuit


@pytest.mark.parametrize(
    "build",
    [
        lambda: gradient(engine_problem(around("rx"), np.ones((1, 2)), OBSERVABLES, "float64"), "backprop"),
        lambda: GradientOptions(step=0.0),
        lambda: GradientOptions(step=float("nan")),
        lambda: GradientOptions(n_directions=0),
        lambda: GradientOptions(seed=-1),
        lambda: gradient(GradientProblem(around("rx"), np.ones((1, 2)), lambda c, p: p, None), "adjoint"),
    ],
)
def test_refused(build):
    with pytest.raises(UnsupportedProgramError):
        build()


@pytest.mark.parametrize("method", ["parameter-shift", "finite-difference", "spsa"])
def test_more_points_than_fit_into_memory_are_refused(method):
    circuit = Circuit(1)
    for k in range(3000):
        circuit.rx(Parameter(f"p_{k}"), 0)
    values = np.broadcast_to(0.0, (2**24, 3000))  # a view of one number
    problem = GradientProblem(circuit, values, lambda circuit, points: points, None)
    with pytest.raises(StateTooLargeError, match="smaller batch"):
        gradient(problem, method)
