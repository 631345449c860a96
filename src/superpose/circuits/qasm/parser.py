"""OpenQASM 3 text to the tree of `syntax`."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from superpose.circuits.names import KEYWORDS
from superpose.circuits.operations import MAX_IF_DEPTH
from superpose.circuits.qasm.lexer import NS_OF, Token
from superpose.circuits.qasm.statements import StatementParser
from superpose.circuits.qasm.syntax import (
    BitDeclaration,
    Call,
    Comparison,
    Constant,
    ConstDeclaration,
    DelayStatement,
    Expression,
    IfStatement,
    InputDeclaration,
    Measurement,
    Modifier,
    Operand,
    QubitDeclaration,
    Statement,
)
from superpose.circuits.wording import shown

__all__ = ["PARAMETER_ANNOTATION", "Parser3"]

PARAMETER_ANNOTATION = "@superpose.parameter"

_MODIFIERS = ("ctrl", "negctrl", "inv", "pow")
_STARTS_CALL = (*_MODIFIERS, "gphase", "U")
_UNSUPPORTED = {
    "else": "without an if before it",
    "switch": "classical control other than if",
    "for": "loops",
    "while": "loops",
    "def": "subroutines",
    "return": "subroutines",
    "extern": "external functions",
    "cal": "pulse calibrations",
    "defcal": "pulse calibrations",
    "defcalgrammar": "pulse calibrations",
    "let": "aliases",
    "box": "timing other than delays",
    "duration": "timing other than delays",
    "stretch": "timing other than delays",
    "array": "classical arrays",
    "output": "classical outputs",
    "end": "early ends",
}
_CLASSICAL = frozenset({"int", "uint", "float", "angle", "bool", "complex"})
_IN_BLOCKS = frozenset({"barrier", "measure", "reset", "delay", "if"})


class Parser3(StatementParser):
    """Yields the statements of an OpenQASM 3 program."""

    blocks = 0  # conditions around the present statement

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
        if start.kind != "name":
            raise self.error(f"Expected a statement, got {start.text!r}.")
        if start.text in _UNSUPPORTED:
            raise self.error(f"Statements with {start.text!r} ({_UNSUPPORTED[start.text]}) are not supported.")
        parameter = self.parameter_annotation(annotations)
        if parameter is not None and start.text != "input":
            raise self.error(f"{PARAMETER_ANNOTATION} belongs before an input declaration.")
        if self.blocks and start.text in KEYWORDS and start.text not in (*_STARTS_CALL, *_IN_BLOCKS):
            raise self.error(f"Statements with {start.text!r} inside a condition are not supported.")
        if start.text == "input":
            return self.input_declaration(parameter)
        keyword = self.statements.get(start.text)
        if keyword is not None:
            return keyword(self)
        if start.text in _CLASSICAL:
            raise self.error(f"Classical variables ({start.text}) are not supported; declare it const or input float.")
        if not self.may_start_call(start.text):
            raise self.error(f"Statements that start with {start.text!r} are not supported.")
        return self.assignment() if self.after().text in ("=", "[") else self.call()

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

    # declarations

    def input_declaration(self, parameter: str | None) -> InputDeclaration:
        """Take ``input float name;``."""
        offset = self.next().offset
        kind = self.next()
        if kind.text != "float":
            raise self.error(f"Inputs of type {kind.text!r} are not supported; declare input float.", kind)
        self.type_width()
        name = self.name("the input's name")
        self.expect(";")
        return InputDeclaration(offset, name, parameter)

    def type_width(self) -> None:
        """Take a type's width in brackets, which is not kept."""
        if self.accept("["):
            self.expression()
            self.expect("]")

    def const_declaration(self) -> ConstDeclaration:
        """Take ``const type name = value;``."""
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

    def register(self) -> tuple[int, str, Expression | None]:
        """Offset, name and size."""
        keyword = self.next()
        old = keyword.text in ("qreg", "creg")
        size = None if old else self.index()
        name = self.name("the register's name")
        if old:
            size = self.index()
        return keyword.offset, name, size

    def qubit_declaration(self) -> QubitDeclaration:
        """Take a register of qubits."""
        offset, name, size = self.register()
        self.expect(";")
        return QubitDeclaration(offset, name, size)

    def bit_declaration(self) -> BitDeclaration:
        """Take a register of bits."""
        offset, name, size = self.register()
        measured = self.measured() if self.token.text == "=" else None
        self.expect(";")
        return BitDeclaration(offset, name, size, measured)

    def index(self) -> Expression | None:
        """Take an index in brackets, if there is one."""
        if not self.accept("["):
            return None
        value = self.expression()
        if self.token.text in (":", ","):
            raise self.error("Ranges and lists of indices are not supported; write one gate call per qubit.")
        self.expect("]")
        return value

    # calls and measurements

    def call(self) -> Call:
        """Take a gate call."""
        offset, first = self.token.offset, self.place
        modifiers = []
        while self.token.text in _MODIFIERS:
            modifiers.append(self.modifier())
        token = self.next()
        if token.kind != "name" or (token.text in KEYWORDS and token.text not in ("gphase", "U")):
            raise self.error(f"Expected the name of a gate, got {token.text!r}.", token)
        angles = self.angles()
        if self.token.text == "[":
            raise self.error("Gate durations are not supported.")
        return Call(offset, tuple(modifiers), token.text, angles, self.operands(), self.place - first)

    def modifier(self) -> Modifier:
        """Take a modifier and its @."""
        token = self.next()
        argument = None
        if self.accept("("):
            argument = self.expression()
            self.expect(")")
        self.expect("@")
        return Modifier(token.offset, token.text, argument)

    def assignment(self) -> Measurement:
        """Take ``bits = measure qubits;``."""
        bits = self.operand()
        qubits = self.measured()
        self.expect(";")
        return Measurement(bits.offset, qubits, bits)

    def measured(self) -> Operand:
        """``= measure qubits``."""
        self.expect("=")
        if self.token.text != "measure":
            raise self.error("Only measurements may be assigned; classical computation is not supported.")
        self.next()
        return self.operand()

    def delay(self) -> DelayStatement:
        """Take ``delay[time] qubits;``."""
        offset = self.next().offset
        self.expect("[")
        token = self.next()
        if token.kind != "duration":
            raise self.error(f"A delay lasts a literal time such as 100ns, got {token.text!r}.", token)
        self.expect("]")
        digits = token.text.rstrip("nuµμms")
        try:
            time = float(digits) * NS_OF[token.text[len(digits) :]]
        except ValueError:
            raise self.error(f"A delay lasts a decimal number of ns, us, ms or s, got {token.text!r}.", token) from None
        return DelayStatement(offset, time, self.operands())

    # conditions

    def condition(self) -> IfStatement:
        """Take ``if (comparisons) block else block``."""
        offset = self.next().offset
        if self.blocks == MAX_IF_DEPTH:
            raise self.source.error(offset, f"Conditions more than {MAX_IF_DEPTH} deep are not supported.")
        self.expect("(")
        comparisons = [self.comparison()]
        while self.accept("&&"):
            comparisons.append(self.comparison())
        if self.token.text != ")":
            raise self.error(
                f"Conditions compare bits with == or != and join comparisons with &&; {self.token.text!r} is not "
                "supported."
            )
        self.next()
        then = self.block()
        otherwise = self.block() if self.accept("else") else ()
        return IfStatement(offset, tuple(comparisons), then, otherwise)

    def comparison(self) -> Comparison:
        """Take one comparison of bits with a value."""
        if self.accept("("):
            self.deeper()
            inner = self.comparison()
            self.expect(")")
            self.depth -= 1
            return inner
        offset = self.token.offset
        if self.accept("!"):
            return Comparison(offset, self.operand(), is_equal=False, value=None)
        bits = self.operand()
        if self.token.text not in ("==", "!="):
            return Comparison(offset, bits, is_equal=True, value=None)
        is_equal = self.next().text == "=="
        token = self.token
        if token.text in ("true", "false"):
            self.next()
            return Comparison(offset, bits, is_equal, Constant(token.offset, int(token.text == "true")))
        return Comparison(offset, bits, is_equal, self.expression())

    def block(self) -> tuple[Statement, ...]:
        """Statements in braces, or a single one without."""
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
        "const": const_declaration,
        "qubit": qubit_declaration,
        "qreg": qubit_declaration,
        "bit": bit_declaration,
        "creg": bit_declaration,
        "gate": StatementParser.gate_definition,
        "barrier": StatementParser.barrier,
        "measure": StatementParser.measurement,
        "reset": StatementParser.reset,
        "delay": delay,
        "if": condition,
    }
