"""What the routes share: who calls, which part of a list, and JSON answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Query, Request
from starlette.responses import Response

from superpose.service import MAX_LIMIT, Page, Part, Principal

__all__ = ["Json", "caller", "page_answer", "part_of"]


class Noun(Protocol):
    """What has a JSON form."""

    def to_json(self) -> dict[str, object]:
        """The JSON form."""
        ...


NounT = TypeVar("NounT", bound=Noun)


class Json(Response):
    """A JSON answer. What JSON cannot say (NaN, infinity) becomes null."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status_code, {"Cache-Control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """The bytes of the answer."""
        try:
            text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        except ValueError:
            text = json.dumps(_finite(content), allow_nan=False, separators=(",", ":"))
        return text.encode("ascii")


def caller(request: Request) -> Principal:
    """Whom the gate found behind the request's key."""
    principal: Principal = request.scope["state"]["principal"]
    return principal


def part_of(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="items at most")] = 100,
    cursor: Annotated[str | None, Query(max_length=500, description="`next` of the part before")] = None,
) -> Part:
    """The part of a list that the query asks for."""
    return Part(limit, cursor)


def page_answer(page: Page[NounT], form: Callable[[NounT], object] | None = None) -> Json:
    """A part of a list as ``{"items": [...], "next": cursor or null}``."""
    items = [item.to_json() if form is None else form(item) for item in page.items]
    return Json({"items": items, "next": page.next})


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
