"""Statements that OpenQASM 2 and 3 have in common, and the loop over a program's statements."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator

from superpose.circuits.qasm.expressions import ExpressionParser
from superpose.circuits.qasm.lexer import SKIPPED, Source
from superpose.circuits.qasm.syntax import (
    BarrierStatement,
    Call,
    Expression,
    GateDefinition,
    Include,
    Measurement,
    Operand,
    ResetStatement,
    Statement,
)

__all__ = ["CallMatch", "StatementParser"]

CallMatch = re.Match[str]
"""A plain gate call: group "head" is its name with angles, "operands" its single qubits, 1 all of it."""

_INDEXED = r"[A-Za-z_]\w*+\[[0-9]++\]"
_HEAD = r"[A-Za-z_]\w*+(?:\([^;{}\"'\n]*\))?"
_PLAIN_CALL = re.compile(
    rf"{SKIPPED}((?P<head>{_HEAD})\s++(?P<operands>{_INDEXED}(?:\ *+,\ *+{_INDEXED})*+)\s*+;)",
    re.ASCII,
)


class StatementParser(ExpressionParser):
    """Yields the statements of a program, plain gate calls first offered to ``on_call`` as they stand in the text.

    Args:
        source: The text.
        max_tokens: Most tokens that are read; plain calls that ``on_call`` takes have none.
        on_call: Says whether it has dealt with a call; if not, it is parsed.
    """

    def __init__(self, source: Source, max_tokens: int, on_call: Callable[[CallMatch], bool]) -> None:
        super().__init__(source, max_tokens)
        self.on_call = on_call

    def program(self) -> Iterator[Statement]:
        """Yield the statements in order.

        Raises:
            QasmError: The text is not OpenQASM of this version, or uses what superpose does not read.
        """
        self.header()
        while True:
            if self.place == len(self.tokens):
                self.plain_calls()
            if self.token.kind == "end":
                return
            yield self.statement()

    def plain_calls(self) -> None:
        """Hand over plain gate calls as long as they are taken."""
        lexer, text = self.lexer, self.source.text
        while (match := _PLAIN_CALL.match(text, lexer.offset)) and self.on_call(match):
            lexer.offset = match.end()

    @property
    def is_done(self) -> bool:
        """Whether everything before the lexer's offset has been parsed."""
        return self.place == len(self.tokens)

    @abstractmethod
    def header(self) -> None:
        """Take the version line."""

    @abstractmethod
    def statement(self) -> Statement:
        """Take one statement."""

    def include(self) -> Include:
        """Take ``include "file";``."""
        offset = self.next().offset
        token = self.next()
        if token.kind != "string":
            raise self.error(f"Expected the name of a file in quotes, got {token.text!r}.", token)
        self.expect(";")
        return Include(offset, token.text[1:-1])

    def gate_definition(self) -> GateDefinition:
        """Take ``gate name(angles) qubits { calls }``; barriers inside are left out."""
        offset = self.next().offset
        name = self.name("the gate's name")
        angles: tuple[str, ...] = ()
        if self.accept("(") and not self.accept(")"):
            angles = self.separated(lambda: self.name("an angle's name"))
            self.expect(")")
        qubits = self.separated(lambda: self.name("a qubit's name"))
        self.expect("{")
        self.open_scope(angles)
        body = []
        while not self.accept("}"):
            token = self.token
            if token.text == "barrier":
                self.barrier()
            elif token.kind == "name" and self.may_start_call(token.text):
                body.append(self.call())
            else:
                raise self.error(f"Only gate calls may stand in a gate definition, got {token.text!r}.")
        self.open_scope(None)
        return GateDefinition(offset, name, angles, qubits, tuple(body))

    def open_scope(self, angles: tuple[str, ...] | None) -> None:
        """Note the angles that a gate's body may use; None at its end."""

    @abstractmethod
    def may_start_call(self, word: str) -> bool:
        """Return whether a gate call may start with ``word``."""

    @abstractmethod
    def call(self) -> Call:
        """Take a gate call."""

    def angles(self) -> tuple[Expression, ...]:
        """Take angles in parentheses, or none."""
        if not self.accept("(") or self.accept(")"):
            return ()
        angles = self.separated(self.expression)
        self.expect(")")
        return angles

    def operand(self) -> Operand:
        """Take a register or some of its elements."""
        token = self.token
        if token.kind == "hardware":
            raise self.error(f"Physical qubits such as {token.text} are not supported; declare a register.")
        return Operand(token.offset, self.name("a qubit"), self.indices())

    def operands(self) -> tuple[Operand, ...]:
        """Take operands up to the semicolon, none among them."""
        operands = () if self.token.text == ";" else self.separated(self.operand)
        self.expect(";")
        return operands

    def barrier(self) -> BarrierStatement:
        """Take ``barrier qubits;``."""
        return BarrierStatement(self.next().offset, self.operands())

    def reset(self) -> ResetStatement:
        """Take ``reset qubits;``."""
        offset = self.next().offset
        operands = self.operands()
        if not operands:
            raise self.source.error(offset, "reset needs a qubit.")
        return ResetStatement(offset, operands)

    def measurement(self) -> Measurement:
        """Take ``measure qubits -> bits;``, or without bits where the version has that."""
        offset = self.next().offset
        qubits = self.operand()
        bits = self.operand() if self.accept("->") else None
        self.expect(";")
        return Measurement(offset, qubits, bits)
