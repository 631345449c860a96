"""One method per row of the gate and channel tables, for `Circuit` to inherit.

``builder.pyi`` tells type checkers their signatures.

``python -m superpose.circuits.write_stub`` writes that stub anew; a test holds it to the table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from superpose.circuits.channels import CHANNELS, ChannelRow
from superpose.circuits.gates import GATES, Gate

__all__ = ["ChannelMethods", "GateMethods"]


class GateMethods:
    """Appends gates by name: angles first, then qubits, as the table orders them; each method returns the circuit."""

    __slots__ = ()


class ChannelMethods:
    """Appends noise channels by name: numbers first, then qubits; each method returns the circuit."""

    __slots__ = ()


def _method(name: str, numbers: tuple[str, ...], qubits: tuple[str, ...], append: str, text: str) -> Callable[..., Any]:
    """Return a method that takes the numbers, then the qubits, and calls the method ``append`` of the circuit."""
    names, n_numbers = (*numbers, *qubits), len(numbers)
    signature = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *names)]
    )

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(names):
            args = signature.bind(self, *args, **kwargs).args[1:]
        if append == "append":
            return self.append(name, args[n_numbers:], args[:n_numbers])
        return self.channel(name, args[:n_numbers], args[n_numbers:])

    method.__name__ = name
    method.__qualname__ = f"Circuit.{name}"
    method.__doc__ = text
    method.__signature__ = signature  # type: ignore[attr-defined]  # functions take attributes; inspect reads this one
    return method


def _document(row: Gate) -> str:
    on = " and ".join(f"``{name}``" for name in row.qubit_names)
    by = f" by {', '.join(f'``{name}``' for name in row.angle_names)} (radians)" if row.n_angles else ""
    return f"Append {row.name}{by} on {on}: {row.title.lower()}. Returns the circuit."


def _document_channel(row: ChannelRow) -> str:
    on = " and ".join(f"``{name}``" for name in row.qubit_names)
    by = ", ".join(f"``{name}``" for name in row.value_names)
    return f"Append channel {row.name} with {by} on {on}: {row.title}; {row.limits}. Returns the circuit."


for _row in GATES.values():
    setattr(
        GateMethods,
        _row.name,
        _method(_row.name, _row.angle_names, _row.qubit_names, "append", _document(_row)),
    )
for _channel in CHANNELS.values():
    setattr(
        ChannelMethods,
        _channel.name,
        _method(_channel.name, _channel.value_names, _channel.qubit_names, "channel", _document_channel(_channel)),
    )
