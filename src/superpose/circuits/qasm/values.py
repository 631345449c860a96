"""Values of OpenQASM expressions: integers, floats, truth values, times, and angles affine in the inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from superpose.circuits.parameters import Affine
from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.syntax import (
    Cast,
    Chain,
    Constant,
    DurationLiteral,
    Expression,
    FunctionCall,
    Inversion,
    Name,
    Negation,
    Operand,
    Power,
    Product,
    Sum,
)
from superpose.circuits.wording import shown
from superpose.errors import AngleError

__all__ = ["Duration", "Sized", "Value", "evaluate", "evaluate_angle", "evaluate_integer", "plain"]

MAX_INTEGER = 2**63

_CONSTANTS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e}


class Sized(int):
    """An integer of a type with a width: "int", "uint" or "bit" (the first bit of a register being the least one)."""

    width: int
    kind: str

    @classmethod
    def of(cls, value: int, width: int, kind: str) -> Sized:
        """Return ``value`` with its width and kind."""
        made = cls(value)
        made.width, made.kind = width, kind
        return made


@dataclass(frozen=True, slots=True)
class Duration:
    """A time in nanoseconds."""

    nanoseconds: float

    def __add__(self, other: object) -> Duration:
        return Duration(self.nanoseconds + other.nanoseconds) if isinstance(other, Duration) else NotImplemented

    def __sub__(self, other: object) -> Duration:
        return Duration(self.nanoseconds - other.nanoseconds) if isinstance(other, Duration) else NotImplemented

    def __mul__(self, other: object) -> Duration:
        return Duration(self.nanoseconds * other) if isinstance(other, int | float) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Duration | float:
        if isinstance(other, Duration):
            return self.nanoseconds / other.nanoseconds
        return Duration(self.nanoseconds / other) if isinstance(other, int | float) else NotImplemented

    def __neg__(self) -> Duration:
        return Duration(-self.nanoseconds)


Value = int | float | Affine | Duration


def evaluate(source: Source, expression: Expression, names: Mapping[str, Value]) -> Value:
    """Return the value of ``expression`` with ``names`` standing for these values.

    Raises:
        QasmError: An unknown name, a product of inputs, a division of integers that would be cut off, types that do
            not go together, or no finite value.
    """
    try:
        value = _VALUE_OF[type(expression)](source, expression, names)
        if isinstance(value, float) and not math.isfinite(value):
            raise AngleError(f"The value is {value}; angles are finite.")
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise AngleError("Integers beyond 64 bits are not supported.")
    except AngleError as error:
        raise source.error(expression.offset, error.message) from None
    except ZeroDivisionError:
        raise source.error(expression.offset, "Division by zero.") from None
    except (ValueError, OverflowError, TypeError) as error:
        raise source.error(expression.offset, f"This has no real value ({error}).") from None
    return value


def evaluate_angle(source: Source, expression: Expression, names: Mapping[str, Value]) -> Affine:
    """Return the value of ``expression`` as an angle.

    Raises:
        QasmError: It is a time or a truth value.
    """
    value = evaluate(source, expression, names)
    if isinstance(value, Duration | bool):
        raise source.error(expression.offset, f"An angle is a number, got {value}.")
    return Affine.of(value)


def evaluate_integer(source: Source, expression: Expression, names: Mapping[str, Value], what: str) -> int:
    """Return the value of ``expression``, which must be an integer.

    Raises:
        QasmError: It is not.
    """
    value = evaluate(source, expression, names)
    if not isinstance(value, int):
        raise source.error(expression.offset, f"{what} must be an integer, got {value}.")
    return value


def plain(value: Value) -> float:
    """Return a value that holds no inputs as a number.

    Raises:
        AngleError: It holds inputs, or is a time.
    """
    if isinstance(value, Affine):
        if value.terms:
            raise AngleError(f"({shown(value)}) must not hold inputs here; angles are affine in the inputs.")
        return value.constant
    if isinstance(value, Duration):
        raise AngleError("A time is no number; divide it by another time first.")
    return float(value)


def _constant(source: Source, node: Constant, names: Mapping[str, Value]) -> Value:
    return node.value


def _duration(source: Source, node: DurationLiteral, names: Mapping[str, Value]) -> Value:
    return Duration(node.nanoseconds)


def _name(source: Source, node: Name, names: Mapping[str, Value]) -> Value:
    if node.text in names:
        return names[node.text]
    if node.text in _CONSTANTS:
        return _CONSTANTS[node.text]
    raise source.error(node.offset, f"Nothing here is named {node.text!r}; declare it with input float {node.text};")


def _negation(source: Source, node: Negation, names: Mapping[str, Value]) -> Value:
    return -evaluate(source, node.operand, names)


def _sum(source: Source, node: Sum, names: Mapping[str, Value]) -> Value:
    sign, first = node.terms[0]
    total = sign * evaluate(source, first, names)
    for sign, term in node.terms[1:]:
        value = evaluate(source, term, names)
        total = total + value if sign > 0 else total - value  # type: ignore[operator]  # TypeError where they differ
    return total


def _product(source: Source, node: Product, names: Mapping[str, Value]) -> Value:
    total = evaluate(source, node.factors[0][1], names)
    for operator, factor in node.factors[1:]:
        value = evaluate(source, factor, names)
        if operator == "*":
            total = total * value
        elif isinstance(total, int) and isinstance(value, int):
            total = _whole(operator, total, value)
        elif operator == "%":
            raise AngleError("The operator % takes integers; use mod for others.")
        else:
            total = total / value  # type: ignore[operator]
        if isinstance(total, int) and abs(total) > MAX_INTEGER:
            raise AngleError("Integers beyond 64 bits are not supported.")
    return total


def _whole(operator: str, total: int, value: int) -> int:
    """A quotient that leaves nothing, or the rest, which has the sign of the dividend."""
    if operator == "%":
        rest = abs(total) % abs(value)
        return -rest if total < 0 else rest
    if total % value:
        raise AngleError(
            f"{total}/{value} divides integers, which OpenQASM cuts off to {total // value}; "
            f"write {total}.0/{value} for the fraction."
        )
    return total // value


def _power(source: Source, node: Power, names: Mapping[str, Value]) -> Value:
    base, exponent = evaluate(source, node.base, names), evaluate(source, node.exponent, names)
    if isinstance(base, int) and isinstance(exponent, int) and 0 <= exponent <= MAX_INTEGER.bit_length():
        return int(base**exponent)
    return math.pow(plain(base), plain(exponent))


def _further(source: Source, node: Expression, names: Mapping[str, Value]) -> Value:
    from superpose.circuits.qasm.operators import further  # which needs `evaluate`

    return further(source, node, names)


_VALUE_OF: dict[type, Callable[..., Value]] = {
    Constant: _constant,
    DurationLiteral: _duration,
    Name: _name,
    Negation: _negation,
    Sum: _sum,
    Product: _product,
    Power: _power,
    FunctionCall: _further,
    Chain: _further,
    Inversion: _further,
    Cast: _further,
    Operand: _further,
}
