"""Ours through torch: superpose.learning.QuantumLayer, forward and autograd's backward.

The layer's ansatz has U(theta, omega, phi) where the others have RZ(omega) RY(theta) RZ(phi): equal but for a phase.
"""

from __future__ import annotations

import torch

from rivals.circuit import Task
from rivals.protocol import Candidate, Step
from superpose.engine import set_threads, warm
from superpose.learning import QuantumLayer

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("superpose", "torch")


def _build(task: Task) -> Step:
    layer = QuantumLayer(
        task.case.n_qubits, encoding="angle", ansatz="strongly_entangling", layers=task.case.layers, dtype=torch.float32
    )
    (weights,) = layer.parameters()
    with torch.no_grad():
        weights.copy_(torch.from_numpy(task.weights[..., [1, 2, 0]]).reshape(weights.shape))
    inputs = torch.from_numpy(task.inputs).requires_grad_()
    upstream = torch.from_numpy(task.upstream)

    def run():
        values = layer(inputs)
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream)

    def arrays(results):
        values, grad_inputs, grad_weights = (result.numpy() for result in results)
        return values, grad_inputs, grad_weights.reshape(task.weights.shape)[..., [2, 0, 1]]

    return Step(run, arrays)


def candidates(task: Task) -> list[Candidate]:
    """The layer as a user writes it."""
    torch.set_num_threads(task.threads)
    set_threads(task.threads)
    warm()
    return [Candidate("QuantumLayer", "complex64", lambda: _build(task))]
