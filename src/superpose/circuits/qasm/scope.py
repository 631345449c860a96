"""The names of values in a text: constants, inputs, and variables whose values the text tells."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from superpose.circuits.qasm.values import Value
from superpose.errors import AngleError

__all__ = ["Scope", "Variable"]


@dataclass(slots=True)
class Variable:
    """What a name stands for; no value where none has been given yet.

    Attributes:
        value: The present one.
        kind: Its type, and None for inputs.
        width: Of the type.
        is_const: Whether it keeps its value.
    """

    value: Value | None
    kind: str | None = None
    width: int | None = None
    is_const: bool = True


class Scope(Mapping[str, Value]):
    """Values by name, the innermost block first.

    Args:
        bits: Names of registers of bits, which have values at run time only.
    """

    def __init__(self, bits: Container[str] = ()) -> None:
        self._levels: list[dict[str, Variable]] = [{}]
        self._fixed = 0  # levels whose variables a condition on measured bits must not change
        self.bits = bits

    def __getitem__(self, name: str) -> Value:
        """Return a name's value.

        Raises:
            AngleError: It has none yet, or none before the circuit runs.
            KeyError: There is no such name.
        """
        found = self.found(name)
        if found is None:
            if name in self.bits:
                raise AngleError(
                    f"{name!r} is measured; computing with measured bits is supported in the condition of an if only."
                )
            raise KeyError(name)
        if found.value is None:
            raise AngleError(
                f"{name!r} has no value that the text tells; variables with run-time values are not supported."
            )
        return found.value

    def __contains__(self, name: object) -> bool:
        return any(name in level for level in self._levels) or name in self.bits

    def __iter__(self) -> Iterator[str]:
        return iter({name for level in self._levels for name in level})

    def __len__(self) -> int:
        return len(set(self))

    @property
    def is_outermost(self) -> bool:
        """Whether no block is open."""
        return len(self._levels) == 1

    def found(self, name: str) -> Variable | None:
        """Return what ``name`` stands for, or None."""
        for level in reversed(self._levels):
            if name in level:
                return level[name]
        return None

    def is_here(self, name: str) -> bool:
        """Return whether the innermost block declares ``name``."""
        return name in self._levels[-1]

    def declare(self, name: str, variable: Variable) -> None:
        """Add a name to the innermost block."""
        self._levels[-1][name] = variable

    def may_change(self, name: str) -> bool:
        """Return whether no condition on measured bits stands between a variable and the present place."""
        return any(name in level for level in self._levels[self._fixed :])

    @contextmanager
    def inner(self, *, is_conditional: bool = False) -> Iterator[None]:
        """Open a block; ``is_conditional`` says that it runs or not as measured bits say."""
        fixed = self._fixed
        if is_conditional:
            self._fixed = len(self._levels)
        self._levels.append({})
        try:
            yield
        finally:
            self._levels.pop()
            self._fixed = fixed
