"""PennyLane, default.qubit, torch interface, backprop, parameter broadcasting.

default.qubit starts from a complex128 state when torch is its interface. The second candidate hands it a complex64 one
(StatePrep) and reads all expectations off one call of ``probs``, which keeps the whole step in single precision.
"""

from __future__ import annotations

import pennylane as qml
import torch

from rivals.circuit import Task, z_signs
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("pennylane", "torch")


def _build(task: Task, *, single: bool) -> Step:
    torch.set_num_threads(task.threads)
    qubits = range(task.case.n_qubits)
    zero = torch.zeros(1 << len(qubits), dtype=torch.complex64)
    zero[0] = 1
    signs = torch.from_numpy(z_signs(len(qubits)))

    @qml.qnode(qml.device("default.qubit", wires=len(qubits)), interface="torch", diff_method="backprop")
    def circuit(inputs, weights):
        if single:
            qml.StatePrep(zero, wires=qubits, validate_norm=False)
        qml.AngleEmbedding(inputs, wires=qubits, rotation="Y")
        qml.StronglyEntanglingLayers(weights, wires=qubits)
        return qml.probs(wires=qubits) if single else [qml.expval(qml.PauliZ(qubit)) for qubit in qubits]

    inputs = torch.from_numpy(task.inputs).requires_grad_()
    weights = torch.from_numpy(task.weights).requires_grad_()
    upstream = torch.from_numpy(task.upstream)

    def run():
        measured = circuit(inputs, weights)
        values = measured @ signs if single else torch.stack(measured, -1)
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream.to(values.dtype))

    return Step(run, lambda results: tuple(result.numpy() for result in results))


def candidates(task: Task) -> list[Candidate]:
    """As its tutorials write it, and in single precision."""
    return [
        Candidate("expval", "complex128", lambda: _build(task, single=False)),
        Candidate("probs from a complex64 state", "complex64", lambda: _build(task, single=True)),
    ]
