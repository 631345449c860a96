"""The table of gradient methods, and gradients of compiled programs by any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Observable
from superpose.engine.arrays import Array
from superpose.engine.gradients.adjoint import adjoint, adjoint_gradient, exact_program
from superpose.engine.gradients.finite_difference import finite_difference
from superpose.engine.gradients.parameter_shift import parameter_shift
from superpose.engine.gradients.problem import Evaluate, GradientOptions, GradientProblem
from superpose.engine.gradients.spsa import spsa
from superpose.engine.program import CompiledProgram
from superpose.engine.runner import Dtype
from superpose.errors import UnsupportedProgramError

__all__ = ["GRADIENT_METHODS", "engine_problem", "gradient", "program_gradient"]

GRADIENT_METHODS: Mapping[str, Callable[[GradientProblem, GradientOptions], Array]] = MappingProxyType(
    {
        "adjoint": adjoint,
        "parameter-shift": parameter_shift,
        "finite-difference": finite_difference,
        "spsa": spsa,
    }
)
"""Every method by the name that ``gradient_method`` takes; each gives ``(batch, n_observables, n_params)``."""


def gradient(problem: GradientProblem, method: str, options: GradientOptions | None = None) -> Array:
    """Return the gradient of expectations, float64 ``(batch, n_observables, n_params)``.

    Args:
        problem: What is differentiated, and where.
        method: A row of `GRADIENT_METHODS`.
        options: Step, directions and seed, for the methods that have them.

    Raises:
        UnsupportedProgramError: No such method, or one that this problem does not allow.
    """
    if method not in GRADIENT_METHODS:
        raise UnsupportedProgramError(
            f"gradient_method must be one of {', '.join(GRADIENT_METHODS)}, got {method!r}.",
            got=str(method)[:100],
            allowed=list(GRADIENT_METHODS),
        )
    return GRADIENT_METHODS[method](problem, options or GradientOptions())


def engine_problem(
    circuit: Circuit,
    values: Array,
    observables: Sequence[Observable],
    dtype: Dtype,
    initial_state: npt.ArrayLike | None = None,
) -> GradientProblem:
    """Return the problem of a circuit whose exact expectations this engine computes.

    Args:
        circuit: Gates; or noise, measurement and feed-forward too, where those are computed exactly.
        values: ``(batch, n_params)`` in the order of ``circuit.parameters``.
        observables: What is measured.
        dtype: Precision.
        initial_state: ``(2**n_qubits,)`` or ``(batch, 2**n_qubits)``.
    """

    return GradientProblem(
        circuit=circuit,
        values=values,
        evaluate=_evaluator(observables, dtype, initial_state),
        adjoint=lambda: adjoint_gradient(circuit, values, observables, dtype, initial_state),
        noise=dtype,
    )


def _evaluator(observables: Sequence[Observable], dtype: Dtype, initial_state: npt.ArrayLike | None) -> Evaluate:
    def evaluate(circuit: Circuit, points: Array) -> Array:
        program = exact_program(circuit, observables, dtype)
        n_points, batch, n_params = points.shape
        state = None if initial_state is None else np.asarray(initial_state)
        if state is not None and state.ndim == 2 and len(state) > 1:
            state = np.tile(state, (n_points, 1))
        rows = program.expectation(points.reshape(n_points * batch, n_params), None, initial_state=state)
        return rows.reshape(n_points, batch, rows.shape[1]).astype(np.float64, copy=False)

    return evaluate


def program_gradient(
    program: CompiledProgram,
    inputs: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
    grad_expectations: npt.ArrayLike,
    method: str = "adjoint",
    options: GradientOptions | None = None,
) -> tuple[Array, Array]:
    """Return the gradients that flow back to inputs and weights, by any method.

    Args:
        program, inputs, weights, grad_expectations: See `CompiledProgram.value_and_grad`.
        method: A row of `GRADIENT_METHODS`.
        options: Step, directions and seed, for the methods that have them.

    Returns:
        Arrays ``(batch, n_inputs)`` and ``(n_weights,)`` of the program's dtype.

    Raises:
        ShapeError, UnsupportedProgramError: See `CompiledProgram.value_and_grad` and `gradient`.
    """
    if method == "adjoint":
        return program.value_and_grad(inputs, weights, grad_expectations)[1:]
    x, w, grad, _ = program.arrays(inputs, weights, grad_expectations)
    names = program.circuit.parameters
    place = {name: k for k, name in enumerate(names)}
    values = np.empty((len(x), len(names)))
    of_inputs = [place[name] for name in program.input_names]
    of_weights = [place[name] for name in program.weight_names]
    values[:, of_inputs], values[:, of_weights] = x, w
    problem = engine_problem(program.circuit, values, program.observables, program.dtype)
    found = np.einsum("bop,bo->bp", gradient(problem, method, options), grad)  # (batch, n_params)
    dtype = np.dtype(program.dtype)
    return found[:, of_inputs].astype(dtype), found[:, of_weights].sum(axis=0).astype(dtype)
