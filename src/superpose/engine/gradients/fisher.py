"""The quantum Fisher information of a program's final states, exact, from states at angles shifted by pi."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from superpose.engine.arrays import Array
from superpose.engine.gradients.rotations import Rotations, rotations_of
from superpose.engine.layouts import runs_wide
from superpose.engine.memory import check_memory, memory_required
from superpose.engine.program import CompiledProgram
from superpose.engine.runner import Runner

__all__ = ["fisher_metric"]


def fisher_metric(
    program: CompiledProgram,
    inputs: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
    *,
    initial_state: npt.ArrayLike | None = None,
) -> Array:
    """Return the quantum Fisher information of the weights; see `CompiledProgram.fisher_metric`.

    A rotation's derivative is the rotation by pi more, halved: ``d/dt exp(-i t/2 P) = exp(-i (t + pi)/2 P) / 2``. So
    the derivative of the state with respect to a weight is a sum of final states of the same circuit, which the engine
    runs as one batch.
    """
    x, w, _, state = program.arrays(inputs, weights, initial_state=initial_state)
    rotations = rotations_of(program)
    active = np.flatnonzero(rotations.by_weight.any(axis=1))
    n_rows = 1 + len(active)
    n_bytes = memory_required(program.n_qubits, n_rows, dtype="float64", gradients=True)
    vectors = (2 * n_rows + program.n_weights) << (program.n_qubits + 4)
    check_memory(n_bytes + vectors, program.n_qubits, n_rows)
    runner = _separated(program, runs_wide(program.n_qubits, n_rows, "float64"))
    angles = rotations.angles(x, w)  # (batch, n_rotations)
    out = np.empty((len(x), program.n_weights, program.n_weights))
    for entry, row in enumerate(angles):
        start: Array = np.empty(0)
        if state is not None:
            one = state[min(entry, len(state) - 1)]
            start = runner.first_layout.placed(one, np.complex128).view(np.float64)
        out[entry] = _metric(_derivatives(runner, rotations, row, active, start))
    return out.astype(program.dtype, copy=False)


@lru_cache(maxsize=16)
def _separated(program: CompiledProgram, wide: bool) -> Runner:
    """Return what runs the program's rotations with an angle each."""
    rotations = rotations_of(program)
    return Runner(rotations.separated(program.lowered), (rotations.names(), ()), "float64", wide=wide)


def _derivatives(
    runner: Runner, rotations: Rotations, angles: Array, active: Array, start: Array
) -> tuple[Array, Array]:
    """Return the final state ``(2**n_qubits,)`` and its derivatives ``(n_weights, 2**n_qubits)``."""
    points = np.tile(angles, (1 + len(active), 1))  # (row, rotation): the first row is the state itself
    points[np.arange(1, len(points)), active] += np.pi
    states = runner.final_states((points, np.empty(0), start)).vectors({}, np.complex128)
    derivatives = np.zeros((rotations.by_weight.shape[1], states.shape[1]), np.complex128)
    for state, factors in zip(states[1:], rotations.by_weight[active], strict=True):
        for weight in np.flatnonzero(factors):
            derivatives[weight] += (0.5 * factors[weight]) * state
    return states[0], derivatives


def _metric(state_and_derivatives: tuple[Array, Array]) -> Array:
    """Return ``4 Re(<d_i|d_j> - <d_i|s><s|d_j>)``: the derivatives' parts across the state suffice."""
    state, derivatives = state_and_derivatives
    across = derivatives - np.outer(derivatives @ state.conj(), state)
    parts = np.concatenate([across.real, across.imag], axis=1)  # Re(conj(a) . b) is a product of real vectors
    found: Array = 4 * parts @ parts.T
    return found
