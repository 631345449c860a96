"""``/v1/users``: people and service accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_model
from superpose.api.documents import body_of
from superpose.api.people_documents import NewUser, NewUserFields
from superpose.service import Part, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of users."""
    router = APIRouter(prefix="/v1/users", tags=["users"])
    max_bytes = service.config.max_body_bytes

    @router.post("", status_code=201, openapi_extra=body_of(NewUser))
    async def create(request: Request) -> Response:
        """Make a user, who is a member of one project from the start."""
        wanted = await read_model(request, NewUser, max_bytes)
        made = await run_in_threadpool(service.users.create, caller(request), **wanted.model_dump())
        return Json(made.to_json(), 201, {"Location": f"/v1/users/{made.id}"})

    @router.get("")
    def list_users(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Members of the caller's project; for operators, all users."""
        return page_answer(service.users.list(caller(request), part))

    @router.get("/{user_id}")
    def get(request: Request, user_id: str) -> Response:
        """One user; the caller's own with any role."""
        return Json(service.users.get(caller(request), user_id).to_json())

    @router.patch("/{user_id}", openapi_extra=body_of(NewUserFields))
    async def change(request: Request, user_id: str) -> Response:
        """Give a user another name or address; for operators."""
        wanted = await read_model(request, NewUserFields, max_bytes)
        changed = await run_in_threadpool(service.users.change, caller(request), user_id, **wanted.model_dump())
        return Json(changed.to_json())

    @router.post("/{user_id}/disable")
    def disable(request: Request, user_id: str) -> Response:
        """Have no key of a user open anything, until it is enabled again; for operators."""
        return Json(service.users.disable(caller(request), user_id).to_json())

    @router.post("/{user_id}/enable")
    def enable(request: Request, user_id: str) -> Response:
        """Take disabling back; for operators."""
        return Json(service.users.enable(caller(request), user_id).to_json())

    return router
