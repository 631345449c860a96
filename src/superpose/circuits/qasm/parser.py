"""OpenQASM 3 text to the tree of `syntax`."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from superpose.circuits.names import KEYWORDS
from superpose.circuits.operations import MAX_IF_DEPTH
from superpose.circuits.qasm.declarations import VARIABLES, DeclarationParser
from superpose.circuits.qasm.expressions import CASTS
from superpose.circuits.qasm.lexer import Token
from superpose.circuits.qasm.statements import StatementParser
from superpose.circuits.qasm.syntax import (
    Assignment,
    Block,
    Call,
    DelayStatement,
    ForStatement,
    IfStatement,
    IndexSet,
    Measurement,
    Modifier,
    Range,
    Statement,
)
from superpose.circuits.wording import shown

__all__ = ["PARAMETER_ANNOTATION", "Parser3"]

PARAMETER_ANNOTATION = "@superpose.parameter"

_MODIFIERS = ("ctrl", "negctrl", "inv", "pow")
_STARTS_CALL = (*_MODIFIERS, "gphase", "U")
_UNSUPPORTED = {
    "else": "without an if before it",
    "switch": "classical control other than if and for",
    "while": "loops whose end is not known",
    "break": "loops that end early",
    "continue": "loops that end early",
    "def": "subroutines",
    "return": "subroutines",
    "extern": "external functions",
    "cal": "pulse calibrations",
    "defcal": "pulse calibrations",
    "defcalgrammar": "pulse calibrations",
    "box": "timing other than delays",
    "stretch": "timing other than delays",
    "array": "classical arrays",
    "complex": "complex numbers",
    "end": "early ends",
}
_NOT_IN_BLOCKS = frozenset({"include", "input", "output", "qubit", "qreg", "gate"})
_COMPOUND = frozenset({"+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^"})


class Parser3(DeclarationParser):
    """Yields the statements of an OpenQASM 3 program."""

    blocks = 0  # conditions, loops and other blocks around the present statement

    def header(self) -> None:
        """Take the version line, which may be absent."""
        if self.token.text == "OPENQASM":
            self.next()
            version = self.next()
            if version.kind != "number" or version.text not in ("3", "3.0", "3.1"):
                raise self.error(f"superpose reads OpenQASM 2.0, 3.0 and 3.1, got version {version.text}.", version)
            self.expect(";")

    def statement(self) -> Statement:
        """Take one statement, with the annotations before it."""
        annotations = []
        while self.token.kind == "annotation":
            annotations.append(self.next())
        start = self.token
        if start.kind == "pragma":
            raise self.error("Pragmas are not supported.")
        if start.text == "{":
            return Block(start.offset, self.block())
        if start.kind != "name":
            raise self.error(f"Expected a statement, got {start.text!r}.")
        if start.text in _UNSUPPORTED:
            raise self.error(f"Statements with {start.text!r} ({_UNSUPPORTED[start.text]}) are not supported.")
        parameter = self.parameter_annotation(annotations)
        if parameter is not None and start.text != "input":
            raise self.error(f"{PARAMETER_ANNOTATION} belongs before an input declaration.")
        if self.blocks and start.text in _NOT_IN_BLOCKS:
            raise self.error(f"Statements with {start.text!r} inside a block are not supported.")
        if start.text == "input":
            return self.input_declaration(parameter)
        if start.text in VARIABLES:
            return self.variable()
        keyword = self.statements.get(start.text)
        if keyword is not None:
            return keyword(self)
        if not self.may_start_call(start.text):
            raise self.error(f"Statements that start with {start.text!r} are not supported.")
        follower = self.after().text
        return self.assignment() if follower in ("=", "[") or follower in _COMPOUND else self.call()

    def may_start_call(self, word: str) -> bool:
        """Return whether a gate call may start with ``word``."""
        return word not in KEYWORDS or word in _STARTS_CALL

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

    # calls and measurements

    def call(self) -> Call:
        """Take a gate call."""
        offset, first = self.token.offset, self.n_taken
        modifiers = []
        while self.token.text in _MODIFIERS:
            modifiers.append(self.modifier())
        token = self.next()
        if token.kind != "name" or (token.text in KEYWORDS and token.text not in ("gphase", "U")):
            raise self.error(f"Expected the name of a gate, got {token.text!r}.", token)
        angles = self.angles()
        if self.token.text == "[":
            raise self.error("Gate durations are not supported.")
        return Call(offset, tuple(modifiers), token.text, angles, self.operands(), self.n_taken - first)

    def modifier(self) -> Modifier:
        """Take a modifier and its @."""
        token = self.next()
        argument = None
        if self.accept("("):
            argument = self.expression()
            self.expect(")")
        self.expect("@")
        return Modifier(token.offset, token.text, argument)

    def assignment(self) -> Measurement | Assignment:
        """Take ``bits = measure qubits;``, or a variable's new value."""
        target = self.operand()
        operator = ""
        if self.token.text in _COMPOUND:
            sign = self.next()
            operator = sign.text
            if self.token.text != "=" or self.token.offset != sign.offset + len(operator):
                raise self.error("Statements that are an expression are not supported.", sign)
        self.expect("=")
        if self.token.text == "measure" and not operator:
            qubits = self.measured()
            self.expect(";")
            return Measurement(target.offset, qubits, target)
        if target.indices:
            raise self.error("Only measurements may be assigned to elements; classical computation is not supported.")
        value = self.value()
        self.expect(";")
        return Assignment(target.offset, target.name, operator, value)

    def delay(self) -> DelayStatement:
        """Take ``delay[time] qubits;``."""
        offset = self.next().offset
        self.expect("[")
        duration = self.expression()
        self.expect("]")
        return DelayStatement(offset, duration, self.operands())

    # conditions and loops

    def condition(self) -> IfStatement:
        """Take ``if (condition) block else block``."""
        offset, first = self.next().offset, self.n_taken
        self.expect("(")
        condition = self.expression()
        self.expect(")")
        n_tokens = self.n_taken - first
        then = self.block()
        otherwise = self.block() if self.accept("else") else ()
        return IfStatement(offset, condition, then, otherwise, n_tokens)

    def loop(self) -> ForStatement:
        """Take ``for type name in values block``."""
        offset = self.next().offset
        kind = self.next()
        if kind.text not in CASTS - {"bit"}:
            raise self.error(f"Expected the type of the loop's variable, got {kind.text!r}.", kind)
        width = self.type_width(kind)
        name = self.name("the loop variable's name")
        self.expect("in")
        values = self.loop_values()
        first = self.n_taken
        body = self.block()
        return ForStatement(offset, kind.text, width, name, values, body, self.n_taken - first)

    def loop_values(self) -> Range | IndexSet:
        """Take the values of a loop's variable: ``{a, b}`` or ``[first:step:last]``."""
        if self.token.text == "{":
            return self.index_set()
        if self.token.text != "[":
            raise self.error("Loops run over ranges [a:b] or sets {a, b, c}; others are not supported.")
        token = self.next()
        values = self.range_from(token.offset, self.expression())
        self.expect("]")
        if values.last is None:
            raise self.error("A loop's range needs both ends, as in [0:3].", token)
        return values

    def block(self) -> tuple[Statement, ...]:
        """Statements in braces, or a single one without."""
        if self.blocks == MAX_IF_DEPTH:
            raise self.error(f"Conditions, loops and blocks more than {MAX_IF_DEPTH} deep are not supported.")
        self.blocks += 1
        statements = []
        if self.accept("{"):
            while not self.accept("}"):
                if self.token.kind == "end":
                    raise self.error("This block is never closed; end it with }.")
                statements.append(self.statement())
        else:
            statements.append(self.statement())
        self.blocks -= 1
        return tuple(statements)

    statements: ClassVar[dict[str, Callable[[Parser3], Statement]]] = {
        "include": StatementParser.include,
        "const": DeclarationParser.const_declaration,
        "qubit": DeclarationParser.qubit_declaration,
        "qreg": DeclarationParser.qubit_declaration,
        "output": DeclarationParser.output_declaration,
        "let": DeclarationParser.alias,
        "bit": DeclarationParser.bit_declaration,
        "creg": DeclarationParser.bit_declaration,
        "gate": StatementParser.gate_definition,
        "barrier": StatementParser.barrier,
        "measure": StatementParser.measurement,
        "reset": StatementParser.reset,
        "delay": delay,
        "if": condition,
        "for": loop,
    }
