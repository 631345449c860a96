"""Plain batched PyTorch, eager, autograd: einsum over a reshaped state, CNOT rings as index_select.

Gate by gate, and four neighbouring rotations at a time as one 16 x 16 matrix product; batch innermost and outermost.
"""

from __future__ import annotations

import torch

from rivals.circuit import Task, ring_permutation, z_signs
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("torch",)


def _rotations(weights):
    """RZ(omega) RY(theta) RZ(phi) of every weight triple: (layers, n_qubits, 2, 2)."""
    phi, theta, omega = weights.unbind(-1)
    cos, sin = torch.cos(theta / 2), torch.sin(theta / 2)
    a, b = torch.exp(-0.5j * (phi + omega)) * cos, torch.exp(0.5j * (phi - omega)) * sin
    return torch.stack([torch.stack([a, -b], -1), torch.stack([b.conj(), a.conj()], -1)], -2)


def _kron(matrices):
    product = matrices[0]
    for matrix in matrices[1:]:
        product = torch.kron(product, matrix)
    return product


def _encode(inputs, innermost):
    """RY(inputs) |0...0> as an outer product: (2**n, batch) or (batch, 2**n)."""
    halves = torch.stack([torch.cos(inputs / 2), torch.sin(inputs / 2)], -1)  # (batch, n, 2)
    batch, n_qubits, _ = halves.shape
    state = inputs.new_ones((1, batch) if innermost else (batch, 1))
    for qubit in range(n_qubits):
        if innermost:
            state = (state[:, None, :] * halves[:, qubit].T[None]).reshape(-1, batch)
        else:
            state = (state[:, :, None] * halves[:, qubit][:, None, :]).reshape(batch, -1)
    return state.to(torch.complex64)


def _build(task: Task, group: int, innermost: bool) -> Step:
    case = task.case
    torch.set_num_threads(task.threads)
    rings = [torch.from_numpy(ring_permutation(case.n_qubits, layer)) for layer in range(case.layers)]
    signs = torch.from_numpy(z_signs(case.n_qubits))
    inputs = torch.from_numpy(task.inputs).requires_grad_()
    weights = torch.from_numpy(task.weights).requires_grad_()
    upstream = torch.from_numpy(task.upstream)

    def run():
        state = _encode(inputs, innermost)
        shape, rotations = state.shape, _rotations(weights)
        for layer in range(case.layers):
            for first in range(0, case.n_qubits, group):
                matrix = _kron(rotations[layer, first : first + group])
                left = (1 << first) if innermost else case.batch << first
                blocks = state.reshape(left, matrix.shape[0], -1)
                state = torch.einsum("ab,xby->xay", matrix, blocks).reshape(shape)
            state = state.index_select(0 if innermost else 1, rings[layer])
        probabilities = state.real.square() + state.imag.square()
        values = (signs.T @ probabilities).T if innermost else probabilities @ signs
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream)

    return Step(run, lambda results: tuple(result.numpy() for result in results))


def candidates(task: Task) -> list[Candidate]:
    """Grouped and single gates, both layouts."""
    return [
        Candidate("groups of 4, batch innermost", "complex64", lambda: _build(task, 4, True)),
        Candidate("groups of 4, batch outermost", "complex64", lambda: _build(task, 4, False)),
        Candidate("single gates, batch innermost", "complex64", lambda: _build(task, 1, True)),
        Candidate("single gates, batch outermost", "complex64", lambda: _build(task, 1, False)),
    ]
