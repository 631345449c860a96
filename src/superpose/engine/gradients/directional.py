"""Second derivatives: how expectations and their adjoint gradients change along a direction, ``J v`` and ``H v``.

Along a line ``t -> (inputs, weights) + t v`` every angle turns at a constant rate, so an expectation is a sum of waves
in t whose frequencies are at most ``L``, the sum of all rotations' rates; and so is each entry of its gradient. For
such functions a rule of shifts along the line is exact to rounding. Tangents carried with the states are another way.
"""

from __future__ import annotations

from math import factorial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.engine.arrays import Array, real_array
from superpose.engine.gradients.rotations import rotations_of
from superpose.engine.gradients.tangents import carried_tangents
from superpose.engine.program import CompiledProgram, compile_program
from superpose.errors import ShapeError, UnsupportedProgramError

__all__ = ["Directional", "directional_derivatives"]

N_SHIFTS = 8
"""Pairs of shifted points along the line."""
TURN = 0.25
"""By how much the fastest wave turns between neighbouring points, in radians."""


class Directional(NamedTuple):
    """Derivatives along a direction.

    Attributes:
        expectations: Of the expectations, ``(batch, n_observables)``.
        grad_inputs: Of the gradient of the inputs, ``(batch, n_inputs)``.
        grad_weights: Of the gradient of the weights, ``(n_weights,)``.
    """

    expectations: Array
    grad_inputs: Array
    grad_weights: Array


def directional_derivatives(  # two directions and two options beside the call's own arguments
    program: CompiledProgram,
    given: tuple[npt.ArrayLike | None, npt.ArrayLike | None, npt.ArrayLike],
    input_direction: npt.ArrayLike | None,
    weight_direction: npt.ArrayLike | None,
    *,
    initial_state: npt.ArrayLike | None = None,
    method: str = "shifts",
) -> Directional:
    """Return how expectations and gradients change along a direction.

    Args:
        program: The circuit and its observables.
        given: Inputs, weights and the gradient that comes in, as `CompiledProgram.value_and_grad` takes them.
        input_direction: ``(batch, n_inputs)``; None for zero.
        weight_direction: ``(n_weights,)``; None for zero.
        initial_state: See `CompiledProgram.expectation`.
        method: "shifts" differentiates the adjoint gradient by the central rule of order 16, with steps in which the
            fastest wave turns by a quarter of a radian. Its error is at most ``2e-15 L`` times the largest value on
            the line (the rule's remainder, by Bernstein's inequality for such waves): that of rounding. "tangents"
            carries derivatives of the states through the circuit and back, as the adjoint method differentiated once
            more: exact by construction, and what tests hold the shifts to.

    Raises:
        ShapeError: An array has another shape, is not real, or holds NaN or infinity.
        StateTooLargeError: The states do not fit into memory.
        UnsupportedProgramError: Another method.

    Cost: "shifts" sixteen adjoint gradients in float64; "tangents" some 80 ns per rotation, amplitude and batch entry
    (NumPy), which is more but for the smallest circuits.
    Source: Boas 1954, Entire Functions, sec. 11.1 (Bernstein's inequality); Fornberg 1988, Math. Comp. 51:699 (rules).
    """
    x, w, grad, state = program.arrays(*given, initial_state=initial_state)
    dx = _direction("input_direction", input_direction, x.shape)
    dw = _direction("vector", weight_direction, w.shape)
    rotations = rotations_of(program)
    turns = dx @ rotations.by_input.T + rotations.by_weight @ dw  # (batch, n_rotations): how fast angles turn
    if method == "tangents":
        angles = rotations.angles(x, w)  # (batch, n_rotations)
        expectations, changes = carried_tangents(program, rotations, (angles, turns, grad), state)
        found = expectations, changes @ rotations.by_input, changes.sum(axis=0) @ rotations.by_weight
    elif method == "shifts":
        fastest = float(np.abs(turns).sum(axis=1).max(initial=0.0))
        found = _shifted(program, (x, w, grad), (dx, dw), state, fastest)
    else:
        raise UnsupportedProgramError(
            f"method must be 'shifts' or 'tangents', got {method!r}.", allowed=["shifts", "tangents"]
        )
    return Directional(*(array.astype(program.dtype, copy=False) for array in found))


def _shifted(
    program: CompiledProgram,
    given: tuple[Array, Array, Array],
    direction: tuple[Array, Array],
    state: Array | None,
    fastest: float,
) -> tuple[Array, Array, Array]:
    """Return the derivatives along the line from adjoint gradients at `N_SHIFTS` pairs of points."""
    (x, w, grad), (dx, dw) = given, direction
    found = np.zeros((len(x), program.n_observables)), np.zeros(x.shape), np.zeros(w.shape)
    if fastest == 0.0:
        return found
    exact = compile_program(program.circuit, program.observables, inputs=program.input_names, dtype="float64")
    step = TURN / fastest
    for number, c in enumerate(_COEFFICIENTS, start=1):
        for sign in (1, -1):
            t = sign * number * step
            parts = exact.value_and_grad(x + t * dx, w + t * dw, grad, initial_state=state)
            for out, part in zip(found, parts, strict=True):
                out += (sign * c / step) * part
    return found


def _coefficients(n: int) -> tuple[float, ...]:
    """Return c with ``f'(0) = sum over k of c_k (f(k) - f(-k))`` for polynomials up to degree ``2 n``."""
    whole = factorial(n) ** 2
    return tuple((1 if k % 2 else -1) * whole / (k * factorial(n - k) * factorial(n + k)) for k in range(1, n + 1))


_COEFFICIENTS = _coefficients(N_SHIFTS)


def _direction(what: str, given: npt.ArrayLike | None, shape: tuple[int, ...]) -> Array:
    array = np.zeros(shape) if given is None else real_array(what, given)
    if array.shape != shape:
        raise ShapeError(
            f"{what} must have shape {shape}, got {array.shape}.", got=list(array.shape), allowed=list(shape)
        )
    if not np.isfinite(array).all():
        raise ShapeError(f"{what} must be finite, got NaN or infinity.", what=what, got="non-finite")
    return array
