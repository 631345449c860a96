"""The judge: the same step in plain NumPy, double precision, one elementary gate at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rivals.circuit import Task, ring_permutation, z_signs

__all__ = ["Step", "disagreement", "exact_step"]

Step = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
_TOLERANCE = {"complex64": 1e-4, "complex128": 5e-6}
"""Largest error allowed, relative to the largest entry. complex128 contestants still get float32 angles."""


def _rotate(state: NDArray[np.complex128], axis: str, qubit: int, angle: NDArray[np.float64]) -> NDArray[np.complex128]:
    """exp(-i angle/2 axis) on one qubit of ``(2**n, batch)``; angle is ``()`` or ``(batch,)``."""
    halves = state.reshape(1 << qubit, 2, -1, state.shape[1])  # (left, 2, right, batch)
    low, high = halves[:, 0], halves[:, 1]
    if axis == "z":
        phase = np.exp(-0.5j * angle)
        turned = np.stack([phase * low, phase.conj() * high], axis=1)
    else:
        cos, sin = np.cos(angle / 2), np.sin(angle / 2)
        turned = np.stack([cos * low - sin * high, sin * low + cos * high], axis=1)
    return turned.reshape(state.shape)


def _slope(
    adjoint: NDArray[np.complex128], state: NDArray[np.complex128], axis: str, qubit: int
) -> NDArray[np.float64]:
    """Im <adjoint| axis |state> / 2 per batch entry: the derivative by the angle of a rotation just applied."""
    shape = (1 << qubit, 2, -1, state.shape[1])
    (a, b), (x, y) = np.moveaxis(adjoint.reshape(shape), 1, 0), np.moveaxis(state.reshape(shape), 1, 0)
    if axis == "z":
        overlap = (a.conj() * x - b.conj() * y).sum(axis=(0, 1))
    else:
        overlap = (1j * (b.conj() * x - a.conj() * y)).sum(axis=(0, 1))
    return np.asarray(overlap.imag / 2)


def exact_step(task: Task) -> Step:
    """Expectations ``(batch, n_qubits)`` and gradients of inputs and weights, in float64 by the adjoint method."""
    n, layers = task.case.n_qubits, task.case.layers
    inputs, weights, upstream = (a.astype(np.float64) for a in (task.inputs, task.weights, task.upstream))
    signs = z_signs(n).astype(np.float64)
    rings = [ring_permutation(n, layer) for layer in range(layers)]
    state = np.zeros((1 << n, task.case.batch), np.complex128)
    state[0] = 1
    for qubit in range(n):
        state = _rotate(state, "y", qubit, inputs[:, qubit])
    for layer in range(layers):
        for qubit in range(n):
            for axis, angle in zip("zyz", weights[layer, qubit], strict=True):
                state = _rotate(state, axis, qubit, angle)
        state = state[rings[layer]]
    expectations = (np.abs(state) ** 2).T @ signs
    adjoint = 2 * (signs @ upstream.T) * state

    grad_inputs, grad_weights = np.empty_like(inputs), np.empty_like(weights)
    for layer in reversed(range(layers)):
        back = np.argsort(rings[layer])
        state, adjoint = state[back], adjoint[back]
        for qubit in range(n):
            for which in (2, 1, 0):
                axis, angle = "zyz"[which], weights[layer, qubit, which]
                grad_weights[layer, qubit, which] = _slope(adjoint, state, axis, qubit).sum()
                state, adjoint = _rotate(state, axis, qubit, -angle), _rotate(adjoint, axis, qubit, -angle)
    for qubit in range(n):
        grad_inputs[:, qubit] = _slope(adjoint, state, "y", qubit)
        angle = -inputs[:, qubit]
        state, adjoint = _rotate(state, "y", qubit, angle), _rotate(adjoint, "y", qubit, angle)
    return expectations, grad_inputs, grad_weights


def disagreement(step: Step, exact: Step, precision: str, judged_angles: Sequence[int] = (0, 1, 2)) -> str | None:
    """Why a contestant's numbers are not the exact ones, or None when they agree within its precision."""
    angles = list(judged_angles)
    for name, got, want in zip(("expectations", "input gradients", "weight gradients"), step, exact, strict=True):
        if got.size != want.size:
            return f"{name}: {got.size} numbers where {want.size} are due"
        errors = np.abs(got.reshape(want.shape) - want)
        judged = errors[..., angles] if want.ndim == 3 else errors
        error = float(judged.max()) / max(1.0, float(np.abs(want).max()))
        if not error <= _TOLERANCE[precision]:
            return f"{name} differ by {error:.1e} of their largest value, allowed {_TOLERANCE[precision]:.0e}"
    return None
