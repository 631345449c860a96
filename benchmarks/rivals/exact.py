"""The judge: the same step in plain NumPy, double precision, one gate at a time (a ring of CNOTs is one gather)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rivals.circuit import Task, chain_signs, ring_permutation, z_signs
from rivals.families import Block, blocks, gates

__all__ = ["Step", "disagreement", "exact_step"]

Step = tuple[NDArray[np.float64], ...]
"""Expectations, and where gradients are asked for those of inputs and weights."""

_State = NDArray[np.complex128]
_TOLERANCE = {"complex64": 1e-4, "complex128": 5e-6}
"""Largest error allowed, relative to the largest entry. complex128 contestants still get float32 angles."""
_PAULI = {"z": np.diag([1.0 + 0j, -1.0]), "y": np.array([[0, -1j], [1j, 0]])}


def _apply(state: _State, matrix: NDArray[np.complex128], qubit: int) -> _State:
    """A matrix ``(2, 2)`` or ``(2, 2, batch)`` on one qubit of ``(2**n, batch)``."""
    halves = state.reshape(1 << qubit, 2, -1, state.shape[1])  # (left, 2, right, batch)
    low, high = halves[:, 0], halves[:, 1]
    turned = np.empty_like(halves)
    for row in (0, 1):
        np.multiply(low, matrix[row, 0], out=turned[:, row])
        turned[:, row] += matrix[row, 1] * high
    return turned.reshape(state.shape)


def _rotation(axis: str, angle: NDArray[np.float64]) -> NDArray[np.complex128]:
    """exp(-i angle/2 axis), ``(2, 2)`` or ``(2, 2, batch)``."""
    shape = (2, 2) + (1,) * np.ndim(angle)
    return np.cos(angle / 2) * np.eye(2).reshape(shape) - 1j * np.sin(angle / 2) * _PAULI[axis].reshape(shape)


def _slope_one(adjoint: _State, state: _State, axis: str, qubit: int) -> NDArray[np.float64]:
    """Im <adjoint| axis |state> / 2 per sample: the derivative by the angle of a rotation just applied."""
    halves = adjoint.reshape(1 << qubit, 2, -1, state.shape[1]), state.reshape(1 << qubit, 2, -1, state.shape[1])
    (a, b), (x, y) = ((half[:, 0], half[:, 1]) for half in halves)
    dot = "lrb,lrb->b"
    if axis == "z":
        return np.asarray((np.einsum(dot, a.conj(), x) - np.einsum(dot, b.conj(), y)).imag / 2)
    return np.asarray((np.einsum(dot, b.conj(), x) - np.einsum(dot, a.conj(), y)).real / 2)


class _Judge:
    """Applies blocks and gates, forwards and back, to states ``(2**n, batch)``."""

    def __init__(self, task: Task) -> None:
        self.n = task.case.n_qubits
        self.inputs = task.inputs.astype(np.float64)
        self.weights = task.weights.astype(np.float64).ravel()
        self.signs = z_signs(self.n).astype(np.float64)
        self.grad_inputs = np.zeros_like(self.inputs)
        self.grad_weights = np.zeros_like(self.weights)

    def _angle(self, source: str, index: int) -> NDArray[np.float64]:
        return self.inputs[:, index] if source == "input" else self.weights[index]

    def fixed(self, name: str, reach: int = 0) -> Callable[[_State, bool], _State]:
        """A whole block without angles, as a function of (state, backwards)."""
        if name == "ring":
            forth = ring_permutation(self.n, reach)
            back = np.argsort(forth)
            return lambda state, backwards: state[back if backwards else forth]
        diagonal = chain_signs(self.n).astype(np.float64)[:, None]
        return lambda state, _: state * diagonal

    def turn(self, state: _State, name: str, qubits: tuple[int, ...], angle: NDArray[np.float64]) -> _State:
        """One rotation, or a Hadamard."""
        if name == "h":
            return _apply(state, np.array([[1, 1], [1, -1]]) * np.sqrt(0.5) + 0j, qubits[0])
        if name == "rzz":
            return state * np.exp(-0.5j * angle * self._parity(qubits))
        return _apply(state, _rotation(name[1], angle), qubits[0])

    def _parity(self, qubits: tuple[int, ...]) -> NDArray[np.float64]:
        return (self.signs[:, qubits[0]] * self.signs[:, qubits[1]])[:, None]

    def collect(
        self, adjoint: _State, state: _State, name: str, qubits: tuple[int, ...], source: str, index: int
    ) -> None:
        """Adds one rotation's derivative to the gradients."""
        if name == "rzz":
            slopes = (adjoint.conj() * state * self._parity(qubits)).sum(0).imag / 2
        else:
            slopes = _slope_one(adjoint, state, name[1], qubits[0])
        if source == "input":
            self.grad_inputs[:, index] += slopes
        else:
            self.grad_weights[index] += slopes.sum()


def _whole(block: Block) -> bool:
    return block.kind in ("ring", "signs")


def exact_step(task: Task) -> Step:
    """Expectations ``(batch, n_qubits)`` and gradients of inputs and weights, in float64 by the adjoint method."""
    judge, zero = _Judge(task), np.zeros(())
    n, rest = task.case.n_qubits, iter(gates(task.case))
    state = np.zeros((1 << n, task.case.batch), np.complex128)
    state[0] = 1
    done = []
    for block in blocks(task.case):
        n_gates = n - (block.kind in ("couple", "signs"))
        members = [next(rest) for _ in range(n_gates * max(1, len(block.axes)))]
        if _whole(block):
            done.append(judge.fixed(block.kind, block.reach))
            state = done[-1](state, False)
            continue
        for gate in members:
            done.append(gate)
            state = judge.turn(
                state, gate.name, gate.qubits, judge._angle(gate.source, gate.index) if gate.source else zero
            )
    expectations = (np.abs(state) ** 2).T @ judge.signs
    if not task.gradients:
        return (expectations,)
    adjoint = 2 * (judge.signs @ task.upstream.astype(np.float64).T) * state
    for gate in reversed(done):
        if callable(gate):
            state, adjoint = gate(state, True), gate(adjoint, True)
            continue
        angle = -judge._angle(gate.source, gate.index) if gate.source else zero
        if gate.source:
            judge.collect(adjoint, state, gate.name, gate.qubits, gate.source, gate.index)
        state, adjoint = (judge.turn(a, gate.name, gate.qubits, angle) for a in (state, adjoint))
    return expectations, judge.grad_inputs, judge.grad_weights.reshape(task.weights.shape)


def disagreement(step: Step, exact: Step, precision: str, judged_angles: Sequence[int] = ()) -> str | None:
    """Why a contestant's numbers are not the exact ones, or None when they agree within its precision.

    ``judged_angles`` restricts the comparison of weight gradients to these places of the last axis.
    """
    angles = list(judged_angles)
    names = ("expectations", "input gradients", "weight gradients")
    if len(step) != len(exact):
        return f"{len(step)} results where {len(exact)} are due"
    for name, got, want in zip(names, step, exact, strict=False):
        if got.size != want.size:
            return f"{name}: {got.size} numbers where {want.size} are due"
        errors = np.abs(got.reshape(want.shape) - want)
        judged = errors[..., angles] if angles and name == "weight gradients" else errors
        error = float(judged.max()) / max(1.0, float(np.abs(want).max()))
        if not error <= _TOLERANCE[precision]:
            return f"{name} differ by {error:.1e} of their largest value, allowed {_TOLERANCE[precision]:.0e}"
    return None
