"""What circuits hold, as JSON values: gate calls, and operations under their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from superpose.circuits.documents.fields import (
    Fields,
    integer,
    list_of,
    located,
    map_of,
    number,
    real_array,
    refuse,
    text,
)
from superpose.circuits.instruction import Instruction
from superpose.circuits.operations import (
    MAX_IF_DEPTH,
    Barrier,
    Channel,
    Condition,
    Delay,
    If,
    KrausChannel,
    Measure,
    Operation,
    Reset,
)
from superpose.circuits.parameters import Affine

__all__ = ["OperationReader", "operation_to_json"]


def operation_to_json(item: Operation) -> dict[str, Any]:
    """Return one operation as JSON values: a gate call has "gate", any other thing "operation"."""
    match item:
        case Instruction():
            angles = {"angles": [_angle_to_json(angle) for angle in item.angles]} if item.angles else {}
            return {"gate": item.gate, "qubits": list(item.qubits), **angles}
        case Measure():
            flips = {name: value for name in ("flip0", "flip1") if (value := getattr(item, name))}
            return {"operation": "measure", "qubit": item.qubit, "bit": item.bit, **flips}
        case Reset():
            return {"operation": "reset", "qubit": item.qubit}
        case Delay():
            return {"operation": "delay", "qubit": item.qubit, "duration_ns": item.duration_ns}
        case Barrier():
            return {"operation": "barrier", "qubits": list(item.qubits)}
        case Channel():
            return {
                "operation": "channel", "channel": item.name, "qubits": list(item.qubits), "values": list(item.values),
            }  # fmt: skip
        case KrausChannel():
            array = item.kraus()
            numbers = np.stack([array.real, array.imag], axis=-1).tolist()
            return {"operation": "kraus", "qubits": list(item.qubits), "operators": numbers}
        case If():
            otherwise = {"otherwise": [operation_to_json(i) for i in item.otherwise]} if item.otherwise else {}
            return {
                "operation": "if",
                "bits": list(item.condition.bits),
                "value": item.condition.value,
                "then": [operation_to_json(inner) for inner in item.then],
                **otherwise,
            }


class OperationReader:
    """Reads operations, and counts them so that conditions cannot hide more than are allowed.

    Args:
        max_operations: Most that are read.
        gates_only: Whether anything but gate calls is refused, as in documents of version 1.
    """

    def __init__(self, max_operations: int, *, gates_only: bool) -> None:
        self._left = max_operations
        self._gates_only = gates_only
        self._depth = 0

    def read(self, value: object, field: str) -> Operation:
        """Return the operation that ``value`` describes.

        Raises:
            CircuitFormatError: It describes none, or there are too many.
            CircuitError: What it describes cannot be.
        """
        self._left -= 1
        if self._left < 0:
            refuse(field, "is one operation more than are read, those inside conditions counted.")
        if self._gates_only or (isinstance(value, Mapping) and "gate" in value):
            return _instruction(value, field)
        fields = Fields(value, field)
        name = fields.take("operation", text)
        if name == "if":
            return self._if(fields, field)
        if name not in _READERS:
            known = ", ".join([*_READERS, "if"])
            refuse(fields.path("operation"), f"must be one of {known}, got {name[:80]!r}.")
        parts, make = _READERS[name]
        arguments = [fields.take(part, read, *default) for part, read, *default in parts]
        fields.end()
        with located(field):
            return make(*arguments)

    def _if(self, fields: Fields, field: str) -> If:
        bits = fields.take("bits", list_of(integer))
        value = fields.take("value", integer)
        self._depth += 1
        if self._depth > MAX_IF_DEPTH:
            refuse(field, f"stands in {self._depth - 1} conditions; at most {MAX_IF_DEPTH} may stand in each other.")
        then = fields.take("then", list_of(self.read))
        otherwise = fields.take("otherwise", list_of(self.read), ())
        self._depth -= 1
        fields.end()
        with located(field):
            return If(Condition(bits, value), then, otherwise)


_READERS: dict[str, tuple[tuple[tuple[Any, ...], ...], Callable[..., Operation]]] = {
    "measure": (
        (("qubit", integer), ("bit", integer), ("flip0", number, 0.0), ("flip1", number, 0.0)),
        Measure,
    ),
    "reset": ((("qubit", integer),), Reset),
    "delay": ((("qubit", integer), ("duration_ns", number)), Delay),
    "barrier": ((("qubits", list_of(integer)),), Barrier),
    "channel": ((("channel", text), ("qubits", list_of(integer)), ("values", list_of(number))), Channel),
    "kraus": ((("qubits", list_of(integer)), ("operators", lambda value, field: _complex(value, field))), KrausChannel),
}
"""By name: the fields, each with its reader and perhaps a default, and what is made of them in this order."""


def _complex(value: object, field: str) -> Any:
    pairs = real_array(4)(value, field)
    if pairs.shape[-1] != 2:
        refuse(field, "must give each complex number as [re, im].")
    return pairs[..., 0] + 1j * pairs[..., 1]


def _instruction(value: object, field: str) -> Instruction:
    fields = Fields(value, field)
    gate = fields.take("gate", text)
    qubits = fields.take("qubits", list_of(integer))
    angles = fields.take("angles", list_of(_angle), ())
    fields.end()
    with located(field):
        return Instruction(gate, qubits, angles)


def _angle_to_json(angle: Affine) -> float | dict[str, Any]:
    return {"constant": angle.constant, "terms": dict(angle.terms)} if angle.terms else angle.constant


def _angle(value: object, field: str) -> Affine:
    if not isinstance(value, dict):
        return Affine.of(number(value, field))
    fields = Fields(value, field)
    constant = fields.take("constant", number, 0.0)
    terms = fields.take("terms", map_of(number), {})
    fields.end()
    with located(field):
        return Affine(tuple(terms.items()), constant)
