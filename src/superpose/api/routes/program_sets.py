"""``/v1/program-sets``: many bindings in one submission, results by range."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import media_type_of, read_body, read_json
from superpose.api.files import file_answer, file_answers
from superpose.errors import RequestError
from superpose.service import AskedSet, Part, Role, Service

__all__ = ["routes"]

_NPZ = "application/x-npz"
_ZIP = "application/zip"
_CHECKED_AT_ONCE = 2  # as of programs: checking takes processor time from other requests
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object"}},
            _NPZ: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def routes(service: Service) -> APIRouter:
    """The routes of program sets."""
    router = APIRouter(prefix="/v1/program-sets", tags=["program sets"])
    checking = asyncio.Semaphore(_CHECKED_AT_ONCE)

    @router.post("", status_code=202, openapi_extra=_BODY)
    async def submit(
        request: Request,
        backend: Annotated[str, Query(max_length=100, description="name of the backend")] = "local",
        priority: Annotated[int, Query(ge=-10, le=10, description="higher goes first")] = 0,
        after: Annotated[list[str] | None, Query(description="jobs that must have succeeded before")] = None,
        idempotency_key: Annotated[str | None, Header(description="one job per key")] = None,
    ) -> Response:
        """Run a program set: a ``superpose.program_set`` document as JSON, or as NPZ with its arrays beside it."""
        principal = caller(request)
        principal.require(Role.EDITOR)  # before megabytes are read
        content: Any
        if media_type_of(request) == _NPZ:
            content = await read_body(request, service.config.max_body_bytes)
        else:
            content = await read_json(request, service.config.max_body_bytes)
            if not isinstance(content, dict):
                raise RequestError(f"The body must be a program set, a JSON object; got {type(content).__name__}.")
        asked = AskedSet(backend=backend, priority=priority, after=tuple(after or ()), idempotency_key=idempotency_key)
        async with checking:
            made = await run_in_threadpool(service.program_sets.submit, principal, content, asked)
        return Json(made.to_json(), 202, {"Location": f"/v1/program-sets/{made.job.id}"})

    @router.get("")
    def list_program_sets(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Program sets of the project, newest first, without what grows with their grids."""
        return page_answer(service.program_sets.list(caller(request), part), lambda one: one.summary())

    @router.get("/{set_id}")
    def get(request: Request, set_id: str) -> Response:
        """One program set as it stands; its events are those of the job of the same id."""
        return Json(service.program_sets.get(caller(request), set_id).to_json())

    @router.get("/{set_id}/file", response_class=Response, responses=file_answers(_ZIP))
    def file(request: Request, set_id: str) -> Response:
        """The results; ``Range`` asks for a piece's part, by the index that ``result.index`` points at."""
        found, stored = service.program_sets.file(caller(request), set_id)
        return file_answer(request, stored, media_type=_ZIP, filename=f"{found.job.id}.zip")

    @router.delete("/{set_id}", status_code=204)
    def delete(request: Request, set_id: str) -> Response:
        """Delete the files of a program set that has ended."""
        service.program_sets.delete(caller(request), set_id)
        return Response(status_code=204)

    return router
