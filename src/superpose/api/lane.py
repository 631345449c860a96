"""The fast lane: predictions are answered here, before routing and its like, which cost more than they do.

It stands behind the gate, so keys, scopes and quotas hold as everywhere. The routes of the same paths are registered
too: they describe themselves in the OpenAPI document, and answer the same should a request come to them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Message, Receive, Scope, Send

from superpose.errors import NotFoundError

__all__ = ["Answerer", "Lane", "Reply", "as_response", "is_prediction"]

Reply = tuple[bytes, Sequence[tuple[bytes, bytes]]]
"""A body, and its headers but for the length."""

Answerer = Callable[[Request, str, int | None], Awaitable[Reply]]
"""Answers a request for an endpoint by name, and by version where the path has one."""


def as_response(reply: Reply) -> Response:
    """A reply of a route that was reached by routing."""
    body, headers = reply
    return Response(body, headers={str(name, "ascii"): str(value, "ascii") for name, value in headers})


_PREDICT = "/v1/endpoints/{name}/predict"
_INFER = "/v2/models/{name}/infer"
_INFER_VERSION = "/v2/models/{name}/versions/{number}/infer"


class Lane:
    """ASGI app that answers predictions; other requests are not to come here.

    Args:
        predict: answers ``POST /v1/endpoints/{name}/predict``.
        infer: answers ``POST /v2/models/{name}/infer``, with or without a version.
        routes: those of the app, of which the request's ``scope`` is to name the one that it took.
    """

    def __init__(self, predict: Answerer, infer: Answerer, routes: Sequence[BaseRoute]) -> None:
        self._predict = predict
        self._infer = infer
        self._routes = {path: route for route in routes if (path := getattr(route, "path", None))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a prediction."""
        found = _place(scope["path"])
        if found is None:
            raise NotFoundError("There is nothing to predict at this path.")
        path, name, version = found
        scope["route"] = self._routes.get(path)
        answer = self._predict if path is _PREDICT else self._infer
        body, headers = await answer(Request(scope, receive), name, version)
        start: Message = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"%d" % len(body)), *headers],
        }
        await send(start)
        await send({"type": "http.response.body", "body": body})


def is_prediction(scope: Scope) -> bool:
    """Whether this is a request for a prediction."""
    return scope["type"] == "http" and scope["method"] == "POST" and _place(scope["path"]) is not None


def _place(path: str) -> tuple[str, str, int | None] | None:
    """Route, endpoint and version of a prediction's path; None for any other."""
    if path.startswith("/v1/endpoints/") and path.endswith("/predict"):
        name = path[14:-8]
        return (_PREDICT, name, None) if name and "/" not in name else None
    if path.startswith("/v2/models/") and path.endswith("/infer"):
        name, _, rest = path[11:-6].partition("/")
        if name and not rest:
            return (_INFER, name, None) if len(path) == len(name) + 17 else None
        kind, _, number = rest.partition("/")
        if name and kind == "versions" and number.isascii() and number.isdigit() and len(number) < 10:
            return _INFER_VERSION, name, int(number)
    return None
