"""The gate: no request passes without a key, except the two that ask whether the server lives.

It stands before routing, so a route added tomorrow is closed until someone opens it here, and a caller without a key
learns nothing about which routes there are.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from superpose.errors import KeyInvalidError, KeyMissingError
from superpose.service import Principal

__all__ = ["OPEN_PATHS", "Gate", "bearer_key"]

#: What answers without a key.
OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})


class Gate:
    """ASGI middleware that puts the caller's ``Principal`` into the request's state, or refuses.

    Args:
        app: what stands behind it.
        authenticate: from a key to whom it stands for; raises ``AccessError``.
    """

    def __init__(self, app: ASGIApp, authenticate: Callable[[str], Principal]) -> None:
        self._app = app
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if its key is good."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            key = bearer_key(scope["headers"])
            state = scope.setdefault("state", {})
            state["principal"] = self._authenticate(key)
        await self._app(scope, receive, send)


def bearer_key(headers: list[tuple[bytes, bytes]]) -> str:
    """The key in the ``Authorization`` header (RFC 6750 section 2.1).

    Raises:
        KeyMissingError: there is no such header.
        KeyInvalidError: there are several, or it is not a bearer token.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        raise KeyMissingError("No API key was sent. Send it as 'Authorization: Bearer <key>'.")
    scheme, _, key = values[0].strip().partition(b" ")
    if len(values) > 1 or scheme.lower() != b"bearer" or not key.isascii():
        raise KeyInvalidError("The Authorization header cannot be read. Send one: 'Authorization: Bearer <key>'.")
    return key.strip().decode("ascii")
