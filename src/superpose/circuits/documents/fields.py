"""Strict reading of JSON: every value is checked, every field must be known, and errors name the field."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt

from superpose.errors import CircuitError, CircuitFormatError

__all__ = ["Document", "Fields", "located", "refuse"]

Document = Mapping[str, Any] | str | bytes
MAX_TEXT_BYTES = 256 * 2**20
MAX_PATH_LENGTH = 200
REQUIRED = object()

_T = TypeVar("_T")


def refuse(field: str, message: str) -> NoReturn:
    """Raise the error that ``field`` is wrong."""
    field = field if len(field) <= MAX_PATH_LENGTH else f"{field[:MAX_PATH_LENGTH]}..."
    raise CircuitFormatError(f"{field or 'document'}: {message}", field=field)


@contextmanager
def located(field: str) -> Iterator[None]:
    """Name ``field`` in the errors of what its value is handed to, unless they name one already."""
    try:
        yield
    except CircuitError as error:
        if "field" not in error.details:
            error.details["field"] = field
            error.message = f"{field}: {error.message}"
            error.args = (error.message,)
        raise


class Fields:
    """The fields of one JSON object, each to be taken once; those left over are unknown.

    Args:
        value: The JSON value, which must be an object.
        path: Dotted path of the object, for errors; empty for the document itself.
    """

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            refuse(path, f"must be a JSON object, got {_kind(value)}.")
        self._left = dict(value)
        self._path = path
        self.version = 0  # of the document, where it has been read

    @classmethod
    def of_document(cls, document: Document, format_name: str, versions: tuple[int, ...], path: str = "") -> Fields:
        """Return the fields of a whole document after its format and version have been checked.

        ``path`` is where the document stands in another.

        Raises:
            CircuitFormatError: Not JSON, another format, or a version that this release does not read.
        """
        fields = cls(_parsed(document) if isinstance(document, str | bytes) else document, path)
        got = fields.take("format", text)
        if got != format_name:
            refuse(fields.path("format"), f"must be {format_name!r}, got {got[:80]!r}.")
        version = fields.take("version", integer)
        if version not in versions:
            refuse(
                fields.path("version"),
                f"this release reads {', '.join(map(str, versions))} of {format_name}, got {version}.",
            )
        fields.version = version
        return fields

    def path(self, name: str) -> str:
        """Return the dotted path of field ``name``."""
        return f"{self._path}.{name}" if self._path else name

    def take(self, name: str, read: Callable[[object, str], _T], default: _T | object = REQUIRED) -> _T:
        """Return field ``name`` as ``read(value, path)`` gives it, or the default where it is absent or null.

        Raises:
            CircuitFormatError: It is missing without a default, or ``read`` refuses it.
        """
        value = self._left.pop(name, None)
        if value is None:
            if default is REQUIRED:
                refuse(self.path(name), "is missing.")
            return default  # type: ignore[return-value]  # REQUIRED is dealt with above
        return read(value, self.path(name))

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            CircuitFormatError: An unknown field.
        """
        if self._left:
            refuse(self.path(min(self._left)), "is not a field that this version has.")


def text(value: object, field: str) -> str:
    """Return ``value``, which must be a string."""
    return value if isinstance(value, str) else refuse(field, f"must be a string, got {_kind(value)}.")


def integer(value: object, field: str) -> int:
    """Return ``value``, which must be an integer (not a boolean)."""
    if isinstance(value, bool) or not isinstance(value, int):
        refuse(field, f"must be an integer, got {_kind(value)}.")
    return value


def number(value: object, field: str) -> float:
    """Return ``value``, which must be a finite number, as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(field, f"must be a number, got {_kind(value)}.")
    try:
        converted = float(value)
    except OverflowError:
        converted = math.inf
    return converted if math.isfinite(converted) else refuse(field, "must be a finite number.")


def items(value: object, field: str) -> list[Any]:
    """Return ``value``, which must be a list."""
    return value if isinstance(value, list) else refuse(field, f"must be a list, got {_kind(value)}.")


def list_of(read: Callable[[object, str], _T]) -> Callable[[object, str], tuple[_T, ...]]:
    """Return the reader of a list whose every element ``read`` reads."""
    return lambda value, field: tuple(read(item, f"{field}[{i}]") for i, item in enumerate(items(value, field)))


def map_of(read: Callable[[object, str], _T]) -> Callable[[object, str], dict[str, _T]]:
    """Return the reader of an object with free keys whose every value ``read`` reads."""

    def read_map(value: object, field: str) -> dict[str, _T]:
        if not isinstance(value, Mapping):
            refuse(field, f"must be a JSON object, got {_kind(value)}.")
        return {text(key, field): read(item, f"{field}.{key}") for key, item in value.items()}

    return read_map


def real_array(n_axes: int) -> Callable[[object, str], npt.NDArray[np.float64]]:
    """Return the reader of nested lists of finite numbers, as float64 with ``n_axes`` axes."""

    def read_array(value: object, field: str) -> npt.NDArray[np.float64]:
        flat: list[float] = []
        shape = _flatten(value, field, n_axes, flat)
        return np.array(flat, dtype=np.float64).reshape(shape)

    return read_array


def _flatten(value: object, field: str, n_axes: int, flat: list[float]) -> tuple[int, ...]:
    """Append the numbers of ``value`` to ``flat`` and return its shape."""
    if n_axes == 0:
        flat.append(number(value, field))
        return ()
    if n_axes == 1 and _all_floats(value):  # the usual case, without a path for each number
        flat += value
        return (len(value),)
    shapes = {_flatten(item, f"{field}[{i}]", n_axes - 1, flat) for i, item in enumerate(items(value, field))}
    if len(shapes) > 1:
        refuse(field, "must be rectangular: its rows have different lengths.")
    return (len(value), *(shapes.pop() if shapes else (0,) * (n_axes - 1)))  # type: ignore[arg-type]  # items() checked it


def _all_floats(value: object) -> TypeGuard[list[float]]:
    return isinstance(value, list) and set(map(type, value)) == {float} and all(map(math.isfinite, value))


def _parsed(document: str | bytes) -> object:
    if len(document) > MAX_TEXT_BYTES:
        refuse("", f"has {len(document)} bytes; at most {MAX_TEXT_BYTES} are read.")
    try:
        return json.loads(document, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CircuitFormatError(f"document: not JSON: {reason}.", field="") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        refuse(repeated, "stands twice in one JSON object.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    refuse("", f"{name} is not a JSON number; numbers are finite.")


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), f"{value!r:.40}" if isinstance(value, int | float) else type(value).__name__)
