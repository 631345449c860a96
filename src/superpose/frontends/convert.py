"""From anything to a `Circuit`, and from a `Circuit` to any toolkit's own object."""

from __future__ import annotations

from typing import Any

from superpose.circuits import Circuit
from superpose.errors import ConversionError
from superpose.frontends.table import TOOLKITS, Toolkit
from superpose.frontends.texts import read_text

__all__ = ["read", "toolkit_of", "write"]


def toolkit_of(source: object) -> Toolkit | None:
    """Return the toolkit that ``source`` belongs to by its type, or None. Imports nothing."""
    for kind in type(source).__mro__:
        root = kind.__module__.partition(".")[0]
        for row in TOOLKITS.values():
            if root in row.roots or kind.__module__ == f"superpose.frontends.{row.name}":
                return row
    return None


def read(source: object, name: str = "circuit") -> Circuit:
    """Return the circuit that another toolkit's object, or a text, means: a `Circuit` itself, unchanged.

    Raises:
        ConversionError: No toolkit knows the object, or something in it cannot be kept.
    """
    if isinstance(source, Circuit):
        return source
    if isinstance(source, str):
        return read_text(source, name)
    row = toolkit_of(source)
    if row is None:
        raise ConversionError(
            f"A circuit of superpose or of {_listed()} is needed, got {type(source).__module__}."
            f"{type(source).__qualname__}; for text and files use superpose.load.",
            feature="type",
        )
    circuit: Circuit = row.module().read(source, name)
    return circuit


def write(circuit: Circuit, to: str) -> Any:
    """Return the circuit as the toolkit's own object.

    Raises:
        ConversionError: There is no such toolkit, or it has no words for something in the circuit.
        ToolkitMissingError: It is not installed.
    """
    row = TOOLKITS.get(to)
    if row is None or not row.writes:
        known = ", ".join(other.name for other in TOOLKITS.values() if other.writes)
        raise ConversionError(
            f"There is no toolkit {to!r} to write for; known are {known}.",
            feature="toolkit",
        )
    return row.module().write(circuit)


def _listed() -> str:
    return ", ".join(row.title for row in TOOLKITS.values())
