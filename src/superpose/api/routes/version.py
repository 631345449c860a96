"""``/v1/version``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from superpose import __version__
from superpose.api.answers import Json
from superpose.service import Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The route that tells the release and its limits."""
    router = APIRouter(prefix="/v1/version", tags=["service"])

    @router.get("")
    async def version() -> Response:
        """The release that answers, and the limits it was given."""
        limits = {
            name: getattr(service.config, name)
            for name in ("max_body_bytes", "max_columns", "max_instructions", "max_request_rows", "max_result_bytes")
        }
        return Json({"name": "superpose", "version": __version__, "api_version": 1, "limits": limits})

    return router
