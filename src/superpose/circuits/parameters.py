"""Symbols for angles: `Parameter`, and `Affine`, the sums ``c + k_1 p_1 + ... + k_m p_m`` that one can make of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt

from superpose.circuits.finite import is_finite
from superpose.circuits.names import check_name
from superpose.circuits.wording import listed, shown
from superpose.errors import AngleError, ParameterNameError, ParameterUnboundError

__all__ = ["Affine", "AngleLike", "Parameter", "parameters"]

_T = TypeVar("_T", float, npt.NDArray[np.float64])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Affine:
    """An angle ``constant + sum(coefficient * parameter)``, in radians.

    Values are immutable and hashable; equal sums are equal however they were written, and a sum without terms equals
    its number. Sums, differences and multiples by real numbers are affine again; products of parameters are not (put a
    feature map in front of the circuit for those).

    Args:
        terms: Pairs (parameter name, coefficient), or a mapping. Stored sorted by name, without zero coefficients.
        constant: The part without parameters.

    Raises:
        AngleError: A coefficient or the constant is not a finite real number.
        ParameterNameError: A name is not an identifier, or stands twice.

    >>> theta, phi = Parameter("theta"), Parameter("phi")
    >>> 2 * (theta - phi / 4) + 0.1
    -0.5*phi + 2*theta + 0.1
    >>> theta + phi == phi + theta
    True
    >>> theta - theta == 0
    True
    """

    terms: tuple[tuple[str, float], ...] = ()
    constant: float = 0.0

    def __post_init__(self) -> None:
        pairs = self.terms.items() if isinstance(self.terms, Mapping) else self.terms
        found: dict[str, float] = {}
        for name, coefficient in pairs:
            if check_name(name) in found:
                raise ParameterNameError(
                    f"Parameter {name!r} stands twice in one sum; add its coefficients.", name=name
                )
            found[name] = _real(coefficient)
        object.__setattr__(self, "terms", tuple(sorted((n, k) for n, k in found.items() if k != 0.0)))
        object.__setattr__(self, "constant", _real(self.constant) + 0.0)  # + 0.0 turns -0.0 into 0.0

    @staticmethod
    def of(value: AngleLike) -> Affine:
        """Return ``value`` as an `Affine`: unchanged, or the constant that a real number is."""
        return value if isinstance(value, Affine) else _affine((), _real(value))

    @property
    def is_constant(self) -> bool:
        """Whether no parameter stands in the sum."""
        return not self.terms

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters in the sum, sorted."""
        return tuple(name for name, _ in self.terms)

    def evaluate(self, values: Mapping[str, _T]) -> float | _T:
        """Return the angle for ``values``, a number or an array of the values' shape.

        Raises:
            ParameterUnboundError: A parameter of the sum has no value.
        """
        total: float | _T = self.constant
        for name, coefficient in self.terms:
            if name not in values:
                raise ParameterUnboundError(
                    f"Parameter {name!r} has no value; got values for {listed(sorted(values))}.", name=name
                )
            total = total + coefficient * values[name]
        return total

    def substitute(self, values: Mapping[str, AngleLike]) -> Affine:
        """Return the sum with the parameters named in ``values`` replaced by numbers or other sums; others stay."""
        if not self.terms:
            return self
        if len(self.terms) == 1 and self.constant == 0.0 and self.terms[0][1] == 1.0:  # a bare parameter
            return Affine.of(values[self.terms[0][0]]) if self.terms[0][0] in values else self
        total = _affine((), self.constant)
        for name, coefficient in self.terms:
            replacement = Affine.of(values[name]) if name in values else _affine(((name, 1.0),), 0.0)
            total = total + replacement * coefficient
        return total

    def __add__(self, other: AngleLike) -> Affine:
        if isinstance(other, Affine):
            if not other.terms:
                return _affine(self.terms, self.constant + other.constant)
            if not self.terms:
                return _affine(other.terms, self.constant + other.constant)
            return _affine(_merge(self.terms, other.terms), self.constant + other.constant)
        if _is_real(other):
            return _affine(self.terms, self.constant + float(other))
        return NotImplemented

    __radd__ = __add__

    def __mul__(self, other: AngleLike) -> Affine:
        if isinstance(other, Affine):
            if other.terms and self.terms:
                raise AngleError(
                    f"({shown(self)}) * ({shown(other)}) is not affine in its parameters; put such products into "
                    "a feature map in front of the circuit, for instance feature_map('products', n_inputs)."
                )
            return other * self.constant if other.terms else self * other.constant
        if _is_real(other):
            factor = float(other)
            return _affine(_scaled(self.terms, factor), self.constant * factor)
        return NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: AngleLike) -> Affine:
        if isinstance(other, Affine):
            if other.terms:
                raise AngleError(
                    f"({shown(self)}) / ({shown(other)}) is not affine in its parameters; divide by a number."
                )
            other = other.constant
        if _is_real(other):
            divisor = float(other)
            if divisor == 0.0:
                raise AngleError(f"({shown(self)}) / 0 is not an angle; divide by a number that is not zero.")
            terms = tuple((name, coefficient / divisor) for name, coefficient in self.terms)
            return _affine(tuple(pair for pair in terms if pair[1] != 0.0), self.constant / divisor)
        return NotImplemented

    def __rtruediv__(self, other: float) -> Affine:
        return Affine.of(other) / self

    def __neg__(self) -> Affine:
        return _affine(tuple((name, -coefficient) for name, coefficient in self.terms), -self.constant)

    def __pos__(self) -> Affine:
        return self

    def __sub__(self, other: AngleLike) -> Affine:
        return self + -other if isinstance(other, Affine) or _is_real(other) else NotImplemented

    def __rsub__(self, other: AngleLike) -> Affine:
        return -self + other

    def __float__(self) -> float:
        if self.terms:
            raise ParameterUnboundError(
                f"{shown(self)} has no number while {listed(self.names)} are not bound; bind them first."
            )
        return self.constant

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Affine):
            return self.terms == other.terms and self.constant == other.constant
        if _is_real(other):
            return not self.terms and self.constant == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.terms, self.constant)) if self.terms else hash(self.constant)

    def __repr__(self) -> str:
        pieces = [_term_text(name, coefficient) for name, coefficient in self.terms]
        if self.constant != 0.0 or not pieces:
            pieces.append(number_text(self.constant))
        return " + ".join(pieces).replace("+ -", "- ")

    __str__ = __repr__


