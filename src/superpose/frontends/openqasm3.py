"""OpenQASM 3 as a toolkit whose circuits are texts; see `superpose.circuits.qasm`."""

from __future__ import annotations

from superpose.circuits import Circuit, from_qasm, to_qasm
from superpose.errors import ConversionError, UnsupportedProgramError

__all__ = ["read", "write"]


def read(source: str, name: str = "circuit") -> Circuit:
    """Return the circuit that a text means, of OpenQASM 2 or 3.

    Raises:
        QasmError: It cannot be read; with line and column.
    """
    return from_qasm(source, name)


def write(circuit: Circuit) -> str:
    """Return the circuit as OpenQASM 3 text.

    Raises:
        ConversionError: OpenQASM 3 has no words for something in it.
    """
    try:
        return to_qasm(circuit)
    except UnsupportedProgramError as error:
        feature = str(error.details.get("operation", "operation"))
        raise ConversionError(error.message, toolkit="openqasm3", instruction=feature, feature=feature) from None
