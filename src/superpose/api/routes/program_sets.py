"""``/v1/program-sets``: many bindings in one submission, results by range."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import caller
from superpose.api.bodies import media_type_of, read_body, read_json
from superpose.api.file_jobs import add_file_job_routes, submitted
from superpose.errors import RequestError
from superpose.service import AskedSet, Role, Service

__all__ = ["routes"]

_NPZ = "application/x-npz"
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
        return submitted(made)

    add_file_job_routes(router, service.program_sets, "application/zip")
    return router
