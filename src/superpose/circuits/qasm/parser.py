"""A recursive-descent parser: OpenQASM 3 text to the tree of `syntax`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from superpose.circuits.names import FUNCTIONS, KEYWORDS
from superpose.circuits.qasm.lexer import Source, Token, tokenize
from superpose.circuits.qasm.syntax import (
    BarrierStatement,
    BitDeclaration,
    Call,
    Constant,
    ConstDeclaration,
    Expression,
    FunctionCall,
    GateDefinition,
    Include,
    InputDeclaration,
    Measurement,
    Modifier,
    Name,
    Negation,
    Operand,
    Power,
    Product,
    QubitDeclaration,
    Statement,
    Sum,
)
from superpose.circuits.wording import shown
from superpose.errors import QasmError

__all__ = ["PARAMETER_ANNOTATION", "parse"]

MAX_DEPTH = 50
PARAMETER_ANNOTATION = "@superpose.parameter"

_T = TypeVar("_T")
_MODIFIERS = ("ctrl", "negctrl", "inv", "pow")
_STARTS_CALL = (*_MODIFIERS, "gphase", "U")
_UNSUPPORTED = {
    "if": "classical control",
    "else": "classical control",
    "switch": "classical control",
    "for": "loops",
    "while": "loops",
    "def": "subroutines",
    "return": "subroutines",
    "extern": "external functions",
    "cal": "pulse calibrations",
    "defcal": "pulse calibrations",
    "defcalgrammar": "pulse calibrations",
    "reset": "resets",
    "let": "aliases",
    "box": "timing",
    "delay": "timing",
    "duration": "timing",
    "stretch": "timing",
    "array": "classical arrays",
    "output": "classical outputs",
    "end": "early ends",
}
_CLASSICAL = frozenset({"int", "uint", "float", "angle", "bool", "complex"})


def parse(source: Source, max_tokens: int) -> Iterator[Statement]:
    """Yield the statements of ``source``, of at most ``max_tokens``, in order.

    Raises:
        QasmError: The text is not OpenQASM 3, or uses what superpose does not read.
    """
    return _Parser(source, max_tokens).program()


class _Parser:
    def __init__(self, source: Source, max_tokens: int) -> None:
        self.source = source
        self.tokens = tokenize(source, max_tokens)
        self.place = 0
        self.depth = 0

    # tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def error(self, message: str, token: Token | None = None) -> QasmError:
        return self.source.error((token or self.token).offset, message)

    def next(self) -> Token:
        token = self.tokens[self.place]
        if token.kind != "end":
            self.place += 1
        return token

    def accept(self, text: str) -> bool:
        token = self.tokens[self.place]
        if token.text == text:
            self.place += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        token = self.next()
        if token.text != text:
            raise self.error(f"Expected {text!r}, got {token.text!r}.", token)
        return token

    def name(self, what: str) -> str:
        token = self.next()
        if token.kind != "name":
            raise self.error(f"Expected {what}, got {token.text!r}.", token)
        if token.text in KEYWORDS:
            raise self.error(f"Expected {what}, got the reserved word {token.text!r}.", token)
        return token.text

    def separated(self, item: Callable[[], _T]) -> tuple[_T, ...]:
        items = [item()]
        while self.accept(","):
            items.append(item())
        return tuple(items)

    # statements

    def program(self) -> Iterator[Statement]:
        if self.accept("OPENQASM"):
            version = self.next()
            if version.kind != "number" or version.text not in ("3", "3.0", "3.1"):
                raise self.error(f"superpose reads OpenQASM 3.0 and 3.1, got version {version.text}.", version)
            self.expect(";")
        while self.token.kind != "end":
            yield self.statement()

    def statement(self) -> Statement:
        annotations = []
        while self.token.kind == "annotation":
            annotations.append(self.next())
        start = self.token
        if start.kind == "pragma":
            raise self.error("Pragmas are not supported.")
        if start.kind != "name":
            raise self.error(f"Expected a statement, got {start.text!r}.")
        if start.text in _UNSUPPORTED:
            raise self.error(f"Statements with {start.text!r} ({_UNSUPPORTED[start.text]}) are not supported.")
        parameter = self.parameter_annotation(annotations)
        if parameter is not None and start.text != "input":
            raise self.error(f"{PARAMETER_ANNOTATION} belongs before an input declaration.")
        if start.text == "input":
            return self.input_declaration(parameter)
        keyword = _STATEMENTS.get(start.text)
        if keyword is not None:
            return keyword(self)
        if start.text in _CLASSICAL:
            raise self.error(f"Classical variables ({start.text}) are not supported; declare it const or input float.")
        if start.text in KEYWORDS and start.text not in _STARTS_CALL:
            raise self.error(f"Statements that start with {start.text!r} are not supported.")
        after = self.tokens[self.place + 1].text
        return self.assignment() if after in ("=", "[") else self.call()

    def parameter_annotation(self, annotations: list[Token]) -> str | None:
        """The parameter's own name, where an input was renamed for OpenQASM's sake; other tools' annotations pass."""
        name = None
        for token in annotations:
            keyword, _, rest = token.text.partition(" ")
            if keyword == PARAMETER_ANNOTATION:
                name = rest.strip()
            elif keyword.startswith("@superpose"):
                raise self.error(
                    f"superpose has no annotation {shown(keyword)}; known is {PARAMETER_ANNOTATION}.", token
                )
        return name

    def include(self) -> Include:
        offset = self.next().offset
        token = self.next()
        if token.kind != "string":
            raise self.error(f"Expected the name of a file in quotes, got {token.text!r}.", token)
        self.expect(";")
        return Include(offset, token.text[1:-1])

    def input_declaration(self, parameter: str | None) -> InputDeclaration:
        offset = self.next().offset
        kind = self.next()
        if kind.text != "float":
            raise self.error(f"Inputs of type {kind.text!r} are not supported; declare input float.", kind)
        self.type_width()
        name = self.name("the input's name")
        self.expect(";")
        return InputDeclaration(offset, name, parameter)

    def type_width(self) -> None:
        if self.accept("["):
            self.expression()
            self.expect("]")

    def const_declaration(self) -> ConstDeclaration:
        offset = self.next().offset
        kind = self.next()
        if kind.text not in ("int", "uint", "float"):
            raise self.error(f"Constants of type {kind.text!r} are not supported; use int, uint or float.", kind)
        self.type_width()
        name = self.name("the constant's name")
        self.expect("=")
        value = self.expression()
        self.expect(";")
        return ConstDeclaration(offset, kind.text, name, value)

    def register(self) -> tuple[int, str, Expression | None, bool]:
        """Offset, name, size, and whether an initial value follows."""
        keyword = self.next()
        old = keyword.text in ("qreg", "creg")
        size = None if old else self.index()
        name = self.name("the register's name")
        if old:
            size = self.index()
        return keyword.offset, name, size, self.token.text == "="

    def qubit_declaration(self) -> QubitDeclaration:
        offset, name, size, _ = self.register()
        self.expect(";")
        return QubitDeclaration(offset, name, size)

    def bit_declaration(self) -> BitDeclaration:
        offset, name, size, has_value = self.register()
        if has_value:
            raise self.error("Bits that are declared with a value are not supported; write bit[n] c; c = measure q;")
        self.expect(";")
        return BitDeclaration(offset, name, size)

    def index(self) -> Expression | None:
        if not self.accept("["):
            return None
        value = self.expression()
        if self.token.text in (":", ","):
            raise self.error("Ranges and lists of indices are not supported; write one gate call per qubit.")
        self.expect("]")
        return value

    def gate_definition(self) -> GateDefinition:
        offset = self.next().offset
        name = self.name("the gate's name")
        angles: tuple[str, ...] = ()
        if self.accept("(") and not self.accept(")"):
            angles = self.separated(lambda: self.name("an angle's name"))
            self.expect(")")
        qubits = self.separated(lambda: self.name("a qubit's name"))
        self.expect("{")
        body = []
        while not self.accept("}"):
            token = self.token
            if token.kind != "name" or (token.text in KEYWORDS and token.text not in (*_STARTS_CALL, "barrier")):
                raise self.error(f"Only gate calls may stand in a gate definition, got {token.text!r}.")
            statement = self.barrier() if token.text == "barrier" else self.call()
            if isinstance(statement, Call):
                body.append(statement)
        return GateDefinition(offset, name, angles, qubits, tuple(body))

    def call(self) -> Call:
        offset, first = self.token.offset, self.place
        modifiers = []
        while self.token.text in _MODIFIERS:
            modifiers.append(self.modifier())
        token = self.next()
        if token.kind != "name" or (token.text in KEYWORDS and token.text not in ("gphase", "U")):
            raise self.error(f"Expected the name of a gate, got {token.text!r}.", token)
        angles: tuple[Expression, ...] = ()
        if self.accept("(") and not self.accept(")"):
            angles = self.separated(self.expression)
            self.expect(")")
        if self.token.text == "[":
            raise self.error("Gate durations are not supported.")
        operands = () if self.token.text == ";" else self.separated(self.operand)
        self.expect(";")
        return Call(offset, tuple(modifiers), token.text, angles, operands, self.place - first)

    def modifier(self) -> Modifier:
        token = self.next()
        argument = None
        if self.accept("("):
            argument = self.expression()
            self.expect(")")
        self.expect("@")
        return Modifier(token.offset, token.text, argument)

    def operand(self) -> Operand:
        token = self.token
        if token.kind == "hardware":
            raise self.error(f"Physical qubits such as {token.text} are not supported; declare a register.")
        return Operand(token.offset, self.name("a qubit"), self.index())

    def barrier(self) -> BarrierStatement:
        offset = self.next().offset
        operands = () if self.token.text == ";" else self.separated(self.operand)
        self.expect(";")
        return BarrierStatement(offset, operands)

    def measurement(self) -> Measurement:
        offset = self.next().offset
        qubits = self.operand()
        bits = self.operand() if self.accept("->") else None
        self.expect(";")
        return Measurement(offset, qubits, bits)

    def assignment(self) -> Measurement:
        bits = self.operand()
        self.expect("=")
        if self.token.text != "measure":
            raise self.error("Only measurements may be assigned; classical computation is not supported.")
        self.next()
        qubits = self.operand()
        self.expect(";")
        return Measurement(bits.offset, qubits, bits)

    # expressions, loosest binding first

    def expression(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"Expressions nested more than {MAX_DEPTH} deep are not supported.")
        offset = self.token.offset
        terms = [(1, self.product())]
        while self.token.text in ("+", "-"):
            sign = 1 if self.next().text == "+" else -1
            terms.append((sign, self.product()))
        self.depth -= 1
        return terms[0][1] if len(terms) == 1 else Sum(offset, tuple(terms))

    def product(self) -> Expression:
        offset = self.token.offset
        factors = [("*", self.unary())]
        while self.token.text in ("*", "/"):
            factors.append((self.next().text, self.unary()))
        if self.token.text == "%":
            raise self.error("The operator % is not supported.")
        return factors[0][1] if len(factors) == 1 else Product(offset, tuple(factors))

    def unary(self) -> Expression:
        offset, negative = self.token.offset, False
        while self.token.text == "-":
            self.next()
            negative = not negative
        value = self.power()
        return Negation(offset, value) if negative else value

    def power(self) -> Expression:
        offset = self.token.offset
        base = self.atom()
        if not self.accept("**"):
            return base
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"Expressions nested more than {MAX_DEPTH} deep are not supported.")
        exponent = self.unary()
        self.depth -= 1
        return Power(offset, base, exponent)

    def atom(self) -> Expression:
        token = self.next()
        if token.kind == "number":
            return Constant(token.offset, self.number(token))
        if token.text == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        if token.kind != "name":
            raise self.error(f"Expected a number, a name or '(', got {token.text!r}.", token)
        if token.text in FUNCTIONS:
            self.expect("(")
            argument = self.expression()
            if self.token.text == ",":
                raise self.error(f"Functions of two arguments such as {token.text} are not supported.", token)
            self.expect(")")
            return FunctionCall(token.offset, token.text, argument)
        if token.text in KEYWORDS:
            raise self.error(f"{token.text!r} is not supported in an expression.", token)
        return Name(token.offset, token.text)

    def number(self, token: Token) -> int | float:
        text = token.text
        try:
            if text.isdigit():
                return int(text)
            if re.fullmatch(r"0[xXoObB]\w+", text):
                return int(text, 0)
            return int(text) if re.fullmatch(r"[0-9_]+", text) else float(text)
        except ValueError:
            raise self.error(f"{text[:40]!r} is not a number.", token) from None


_STATEMENTS: dict[str, Callable[[_Parser], Statement]] = {
    "include": _Parser.include,
    "const": _Parser.const_declaration,
    "qubit": _Parser.qubit_declaration,
    "qreg": _Parser.qubit_declaration,
    "bit": _Parser.bit_declaration,
    "creg": _Parser.bit_declaration,
    "gate": _Parser.gate_definition,
    "barrier": _Parser.barrier,
    "measure": _Parser.measurement,
}
