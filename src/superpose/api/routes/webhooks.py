"""``/v1/webhooks``: addresses to which events of jobs are pushed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_model
from superpose.api.documents import body_of
from superpose.api.webhook_documents import NewWebhook, WebhookRotation
from superpose.service import Part, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of webhooks."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
    max_bytes = service.config.max_body_bytes

    @router.post("", status_code=201, openapi_extra=body_of(NewWebhook))
    async def create(request: Request) -> Response:
        """Make a webhook; its secret is shown in this answer and never again."""
        wanted = await read_model(request, NewWebhook, max_bytes)
        fields = {name: getattr(wanted, name) for name in NewWebhook.model_fields}
        made, secret = await run_in_threadpool(service.webhooks.create, caller(request), **fields)
        return Json({**made.to_json(), "secret": secret}, 201)

    @router.get("")
    def list_webhooks(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Webhooks of the caller's project, without their secrets."""
        return page_answer(service.webhooks.list(caller(request), part))

    @router.get("/{webhook_id}")
    def get(request: Request, webhook_id: str) -> Response:
        """One webhook, without its secret."""
        return Json(service.webhooks.get(caller(request), webhook_id).to_json())

    @router.delete("/{webhook_id}", status_code=204)
    def delete(request: Request, webhook_id: str) -> Response:
        """Remove a webhook, and what waits for it."""
        service.webhooks.delete(caller(request), webhook_id)
        return Response(status_code=204)

    @router.post("/{webhook_id}/rotate", openapi_extra=body_of(WebhookRotation))
    async def rotate(request: Request, webhook_id: str) -> Response:
        """A new secret, shown in this answer and never again; for ``grace_s`` messages carry two signatures."""
        wanted = await read_model(request, WebhookRotation, max_bytes)
        made, secret = await run_in_threadpool(
            service.webhooks.rotate, caller(request), webhook_id, grace_s=wanted.grace_s
        )
        return Json({**made.to_json(), "secret": secret})

    @router.post("/{webhook_id}/test", status_code=202)
    def test(request: Request, webhook_id: str) -> Response:
        """Send a test message; the deliveries tell what became of it."""
        return Json(service.webhooks.test(caller(request), webhook_id).to_json(), 202)

    @router.post("/{webhook_id}/enable")
    def enable(request: Request, webhook_id: str) -> Response:
        """Send to a disabled webhook again, from the next event on."""
        return Json(service.webhooks.enable(caller(request), webhook_id).to_json())

    @router.post("/{webhook_id}/disable")
    def disable(request: Request, webhook_id: str) -> Response:
        """Send nothing more until it is enabled; what waits is given up."""
        return Json(service.webhooks.disable(caller(request), webhook_id).to_json())

    @router.get("/{webhook_id}/deliveries")
    def deliveries(
        request: Request,
        webhook_id: str,
        part: Annotated[Part, Depends(part_of)],
        status: Annotated[str | None, Query(max_length=20, description="waiting, delivered or given_up")] = None,
    ) -> Response:
        """What was and is to be sent, newest first, with all tries."""
        return page_answer(service.webhooks.deliveries(caller(request), webhook_id, part, status=status))

    return router
