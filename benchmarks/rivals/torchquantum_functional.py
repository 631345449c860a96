"""TorchQuantum, functional gates on a batched device, autograd; bmm and einsum as its way to apply a gate.

Its data-set modules import torchvision, whose wheels want a CUDA build of torch; stand-ins keep it out, and no data set
is used here.
"""

from __future__ import annotations

import sys
from unittest.mock import MagicMock

import torch

from rivals.circuit import Task
from rivals.families import gates
from rivals.protocol import Candidate, Step

for _name in ("", ".datasets", ".datasets.utils", ".datasets.vision", ".transforms", ".transforms.functional", ".io"):
    sys.modules[f"torchvision{_name}"] = MagicMock()

import torchquantum as tq  # noqa: E402
import torchquantum.functional as tqf  # noqa: E402

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("torchquantum", "torch")


_GATES = {"ry": tqf.ry, "rz": tqf.rz, "rzz": tqf.rzz, "h": tqf.hadamard, "cx": tqf.cnot, "cz": tqf.cz}


def _words(task: Task) -> list[tuple[str, list[int], str, int]]:
    """(name, qubits, source, index) of every gate; RZ RY RZ of three weights in a row is its one gate "rot"."""
    words = [(gate.name, list(gate.qubits), gate.source, gate.index) for gate in gates(task.case)]
    place = 0
    while place + 2 < len(words):
        three = words[place : place + 3]
        same = all(qubits == three[0][1] and source == "weight" for _, qubits, source, _ in three)
        if same and [name for name, *_ in three] == ["rz", "ry", "rz"]:
            words[place : place + 3] = [("rot", three[0][1], "weight", three[0][3])]
        place += 1
    return words


def _build(task: Task, method: str) -> Step:
    case, words = task.case, _words(task)
    torch.set_num_threads(task.threads)
    inputs = torch.from_numpy(task.inputs).requires_grad_(task.gradients)
    weights = torch.from_numpy(task.weights).requires_grad_(task.gradients)
    upstream = torch.from_numpy(task.upstream)
    measure = tq.MeasureAll(tq.PauliZ)

    def expectations():
        device, flat = tq.QuantumDevice(n_wires=case.n_qubits, bsz=case.batch), weights.reshape(-1)
        for name, qubits, source, index in words:
            if name == "rot":
                tqf.rot(device, wires=qubits, params=flat[None, index : index + 3], comp_method=method)
            elif source:
                angles = inputs[:, index] if source == "input" else flat[index : index + 1]
                _GATES[name](device, wires=qubits, params=angles, comp_method=method)
            else:
                _GATES[name](device, wires=qubits, comp_method=method)
        return measure(device)

    def run():
        if not task.gradients:
            with torch.inference_mode():
                return (expectations(),)
        values = expectations()
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream)

    return Step(run, lambda results: tuple(result.numpy() for result in results))


def candidates(task: Task) -> list[Candidate]:
    """Both of its ways to apply a gate."""
    return [Candidate(method, "complex64", lambda method=method: _build(task, method)) for method in ("bmm", "einsum")]
