"""``/v1/uploads``: a large file in several requests; ``POST /v1/datasets?upload=`` makes a data set of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller
from superpose.api.bodies import receive_file
from superpose.service import Service

__all__ = ["routes"]

_PIECE = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}}


def routes(service: Service) -> APIRouter:
    """The routes of uploads."""
    router = APIRouter(prefix="/v1/uploads", tags=["datasets"])

    @router.post("", status_code=201)
    def create(request: Request) -> Response:
        """Begin an upload; it is kept for a day after its last piece."""
        made = service.uploads.create(caller(request))
        return Json(made.to_json(), 201, {"Location": f"/v1/uploads/{made.id}"})

    @router.get("/{upload_id}")
    def get(request: Request, upload_id: str) -> Response:
        """How much has arrived: the next piece begins at ``offset``."""
        return Json(service.uploads.get(caller(request), upload_id).to_json())

    @router.patch("/{upload_id}", openapi_extra=_PIECE)
    async def append(
        request: Request,
        upload_id: str,
        offset: Annotated[int, Query(ge=0, le=2**53, description="bytes that have arrived before this piece")],
    ) -> Response:
        """Append the body; what arrives before a connection breaks is kept."""
        principal = caller(request)
        with service.uploads.appending(principal, upload_id, offset) as path:
            await receive_file(request, path, service.config.max_dataset_bytes - offset, offset=offset)
        return Json((await run_in_threadpool(service.uploads.get, principal, upload_id)).to_json())

    @router.delete("/{upload_id}", status_code=204)
    def delete(request: Request, upload_id: str) -> Response:
        """Give an upload up."""
        service.uploads.delete(caller(request), upload_id)
        return Response(status_code=204)

    return router
