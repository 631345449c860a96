"""``/v1/modules``: users' own PyTorch modules, exported."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import media_type_of, read_body
from superpose.api.files import file_answer, file_answers
from superpose.errors import MediaTypeError
from superpose.service import Part, Role, Service

__all__ = ["MODULE_TYPE", "routes"]

MODULE_TYPE = "application/vnd.superpose.module"
"""Media type of an exported module's file."""

_BODY = {
    "requestBody": {"required": True, "content": {MODULE_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}


def routes(service: Service) -> APIRouter:
    """The routes of exported modules."""
    router = APIRouter(prefix="/v1/modules", tags=["modules"])

    @router.post("", status_code=201, openapi_extra=_BODY)
    async def add(request: Request, name: Annotated[str, Query(description="name in the project")]) -> Response:
        """Store an exported module; it is checked as data and never executed by the server."""
        principal = caller(request)
        principal.require(Role.EDITOR)  # before megabytes are read
        media_type = media_type_of(request)
        if media_type != MODULE_TYPE:
            raise MediaTypeError(
                f"A module is sent as {MODULE_TYPE}, got Content-Type {media_type[:80]!r}.", allowed=[MODULE_TYPE]
            )
        content = await read_body(request, service.config.max_body_bytes)
        module = await run_in_threadpool(service.modules.add, principal, name=name, content=content)
        return Json(module.to_json(), 201, {"Location": f"/v1/modules/{module.id}"})

    @router.get("")
    def list_modules(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Modules of the project."""
        return page_answer(service.modules.list(caller(request), part))

    @router.get("/{id_or_name}")
    def get(request: Request, id_or_name: str) -> Response:
        """One module."""
        return Json(service.modules.get(caller(request), id_or_name).to_json())

    @router.get("/{id_or_name}/file", response_class=Response, responses=file_answers(MODULE_TYPE))
    def file(request: Request, id_or_name: str) -> Response:
        """The module's file; ``Repr-Digest`` (RFC 9530) is that of the whole file, ``Range`` asks for a part."""
        found = service.modules.get(caller(request), id_or_name)
        filename = f"{found.name}.superpose-module"
        return file_answer(request, service.modules.file(found), media_type=MODULE_TYPE, filename=filename)

    @router.delete("/{id_or_name}", status_code=204)
    def delete(request: Request, id_or_name: str) -> Response:
        """Delete a module; models trained from it stay."""
        service.modules.delete(caller(request), id_or_name)
        return Response(status_code=204)

    return router
