"""How a section of a spec is declared and checked: a frozen dataclass whose fields carry a rule each.

A rule turns a value from JSON or YAML into the field's value or raises a `SpecError` that names the dotted field,
what it got and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from superpose.circuits.wording import shown
from superpose.errors import SpecError

__all__ = [
    "Section",
    "choice",
    "choice_or_weights",
    "integer",
    "integer_or",
    "label",
    "maybe_number",
    "names",
    "number",
    "rates",
    "section",
    "subset",
    "text",
]

Rule = Callable[[Any, str], Any]

_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d{1,3}")


def _field(default: Any, rule: Rule) -> Any:
    return dataclasses.field(default=default, metadata={"rule": rule})


def _suggestion(word: object, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(word), allowed, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def integer(default: int | None, low: int, high: int) -> Any:
    """A whole number in ``low .. high``; with a default of None, None too."""

    def rule(value: Any, path: str) -> int | None:
        if value is None and default is None:
            return None
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not low <= value <= high:
            raise SpecError(f"must be a whole number from {low} to {high}, got {shown(value)}", path)
        return int(value)

    return _field(default, rule)


def integer_or(word: str, low: int, high: int) -> Any:
    """A whole number in ``low .. high``, or the word, which is the default."""

    def rule(value: Any, path: str) -> int | str:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value != word and not (whole and low <= value <= high):
            raise SpecError(f"must be {word!r} or a whole number from {low} to {high}, got {shown(value)}", path)
        return word if value == word else int(value)

    return _field(word, rule)


def number(default: float, low: float, high: float, *, above: bool = False) -> Any:
    """A finite number in ``low .. high``; with ``above`` it must lie strictly above ``low``."""

    def rule(value: Any, path: str) -> float:
        if isinstance(value, str) and _EXPONENT.fullmatch(value):
            value = float(value)  # YAML 1.1 reads 1e-3, without a point, as text
        real = isinstance(value, int | float) and not isinstance(value, bool)
        if not real or not low <= value <= high or (above and value == low):
            bound = f"above {low}" if above else f"from {low}"
            raise SpecError(f"must be a number {bound} to {high}, got {shown(value)}", path)
        return float(value)

    return _field(default, rule)


def maybe_number(low: float, high: float) -> Any:
    """A finite number in ``low .. high``, or None, which is the default."""
    whole: Rule = number(low, low, high).metadata["rule"]
    return _field(None, lambda value, path: None if value is None else whole(value, path))


def choice(default: str, allowed: Callable[[], Sequence[str]]) -> Any:
    """One of the words that ``allowed()`` lists."""

    def rule(value: Any, path: str) -> str:
        words = allowed()
        if not isinstance(value, str) or value not in words:
            raise SpecError(
                f"must be one of {', '.join(words)}, got {shown(value)}{_suggestion(value, words)}",
                path,
                allowed=list(words),
            )
        return value

    return _field(default, rule)


def subset(default: tuple[str, ...], allowed: tuple[str, ...]) -> Any:
    """A list of different words out of ``allowed``, possibly empty; kept in the order of ``allowed``."""

    def rule(value: Any, path: str) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise SpecError(f"must be a list of words out of {', '.join(allowed)}, got {shown(value)}", path)
        for word in value:
            if word not in allowed or list(value).count(word) > 1:
                hint = _suggestion(word, allowed) if word not in allowed else "; each at most once"
                raise SpecError(f"may list {', '.join(allowed)}, got {shown(word)}{hint}", path, allowed=list(allowed))
        return tuple(word for word in allowed if word in value)

    return _field(default, rule)


def text(default: str | None, max_length: int = 200) -> Any:
    """A short text; with a default of None, None too."""

    def rule(value: Any, path: str) -> str | None:
        if value is None and default is None:
            return None
        if not isinstance(value, str) or not 0 < len(value) <= max_length:
            raise SpecError(f"must be a text of 1 to {max_length} characters, got {shown(value)}", path)
        return value

    return _field(default, rule)


def label() -> Any:
    """The name of a class, or None, which is the default; one that YAML reads as a number or a truth value too."""
    word: Rule = text(None).metadata["rule"]

    def rule(value: Any, path: str) -> str | None:
        if isinstance(value, bool):
            return "true" if value else "false"
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if whole or isinstance(value, float):
            value = str(int(value) if whole else value)
        checked: str | None = word(value, path)
        return checked

    return _field(None, rule)


def names(max_names: int = 2_000) -> Any:
    """A list of different names, empty by default; kept in order."""

    def rule(value: Any, path: str) -> tuple[str, ...]:
        texts = isinstance(value, list | tuple) and all(isinstance(name, str) and name for name in value)
        if not texts or len(value) > max_names or len(set(value)) != len(value):
            raise SpecError(f"must be a list of at most {max_names} different names, got {shown(value)}", path)
        return tuple(value)

    return _field((), rule)


def choice_or_weights(default: str, allowed: tuple[str, ...]) -> Any:
    """One of the words in ``allowed``, or a mapping from texts to positive numbers."""

    def rule(value: Any, path: str) -> str | dict[str, float]:
        if isinstance(value, Mapping):
            weighed = {str(label): _weight(weight, f"{path}[{label!r}]"[:200], path) for label, weight in value.items()}
            if weighed and len(weighed) == len(value):
                return weighed
        elif isinstance(value, str) and value in allowed:
            return value
        raise SpecError(
            f"must be one of {', '.join(allowed)}, or a mapping from class to weight; got {shown(value)}",
            path,
            allowed=list(allowed),
        )

    return _field(default, rule)


def _weight(value: Any, place: str, path: str) -> float:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not 0 < value <= 1e6:
        raise SpecError(f"must map classes to numbers above 0, at most 1e6; {place} is {shown(value)}", path)
    return float(value)


def rates(allowed: tuple[str, ...]) -> Any:
    """A mapping from words out of ``allowed`` to learning rates above 0, at most 10; None, the default, gives none."""
    rate: Rule = number(1.0, 0.0, 10.0, above=True).metadata["rule"]

    def rule(value: Any, path: str) -> dict[str, float] | None:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise SpecError(f"must map {', '.join(allowed)} to learning rates, got {shown(value)}", path)
        for word in value:
            if word not in allowed:
                raise SpecError(
                    f"may name {', '.join(allowed)}, got {shown(word)}{_suggestion(word, allowed)}",
                    path,
                    allowed=list(allowed),
                )
        return {word: rate(value[word], f"{path}.{word}") for word in allowed if word in value} or None

    return _field(None, rule)


def section(kind: type[Section]) -> Any:
    """A nested section; a mapping is read as one."""

    def rule(value: Any, _path: str) -> Section:
        return value if isinstance(value, kind) else kind.from_dict(value)

    return dataclasses.field(default_factory=kind, metadata={"rule": rule})


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a spec: every value is checked when it is made, wherever it comes from."""

    path: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            plain = given.item() if isinstance(given, np.generic) else given  # searches over settings give NumPy's
            object.__setattr__(self, field.name, field.metadata["rule"](plain, self.field_path(field.name)))

    @classmethod
    def field_path(cls, name: str) -> str:
        """The dotted path of a field of this section."""
        return f"{cls.path}.{name}" if cls.path else name

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a mapping; fields that are absent take their defaults.

        Raises:
            SpecError: not a mapping, an unknown field, or a value that its rule refuses.
        """
        if not isinstance(data, Mapping):
            raise SpecError(f"must be a mapping of fields, got {shown(data)}", cls.path or "spec")
        names = [field.name for field in dataclasses.fields(cls)]
        for name in data:
            if name not in names:
                raise SpecError(
                    f"is not a field{_suggestion(name, names)} (fields here: {', '.join(names)})",
                    cls.field_path(str(name)),
                    allowed=names,
                )
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """All fields with their values, JSON types only."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Section):
                value = value.to_dict()
            elif isinstance(value, Mapping):
                value = dict(value)
            values[field.name] = list(value) if isinstance(value, tuple) else value
        return values
