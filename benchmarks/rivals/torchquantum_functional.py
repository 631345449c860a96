"""TorchQuantum, functional gates on a batched device, autograd; bmm and einsum as its way to apply a gate.

Its data-set modules import torchvision, whose wheels want a CUDA build of torch; stand-ins keep it out, and no data set
is used here.
"""

from __future__ import annotations

import sys
from unittest.mock import MagicMock

import torch

from rivals.circuit import Task, ring_pairs
from rivals.protocol import Candidate, Step

for _name in ("", ".datasets", ".datasets.utils", ".datasets.vision", ".transforms", ".transforms.functional", ".io"):
    sys.modules[f"torchvision{_name}"] = MagicMock()

import torchquantum as tq  # noqa: E402
import torchquantum.functional as tqf  # noqa: E402

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("torchquantum", "torch")


def _build(task: Task, method: str) -> Step:
    case = task.case
    torch.set_num_threads(task.threads)
    inputs = torch.from_numpy(task.inputs).requires_grad_()
    weights = torch.from_numpy(task.weights).requires_grad_()
    upstream = torch.from_numpy(task.upstream)
    measure = tq.MeasureAll(tq.PauliZ)

    def run():
        device = tq.QuantumDevice(n_wires=case.n_qubits, bsz=case.batch)
        for qubit in range(case.n_qubits):
            tqf.ry(device, wires=qubit, params=inputs[:, qubit], comp_method=method)
        for layer in range(case.layers):
            for qubit in range(case.n_qubits):
                tqf.rot(device, wires=qubit, params=weights[layer, qubit].unsqueeze(0), comp_method=method)
            for pair in ring_pairs(case.n_qubits, layer):
                tqf.cnot(device, wires=list(pair), comp_method=method)
        values = measure(device)
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream)

    return Step(run, lambda results: tuple(result.numpy() for result in results))


def candidates(task: Task) -> list[Candidate]:
    """Both of its ways to apply a gate."""
    return [Candidate(method, "complex64", lambda method=method: _build(task, method)) for method in ("bmm", "einsum")]
