"""Lists in parts: ordered by one column of unique values, continued behind an opaque cursor."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Select

from superpose.errors import RequestError
from superpose.service.nouns import Page

__all__ = ["MAX_LIMIT", "Part", "decode_cursor", "encode_cursor", "read_page"]

T = TypeVar("T")

MAX_LIMIT = 500


@dataclass(frozen=True)
class Part:
    """Which part of a list: at most ``limit`` items behind ``cursor``."""

    limit: int = 100
    cursor: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.limit, bool) or not isinstance(self.limit, int) or not 1 <= self.limit <= MAX_LIMIT:
            raise RequestError(f"limit must be 1 to {MAX_LIMIT}, got {self.limit!r}.", field="limit")


def read_page(
    connection: Connection,
    query: Select[Any],
    order: ColumnElement[Any],
    part: Part,
    make: Callable[[RowMapping], T],
    *,
    newest_first: bool = False,
) -> Page[T]:
    """The rows of ``query`` behind the cursor, in the order of a column whose values are unique."""
    if part.cursor is not None:
        last = decode_cursor(part.cursor)
        query = query.where(order < last if newest_first else order > last)
    query = query.add_columns(order.label("page_order")).order_by(order.desc() if newest_first else order.asc())
    rows = connection.execute(query.limit(part.limit + 1)).mappings().all()
    shown = rows[: part.limit]
    following = encode_cursor(shown[-1]["page_order"]) if len(rows) > part.limit else None
    return Page(tuple(make(row) for row in shown), following)


def encode_cursor(value: object) -> str:
    """The cursor of what comes after ``value``."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str | int:
    """The value that a cursor stands for.

    Raises:
        RequestError: it is not a cursor.
    """
    try:
        value = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, bool) or not isinstance(value, str | int) or not _can_be_stored(value):
        raise RequestError("cursor is not one that this service gave; start the list again without it.", field="cursor")
    return value


def _can_be_stored(value: str | int) -> bool:
    """Whether the store can compare with it: a number of 64 bits, or a text without halves of characters."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value.isprintable() and len(value) <= 1_000
