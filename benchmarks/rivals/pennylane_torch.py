"""PennyLane, default.qubit, torch interface, backprop, parameter broadcasting.

default.qubit starts from a complex128 state when torch is its interface. The second candidate hands it a complex64 one
(StatePrep) and reads all expectations off one call of ``probs``, which keeps the whole step in single precision.
"""

from __future__ import annotations

import pennylane as qml
import torch

from rivals.circuit import Task, z_signs
from rivals.pennylane_circuit import apply_circuit
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
        apply_circuit(task.case, inputs, weights)
        return qml.probs(wires=qubits) if single else [qml.expval(qml.PauliZ(qubit)) for qubit in qubits]

    inputs = torch.from_numpy(task.inputs).requires_grad_(task.gradients)
    weights = torch.from_numpy(task.weights).requires_grad_(task.gradients)
    upstream = torch.from_numpy(task.upstream)

    def expectations():
        measured = circuit(inputs, weights)
        return measured @ signs if single else torch.stack(measured, -1)

    def run():
        if not task.gradients:
            with torch.no_grad():
                return (expectations(),)
        values = expectations()
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream.to(values.dtype))

    return Step(run, lambda results: tuple(result.numpy() for result in results))


def candidates(task: Task) -> list[Candidate]:
    """As its tutorials write it, and in single precision where its gates keep it (H, CZ and IsingZZ do not)."""
    found = [Candidate("expval", "complex128", lambda: _build(task, single=False))]
    if task.case.family in ("strongly_entangling", "reuploading"):
        found.append(Candidate("probs from a complex64 state", "complex64", lambda: _build(task, single=True)))
    return found
