"""The syntax tree of the OpenQASM that superpose reads; every node knows the offset where it starts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BarrierStatement",
    "BitDeclaration",
    "Call",
    "Comparison",
    "ConstDeclaration",
    "Constant",
    "DelayStatement",
    "Expression",
    "FunctionCall",
    "GateDefinition",
    "IfStatement",
    "Include",
    "InputDeclaration",
    "Measurement",
    "Modifier",
    "Name",
    "Negation",
    "Operand",
    "Power",
    "Product",
    "QubitDeclaration",
    "ResetStatement",
    "Statement",
    "Sum",
]


@dataclass(frozen=True, slots=True)
class Node:
    """Anything that stands at ``offset`` in the text."""

    offset: int


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A literal; an int where it is written as one, for integers divide differently."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Name(Node):
    """An identifier: an input, a constant, or an angle of the gate being defined."""

    text: str


@dataclass(frozen=True, slots=True)
class Negation(Node):
    """``-operand``."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Sum(Node):
    """Terms with their signs: (+1 or -1, term)."""

    terms: tuple[tuple[int, Expression], ...]


@dataclass(frozen=True, slots=True)
class Product(Node):
    """Factors with what joins each to the ones before: "*" or "/"; the first has "*"."""

    factors: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Power(Node):
    """``base ** exponent``."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True, slots=True)
class FunctionCall(Node):
    """``function(argument)`` of the standard functions."""

    function: str
    argument: Expression


Expression = Constant | Name | Negation | Sum | Product | Power | FunctionCall


@dataclass(frozen=True, slots=True)
class Operand(Node):
    """A register or, with an index, one of its elements."""

    name: str
    index: Expression | None


@dataclass(frozen=True, slots=True)
class Modifier(Node):
    """``ctrl``, ``negctrl``, ``inv`` or ``pow`` with its argument."""

    kind: str
    argument: Expression | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A gate call; ``gphase`` is one without own operands."""

    modifiers: tuple[Modifier, ...]
    name: str
    angles: tuple[Expression, ...]
    operands: tuple[Operand, ...]
    n_tokens: int


@dataclass(frozen=True, slots=True)
class BarrierStatement(Node):
    """``barrier``; no operands mean all qubits."""

    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class GateDefinition(Node):
    """``gate name(angles) qubits { body }``."""

    name: str
    angles: tuple[str, ...]
    qubits: tuple[str, ...]
    body: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Include(Node):
    """``include "path"``."""

    path: str


@dataclass(frozen=True, slots=True)
class InputDeclaration(Node):
    """``input float name``; ``parameter`` is the name that an annotation of ours gives it back, or None."""

    name: str
    parameter: str | None


@dataclass(frozen=True, slots=True)
class ConstDeclaration(Node):
    """``const type name = value``."""

    type: str
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class QubitDeclaration(Node):
    """``qubit name`` or ``qubit[size] name``."""

    name: str
    size: Expression | None


@dataclass(frozen=True, slots=True)
class BitDeclaration(Node):
    """``bit name`` or ``bit[size] name``; ``measured`` are the qubits of ``bit name = measure qubits``."""

    name: str
    size: Expression | None
    measured: Operand | None = None


@dataclass(frozen=True, slots=True)
class Measurement(Node):
    """``bits = measure qubits``; without bits where the outcome is thrown away."""

    qubits: Operand
    bits: Operand | None


@dataclass(frozen=True, slots=True)
class ResetStatement(Node):
    """``reset qubits``."""

    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class DelayStatement(Node):
    """``delay[duration] qubits``; no operands mean all qubits."""

    duration_ns: float
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """``bits == value`` or ``bits != value``; no value where a bit stands alone, negated if not ``is_equal``."""

    bits: Operand
    is_equal: bool
    value: Expression | None


@dataclass(frozen=True, slots=True)
class IfStatement(Node):
    """``if (comparison && ...) { then } else { otherwise }``."""

    comparisons: tuple[Comparison, ...]
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


Statement = (
    Include
    | InputDeclaration
    | ConstDeclaration
    | QubitDeclaration
    | BitDeclaration
    | GateDefinition
    | Call
    | Measurement
    | BarrierStatement
    | ResetStatement
    | DelayStatement
    | IfStatement
)
