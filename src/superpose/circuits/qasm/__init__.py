"""OpenQASM text to and from circuits, parameters staying symbolic.

Of OpenQASM 3 are read: ``include "stdgates.inc"``; ``input float``; ``const`` numbers; qubit and bit registers
(``qreg`` and ``creg`` too); gate definitions; gate calls on registers or single qubits, with ``ctrl``, ``negctrl``,
``inv`` and integer ``pow`` modifiers, angles affine in the inputs; ``gphase``; ``measure``, ``reset``, ``delay``,
``barrier``; and ``if``/``else`` on bits, or on registers compared with an integer (element 0 the least significant),
and ``&&`` of such. All of OpenQASM 2 is read, with the gates of ``qelib1.inc``, but for opaque gates. Everything else
raises
`QasmError` with line and column: a circuit is read exactly or not at all.

``U`` is taken with the global phase of the OpenQASM 3 specification (``exp(i theta/2)`` before the matrix with a real
upper left entry), and ``CX`` as the controlled NOT.
"""

from __future__ import annotations

from superpose.circuits.qasm.reader import from_qasm
from superpose.circuits.qasm.writer import to_qasm

__all__ = ["from_qasm", "to_qasm"]
