"""``/v1/waits``: how long programs have waited in providers' queues."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from superpose.api.answers import caller, page_answer
from superpose.service import Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The route of waits."""
    router = APIRouter(prefix="/v1/waits", tags=["programs"])

    @router.get("")
    def list_waits(request: Request) -> Response:
        """Waits of the project's programs in the last 14 days, by backend, and what they let one expect."""
        return page_answer(service.waits.list(caller(request)))

    return router
