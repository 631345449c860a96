"""``/v1/sweeps``: searches for a good training spec."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_model
from superpose.api.documents import NewSweep, body_of
from superpose.service import Part, Service

__all__ = ["routes"]

_OF_THE_ROUTE = {"dataset", "name", "model", "priority", "after"}


def routes(service: Service) -> APIRouter:
    """The routes of sweeps."""
    router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])

    @router.post("", status_code=202, openapi_extra=body_of(NewSweep))
    async def submit(
        request: Request, idempotency_key: Annotated[str | None, Header(description="one sweep per key")] = None
    ) -> Response:
        """Submit a sweep."""
        wanted = await read_model(request, NewSweep, service.config.max_body_bytes)
        sweep = await run_in_threadpool(
            service.sweeps.submit,
            caller(request),
            wanted.model_dump(exclude=_OF_THE_ROUTE, exclude_none=True),
            dataset=wanted.dataset,
            name=wanted.name,
            model=wanted.model,
            priority=wanted.priority,
            idempotency_key=idempotency_key,
            after=wanted.after,
        )
        return Json(sweep.to_json(), 202, {"Location": f"/v1/sweeps/{sweep.name}"})

    @router.get("")
    def list_sweeps(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Sweeps of the project."""
        return page_answer(service.sweeps.list(caller(request), part))

    @router.get("/{name}")
    def get(request: Request, name: str) -> Response:
        """One sweep with its trials."""
        return Json(service.sweeps.get(caller(request), name).to_json())

    @router.post("/{name}/cancel")
    def cancel(request: Request, name: str) -> Response:
        """Cancel a sweep and all that it has begun."""
        return Json(service.sweeps.cancel(caller(request), name).to_json())

    return router
