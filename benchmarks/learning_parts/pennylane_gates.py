"""A circuit of ours as a PennyLane user would write it: as few operations as its gates allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pennylane as qml

from superpose.circuits import Affine
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["KEEPS_SINGLE", "apply_gates", "gate_list"]

Call = tuple[str, tuple[int, ...], tuple[Affine, ...]]

_GATES: Mapping[str, Callable[..., Any]] = {
    "h": qml.Hadamard, "x": qml.PauliX, "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "rot": qml.Rot, "p": qml.PhaseShift,
    "cx": qml.CNOT, "cz": qml.CZ, "rzz": qml.IsingZZ, "cry": qml.CRY, "crx": qml.CRX, "crz": qml.CRZ,
    "crot": qml.CRot,
}  # fmt: skip

KEEPS_SINGLE = frozenset({"h", "x", "rx", "ry", "rz", "rot", "cx"})
"""Gates under which default.qubit with torch leaves a complex64 state complex64 (H as X RY(pi/2))."""


def gate_list(block: QuantumBlock) -> list[Call]:
    """The circuit's gates, with RZ RY RZ on one qubit as one Rot, up to a global phase.

    Raises:
        KeyError: a gate that is not translated.
    """
    calls = [(call.gate, call.qubits, call.angles) for call in block.circuit.gate_calls()]
    found: list[Call] = []
    for name, qubits, angles in calls:
        if name == "u":  # but for a global phase
            found.append(("rot", qubits, (angles[2], angles[0], angles[1])))
            continue
        _GATES[name]
        found.append((name, qubits, angles))
        while _merges(found):
            first, second, third = found[-3:]
            found[-3:] = [("rot", qubits, (*first[2], *second[2], *third[2]))]
    return found


def _merges(found: Sequence[Call]) -> bool:
    names = [call[0] for call in found[-3:]]
    return names == ["rz", "ry", "rz"] and len({call[1] for call in found[-3:]}) == 1


def apply_gates(calls: Sequence[Call], values: Mapping[str, Any], *, single: bool = False, number: Any = float) -> None:
    """Queues the gates; ``values`` has a number, or one per sample, for each parameter. Inside a QNode.

    Args:
        calls: of `gate_list`.
        values: by name of parameter.
        single: H as X RY(pi/2), whose matrix has the parameters' precision.
        number: makes a constant angle an array of that precision.
    """
    for name, qubits, angles in calls:
        if single and name == "h":
            qml.RY(number(1.5707963267948966), wires=qubits)
            qml.PauliX(wires=qubits)
            continue
        _GATES[name](*(_angle(angle, values, number) for angle in angles), wires=qubits)


def _angle(angle: Affine, values: Mapping[str, Any], number: Any) -> Any:
    if not angle.terms:
        return number(angle.constant)
    total = None
    for name, coefficient in angle.terms:
        term = values[name] if coefficient == 1.0 else coefficient * values[name]
        total = term if total is None else total + term
    return total if angle.constant == 0.0 else total + angle.constant
