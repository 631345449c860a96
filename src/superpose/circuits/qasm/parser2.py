"""OpenQASM 2 text to the tree of `syntax`.

Source: Cross, Bishop, Smolin, Gambetta, "Open Quantum Assembly Language", arXiv:1707.03429, appendix A.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from superpose.circuits.qasm.lexer import Token
from superpose.circuits.qasm.statements import StatementParser
from superpose.circuits.qasm.syntax import (
    BitDeclaration,
    Call,
    Chain,
    Constant,
    Expression,
    IfStatement,
    Index,
    Measurement,
    Name,
    QubitDeclaration,
    Statement,
)

__all__ = ["KEYWORDS_2", "Parser2"]

KEYWORDS_2 = frozenset(
    {"OPENQASM", "include", "opaque", "barrier", "reset", "measure", "if", "gate", "qreg", "creg", "pi"}
)
_MAX_DIGITS = 4000


class Parser2(StatementParser):
    """Yields the statements of an OpenQASM 2 program; numbers are reals, and names in expressions angles of gates."""

    keywords = KEYWORDS_2
    functions = {  # noqa: RUF012  # a class variable of the parent, never changed
        "sin": "sin", "cos": "cos", "tan": "tan", "exp": "exp", "ln": "log", "sqrt": "sqrt",
        "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    }  # fmt: skip
    power = "^"
    ranks: ClassVar[Mapping[str, int]] = {}
    has_values = False
    scope: tuple[str, ...] | None = None

    def header(self) -> None:
        """Take ``OPENQASM 2.0;``, which texts that include qelib1.inc first may lack."""
        if not self.accept("OPENQASM"):
            return
        version = self.next()
        if version.text not in ("2", "2.0"):
            raise self.error(f"superpose reads OpenQASM 2.0, 3.0 and 3.1, got version {version.text}.", version)
        self.expect(";")

    def statement(self) -> Statement:
        """Take one statement."""
        start = self.token
        if start.kind != "name":
            raise self.error(f"Expected a statement, got {start.text!r}.")
        keyword = self.statements.get(start.text)
        if keyword is not None:
            return keyword(self)
        if start.text == "opaque":
            raise self.error("Opaque gates have no meaning to run and are not supported; define the gate instead.")
        return self.call()

    def may_start_call(self, word: str) -> bool:
        """Return whether a gate call may start with ``word``."""
        return word not in KEYWORDS_2

    def open_scope(self, angles: tuple[str, ...] | None) -> None:
        """Note the angles that a gate's body may use; None at its end."""
        self.scope = angles

    def call(self) -> Call:
        """Take a gate call."""
        offset, first = self.token.offset, self.n_taken
        name = self.name("the name of a gate")
        angles = self.angles()
        if self.token.text == ";":
            raise self.error(f"Gate {name!r} is called on no qubit.")
        return Call(offset, (), name, angles, self.operands(), self.n_taken - first)

    def named(self, token: Token) -> Expression:
        """Return an angle of the gate being defined."""
        if token.text not in (self.scope or ()):
            raise self.error(f"Nothing here is named {token.text!r}; angles are named in gate definitions only.", token)
        return Name(token.offset, token.text)

    def atom(self) -> Expression:
        """Take an atom, pi among them."""
        if self.token.text == "pi":
            return Constant(self.next().offset, math.pi)
        return super().atom()

    def number(self, token: Token) -> float:
        """Return the value of a literal, always a real number here."""
        if not re.fullmatch(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", token.text):
            raise self.error(f"{token.text[:40]!r} is not a number of OpenQASM 2.", token)
        return float(token.text)

    def whole(self) -> Constant:
        """Take a literal integer."""
        token = self.next()
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > _MAX_DIGITS:
            raise self.error(f"Expected an integer, got {token.text[:40]!r}.", token)
        return Constant(token.offset, int(token.text))

    def indices(self) -> tuple[Expression | Index, ...]:
        """Take an index in brackets, if there is one."""
        if not self.accept("["):
            return ()
        value = self.whole()
        self.expect("]")
        return (value,)

    def register(self) -> tuple[int, str, Expression]:
        """Take a register's declaration: offset, name and size."""
        offset = self.next().offset
        name = self.name("the register's name")
        sizes = self.indices()
        if not sizes:
            raise self.error("Expected the register's size in brackets.")
        self.expect(";")
        return offset, name, sizes[0]  # type: ignore[return-value]  # indices are whole numbers here

    def qubit_declaration(self) -> QubitDeclaration:
        """Take a register of qubits."""
        return QubitDeclaration(*self.register())

    def bit_declaration(self) -> BitDeclaration:
        """Take a register of bits."""
        return BitDeclaration(*self.register())

    def arrow_measurement(self) -> Measurement:
        """Take ``measure qubits -> bits;``."""
        measurement = self.measurement()
        if measurement.bits is None:
            raise self.source.error(measurement.offset, "A measurement needs bits, as in measure q -> c;")
        return measurement

    def condition(self) -> IfStatement:
        """Take ``if (register == integer) statement``, the statement being a call, a measurement or a reset."""
        offset, first = self.next().offset, self.n_taken
        self.expect("(")
        bits = self.operand()
        if bits.indices:
            raise self.source.error(bits.offset, "Conditions of OpenQASM 2 compare a whole register, not one bit.")
        self.expect("==")
        value = self.whole()
        self.expect(")")
        n_tokens = self.n_taken - first
        if self.token.text in KEYWORDS_2 - {"measure", "reset"}:
            raise self.error(f"Statements with {self.token.text!r} inside a condition are not supported.")
        equal = Chain(bits.offset, Name(bits.offset, bits.name), (("==", value),))
        return IfStatement(offset, equal, (self.statement(),), (), n_tokens)

    statements: ClassVar[dict[str, Callable[[Parser2], Statement]]] = {
        "include": StatementParser.include,
        "qreg": qubit_declaration,
        "creg": bit_declaration,
        "gate": StatementParser.gate_definition,
        "barrier": StatementParser.barrier,
        "measure": arrow_measurement,
        "reset": StatementParser.reset,
        "if": condition,
    }
