"""The families' circuits against state vectors computed here by hand, and gradients of all their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from superpose.learning import QuantumBlock, QuantumLayer
from superpose.learning.families.circuit_centric import amplitude_angles, circuit_centric_block
from superpose.learning.families.data_reuploading import reuploading_block
from superpose.learning.families.dressed_circuit import dressed_block
from superpose.learning.families.quantum_convolution import convolution_block
from superpose.learning.families.tree_tensor import tree_block

Matrix = NDArray[np.complex128]
RNG = np.random.default_rng(5)
H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
X, Z = np.array([[0, 1], [1, 0]]), np.diag([1.0, -1.0])


def rx(a: float) -> Matrix:
    found: Matrix = np.cos(a / 2) * np.eye(2) - 1j * np.sin(a / 2) * X
    return found


def ry(a: float) -> Matrix:
    return np.array([[np.cos(a / 2), -np.sin(a / 2)], [np.sin(a / 2), np.cos(a / 2)]], dtype=complex)


def rz(a: float) -> Matrix:
    return np.diag(np.exp([-0.5j * a, 0.5j * a]))


def u(w: Sequence[float]) -> Matrix:
    """The general rotation by (theta, phi, lambda), up to a phase."""
    found: Matrix = rz(w[1]) @ ry(w[0]) @ rz(w[2])
    return found


class State:
    """A state vector with qubit 0 as its first axis."""

    def __init__(self, n: int, vector: NDArray[np.float64] | None = None) -> None:
        start = np.eye(2**n)[0] if vector is None else vector
        self.n, self.v = n, start.astype(complex).reshape((2,) * n)

    def one(self, qubit: int, matrix: Matrix) -> None:
        self.v = np.moveaxis(np.tensordot(matrix, self.v, axes=(1, qubit)), 0, qubit)

    def controlled(self, control: int, qubit: int, matrix: Matrix) -> None:
        zero, one = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
        kept, turned = State(self.n, self.v.ravel()), State(self.n, self.v.ravel())
        kept.one(control, zero)
        turned.one(control, one)
        turned.one(qubit, matrix)
        self.v = kept.v + turned.v

    def z(self, *qubits: int) -> float:
        other = State(self.n, self.v.ravel())
        for qubit in qubits:
            other.one(qubit, Z)
        return float(np.vdot(self.v, other.v).real)


def dressed(x: Sequence[float], w: Sequence[float]) -> list[float]:
    state = State(4)
    for q in range(4):
        state.one(q, H)
        state.one(q, ry(x[q]))
    for layer in range(2):
        for pair in ((0, 1), (2, 3), (1, 2)):
            state.controlled(*pair, X)
        for q in range(4):
            state.one(q, ry(w[4 * layer + q]))
    return [state.z(q) for q in range(4)]


def reuploading(x: Sequence[float], w: Sequence[float]) -> list[float]:
    state, place = State(4), 0
    joined: list[list[tuple[int, int]]] = [[(0, 1), (2, 3)], [(1, 2), (3, 0)], []]
    for pairs in joined:
        for q in range(4):
            for _ in range(2):
                state.one(q, u([a + b for a, b in zip(x[place : place + 3], w[place : place + 3], strict=True)]))
                place += 3
        for pair in pairs:
            state.controlled(*pair, Z)
    return [state.z(q) for q in range(4)]


def su4(state: State, a: int, b: int, w: Sequence[float]) -> None:
    state.one(a, u(w[0:3]))
    state.one(b, u(w[3:6]))
    state.controlled(b, a, X)
    state.one(a, rz(w[6]))
    state.one(b, ry(w[7]))
    state.controlled(a, b, X)
    state.one(b, ry(w[8]))
    state.controlled(b, a, X)
    state.one(a, u(w[9:12]))
    state.one(b, u(w[12:15]))


def convolution(x: Sequence[float], w: Sequence[float]) -> list[float]:
    state = State(4)
    for q in range(4):
        state.one(q, ry(x[q]))
    for pair in ((0, 1), (2, 3), (1, 2), (3, 0)):
        su4(state, *pair, w[0:15])
    for gone, kept in ((0, 1), (2, 3)):
        state.controlled(gone, kept, rz(w[15]))
        state.one(gone, X)
        state.controlled(gone, kept, rx(w[16]))
    su4(state, 1, 3, w[17:32])
    state.controlled(1, 3, rz(w[32]))
    state.one(1, X)
    state.controlled(1, 3, rx(w[33]))
    state.one(3, u(w[34:37]))
    return [state.z(3)]


def tree(x: Sequence[float], w: Sequence[float]) -> list[float]:
    state = State(4)
    for q in range(4):
        state.one(q, ry(x[q]))
    for node, (a, b) in enumerate(((0, 1), (2, 3), (1, 3))):
        state.one(a, u(w[6 * node : 6 * node + 3]))
        state.one(b, u(w[6 * node + 3 : 6 * node + 6]))
        state.controlled(a, b, X)
    state.one(3, u(w[18:21]))
    return [state.z(3)]


HAND: dict[str, tuple[QuantumBlock, Callable[[Sequence[float], Sequence[float]], list[float]]]] = {
    "dressed_circuit": (dressed_block(4, 2), dressed),
    "data_reuploading": (reuploading_block(6, 4, 3), reuploading),
    "quantum_convolution": (convolution_block(4, 1), convolution),
    "tree_tensor": (tree_block(4, 1), tree),
}


@pytest.mark.parametrize("name", HAND)
def test_expectations_are_those_computed_by_hand(name: str) -> None:
    block, by_hand = HAND[name]
    inputs = RNG.uniform(-3, 3, (5, block.n_inputs))
    layer = QuantumLayer.from_block(block, torch.float64, seed=1)
    expected = [by_hand(row, layer.weights.tolist()) for row in inputs]
    np.testing.assert_allclose(layer(torch.from_numpy(inputs)).detach(), expected, atol=1e-12)


@pytest.mark.parametrize(("copies", "n_kept"), [(1, 1), (2, 1), (2, None)])
def test_columns_become_amplitudes_before_strongly_entangling_layers(copies: int, n_kept: int | None) -> None:
    rows = RNG.normal(size=(6, 8))
    rows[0, 3:] = 0.0  # whole branches of the tree are empty
    angles = amplitude_angles(torch.from_numpy(rows), 3)
    assert [a.shape for a in angles] == [(6, 1), (6, 2), (6, 4)]
    n = 3 * copies
    from superpose.learning.families.circuit_centric import _Amplitudes

    inputs = _Amplitudes(7, 3, 1.5, separable=False)(torch.from_numpy(rows[:, :7]))
    layer = QuantumLayer.from_block(circuit_centric_block(3, copies, 2, n_kept), torch.float64, seed=1)
    w = layer.weights.tolist()
    expected = []
    for row in rows:
        one = np.append(row[:7], 1.5)
        one /= np.linalg.norm(one)
        state = State(n, one if copies == 1 else np.kron(one, one))
        for depth in range(2):
            for q in range(n):
                state.one(q, u(w[3 * (n * depth + q) : 3 * (n * depth + q) + 3]))
            for q in range(n):
                state.controlled(q, (q + depth % (n - 1) + 1) % n, X)
        expected.append([state.z(q) for q in range(n if n_kept is None else n_kept)])
    np.testing.assert_allclose(layer(inputs).detach(), expected, atol=1e-12)


BLOCKS = {name: block for name, (block, _) in HAND.items()} | {
    "three classes": convolution_block(5, 2),
    "a tree for three classes": tree_block(7, 2),
    "amplitudes": circuit_centric_block(2, 2, 4),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_gradients_reach_every_weight_that_can_matter(name: str) -> None:
    """All but turns about Z right before Z is measured, or of a fresh |0>, change something."""
    block = BLOCKS[name]
    layer = QuantumLayer.from_block(block, torch.float64, seed=3)
    inputs = torch.from_numpy(RNG.uniform(-3, 3, (16, block.n_inputs)))
    mixed = torch.from_numpy(RNG.normal(size=(16, block.n_outputs)))
    (layer(inputs) * mixed).sum().backward()
    assert layer.weights.grad is not None
    moved = layer.weights.grad.abs() > 1e-9
    base = layer(inputs).detach()
    for place, name_of_weight in enumerate(block.weight_names):
        if not moved[place]:
            with torch.no_grad():
                layer.weights[place] += 1.0
                assert (layer(inputs) - base).abs().max() < 1e-9, f"{name_of_weight} matters, but has no gradient"
                layer.weights[place] -= 1.0
    assert moved.double().mean() > 0.6
