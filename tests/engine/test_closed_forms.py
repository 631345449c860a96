"""Circuits whose expectations, gradients or minima are known in closed form, or to many digits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from superpose.circuits import Circuit, Observable, Parameter, parameters, z_all
from superpose.engine import compile_program
from superpose.engine.gradients import GRADIENT_METHODS, GradientOptions, gradient
from superpose.engine.gradients.methods import engine_problem


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
def test_maxcut_on_two_qubits(dtype, tolerance):
    """QAOA with p = 1 on one edge: <ZZ> = sin(4 beta) sin(2 gamma), over a grid of both angles."""
    beta, gamma = Parameter("beta"), Parameter("gamma")
    circuit = Circuit(2).h(0).h(1).rzz(2 * gamma, 0, 1).rx(2 * beta, 0).rx(2 * beta, 1)
    program = compile_program(circuit, [Observable("ZZ")], inputs=("beta", "gamma"), dtype=dtype)
    grid = np.linspace(-np.pi, np.pi, 33)
    b, g = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    values, grad, _ = program.value_and_grad(np.stack([b, g], axis=1), None, np.ones((len(b), 1)))
    np.testing.assert_allclose(values[:, 0], np.sin(4 * b) * np.sin(2 * g), rtol=0, atol=tolerance)
    np.testing.assert_allclose(grad[:, 0], 4 * np.cos(4 * b) * np.sin(2 * g), rtol=0, atol=8 * tolerance)
    np.testing.assert_allclose(grad[:, 1], 2 * np.sin(4 * b) * np.cos(2 * g), rtol=0, atol=8 * tolerance)


HYDROGEN = Observable({"II": 0.2252, "ZI": 0.3435, "IZ": -0.4347, "ZZ": 0.5716, "XX": 0.0910, "YY": 0.0910})
"""H2 at R = 0.75 in two qubits, in hartree."""


def test_hydrogen_molecule_by_adjoint_gradients():
    """exp(-i t X0 Y1)|10>: the minimum over t is the ground state, -1.145599 Ha, at t = -0.11487."""
    t = Parameter("t")
    circuit = Circuit(2).x(0).sdg(1).rxx(2 * t, 0, 1).s(1)
    program = compile_program(circuit, [HYDROGEN], dtype="float64")
    matrix = np.cos(0.3) * np.eye(4) - 1j * np.sin(0.3) * Observable("XY").matrix()
    np.testing.assert_allclose(program.state_vector(None, [0.3])[0], matrix[:, 2], rtol=0, atol=1e-14)

    def energy(point):
        values, _, grad = program.value_and_grad(None, point, [[1.0]])
        return values[0, 0], grad

    found = minimize(energy, [0.0], jac=True, method="BFGS", options={"gtol": 1e-10})
    assert found.fun == pytest.approx(-1.145599, abs=1e-6)
    assert found.fun == pytest.approx(np.linalg.eigvalsh(HYDROGEN.matrix())[0], abs=1e-9)
    assert found.x[0] == pytest.approx(-0.11487, abs=5e-6)
    # the same, as one Hermitian matrix
    whole = compile_program(circuit, [Observable.hermitian(HYDROGEN.matrix())], dtype="float64")
    np.testing.assert_allclose(whole.expectation(None, found.x), [[found.fun]], rtol=0, atol=1e-14)


def test_newton_steps_on_hydrogen_need_few_calls():
    """Second derivatives are exact, so Newton's method converges in a handful of steps."""
    program = compile_program(Circuit(2).x(0).sdg(1).rxx(2 * Parameter("t"), 0, 1).s(1), [HYDROGEN], dtype="float64")
    point = np.array([0.0])
    for _ in range(4):
        _, _, grad = program.value_and_grad(None, point, [[1.0]])
        point = point - grad / program.hessian_vector(None, point, [[1.0]], [1.0])
    assert program.expectation(None, point)[0, 0] == pytest.approx(-1.145599, abs=1e-6)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_linear_hybrid_model(method):
    """Four qubits, RY and CNOT interleaved in a ring, output = X . <Z>: gradients known to six digits."""
    circuit, angles = Circuit(4), parameters("p", 4)
    for q in range(4):
        circuit.ry(angles[q], q).cx(q, (q + 1) % 4)
    factors = np.array([0.5, 0.1, -0.3, 0.8])
    observable = sum((k * z for k, z in zip(factors, z_all(4), strict=True)), Observable({}, 4))
    problem = engine_problem(circuit, np.array([[0.2, 0.6, 0.1, 0.7]]), [observable], "float64")
    got = gradient(problem, method, GradientOptions(n_directions=4000, seed=0))[0, 0]
    # SPSA: a standard error of at most 0.82 / sqrt(4000) = 0.013; 0.08 is six of them, failing once in 1e8
    want = [-0.067279, -0.441916, -0.056695, -0.679315]
    np.testing.assert_allclose(got, want, rtol=0, atol=0.08 if method == "spsa" else 1e-6)


def test_fisher_metric_of_rotations():
    """RX on |0> has F = 1; RZ on |0> changes nothing; RZ behind RY(t) has F = sin(t)^2; GHZ states have n^2."""
    a, b = Parameter("a"), Parameter("b")
    program = compile_program(Circuit(1).rz(a, 0).ry(b, 0), [], dtype="float64")
    order = [program.weight_names.index(name) for name in "ab"]
    metric = program.fisher_metric(None, [0.3, 0.7])[0][np.ix_(order, order)]
    np.testing.assert_allclose(metric, [[0, 0], [0, 1]], rtol=0, atol=1e-14)
    program = compile_program(Circuit(1).ry(b, 0).rz(a, 0), [], dtype="float64")
    metric = program.fisher_metric(None, [0.7, 0.3])[0]
    np.testing.assert_allclose(metric, np.diag([1, np.sin(0.7) ** 2]), rtol=0, atol=1e-14)
    n = 5
    circuit = Circuit(n).h(0)
    for q in range(1, n):
        circuit.cx(0, q)
    for q in range(n):
        circuit.rz(a, q)
    ghz = compile_program(circuit, [], dtype="float64")
    np.testing.assert_allclose(ghz.fisher_metric(None, [0.4])[0], [[n**2]], rtol=0, atol=1e-12)
