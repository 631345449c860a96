"""What stands in drawings for angles and conditions."""

from __future__ import annotations

import math
from fractions import Fraction

from superpose.circuits.operations import Condition
from superpose.circuits.parameters import Affine

__all__ = ["angle_label", "condition_label"]

MAX_DENOMINATOR = 32
DIGITS = 5
MAX_BITS_NAMED = 4


def angle_label(angle: Affine, times: str = "*") -> str:
    """Return an angle for people: multiples of pi as such, other numbers to five digits, parameters by their names.

    >>> from superpose.circuits.parameters import Parameter
    >>> [angle_label(Affine.of(value)) for value in (math.pi / 2, -3 * math.pi, 0.123456789, 2)]
    ['π/2', '-3π', '0.12346', '2']
    >>> angle_label(Parameter("theta") * 3 / 2 - math.pi)
    '3*theta/2 - π'
    """
    pieces = [_term(name, coefficient, times) for name, coefficient in angle.terms]
    if angle.constant != 0.0 or not pieces:
        pieces.append(_number(angle.constant))
    return " + ".join(pieces).replace("+ -", "- ")


def condition_label(condition: Condition) -> str:
    """Return what a condition asks for, bit by bit where there are few.

    >>> condition_label(Condition((0, 3), 2))
    'c0=1, c3=0'
    """
    bits = condition.bits
    if len(bits) > MAX_BITS_NAMED:
        return f"c{bits[0]}…c{bits[-1]}={condition.value:0{len(bits)}b}"
    digits = f"{condition.value:0{len(bits)}b}"
    return ", ".join(f"c{bit}={digit}" for bit, digit in zip(bits, digits, strict=True))


def _term(name: str, coefficient: float, times: str) -> str:
    share = Fraction(coefficient).limit_denominator(MAX_DENOMINATOR) if abs(coefficient) < 1e6 else Fraction(0)
    if not share or not math.isclose(float(share), coefficient, rel_tol=1e-12):
        return f"{_number(coefficient)}{times}{name}"
    top = {1: name, -1: f"-{name}"}.get(share.numerator, f"{share.numerator}{times}{name}")
    return top if share.denominator == 1 else f"{top}/{share.denominator}"


def _number(value: float) -> str:
    turns = Fraction(value / math.pi).limit_denominator(MAX_DENOMINATOR) if abs(value) < 1e6 else Fraction(0)
    if turns and math.isclose(float(turns) * math.pi, value, rel_tol=1e-12):
        top = {1: "π", -1: "-π"}.get(turns.numerator, f"{turns.numerator}π")
        return top if turns.denominator == 1 else f"{top}/{turns.denominator}"
    return f"{value:.{DIGITS}g}"
