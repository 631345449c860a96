"""OpenQASM text to and from circuits, parameters staying symbolic.

What is read of OpenQASM 3, the table in docs/openqasm.md says: registers and aliases with ranges and sets, gate
definitions and modifiers, inputs in affine angles, measurement, reset, delay and conditions on bits are kept;
constants, variables, casts, ``for``, and ``if`` on what the text tells are worked out while reading.

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
