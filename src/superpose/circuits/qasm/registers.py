"""Registers of qubits or bits, and the places in a circuit that their elements have."""

from __future__ import annotations

from collections.abc import Mapping

from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.syntax import BitDeclaration, Expression, Operand, QubitDeclaration
from superpose.circuits.qasm.values import Value, evaluate_integer

__all__ = ["Registers"]

MAX_SIZE = 10_000


class Registers:
    """The registers of one kind that a text has declared, one behind the other.

    Args:
        source: The text, for errors.
        names: Values of constants.
        what: "qubit" or "bit".
    """

    def __init__(self, source: Source, names: Mapping[str, Value], what: str) -> None:
        self.n_places = 0
        self._source = source
        self._names = names
        self._what = what
        self._found: dict[str, tuple[int, int | None]] = {}  # start and size; None for a single one

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def declare(self, statement: QubitDeclaration | BitDeclaration) -> None:
        """Add a register.

        Raises:
            QasmError: Its size is none, or there are more than 10,000 elements in all.
        """
        size = None if statement.size is None else self._size(statement.size)
        self._found[statement.name] = (self.n_places, size)
        self.n_places += size or 1
        if self.n_places > MAX_SIZE:
            raise self._source.error(statement.offset, f"A program may declare {MAX_SIZE} {self._what}s.")

    def _size(self, expression: Expression) -> int:
        size = evaluate_integer(self._source, expression, self._names, "A register's size")
        if not 1 <= size <= MAX_SIZE:
            raise self._source.error(expression.offset, f"A register has 1 .. {MAX_SIZE} elements, got {size}.")
        return size

    def resolve(self, operand: Operand) -> range | int:
        """Return the places that ``operand`` names: a range for a whole register, one index otherwise.

        Raises:
            QasmError: No such register or element.
        """
        start, size = self._found.get(operand.name, (-1, None))
        if start < 0:
            raise self._source.error(
                operand.offset, f"No {self._what} register is named {operand.name!r}; declare it first."
            )
        if operand.index is None:
            return start if size is None else range(start, start + size)
        index = evaluate_integer(self._source, operand.index, self._names, "An index")
        if size is None or not -size <= index < size:
            raise self._source.error(
                operand.offset, f"Index {index} lies outside {operand.name!r} of {size or 'no'} elements."
            )
        return start + index % size

    def places(self, operand: Operand) -> list[int]:
        """Return the places that ``operand`` names as a list."""
        found = self.resolve(operand)
        return [found] if isinstance(found, int) else list(found)

    def element(self, text: str) -> int | None:
        """Return the place of ``register[number]``, or None where there is none."""
        name, _, index = text.strip().rstrip("]").partition("[")
        start, size = self._found.get(name, (-1, None))
        return start + int(index) if size is not None and len(index) < 6 and int(index) < size else None
