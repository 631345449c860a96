"""``/v1/budgets``, ``/v1/costs`` and ``/v1/jobs/{id}/cost``: what jobs may cost and what they did."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_model
from superpose.api.documents import Time, body_of
from superpose.api.people_documents import BudgetFields
from superpose.service import CostFilter, Part, Service

__all__ = ["routes"]

_Project = Annotated[str | None, Query(description="by default the caller's")]


def routes(service: Service) -> APIRouter:
    """The routes of budgets and costs."""
    router = APIRouter(prefix="/v1", tags=["budgets"])

    @router.get("/budgets")
    def list_budgets(request: Request, project: _Project = None) -> Response:
        """Budgets of a project and its users, with what is used and left."""
        found = service.budgets.list(caller(request), project)
        return Json({"items": [budget.to_json() for budget in found], "next": None})

    @router.put("/budgets", openapi_extra=body_of(BudgetFields))
    async def set_budget(request: Request) -> Response:
        """Set a budget: of a project (operators), of one of its users (its admins)."""
        wanted = await read_model(request, BudgetFields, service.config.max_body_bytes)
        found = await run_in_threadpool(
            service.budgets.set,
            caller(request),
            period=wanted.period,
            limit_usd=wanted.limit_usd,
            project=wanted.project,
            user=wanted.user,
        )
        return Json(found.to_json())

    @router.delete("/budgets", status_code=204)
    def lift_budget(
        request: Request,
        period: Annotated[str, Query(max_length=10, description="day, month or total")],
        project: _Project = None,
        user: Annotated[str | None, Query(description="id of the user whose jobs count")] = None,
    ) -> Response:
        """Lift a budget."""
        service.budgets.lift(caller(request), period=period, project=project, user=user)
        return Response(status_code=204)

    @router.get("/costs")
    def costs(
        request: Request,
        part: Annotated[Part, Depends(part_of)],
        project: _Project = None,
        user: Annotated[str | None, Query(description="only of this user's jobs")] = None,
        backend: Annotated[str | None, Query(description="only on this backend")] = None,
        since: Annotated[Time | None, Query(description="submitted then or later")] = None,
        until: Annotated[Time | None, Query(description="submitted before")] = None,
    ) -> Response:
        """What jobs cost, newest first."""
        wanted = CostFilter(user=user, backend=backend, since=since, until=until)
        return page_answer(service.budgets.costs(caller(request), part, wanted, project=project))

    @router.get("/jobs/{job_id}/cost")
    def cost(request: Request, job_id: str) -> Response:
        """What a job costs: set aside while it has not ended, charged afterwards."""
        return Json(service.budgets.cost(caller(request), job_id).to_json())

    return router
