"""``/v1/keys``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_model
from superpose.api.documents import NewKey, body_of
from superpose.api.people_documents import Rotation
from superpose.service import Part, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of API keys."""
    router = APIRouter(prefix="/v1/keys", tags=["keys"])
    max_bytes = service.config.max_body_bytes

    @router.post("", status_code=201, openapi_extra=body_of(NewKey))
    async def create(request: Request) -> Response:
        """Make a key; its secret is shown in this answer and never again."""
        wanted = await read_model(request, NewKey, max_bytes)
        fields = {name: getattr(wanted, name) for name in NewKey.model_fields}
        key, secret = await run_in_threadpool(service.keys.create, caller(request), **fields)
        return Json({**key.to_json(), "secret": secret}, 201)

    @router.get("")
    def list_keys(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Keys in the caller's reach, without their secrets."""
        return page_answer(service.keys.list(caller(request), part))

    @router.get("/{key_id}")
    def get(request: Request, key_id: str) -> Response:
        """One key, without its secret; the caller's own with any role."""
        return Json(service.keys.get(caller(request), key_id).to_json())

    @router.post("/{key_id}/rotate", openapi_extra=body_of(Rotation))
    async def rotate(request: Request, key_id: str) -> Response:
        """A new secret for a key, shown in this answer and never again; the old one counts for ``grace_s`` more."""
        wanted = await read_model(request, Rotation, max_bytes)
        key, secret = await run_in_threadpool(
            service.keys.rotate, caller(request), key_id, grace_s=wanted.grace_s, expires_at=wanted.expires_at
        )
        return Json({**key.to_json(), "secret": secret})

    @router.delete("/{key_id}", status_code=204)
    def revoke(request: Request, key_id: str) -> Response:
        """Revoke a key."""
        service.keys.revoke(caller(request), key_id)
        return Response(status_code=204)

    return router
