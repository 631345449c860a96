"""OpenQASM 3 text to and from circuits, parameters staying symbolic.

What is read: ``OPENQASM 3``; ``include "stdgates.inc"``; ``input float``; ``const`` numbers; qubit and bit registers
(``qreg`` and ``creg`` too); gate definitions; gate calls on registers or single qubits, with ``ctrl``, ``negctrl``,
``inv`` and integer ``pow`` modifiers, angles affine in the inputs; ``gphase``; ``barrier`` (without effect on results,
left out); and a measurement of all qubits, in order, at the end (a `Circuit` always means that one). Everything else
raises `QasmError` with line and column: a circuit is read exactly or not at all.

``U`` is taken with the global phase of the OpenQASM 3 specification (``exp(i theta/2)`` before the matrix with a real
upper left entry), and ``CX`` as the controlled NOT.
"""

from __future__ import annotations

from superpose.circuits.qasm.reader import from_qasm
from superpose.circuits.qasm.writer import to_qasm

__all__ = ["from_qasm", "to_qasm"]
