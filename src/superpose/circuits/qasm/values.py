"""Values of OpenQASM 3 expressions: integers, floats, and angles affine in the inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from superpose.circuits.parameters import Affine
from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.syntax import (
    Constant,
    Expression,
    FunctionCall,
    Name,
    Negation,
    Power,
    Product,
    Sum,
)
from superpose.circuits.wording import shown
from superpose.errors import AngleError

__all__ = ["Value", "evaluate", "evaluate_integer"]

Value = int | float | Affine
MAX_INTEGER = 2**63

_CONSTANTS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e}
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "arccos": math.acos,
    "arcsin": math.asin,
    "arctan": math.atan,
    "cos": math.cos,
    "exp": math.exp,
    "log": math.log,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "tan": math.tan,
}


def evaluate(source: Source, expression: Expression, names: Mapping[str, Value]) -> Value:
    """Return the value of ``expression`` with ``names`` standing for these values.

    Raises:
        QasmError: An unknown name, a product of inputs, a division of integers that would be cut off, or no
            finite value.
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


def evaluate_integer(source: Source, expression: Expression, names: Mapping[str, Value], what: str) -> int:
    """Return the value of ``expression``, which must be an integer.

    Raises:
        QasmError: It is not.
    """
    value = evaluate(source, expression, names)
    if not isinstance(value, int):
        raise source.error(expression.offset, f"{what} must be an integer, got {value}.")
    return value


def _constant(source: Source, node: Constant, names: Mapping[str, Value]) -> Value:
    return node.value


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
        total = total + value if sign > 0 else total - value
    return total


def _product(source: Source, node: Product, names: Mapping[str, Value]) -> Value:
    total = evaluate(source, node.factors[0][1], names)
    for operator, factor in node.factors[1:]:
        value = evaluate(source, factor, names)
        if operator == "*":
            total = total * value
        elif isinstance(total, int) and isinstance(value, int):
            if total % value:
                raise AngleError(
                    f"{total}/{value} divides integers, which OpenQASM cuts off to {total // value}; "
                    f"write {total}.0/{value} for the fraction."
                )
            total = total // value
        else:
            total = total / value
        if isinstance(total, int) and abs(total) > MAX_INTEGER:
            raise AngleError("Integers beyond 64 bits are not supported.")
    return total


def _power(source: Source, node: Power, names: Mapping[str, Value]) -> Value:
    base, exponent = evaluate(source, node.base, names), evaluate(source, node.exponent, names)
    if isinstance(base, int) and isinstance(exponent, int) and 0 <= exponent <= MAX_INTEGER.bit_length():
        return int(base**exponent)
    return math.pow(_plain(base), _plain(exponent))


def _function(source: Source, node: FunctionCall, names: Mapping[str, Value]) -> Value:
    if node.function not in _FUNCTIONS:
        raise source.error(node.offset, f"The function {node.function} is not supported.")
    return _FUNCTIONS[node.function](_plain(evaluate(source, node.argument, names)))


def _plain(value: Value) -> float:
    if isinstance(value, Affine) and value.terms:
        raise AngleError(f"({shown(value)}) must not hold inputs here; angles are affine in the inputs.")
    return float(value)


_VALUE_OF: dict[type, Callable[..., Value]] = {
    Constant: _constant,
    Name: _name,
    Negation: _negation,
    Sum: _sum,
    Product: _product,
    Power: _power,
    FunctionCall: _function,
}
