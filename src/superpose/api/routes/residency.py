"""``/v1/projects/{name}/residency``: where a project's programs and data may go."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller
from superpose.api.bodies import read_model
from superpose.api.documents import body_of
from superpose.api.people_documents import ResidencyFields
from superpose.service import Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of residency rules."""
    router = APIRouter(prefix="/v1/projects", tags=["projects"])

    @router.get("/{name}/residency")
    def residency(request: Request, name: str) -> Response:
        """Where a project's programs and data may go."""
        return Json(service.residencies.get(caller(request), name).to_json())

    @router.put("/{name}/residency", openapi_extra=body_of(ResidencyFields))
    async def set_residency(request: Request, name: str) -> Response:
        """Set where a project's programs and data may go, all rules at once."""
        wanted = await read_model(request, ResidencyFields, service.config.max_body_bytes)
        found = await run_in_threadpool(service.residencies.set, caller(request), name, wanted.model_dump())
        return Json(found.to_json())

    @router.delete("/{name}/residency", status_code=204)
    def clear_residency(request: Request, name: str) -> Response:
        """Let a project's programs go anywhere again."""
        service.residencies.clear(caller(request), name)
        return Response(status_code=204)

    return router
