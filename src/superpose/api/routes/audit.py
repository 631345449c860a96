"""``/v1/audit``: who changed what."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime
from starlette.responses import Response, StreamingResponse

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.service import AuditFilter, Part, Service

__all__ = ["routes"]

_LINES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Entries", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
}
_Text = Annotated[str | None, Query(max_length=500)]


def _filter_of(  # noqa: PLR0913  # one parameter per filter
    project: Annotated[str | None, Query(max_length=500, description="for operators, who see all projects")] = None,
    actor: Annotated[str | None, Query(max_length=500, description="id of a key")] = None,
    user: Annotated[str | None, Query(max_length=500, description="id of a user")] = None,
    action: Annotated[str | None, Query(max_length=500, description="dataset.deleted, or dataset")] = None,
    subject: Annotated[str | None, Query(max_length=500, description="id of what was changed")] = None,
    request_id: _Text = None,
    since: Annotated[AwareDatetime | None, Query(description="not before, ISO 8601 with a zone")] = None,
    until: Annotated[AwareDatetime | None, Query(description="before, ISO 8601 with a zone")] = None,
) -> AuditFilter:
    """The entries that the query asks for."""
    return AuditFilter(
        project=project,
        actor=actor,
        user=user,
        action=action,
        subject=subject,
        request_id=request_id,
        since=since,
        until=until,
    )


def routes(service: Service) -> APIRouter:
    """The routes of the audit log."""
    router = APIRouter(prefix="/v1/audit", tags=["audit"])

    @router.get("")
    def list_entries(
        request: Request,
        part: Annotated[Part, Depends(part_of)],
        wanted: Annotated[AuditFilter, Depends(_filter_of)],
    ) -> Response:
        """Changes of the project, newest first; for operators, of all projects."""
        return page_answer(service.audit.list(caller(request), part, wanted))

    @router.get("/export", response_class=Response, responses=_LINES)
    def export(request: Request, wanted: Annotated[AuditFilter, Depends(_filter_of)]) -> Response:
        """All of them, oldest first, one JSON document per line (application/x-ndjson)."""
        found = service.audit.export(caller(request), wanted)
        lines = (json.dumps(entry.to_json(), separators=(",", ":")) + "\n" for entry in found)
        return StreamingResponse(lines, headers={"Cache-Control": "no-store"}, media_type="application/x-ndjson")

    @router.get("/verification")
    def verify(
        request: Request,
        head: Annotated[str | None, Query(max_length=100, description="`head` of an earlier verification")] = None,
    ) -> Response:
        """Whether the whole log is as it was written; for operators."""
        return Json(service.audit.verify(caller(request), head).to_json())

    return router