class Parameter(Affine):
    """A symbol for an angle or for a part of one; its value is given when the circuit runs.

    Args:
        name: An identifier of OpenQASM 3: letters of any script, digits, underscores; not a reserved word.

    Raises:
        ParameterNameError: The name is none of these.

    >>> Parameter("θ") / 2 + 1
    0.5*θ + 1
    """

    __slots__ = ()

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "terms", ((check_name(name), 1.0),))
        object.__setattr__(self, "constant", 0.0)

    @property
    def name(self) -> str:
        """The symbol's name."""
        return self.terms[0][0]


AngleLike = Affine | float
"""What may stand where an angle is wanted: a real number in radians, a `Parameter` or an `Affine`."""


def parameters(prefix: str, n: int) -> list[Parameter]:
    """Return ``n`` parameters ``prefix_0 .. prefix_{n-1}``.

    >>> parameters("w", 3)
    [w_0, w_1, w_2]
    """
    return [Parameter(f"{prefix}_{index}") for index in range(n)]


def number_text(value: float) -> str:
    """Return the shortest decimal text that reads back as exactly ``value``, without a needless ``.0``."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _term_text(name: str, coefficient: float) -> str:
    if coefficient == 1.0:
        return name
    return f"-{name}" if coefficient == -1.0 else f"{number_text(coefficient)}*{name}"


def _affine(terms: tuple[tuple[str, float], ...], constant: float) -> Affine:
    """Return the sum without checking names: for terms that come from other sums, sorted and without zeros."""
    if not math.isfinite(constant) or not all(math.isfinite(k) for _, k in terms):
        raise AngleError(f"An angle must be finite, got constant {constant} and terms {shown(terms)}.")
    made = object.__new__(Affine)
    object.__setattr__(made, "terms", terms)
    object.__setattr__(made, "constant", constant + 0.0)
    return made


def _merge(left: Iterable[tuple[str, float]], right: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    found = dict(left)
    for name, coefficient in right:
        found[name] = found.get(name, 0.0) + coefficient
    return tuple(sorted(pair for pair in found.items() if pair[1] != 0.0))


def _scaled(terms: tuple[tuple[str, float], ...], factor: float) -> tuple[tuple[str, float], ...]:
    scaled = ((name, coefficient * factor) for name, coefficient in terms)
    return tuple(pair for pair in scaled if pair[1] != 0.0)


def _is_real(value: object) -> TypeGuard[float]:
    return isinstance(value, float) or (isinstance(value, Real) and not isinstance(value, bool))


def _real(value: object) -> float:
    if not _is_real(value):
        raise AngleError(
            f"An angle must be a real number in radians, a Parameter or an Affine, got {type(value).__name__}."
        )
    if not is_finite(value):
        raise AngleError(f"An angle must be finite, got {shown(value)}.")
    number = float(value)
    return number
