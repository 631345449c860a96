"""``/v1/jobs``, with their events as a stream."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_json
from superpose.api.events import event_stream
from superpose.api.gate import bearer_key
from superpose.api.job_documents import JobEstimate, job_bodies, job_document
from superpose.errors import RequestError
from superpose.service import Part, Service

__all__ = ["routes"]

_LARGEST_SEQ = 2**53
_EVENT = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events", "content": {"text/event-stream": {"schema": _EVENT}}}
}


def routes(service: Service) -> APIRouter:
    """The routes of jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.post("", status_code=202, openapi_extra=job_bodies())
    async def submit(
        request: Request, idempotency_key: Annotated[str | None, Header(description="one job per key")] = None
    ) -> Response:
        """Submit a job."""
        wanted = job_document(await read_json(request, service.config.max_body_bytes))
        job = await run_in_threadpool(
            service.jobs.submit,
            caller(request),
            wanted.kind,
            **wanted.submission(),
            priority=wanted.priority,
            idempotency_key=idempotency_key,
            after=wanted.after,
        )
        return Json(job.to_json(), 202, {"Location": f"/v1/jobs/{job.id}"})

    @router.post("/estimate")
    def estimate(request: Request, wanted: JobEstimate) -> Response:
        """What a training job or a sweep would be expected to take; nothing is queued."""
        kind, payload = wanted.asked()
        if kind == "sweep":
            return Json(service.sweeps.quote(caller(request), payload, dataset=wanted.dataset).to_json())
        found = service.jobs.quote(
            caller(request), kind, payload, dataset=wanted.dataset, max_seconds=wanted.max_seconds
        )
        return Json(found.to_json())

    @router.get("")
    def list_jobs(
        request: Request,
        part: Annotated[Part, Depends(part_of)],
        status: Annotated[str | None, Query(description="only jobs of this status")] = None,
        kind: Annotated[str | None, Query(description="only jobs of this kind")] = None,
        parent: Annotated[str | None, Query(description="only jobs that this one began")] = None,
    ) -> Response:
        """Jobs of the project, newest first."""
        return page_answer(service.jobs.list(caller(request), part, status=status, kind=kind, parent=parent))

    @router.get("/{job_id}")
    def get(request: Request, job_id: str) -> Response:
        """One job as it stands."""
        return Json(service.jobs.get(caller(request), job_id).to_json())

    @router.post("/{job_id}/cancel")
    def cancel(request: Request, job_id: str) -> Response:
        """Cancel a job."""
        return Json(service.jobs.cancel(caller(request), job_id).to_json())

    @router.get("/{job_id}/events", response_class=Response, responses=_STREAM)
    async def events(
        request: Request,
        job_id: str,
        after: Annotated[int, Query(ge=0, le=_LARGEST_SEQ, description="last event that you have")] = 0,
        last_event_id: Annotated[str | None, Header(description="the same, as browsers send it")] = None,
    ) -> Response:
        """The job's events as they happen (text/event-stream), until it has ended."""
        principal = caller(request)
        await run_in_threadpool(service.jobs.get, principal, job_id)  # what does not exist has no stream
        key = bearer_key(request.scope["headers"])
        stream = event_stream(
            service,
            principal,
            job_id,
            after if last_event_id is None else _event_id(last_event_id),
            draining=request.app.state.draining,
            check_access=lambda: service.authenticate(key),
        )
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")

    return router


def _event_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 17 and int(text) <= _LARGEST_SEQ):
        raise RequestError(f"Last-Event-ID must be a whole number of at least 0, got {text[:40]!r}.")
    return int(text)
