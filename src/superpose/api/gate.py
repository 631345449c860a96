"""The gate: no request passes without a key, except the two that ask whether the server lives.

Nor beyond the key's scopes, nor beyond its project's quota of requests. It stands before routing, so a route added
tomorrow is closed until someone opens it here, and a caller without a key learns nothing about which routes there are.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from superpose.errors import KeyInvalidError, KeyMissingError
from superpose.service import Origin, Principal, Service, check_scope, coming_from

__all__ = ["OPEN_PATHS", "Gate", "bearer_key"]

#: What answers without a key.
OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})


class Gate:
    """ASGI middleware that puts the caller's ``Principal`` into the request's state, or refuses.

    Args:
        app: what stands behind it.
        service: who knows the keys and quotas.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if its key is good for it."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        source = scope["client"][0] if scope.get("client") else None
        principal: Principal = self._service.authenticate(bearer_key(scope["headers"]), source)
        state = scope.setdefault("state", {})
        state["principal"] = principal
        check_scope(principal, scope["method"], scope["path"])
        self._service.quotas.admit_request(principal)
        with coming_from(Origin(state.get("request_id"), source)):
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
