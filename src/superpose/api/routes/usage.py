"""``/v1/usage``: what a project uses of its quotas."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from superpose.api.answers import Json, caller
from superpose.service import Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The route that tells what a project uses."""
    router = APIRouter(prefix="/v1/usage", tags=["projects"])

    @router.get("")
    def usage(
        request: Request, project: Annotated[str | None, Query(description="by default the caller's")] = None
    ) -> Response:
        """What a project uses now, and what it may use (null: not limited)."""
        return Json(service.quotas.usage(caller(request), project).to_json())

    return router
