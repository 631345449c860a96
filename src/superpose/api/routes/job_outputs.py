"""``/v1/jobs/{id}/metrics`` and ``/artifacts``: what jobs left."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from superpose.api.answers import caller, page_answer, part_of
from superpose.api.files import file_answer, file_answers
from superpose.service import Part, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of what jobs left."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.get("/{job_id}/metrics")
    def metrics(
        request: Request,
        job_id: str,
        part: Annotated[Part, Depends(part_of)],
        name: Annotated[str | None, Query(max_length=100, description="only this metric")] = None,
    ) -> Response:
        """Numbers that the job's function logged."""
        return page_answer(service.outputs.metrics(caller(request), job_id, part, name=name))

    @router.get("/{job_id}/artifacts")
    def artifacts(request: Request, job_id: str, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Files that the job left, its checkpoint directory's too."""
        return page_answer(service.outputs.files(caller(request), job_id, part))

    @router.delete("/{job_id}/artifacts", status_code=204)
    def remove(request: Request, job_id: str) -> Response:
        """Remove all files that an ended job left."""
        service.outputs.remove(caller(request), job_id)
        return Response(status_code=204)

    @router.get(
        "/{job_id}/artifacts/{role}/{name:path}",
        response_class=Response,
        responses=file_answers("application/octet-stream"),
    )
    def file(request: Request, job_id: str, role: str, name: str) -> Response:
        """One file; ``Repr-Digest`` (RFC 9530) is that of the whole file, ``Range`` asks for a part."""
        found = service.outputs.file(caller(request), job_id, name, role)
        return file_answer(
            request, found, media_type="application/octet-stream", filename=name.rpartition("/")[2] or "file"
        )

    return router
