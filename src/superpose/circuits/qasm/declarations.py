"""Declarations of OpenQASM 3: registers, aliases, inputs, outputs, constants and variables."""

from __future__ import annotations

from superpose.circuits.qasm.statements import StatementParser
from superpose.circuits.qasm.syntax import (
    AliasDeclaration,
    BitDeclaration,
    Expression,
    InputDeclaration,
    Operand,
    QubitDeclaration,
    VariableDeclaration,
)

__all__ = ["VARIABLES", "DeclarationParser"]

VARIABLES = frozenset({"int", "uint", "float", "angle", "bool", "duration"})


class DeclarationParser(StatementParser):
    """Takes the declarations of an OpenQASM 3 program."""

    def input_declaration(self, parameter: str | None) -> InputDeclaration:
        """Take ``input float name;``."""
        offset = self.next().offset
        kind = self.next()
        if kind.text not in ("float", "angle"):
            raise self.error(f"Inputs of type {kind.text!r} are not supported; declare input float or angle.", kind)
        self.type_width(kind)
        name = self.name("the input's name")
        self.expect(";")
        return InputDeclaration(offset, name, parameter)

    def output_declaration(self) -> BitDeclaration:
        """Take ``output bit name;``; all bits of a circuit come out."""
        self.next()
        if self.token.text != "bit":
            raise self.error(f"Outputs of type {self.token.text!r} are not supported; declare output bit.")
        offset, name, size = self.register()
        self.expect(";")
        return BitDeclaration(offset, name, size)

    def const_declaration(self) -> VariableDeclaration:
        """Take ``const type name = value;``."""
        self.next()
        if self.token.text not in VARIABLES and self.token.text != "bit":
            raise self.error(f"Constants of type {self.token.text!r} are not supported.")
        return self.variable(is_const=True)

    def variable(self, *, is_const: bool = False) -> VariableDeclaration:
        """Take ``type name = value;``, the value being optional where it is no constant."""
        kind = self.next()
        width = self.type_width(kind)
        if self.token.text == "(":
            raise self.error("Statements that are an expression are not supported.", kind)
        name = self.name("the constant's name" if is_const else "the variable's name")
        value = None
        if is_const or self.token.text == "=":
            self.expect("=")
            value = self.value()
        self.expect(";")
        return VariableDeclaration(kind.offset, kind.text, width, name, value, is_const)

    def value(self) -> Expression:
        """Take what is assigned where it must be known here."""
        if self.token.text == "measure":
            raise self.error("Measurements may be assigned to bits only.")
        if self.token.kind == "string":
            raise self.error("Bit strings are not supported; write an integer.")
        if self.token.text == "{":
            raise self.error("Lists of values are not supported (classical arrays).")
        return self.expression()

    def alias(self) -> AliasDeclaration:
        """Take ``let name = part ++ part;``."""
        offset = self.next().offset
        name = self.name("the alias's name")
        self.expect("=")
        parts = [self.operand()]
        while self.accept("++"):
            parts.append(self.operand())
        self.expect(";")
        return AliasDeclaration(offset, name, tuple(parts))

    def register(self) -> tuple[int, str, Expression | None]:
        """Offset, name and size; the old keywords have the size behind the name, and no value."""
        keyword = self.next()
        old = keyword.text in ("qreg", "creg")
        size = None if old else self.width()
        name = self.name("the register's name")
        if old:
            size = self.width()
            if self.token.text == "=":
                raise self.error("A creg is declared without a value; declare bit[n] c = ...;")
        return keyword.offset, name, size

    def qubit_declaration(self) -> QubitDeclaration:
        """Take a register of qubits."""
        offset, name, size = self.register()
        self.expect(";")
        return QubitDeclaration(offset, name, size)

    def bit_declaration(self) -> BitDeclaration:
        """Take a register of bits."""
        offset, name, size = self.register()
        measured = value = None
        if self.accept("="):
            if self.token.text == "measure":
                measured = self.measured()
            else:
                value = self.value()
        self.expect(";")
        return BitDeclaration(offset, name, size, measured, value)

    def measured(self) -> Operand:
        """``measure qubits``."""
        self.expect("measure")
        return self.operand()
