"""OpenQASM text to and from circuits, parameters staying symbolic.

What is read of OpenQASM 3: ``include "stdgates.inc"``; ``input float``; ``const`` numbers; qubit and bit registers
(``qreg`` and ``creg`` too); gate definitions; gate calls on registers or single qubits, with ``ctrl``, ``negctrl``,
``inv`` and integer ``pow`` modifiers, angles affine in the inputs; ``gphase``; ``barrier``; ``reset``;
``delay[100ns]`` (ns, us, ms, s); measurements into bits, anywhere; and ``if``/``else`` on bits compared with ``==``
or ``!=``, joined by ``&&``.

What is read of OpenQASM 2 (text that starts with ``OPENQASM 2.0;``): all of it but ``opaque``; ``qelib1.inc`` and the
gates that Qiskit has beside it are built in, with the global phases of Qiskit's gates.

A register read as an integer has its first bit as the least significant one, as both versions say. Everything else
raises `QasmError` with line and column: a circuit is read exactly or not at all. What is written is OpenQASM 3.

In OpenQASM 3, ``U`` is taken with the global phase of the specification (``exp(i theta/2)`` before the matrix with a
real upper left entry), and ``CX`` as the controlled NOT.
"""

from __future__ import annotations

from superpose.circuits.qasm.reader import from_qasm
from superpose.circuits.qasm.writer import to_qasm

__all__ = ["from_qasm", "to_qasm"]
