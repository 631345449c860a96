"""``/v1/programs``: quantum programs, run as jobs."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller
from superpose.api.bodies import read_json
from superpose.api.draining import unless_draining
from superpose.errors import NotFoundError, RequestError
from superpose.service import FINAL, JobKind, Service

__all__ = ["routes"]

MAX_WAIT_S = 60.0
_CHECKED_AT_ONCE = 2  # checking takes processor time, which no number of long programs may take from other requests
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


def routes(service: Service) -> APIRouter:
    """The routes of programs."""
    router = APIRouter(prefix="/v1/programs", tags=["programs"])
    checking = asyncio.Semaphore(_CHECKED_AT_ONCE)

    @router.post("", status_code=202, openapi_extra=_BODY, responses={200: {"description": "The ended job"}})
    async def submit(  # noqa: PLR0913  # one parameter per option
        request: Request,
        wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="time to wait for the result")] = 0.0,
        priority: Annotated[int, Query(ge=-10, le=10, description="higher goes first")] = 0,
        after: Annotated[list[str] | None, Query(description="jobs that must have succeeded before")] = None,
        backend: Annotated[str, Query(max_length=100, description="where it runs")] = "local",
        max_cost_usd: Annotated[float | None, Query(ge=0, description="refused if it may cost more")] = None,
        max_seconds: Annotated[float | None, Query(gt=0, description="longest time of workers")] = None,
        scale_shots: Annotated[bool, Query(description="fewer shots where money is short")] = False,
        idempotency_key: Annotated[str | None, Header(description="one job per key")] = None,
    ) -> Response:
        """Run a program: 200 with the ended job if it ends within ``wait_s``, else 202 with the job to come back to."""
        program = await read_json(request, service.config.max_body_bytes)
        if not isinstance(program, dict):
            raise RequestError(f"The body must be a program, a JSON object; got {type(program).__name__}.")
        principal = caller(request)
        async with checking:
            job = await run_in_threadpool(
                service.jobs.submit,
                principal,
                JobKind.PROGRAM,
                program,
                priority=priority,
                idempotency_key=idempotency_key,
                after=after or (),
                backend=backend,
                max_cost_usd=max_cost_usd,
                max_seconds=max_seconds,
                scale_shots=scale_shots,
            )
        if wait_s and job.status not in FINAL:
            waiting = service.jobs.wait(principal, job.id, timeout_s=wait_s)
            job = await unless_draining(request.app.state.draining, waiting) or job
        status = 200 if job.status in FINAL else 202
        return Json(job.to_json(), status, {"Location": f"/v1/programs/{job.id}"})

    @router.get("/{job_id}")
    def get(request: Request, job_id: str) -> Response:
        """A program's job, with its result once there is one."""
        job = service.jobs.get(caller(request), job_id)
        if job.kind is not JobKind.PROGRAM:
            raise NotFoundError(f"There is no program {job_id!r} in this project.", kind="program", id=job_id)
        return Json(job.to_json())

    return router
