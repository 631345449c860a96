"""PennyLane-Lightning, lightning.qubit, adjoint gradients, torch interface; its batches are expanded to one tape each.

Candidates: the full Jacobian with the observables shared out over threads (``batch_obs``), without, and a
vector-Jacobian product on the device.
"""

from __future__ import annotations

import numpy as np
import pennylane as qml
import torch

from rivals.circuit import Task
from rivals.pennylane_circuit import apply_circuit
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("pennylane", "pennylane-lightning", "torch")


def _build(task: Task, *, batch_obs: bool, device_vjp: bool) -> Step:
    qubits = range(task.case.n_qubits)
    simulator = qml.device("lightning.qubit", wires=len(qubits), c_dtype=np.complex64, batch_obs=batch_obs)

    @qml.qnode(simulator, interface="torch", diff_method="adjoint", device_vjp=device_vjp)
    def circuit(inputs, weights):
        apply_circuit(task.case, inputs, weights)
        return [qml.expval(qml.PauliZ(qubit)) for qubit in qubits]

    inputs = torch.from_numpy(task.inputs).requires_grad_(task.gradients)
    weights = torch.from_numpy(task.weights).requires_grad_(task.gradients)
    upstream = torch.from_numpy(task.upstream)

    def run():
        if not task.gradients:
            with torch.no_grad():
                return (torch.stack(circuit(inputs, weights), -1),)
        values = torch.stack(circuit(inputs, weights), -1)
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream.to(values.dtype))

    return Step(run, lambda results: tuple(result.numpy() for result in results))


def candidates(task: Task) -> list[Candidate]:
    """The three gradient routes; one way forward."""
    if not task.gradients:
        return [Candidate("expval", "complex64", lambda: _build(task, batch_obs=False, device_vjp=False))]
    return [
        Candidate("batch_obs", "complex64", lambda: _build(task, batch_obs=True, device_vjp=False)),
        Candidate("jacobian", "complex64", lambda: _build(task, batch_obs=False, device_vjp=False)),
        Candidate("device_vjp", "complex64", lambda: _build(task, batch_obs=False, device_vjp=True)),
    ]
