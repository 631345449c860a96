"""``/v1/projects``: projects, their quotas and their members."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_model
from superpose.api.documents import body_of
from superpose.api.people_documents import Membership, NewProject, ProjectFields, QuotaFields
from superpose.service import Part, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of projects."""
    router = APIRouter(prefix="/v1/projects", tags=["projects"])
    max_bytes = service.config.max_body_bytes

    @router.post("", status_code=201, openapi_extra=body_of(NewProject))
    async def create(request: Request) -> Response:
        """Make a project; for operators."""
        wanted = await read_model(request, NewProject, max_bytes)
        made = await run_in_threadpool(service.projects.create, caller(request), wanted.name, title=wanted.title)
        return Json(made.to_json(), 201, {"Location": f"/v1/projects/{made.name}"})

    @router.get("")
    def list_projects(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """The caller's project; for operators, all."""
        return page_answer(service.projects.list(caller(request), part))

    @router.get("/{name}")
    def get(request: Request, name: str) -> Response:
        """One project with its quotas."""
        return Json(service.projects.get(caller(request), name).to_json())

    @router.patch("/{name}", openapi_extra=body_of(ProjectFields))
    async def change(request: Request, name: str) -> Response:
        """Give a project another title."""
        wanted = await read_model(request, ProjectFields, max_bytes)
        changed = await run_in_threadpool(service.projects.change, caller(request), name, title=wanted.title)
        return Json(changed.to_json())

    @router.put("/{name}/quotas", openapi_extra=body_of(QuotaFields))
    async def set_quotas(request: Request, name: str) -> Response:
        """Set what a project may use, all quotas at once; for operators."""
        wanted = await read_model(request, QuotaFields, max_bytes)
        changed = await run_in_threadpool(service.projects.set_quotas, caller(request), name, wanted.model_dump())
        return Json(changed.to_json())

    @router.post("/{name}/archive")
    def archive(request: Request, name: str) -> Response:
        """Have no key of a project open anything, until it is restored; for operators."""
        return Json(service.projects.archive(caller(request), name).to_json())

    @router.post("/{name}/restore")
    def restore(request: Request, name: str) -> Response:
        """Open an archived project again; for operators."""
        return Json(service.projects.restore(caller(request), name).to_json())

    @router.get("/{name}/members")
    def members(request: Request, name: str, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Who belongs to a project."""
        return page_answer(service.projects.members(caller(request), name, part))

    @router.put("/{name}/members/{user_id}", openapi_extra=body_of(Membership))
    async def set_member(request: Request, name: str, user_id: str) -> Response:
        """Give a user a role in a project."""
        wanted = await read_model(request, Membership, max_bytes)
        member = await run_in_threadpool(service.projects.set_member, caller(request), name, user_id, wanted.role)
        return Json(member.to_json())

    @router.delete("/{name}/members/{user_id}", status_code=204)
    def remove_member(request: Request, name: str, user_id: str) -> Response:
        """Take a user out of a project and revoke the user's keys there."""
        service.projects.remove_member(caller(request), name, user_id)
        return Response(status_code=204)

    return router
