"""Reads typed fields out of an answer's JSON, so that a surprise becomes a named error at the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from superpose.errors import ProtocolError

__all__ = ["Fields"]


@dataclass(frozen=True)
class Fields:
    """The members of one JSON object of the service; ``noun`` names it in errors.

    Unknown members are left alone, so that an older client reads a newer service.
    """

    noun: str
    members: Mapping[str, Any]

    @staticmethod
    def of(noun: str, document: object) -> Fields:
        """The fields of a JSON object.

        Raises:
            ProtocolError: ``document`` is not an object.
        """
        if not isinstance(document, dict):
            raise ProtocolError(
                f"The service answered with {_kind(document)} where a {noun} object belongs; "
                "client and service may be of different releases (compare `superpose version`)."
            )
        return Fields(noun, document)

    def _read(self, name: str, kinds: tuple[type, ...], expected: str) -> Any:
        value = self.members.get(name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            got = "nothing" if name not in self.members else _kind(value)
            raise ProtocolError(
                f"{self.noun}.{name} in the service's answer is {got}, expected {expected}; "
                "client and service may be of different releases (compare `superpose version`).",
                field=f"{self.noun}.{name}",
            )
        return value

    def text(self, name: str) -> str:
        """A string."""
        return str(self._read(name, (str,), "a string"))

    def maybe_text(self, name: str) -> str | None:
        """A string, or None where it is null or absent."""
        return None if self.members.get(name) is None else self.text(name)

    def whole(self, name: str) -> int:
        """An integer."""
        return int(self._read(name, (int,), "an integer"))

    def number(self, name: str) -> float:
        """A number."""
        return float(self._read(name, (int, float), "a number"))

    def maybe_whole(self, name: str) -> int | None:
        """An integer, or None where it is null or absent."""
        return None if self.members.get(name) is None else self.whole(name)

    def object(self, name: str) -> dict[str, Any]:
        """A JSON object; empty where it is null or absent."""
        if self.members.get(name) is None:
            return {}
        return dict(self._read(name, (dict,), "an object"))

    def maybe_object(self, name: str) -> dict[str, Any] | None:
        """A JSON object, or None where it is null or absent."""
        return None if self.members.get(name) is None else self.object(name)

    def array(self, name: str) -> list[Any]:
        """A JSON array; empty where it is null or absent."""
        if self.members.get(name) is None:
            return []
        return list(self._read(name, (list,), "an array"))

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings (numbers are written as text: class labels)."""
        return tuple(str(item) for item in self.array(name))

    def objects(self, name: str) -> tuple[dict[str, Any], ...]:
        """A member that must be an array of objects."""
        return tuple(dict(Fields.of(f"{self.noun}'s {name}", item).members) for item in self.array(name))

    def time(self, name: str) -> datetime:
        """An ISO 8601 time with its offset from UTC."""
        text = self.text(name)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ProtocolError(f"{self.noun}.{name} in the service's answer is {text!r}, expected an ISO 8601 time.")
        return moment

    def maybe_time(self, name: str) -> datetime | None:
        """A time, or None where it is null or absent."""
        return None if self.members.get(name) is None else self.time(name)


def _kind(value: object) -> str:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        int: "an integer",
        float: "a number",
        bool: "a boolean",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)
