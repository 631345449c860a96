"""``/metrics``: what the service counts and times, for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from superpose.api.answers import caller
from superpose.service import Role, Service

__all__ = ["routes"]

_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_MEASUREMENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Measurements", "content": {"text/plain": _TEXT, "application/openmetrics-text": _TEXT}}
}


def routes(service: Service) -> APIRouter:
    """The route of measurements."""
    router = APIRouter(prefix="/metrics", tags=["service"])

    @router.get("", response_class=Response, responses=_MEASUREMENTS)
    def metrics(request: Request) -> Response:
        """Measurements of the whole installation in Prometheus' text form; they name nobody's things."""
        caller(request).require(Role.VIEWER)
        content, media_type = service.measurements.exposition(request.headers.get("accept", ""))
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-store"})

    return router
