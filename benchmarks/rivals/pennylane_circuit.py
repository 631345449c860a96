"""The families' circuits in PennyLane's words: templates where PennyLane has them, gates elsewhere."""

from __future__ import annotations

import pennylane as qml

from rivals.circuit import Case
from rivals.families import gates

__all__ = ["apply_circuit"]

_GATES = {"ry": qml.RY, "rz": qml.RZ, "rzz": qml.IsingZZ, "h": qml.Hadamard, "cx": qml.CNOT, "cz": qml.CZ}


def apply_circuit(case: Case, inputs, weights) -> None:
    """Queues the circuit; inputs ``(n,)`` or ``(batch, n)``. Inside a QNode."""
    qubits = range(case.n_qubits)
    if case.family == "strongly_entangling":
        qml.AngleEmbedding(inputs, wires=qubits, rotation="Y")
        qml.StronglyEntanglingLayers(weights, wires=qubits)
        return
    if case.family == "reuploading":
        for layer in range(case.layers):
            qml.AngleEmbedding(inputs, wires=qubits, rotation="Y")
            ranges = (layer % (case.n_qubits - 1) + 1,)
            qml.StronglyEntanglingLayers(weights[layer : layer + 1], wires=qubits, ranges=ranges)
        return
    flat = weights.reshape(-1)
    for gate in gates(case):
        if gate.source:
            angle = inputs[..., gate.index] if gate.source == "input" else flat[gate.index]
            _GATES[gate.name](angle, wires=gate.qubits)
        else:
            _GATES[gate.name](wires=gate.qubits)
