"""Operators, casts, indices and functions of OpenQASM 3 beside plain arithmetic, on values that the text tells."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence

from superpose.circuits.parameters import Affine
from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.syntax import (
    Cast,
    Chain,
    Expression,
    FunctionCall,
    Index,
    IndexSet,
    Inversion,
    Operand,
    Range,
)
from superpose.circuits.qasm.values import Duration, Sized, Value, evaluate, evaluate_integer, plain
from superpose.errors import AngleError

__all__ = ["converted", "further", "loop_values", "selected", "truth"]

MAX_SHIFT = 64
DEFAULT_WIDTH = 64

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_BITWISE: dict[str, Callable[[int, int], int]] = {"&": operator.and_, "|": operator.or_, "^": operator.xor}
_REAL_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "arccos": math.acos, "arcsin": math.asin, "arctan": math.atan, "ceiling": math.ceil, "cos": math.cos,
    "exp": math.exp, "floor": math.floor, "log": math.log, "sin": math.sin, "sqrt": math.sqrt, "tan": math.tan,
}  # fmt: skip


def further(source: Source, node: Expression, names: Mapping[str, Value]) -> Value:
    """Return the value of a chain of operators, an inversion, a cast, an indexed value or a function."""
    match node:
        case Chain():
            value = evaluate(source, node.first, names)
            for sign, right in node.rest:
                value = _joined(sign, value, evaluate(source, right, names))
            return value
        case Inversion():
            return _inverted(node.operator, evaluate(source, node.operand, names))
        case Cast():
            width = None if node.width is None else _width(source, node.width, names)
            return converted(node.type, width, evaluate(source, node.operand, names), is_cast=True)
        case Operand():
            return _element(source, node, names)
        case FunctionCall():
            return _function(node.function, [evaluate(source, item, names) for item in node.arguments])
    raise AngleError(f"{type(node).__name__} has no value.")


def truth(value: Value) -> bool:
    """Return what ``value`` says as a condition.

    Raises:
        AngleError: It is a register of several bits, or no truth value at all.
    """
    if isinstance(value, Sized) and value.kind == "bit" and value.width > 1:
        raise AngleError("A register is no condition; compare it with an integer.")
    if not isinstance(value, int):
        raise AngleError("This is no condition; compare it with something.")
    return bool(value)


def _joined(sign: str, left: Value, right: Value) -> Value:
    if sign in ("&&", "||"):
        first, second = truth(left), truth(right)
        return (first and second) if sign == "&&" else (first or second)
    if sign in _COMPARE:
        if isinstance(left, Duration) or isinstance(right, Duration):
            if not (isinstance(left, Duration) and isinstance(right, Duration)):
                raise AngleError("A time is compared with something that is none.")
            return _COMPARE[sign](left.nanoseconds, right.nanoseconds)
        one, other = (v if isinstance(v, int) else plain(v) for v in (left, right))
        return _COMPARE[sign](one, other)
    if not isinstance(left, int) or not isinstance(right, int):
        raise AngleError(f"The operator {sign} takes integers and bits.")
    sized = left if isinstance(left, Sized) else None
    if sign in _BITWISE:
        made = _BITWISE[sign](int(left), int(right))
        alike = (
            sized is not None and isinstance(right, Sized) and (right.width, right.kind) == (sized.width, sized.kind)
        )
        return Sized.of(made, sized.width, sized.kind) if alike and sized is not None else made
    if not 0 <= right <= MAX_SHIFT:
        raise AngleError(f"Shifts go by 0 .. {MAX_SHIFT} places, got {int(right)}.")
    made = left << right if sign == "<<" else left >> right
    if sized is None:
        return made
    if sized.kind == "int":
        return converted("int", sized.width, made)
    return Sized.of(made & ((1 << sized.width) - 1), sized.width, sized.kind)


def _inverted(sign: str, value: Value) -> Value:
    if sign == "!":
        return not truth(value)
    if isinstance(value, Sized):
        mask = (1 << value.width) - 1
        return Sized.of(~value if value.kind == "int" else ~value & mask, value.width, value.kind)
    raise AngleError("The operator ~ takes bits and integers of a declared type.")


def _width(source: Source, expression: Expression, names: Mapping[str, Value]) -> int:
    width = evaluate_integer(source, expression, names, "A type's width")
    if not 1 <= width <= 1024:
        raise source.error(expression.offset, f"A type's width is 1 .. 1024, got {width}.")
    return width


def converted(kind: str, width: int | None, value: Value, *, is_cast: bool = False) -> Value:
    """Return ``value`` as one of this type.

    Args:
        kind: "int", "uint", "float", "angle", "bool", "bit" or "duration".
        width: In bits, None for none given; precisions of floats and angles are not kept.
        value: What is converted.
        is_cast: Whether the text asks for it, so that fractions are cut off.

    Raises:
        AngleError: The type has no such value.
    """
    if kind == "duration" or isinstance(value, Duration):
        if kind != "duration" or not isinstance(value, Duration):
            raise AngleError(f"{_shown(value)} is no value of type {kind}.")
        return value
    if kind in ("float", "angle"):
        return _real(kind, value)
    if isinstance(value, Affine):
        plain(value)
        value = value.constant
    if kind == "bool":
        return value != 0
    return _integer(kind, width, value, is_cast=is_cast)


def _real(kind: str, value: Value) -> Value:
    if isinstance(value, Sized) and value.kind == "bit":
        raise AngleError(f"Bits are not supported as {kind}; cast them to uint first.")
    if isinstance(value, Affine) and value.terms:
        return value
    number = plain(value)
    if kind == "angle" and not 0 <= number < math.tau:
        raise AngleError(f"{number} is no value of type angle, which goes from 0 to 2*pi; declare it float.")
    return number


def _integer(kind: str, width: int | None, value: float, *, is_cast: bool) -> Value:
    name = kind if width is None else f"{kind}[{width}]"
    if isinstance(value, Sized) and value.kind == "bit" and kind != "bit":
        if width is not None and width != value.width:
            raise AngleError(f"{value.width} bits are no {name}; the widths must be equal.")
        signed = kind == "int" and width is not None and value >> (width - 1)
        return Sized.of(value - (1 << value.width) if signed else value, width or DEFAULT_WIDTH, kind)
    if isinstance(value, float):
        if not is_cast:
            raise AngleError(f"{value} is no value of type {name}.")
        value = math.trunc(value)
    size = width or (1 if kind == "bit" else DEFAULT_WIDTH)
    if kind == "bit" and isinstance(value, Sized) and value.kind == "bit" and value.width != size:
        raise AngleError(f"{value.width} bits are no {name}; the widths must be equal.")
    if kind == "bit" and is_cast and value < 0 and isinstance(value, Sized):
        value = int(value) & ((1 << value.width) - 1)
    least, most = (-(1 << (size - 1)), 1 << (size - 1)) if kind == "int" else (0, 1 << size)
    if not least <= value < most:
        raise AngleError(f"{int(value)} is no value of type {name}, which holds {least} .. {most - 1}.")
    return Sized.of(int(value), size, kind)


def _element(source: Source, node: Operand, names: Mapping[str, Value]) -> Value:
    if node.name not in names:
        raise source.error(node.offset, f"Nothing here is named {node.name!r}.")
    value = names[node.name]
    if not isinstance(value, Sized) or len(node.indices) != 1:
        raise AngleError(f"{node.name!r} has no such elements.")
    found = selected(source, node.indices[0], value.width, names, node.name)
    places = [found] if isinstance(found, int) else list(found)
    bits = sum(((value >> place) & 1) << k for k, place in enumerate(places))
    return Sized.of(bits, len(places), "bit")


def selected(
    source: Source, index: Expression | Index, size: int, names: Mapping[str, Value], name: str
) -> int | Sequence[int]:
    """Return which of ``size`` elements of ``name`` an index selects: one, or several in order.

    Raises:
        QasmError: None, or there are no such elements.
    """
    if isinstance(index, Range):
        values: Sequence[int] = _range(source, index, size, names)
    elif isinstance(index, IndexSet):
        values = [evaluate_integer(source, item, names, "An index") for item in index.items]
    else:
        values = [evaluate_integer(source, index, names, "An index")]
    ends = (values[0], values[-1]) if isinstance(values, range) and values else values
    for value in ends:
        if not -size <= value < size:
            raise source.error(index.offset, f"Index {int(value)} lies outside {name!r} of {size} elements.")
    if not values:
        raise source.error(index.offset, f"This range selects nothing of {name!r}.")
    if isinstance(index, Range | IndexSet):
        return [int(value) % size for value in values]
    return int(values[0]) % size


def _range(source: Source, index: Range, size: int | None, names: Mapping[str, Value]) -> range:
    """The numbers of a range, both ends among them; ends left out and negative ones count in ``size`` elements."""

    def number(expression: Expression | None, default: int) -> int:
        if expression is None:
            return default
        value = int(evaluate_integer(source, expression, names, "A range's number"))
        return value + size if size is not None and -size <= value < 0 else value

    step = 1 if index.step is None else int(evaluate_integer(source, index.step, names, "A range's step"))
    if step == 0:
        raise source.error(index.offset, "A range's step must not be 0.")
    ends = (0, (size or 1) - 1)[:: 1 if step > 0 else -1]
    first, last = number(index.first, ends[0]), number(index.last, ends[1])
    return range(first, last + (1 if step > 0 else -1), step)


def loop_values(source: Source, values: Range | IndexSet, names: Mapping[str, Value]) -> Sequence[Value]:
    """Return the values of a loop's variable, in order.

    Raises:
        QasmError: They are not known here.
    """
    if isinstance(values, Range):
        return _range(source, values, None, names)
    return [evaluate(source, item, names) for item in values.items]


def _function(name: str, values: list[Value]) -> Value:
    if name in _REAL_FUNCTIONS:
        (value,) = _arguments(name, values, 1)
        return _REAL_FUNCTIONS[name](plain(value))
    if name == "popcount":
        (value,) = _arguments(name, values, 1)
        return _bits(name, value).bit_count()
    if name in ("rotl", "rotr"):
        value, places = _arguments(name, values, 2)
        return _rotated(_bits(name, value), places if name == "rotl" else -places)
    if name == "mod":
        one, other = _arguments(name, values, 2)
        if isinstance(one, int) and isinstance(other, int):
            return abs(int(one)) % abs(int(other)) * (-1 if one < 0 else 1)
        return math.fmod(plain(one), plain(other))
    if name == "pow":
        one, other = _arguments(name, values, 2)
        if isinstance(one, int) and isinstance(other, int) and 0 <= other <= MAX_SHIFT:
            return int(int(one) ** int(other))
        return math.pow(plain(one), plain(other))
    raise AngleError(f"The function {name} is not supported.")


def _arguments(name: str, values: list[Value], wanted: int) -> list[Value]:
    if len(values) != wanted:
        raise AngleError(f"The function {name} takes {wanted} arguments, got {len(values)}.")
    return values


def _bits(name: str, value: Value) -> Sized:
    if not isinstance(value, Sized) or value.kind == "int":
        raise AngleError(f"The function {name} takes bits or a uint.")
    return value


def _rotated(value: Sized, places: Value) -> Sized:
    if not isinstance(places, int):
        raise AngleError("Rotations go by an integer.")
    shift, whole = int(places) % value.width, (1 << value.width) - 1
    return Sized.of((value << shift | value >> (value.width - shift)) & whole, value.width, value.kind)


def _shown(value: Value) -> str:
    return f"{value.nanoseconds} ns" if isinstance(value, Duration) else str(value)
