"""A recursive-descent parser: OpenQASM 2 and 3 text to the tree of `syntax`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from superpose.circuits.qasm.expressions import ExpressionParser
from superpose.circuits.qasm.language import OPENQASM_2, Language
from superpose.circuits.qasm.lexer import Source, Token
from superpose.circuits.qasm.syntax import (
    BarrierStatement,
    BitDeclaration,
    BitTest,
    Call,
    ConstDeclaration,
    DelayStatement,
    Expression,
    GateDefinition,
    IfStatement,
    Include,
    InputDeclaration,
    Measurement,
    Modifier,
    Operand,
    QubitDeclaration,
    ResetStatement,
    Statement,
)
from superpose.circuits.wording import shown

__all__ = ["PARAMETER_ANNOTATION", "parse"]

MAX_NESTED = 20
PARAMETER_ANNOTATION = "@superpose.parameter"

_MODIFIERS = ("ctrl", "negctrl", "inv", "pow")
_STARTS_CALL = (*_MODIFIERS, "gphase", "U")
_UNSUPPORTED = {
    "switch": "classical control",
    "for": "loops",
    "while": "loops",
    "def": "subroutines",
    "return": "subroutines",
    "extern": "external functions",
    "cal": "pulse calibrations",
    "defcal": "pulse calibrations",
    "defcalgrammar": "pulse calibrations",
    "let": "aliases",
    "box": "timing",
    "duration": "timing",
    "stretch": "timing",
    "array": "classical arrays",
    "output": "classical outputs",
    "end": "early ends",
}
_NANOSECONDS = {"ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9}
_CLASSICAL = frozenset({"int", "uint", "float", "angle", "bool", "complex"})


def parse(source: Source, max_tokens: int) -> tuple[Language, Iterator[Statement]]:
    """Return the language of ``source``, of at most ``max_tokens``, and its statements in order.

    Raises:
        QasmError: The text is not OpenQASM 2 or 3, or uses what superpose does not read.
    """
    parser = _Parser(source, max_tokens)
    parser.header()
    return parser.language, parser.program()


class _Parser(ExpressionParser):
    nested = 0

    # statements

    def header(self) -> None:
        if self.accept("OPENQASM"):
            version = self.next()
            if version.kind != "number" or version.text not in ("2", "2.0", "3", "3.0", "3.1"):
                raise self.error(f"superpose reads OpenQASM 2.0, 3.0 and 3.1, got version {version.text}.", version)
            if version.text.startswith("2"):
                self.language = OPENQASM_2
            self.expect(";")
        elif self.token.text == "include" and self.tokens[self.place + 1].text[1:-1] == OPENQASM_2.library:
            self.language = OPENQASM_2

    def program(self) -> Iterator[Statement]:
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
        if self.language is OPENQASM_2:
            return self.old_statement(start)
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
        if start.text in self.language.keywords and start.text not in _STARTS_CALL:
            raise self.error(f"Statements that start with {start.text!r} are not supported.")
        after = self.tokens[self.place + 1].text
        return self.assignment() if after in ("=", "[") else self.call()

    def old_statement(self, start: Token) -> Statement:
        """A statement of OpenQASM 2."""
        if start.text == "opaque":
            raise self.error("Opaque gates have no definition, so no circuit can hold them.")
        keyword = _OLD_STATEMENTS.get(start.text)
        return self.call() if keyword is None else keyword(self)

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
            if token.kind != "name" or (
                token.text in self.language.keywords and token.text not in (*_STARTS_CALL, "barrier")
            ):
                raise self.error(f"Only gate calls may stand in a gate definition, got {token.text!r}.")
            statement = self.barrier() if token.text == "barrier" else self.call()
            if isinstance(statement, Call):
                body.append(statement)
        return GateDefinition(offset, name, angles, qubits, tuple(body))

    def call(self) -> Call:
        offset, first = self.token.offset, self.place
        modifiers = []
        while self.language is not OPENQASM_2 and self.token.text in _MODIFIERS:
            modifiers.append(self.modifier())
        token = self.next()
        if token.kind != "name" or (token.text in self.language.keywords and token.text not in ("gphase", "U")):
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

    def reset(self) -> ResetStatement:
        offset = self.next().offset
        operand = self.operand()
        self.expect(";")
        return ResetStatement(offset, operand)

    def delay(self) -> DelayStatement:
        offset = self.next().offset
        self.expect("[")
        token = self.next()
        digits = token.text.rstrip("nuµμms")
        unit = token.text[len(digits) :]
        if token.kind != "duration" or unit not in _NANOSECONDS:
            raise self.error(
                f"A delay lasts a number of ns, us, ms or s, as in delay[100ns] q; got {token.text!r}.", token
            )
        self.expect("]")
        operands = () if self.token.text == ";" else self.separated(self.operand)
        self.expect(";")
        return DelayStatement(offset, float(digits.replace("_", "")) * _NANOSECONDS[unit], operands)

    def condition(self) -> IfStatement:
        """``if (bits == number && bit && !bit)``, a statement or a block, and ``else`` likewise."""
        self.nested += 1
        if self.nested > MAX_NESTED:
            raise self.error(f"Conditions nested more than {MAX_NESTED} deep are not supported.")
        offset = self.next().offset
        self.expect("(")
        tests = [self.bit_test()]
        while self.accept("&&"):
            tests.append(self.bit_test())
        self.expect(")")
        then, otherwise = self.body(), tuple[Statement, ...]()
        if self.language is not OPENQASM_2 and self.accept("else"):
            otherwise = self.body()
        self.nested -= 1
        return IfStatement(offset, tuple(tests), then, otherwise)

    def bit_test(self) -> BitTest:
        offset, negated = self.token.offset, self.accept("!")
        operand = self.operand()
        if self.language is OPENQASM_2 and (negated or operand.index is not None or self.token.text != "=="):
            raise self.error("OpenQASM 2 compares a whole register with an integer, as in if (c == 1).")
        if self.token.text not in ("==", "!="):
            return BitTest(offset, operand, 1, not negated)
        if negated:
            raise self.error("Compare with == or !=, or test !bit, not both.")
        equal = self.next().text == "=="
        token = self.next()
        if token.text in ("true", "false"):
            return BitTest(offset, operand, int(token.text == "true"), equal)
        value = self._number(token) if token.kind == "number" else None
        if not isinstance(value, int):
            raise self.error(f"Bits are compared with an integer, got {token.text!r}.", token)
        return BitTest(offset, operand, value, equal)

    def body(self) -> tuple[Statement, ...]:
        if not self.accept("{"):
            return (self.inner_statement(),)
        statements = []
        while not self.accept("}"):
            statements.append(self.inner_statement())
        return tuple(statements)

    def inner_statement(self) -> Statement:
        token = self.token
        statement = self.statement()
        if not isinstance(
            statement, Call | Measurement | BarrierStatement | ResetStatement | DelayStatement | IfStatement
        ):
            raise self.error(f"Statements with {token.text!r} are not supported inside a condition.", token)
        return statement


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
    "reset": _Parser.reset,
    "delay": _Parser.delay,
    "if": _Parser.condition,
}
_OLD_STATEMENTS: dict[str, Callable[[_Parser], Statement]] = {
    word: _STATEMENTS[word] for word in ("include", "qreg", "creg", "gate", "barrier", "measure", "reset", "if")
}
