"""Registers of qubits or bits and their aliases, and the places in a circuit that their elements have."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.operators import selected
from superpose.circuits.qasm.syntax import BitDeclaration, Expression, Operand, QubitDeclaration
from superpose.circuits.qasm.values import Value, evaluate_integer

__all__ = ["Registers"]

MAX_SIZE = 10_000


class Registers:
    """The registers of one kind that a text has declared, one behind the other, and their aliases.

    Args:
        source: The text, for errors.
        names: Values that the text tells.
        what: "qubit" or "bit".
    """

    def __init__(self, source: Source, names: Mapping[str, Value], what: str) -> None:
        self.n_places = 0
        self._source = source
        self._names = names
        self._what = what
        self._found: ChainMap[str, Sequence[int] | int] = ChainMap()  # places; a number for a single one

    def __contains__(self, name: object) -> bool:
        return name in self._found

    @contextmanager
    def inner(self) -> Iterator[None]:
        """Open a block, whose registers and aliases end with it."""
        outer = self._found
        self._found = outer.new_child()
        try:
            yield
        finally:
            self._found = outer

    def declare(self, statement: QubitDeclaration | BitDeclaration) -> None:
        """Add a register.

        Raises:
            QasmError: Its size is none, or there are more than 10,000 elements in all.
        """
        size = None if statement.size is None else self._size(statement.size)
        start = self.n_places
        self._found[statement.name] = start if size is None else range(start, start + size)
        self.n_places += size or 1
        if self.n_places > MAX_SIZE:
            raise self._source.error(statement.offset, f"A program may declare {MAX_SIZE} {self._what}s.")

    def alias(self, name: str, parts: tuple[Operand, ...], offset: int) -> None:
        """Give elements, one part behind the other, a name of their own.

        Raises:
            QasmError: No such elements, one twice, or more than 10,000.
        """
        if len(parts) == 1:
            found = self.resolve(parts[0])
        else:
            places: list[int] = []
            for part in parts:
                places += self.places(part)
                if len(places) > MAX_SIZE:
                    raise self._source.error(offset, f"An alias may have {MAX_SIZE} elements.")
            found = places
        if not isinstance(found, int) and len(set(found)) < len(found):
            raise self._source.error(offset, f"Alias {name!r} has one {self._what} twice.")
        self._found[name] = found

    def _size(self, expression: Expression) -> int:
        size = evaluate_integer(self._source, expression, self._names, "A register's size")
        if not 1 <= size <= MAX_SIZE:
            raise self._source.error(expression.offset, f"A register has 1 .. {MAX_SIZE} elements, got {size}.")
        return size

    def resolve(self, operand: Operand) -> Sequence[int] | int:
        """Return the places that ``operand`` names: several for a register or a part of it, one index otherwise.

        Raises:
            QasmError: No such register or element.
        """
        found = self._found.get(operand.name)
        if found is None:
            hint = "declare it first."
            if self._what == "bit" and operand.name in self._names:
                hint = "it is a value that the text tells; declare a bit without a value, and measure into that."
            raise self._source.error(operand.offset, f"No {self._what} register is named {operand.name!r}; {hint}")
        for index in operand.indices:
            if isinstance(found, int):
                raise self._source.error(operand.offset, f"This index lies outside {operand.name!r} of no elements.")
            chosen = selected(self._source, index, len(found), self._names, operand.name)
            found = found[chosen] if isinstance(chosen, int) else [found[k] for k in chosen]
        return found

    def places(self, operand: Operand) -> list[int]:
        """Return the places that ``operand`` names as a list."""
        found = self.resolve(operand)
        return [found] if isinstance(found, int) else list(found)

    def element(self, text: str) -> int | None:
        """Return the place of ``register[number]``, or None where there is none."""
        name, _, index = text.strip().rstrip("]").partition("[")
        found = self._found.get(name)
        if found is None or isinstance(found, int):
            return None
        return found[int(index)] if len(index) < 6 and int(index) < len(found) else None
