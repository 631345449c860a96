"""``/v1/solutions``: problems from logistics, solved as jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import caller
from superpose.api.bodies import read_model
from superpose.api.documents import NewSolution, body_of
from superpose.api.file_jobs import add_file_job_routes, submitted
from superpose.service import AskedSolution, Role, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of solutions."""
    router = APIRouter(prefix="/v1/solutions", tags=["solutions"])

    @router.post("", status_code=202, openapi_extra=body_of(NewSolution))
    async def submit(
        request: Request, idempotency_key: Annotated[str | None, Header(description="one job per key")] = None
    ) -> Response:
        """Solve a problem: MaxCut, knapsack, tours, routes, a job shop or any quadratic one, with controls."""
        principal = caller(request)
        principal.require(Role.EDITOR)  # before megabytes are read
        wanted = await read_model(request, NewSolution, service.config.max_body_bytes)
        asked = AskedSolution(
            problem=wanted.problem,
            method=wanted.method,
            options=wanted.options,
            priority=wanted.priority,
            after=tuple(wanted.after),
            idempotency_key=idempotency_key,
        )
        return submitted(await run_in_threadpool(service.solutions.submit, principal, asked))

    add_file_job_routes(router, service.solutions, "application/json")
    return router
