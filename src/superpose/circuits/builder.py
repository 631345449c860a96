"""One method per row of the gate table, for `Circuit` to inherit; ``builder.pyi`` tells type checkers their signatures.

``python -m superpose.circuits.write_stub`` writes that stub anew; a test holds it to the table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from superpose.circuits.gates import GATES, Gate

__all__ = ["GateMethods"]


class GateMethods:
    """Appends gates by name: angles first, then qubits, as the table orders them; each method returns the circuit."""

    __slots__ = ()


def _method(row: Gate) -> Callable[..., Any]:
    names = (*row.angle_names, *row.qubit_names)
    n_angles = row.n_angles
    signature = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *names)]
    )

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(names):
            args = signature.bind(self, *args, **kwargs).args[1:]
        return self.append(row.name, args[n_angles:], args[:n_angles])

    method.__name__ = row.name
    method.__qualname__ = f"Circuit.{row.name}"
    method.__doc__ = _document(row)
    method.__signature__ = signature  # type: ignore[attr-defined]  # functions take attributes; inspect reads this one
    return method


def _document(row: Gate) -> str:
    on = " and ".join(f"``{name}``" for name in row.qubit_names)
    by = f" by {', '.join(f'``{name}``' for name in row.angle_names)} (radians)" if row.n_angles else ""
    return f"Append {row.name}{by} on {on}: {row.title.lower()}. Returns the circuit."


for _row in GATES.values():
    setattr(GateMethods, _row.name, _method(_row))
