"""Ours through torch: superpose.learning.QuantumLayer of the same circuit, forward and autograd's backward."""

from __future__ import annotations

import torch

from rivals.circuit import Task
from rivals.protocol import Candidate, Step
from rivals.superpose_engine import circuit_of
from superpose.engine import set_threads, warm
from superpose.learning import QuantumLayer

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("superpose", "torch")


def _build(task: Task) -> Step:
    names = [f"x_{qubit}" for qubit in range(task.case.n_qubits)]
    layer = QuantumLayer.from_circuit(circuit_of(task), names, dtype=torch.float32)
    (weights,) = layer.parameters()
    order = [int(name[2:]) for name in layer.circuit.parameters if name not in names]  # by first use
    with torch.no_grad():
        weights.copy_(torch.from_numpy(task.weights.ravel()[order]))
    inputs = torch.from_numpy(task.inputs).requires_grad_(task.gradients)
    upstream = torch.from_numpy(task.upstream)

    def run():
        if not task.gradients:
            with torch.no_grad():
                return (layer(inputs),)
        values = layer(inputs)
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream)

    def arrays(results):
        if not task.gradients:
            return tuple(result.numpy() for result in results)
        placed = torch.zeros(task.weights.size)
        placed[order] = results[2]
        return results[0].numpy(), results[1].numpy(), placed.numpy()

    return Step(run, arrays)


def candidates(task: Task) -> list[Candidate]:
    """The layer as a user writes it."""
    torch.set_num_threads(task.threads)
    set_threads(task.threads)
    warm(dtypes=("float32",))
    return [Candidate("QuantumLayer", "complex64", lambda: _build(task))]
