"""The syntax tree of the OpenQASM that superpose reads; every node knows the offset where it starts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AliasDeclaration",
    "Assignment",
    "BarrierStatement",
    "BitDeclaration",
    "Block",
    "Call",
    "Cast",
    "Chain",
    "Constant",
    "DelayStatement",
    "DurationLiteral",
    "Expression",
    "ForStatement",
    "FunctionCall",
    "GateDefinition",
    "IfStatement",
    "Include",
    "Index",
    "IndexSet",
    "InputDeclaration",
    "Inversion",
    "Measurement",
    "Modifier",
    "Name",
    "Negation",
    "Operand",
    "Power",
    "Product",
    "QubitDeclaration",
    "Range",
    "ResetStatement",
    "Statement",
    "Sum",
    "VariableDeclaration",
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
    """``function(arguments)`` of the standard functions."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class DurationLiteral(Node):
    """A time such as ``100ns``."""

    nanoseconds: float


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Operators of one rank from the left: ``first``, then pairs of an operator and what stands behind it."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Inversion(Node):
    """``!operand`` or ``~operand``."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Cast(Node):
    """``type[width](operand)``."""

    type: str
    width: Expression | None
    operand: Expression


@dataclass(frozen=True, slots=True)
class Range(Node):
    """``first : step : last``, both ends included."""

    first: Expression | None
    step: Expression | None
    last: Expression | None


@dataclass(frozen=True, slots=True)
class IndexSet(Node):
    """``{a, b, c}``."""

    items: tuple[Expression, ...]


Index = Range | IndexSet
"""What selects several elements; a single one is selected by an expression."""


@dataclass(frozen=True, slots=True)
class Operand(Node):
    """A register or, with indices (one in each pair of brackets), some of its elements."""

    name: str
    indices: tuple[Expression | Index, ...] = ()


Expression = (
    Constant
    | Name
    | Negation
    | Sum
    | Product
    | Power
    | FunctionCall
    | DurationLiteral
    | Chain
    | Inversion
    | Cast
    | Operand
)
"""An `Operand` where an indexed name stands in an expression; a name alone is a `Name`."""


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
class VariableDeclaration(Node):
    """``const type[width] name = value`` or, without const, a variable whose value the text tells."""

    type: str
    width: Expression | None
    name: str
    value: Expression | None
    is_const: bool


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """``name = value``, or with an operator as in ``name += value``."""

    name: str
    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class AliasDeclaration(Node):
    """``let name = part ++ part``."""

    name: str
    parts: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class QubitDeclaration(Node):
    """``qubit name`` or ``qubit[size] name``."""

    name: str
    size: Expression | None


@dataclass(frozen=True, slots=True)
class BitDeclaration(Node):
    """``bit name`` or ``bit[size] name``, with ``= measure qubits`` or ``= value`` behind it."""

    name: str
    size: Expression | None
    measured: Operand | None = None
    value: Expression | None = None


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

    duration: Expression
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class IfStatement(Node):
    """``if (condition) { then } else { otherwise }``; ``n_tokens`` are those of the condition."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    n_tokens: int


@dataclass(frozen=True, slots=True)
class ForStatement(Node):
    """``for type name in values { body }``; ``n_tokens`` are those of the body."""

    type: str
    width: Expression | None
    name: str
    values: Range | IndexSet
    body: tuple[Statement, ...]
    n_tokens: int


@dataclass(frozen=True, slots=True)
class Block(Node):
    """``{ statements }``, whose declarations end with it."""

    body: tuple[Statement, ...]


Statement = (
    Include
    | InputDeclaration
    | VariableDeclaration
    | Assignment
    | AliasDeclaration
    | QubitDeclaration
    | BitDeclaration
    | GateDefinition
    | Call
    | Measurement
    | BarrierStatement
    | ResetStatement
    | DelayStatement
    | IfStatement
    | ForStatement
    | Block
)
