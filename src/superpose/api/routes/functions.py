"""``/v1/functions``: quantum functions, and the calls of them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_model
from superpose.api.documents import LARGEST_VERSION, body_of
from superpose.api.draining import unless_draining
from superpose.api.function_documents import FunctionCall, FunctionRollback, NewFunction
from superpose.errors import OverloadedError
from superpose.service import CallAnswer, CallRequest, FunctionAsked, Part, Principal, Role, Service

__all__ = ["routes"]

MAX_WAIT_S = 60.0
_BUILT_AT_ONCE = 2  # making circuits takes processor time, which no number of deployments may take from calls

VersionQuery = Annotated[
    int | None, Query(ge=1, le=LARGEST_VERSION, description="by default the one that answers calls")
]


def routes(service: Service) -> APIRouter:
    """The routes of quantum functions."""
    router = APIRouter(prefix="/v1/functions", tags=["functions"])
    max_bytes, building = service.config.max_body_bytes, asyncio.Semaphore(_BUILT_AT_ONCE)

    @router.post("", status_code=201, openapi_extra=body_of(NewFunction))
    async def deploy(request: Request) -> Response:
        """Make a function of a file, or a new version of the function of this name, which answers from now on."""
        wanted = await read_model(request, NewFunction, max_bytes)
        asked = FunctionAsked(wanted.shots, wanted.observables, wanted.backend)
        async with building:
            made = await run_in_threadpool(
                service.functions.deploy, caller(request), wanted.name, wanted.file_name, wanted.source, asked
            )
        return Json(made.to_json(), 201, {"Location": f"/v1/functions/{made.name}"})

    @router.get("")
    def list_functions(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Functions of the project."""
        return page_answer(service.functions.list(caller(request), part))

    @router.get("/{name}")
    def get(request: Request, name: str) -> Response:
        """One function, with what its current version holds."""
        return Json(service.functions.get(caller(request), name).to_json())

    @router.get("/{name}/versions")
    def versions(request: Request, name: str, part: Annotated[Part, Depends(part_of)]) -> Response:
        """A function's versions, newest first."""
        return page_answer(service.functions.versions(caller(request), name, part))

    @router.get("/{name}/source")
    def source(request: Request, name: str, version: VersionQuery = None) -> Response:
        """The text of the file of which a version was made."""
        return Json({"source": service.functions.source(caller(request), name, version)})

    @router.get("/{name}/logs")
    def logs(request: Request, name: str) -> Response:
        """What the function's own Python printed and raised in the last calls that this server answered."""
        return Json({"items": service.calls.logs(caller(request), name)})

    @router.post("/{name}/rollback", openapi_extra=body_of(FunctionRollback))
    async def rollback(request: Request, name: str) -> Response:
        """Let an older version answer again."""
        wanted = await read_model(request, FunctionRollback, max_bytes)
        changed = await run_in_threadpool(service.functions.rollback, caller(request), name, wanted.version)
        return Json(changed.to_json())

    @router.delete("/{name}", status_code=204)
    def delete(request: Request, name: str) -> Response:
        """Delete a function with all its versions."""
        service.functions.delete(caller(request), name)
        return Response(status_code=204)

    _add_call_routes(router, service)
    return router


def _add_call_routes(router: APIRouter, service: Service) -> None:
    """Calls, at once or as jobs."""
    max_bytes = service.config.max_body_bytes

    @router.post(
        "/{name}/call",
        openapi_extra=body_of(FunctionCall),
        responses={202: {"description": "A job goes on with the call"}},
    )
    async def call(
        request: Request,
        name: str,
        version: VersionQuery = None,
        wait_s: Annotated[
            float, Query(ge=0, le=MAX_WAIT_S, description="time to wait where a job runs the call; 0 asks for a job")
        ] = 10.0,
        idempotency_key: Annotated[str | None, Header(description="one job per key, where a job runs the call")] = None,
    ) -> Response:
        """Call a function: 200 with the output, or 202 with the job that goes on if it takes longer than ``wait_s``."""
        wanted = await read_model(request, FunctionCall, max_bytes)
        asked = CallRequest(wanted.input, version, wanted.shots, wanted.seed)
        calling = service.calls.call(caller(request), name, asked, wait_s=wait_s, idempotency_key=idempotency_key)
        answer = await unless_draining(request.app.state.draining, calling)
        if answer is None:
            raise OverloadedError("The service is shutting down; call again in a moment.", retry_after_s=5.0)
        return _answered(answer, caller(request))

    @router.get("/{name}/calls/{call_id}")
    def call_state(request: Request, name: str, call_id: str) -> Response:
        """How far the job of a call is, with its output once there is one."""
        return _answered(service.calls.get(caller(request), name, call_id), caller(request), status=200)


def _answered(answer: CallAnswer, principal: Principal, status: int | None = None) -> Response:
    document = answer.to_json(logs=principal.role.includes(Role.VIEWER))
    if answer.job_id is None:
        return Json(document)
    place = {"Location": f"/v1/functions/{answer.function}/calls/{answer.job_id}"}
    return Json(document, status or (200 if answer.status == "succeeded" else 202), place)
