"""The adjoint method: exact gradients at the cost of about three runs, where states can be seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Observable
from superpose.engine.arrays import Array
from superpose.engine.dynamic import DynamicProgram, compile_dynamic
from superpose.engine.gradients.problem import GradientOptions, GradientProblem
from superpose.engine.program import CompiledProgram, compile_program
from superpose.engine.runner import Dtype
from superpose.errors import UnsupportedProgramError

__all__ = ["adjoint", "adjoint_gradient", "exact_program"]


def adjoint(problem: GradientProblem, options: GradientOptions) -> Array:
    """Return the gradient ``(batch, n_observables, n_params)``, exact.

    Raises:
        UnsupportedProgramError: Expectations come from shots, or from a machine that shows no states.

    Cost: some three runs of the batch per observable.
    Source: Jones and Gacon 2020, arXiv 2009.02823.
    """
    if problem.adjoint is None:
        raise UnsupportedProgramError(
            "The adjoint method needs the state: shots=None, the local backend, and a circuit of gates, or one whose "
            "density matrix fits; use 'parameter-shift' (exact or with shots), 'finite-difference' or 'spsa'.",
            got="adjoint",
            allowed=["parameter-shift", "finite-difference", "spsa"],
        )
    return problem.adjoint()


def exact_program(
    circuit: Circuit, observables: Sequence[Observable], dtype: Dtype
) -> CompiledProgram | DynamicProgram:
    """Return what computes a circuit's expectations on this machine, all parameters being inputs."""
    if circuit.is_unitary:
        return compile_program(circuit, observables, inputs=circuit.parameters, dtype=dtype)
    return compile_dynamic(circuit, observables, inputs=circuit.parameters, dtype=dtype)


def adjoint_gradient(
    circuit: Circuit,
    values: Array,
    observables: Sequence[Observable],
    dtype: Dtype,
    initial_state: npt.ArrayLike | None = None,
) -> Array:
    """Return the gradient of this engine's exact expectations, float64 ``(batch, n_observables, n_params)``.

    Each observable of each batch entry is one row of a call, with a one as its incoming gradient.

    Args:
        circuit: Gates; or, where a density matrix fits, noise, measurement and feed-forward too.
        values: ``(batch, n_params)`` in the order of ``circuit.parameters``.
        observables: What is measured.
        dtype: Precision.
        initial_state: ``(2**n_qubits,)`` or ``(batch, 2**n_qubits)``.
    """
    program = exact_program(circuit, observables, dtype)
    batch, n_observables = len(values), program.n_observables
    rows = np.repeat(values, n_observables, axis=0)  # (batch * n_observables, n_inputs)
    state = None if initial_state is None else np.asarray(initial_state)
    if state is not None and state.ndim == 2 and len(state) > 1:
        state = np.repeat(state, n_observables, axis=0)
    if not len(rows):
        return np.zeros((batch, n_observables, program.n_inputs))
    ones = np.tile(np.eye(n_observables), (batch, 1))
    _, grad, _ = program.value_and_grad(rows, None, ones, initial_state=state)
    return grad.reshape(batch, n_observables, program.n_inputs).astype(np.float64, copy=False)
