"""``/v1/jobs/{id}/report`` and ``/v1/models/{name}/versions/{version}/report``: one page per training."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from superpose.api.answers import caller
from superpose.api.documents import VersionName
from superpose.api.files import file_answer, file_answers
from superpose.api.routes.models import version_in_path
from superpose.service import MadeReport, Service

__all__ = ["routes"]

Format = Annotated[str, Query(alias="format", max_length=20, description="html or pdf")]


def routes(service: Service) -> APIRouter:
    """The routes of reports."""
    router = APIRouter(prefix="/v1")

    @router.get(
        "/jobs/{job_id}/report",
        tags=["jobs"],
        response_class=Response,
        responses=file_answers("text/html", "application/pdf"),
    )
    def of_job(request: Request, job_id: str, form: Format = "html") -> Response:
        """The report of a training job that has succeeded."""
        return _answer(request, service.reports.of_job(caller(request), job_id, form))

    @router.get(
        "/models/{name}/versions/{version}/report",
        tags=["models"],
        response_class=Response,
        responses=file_answers("text/html", "application/pdf"),
    )
    def of_version(request: Request, name: str, version: VersionName, form: Format = "html") -> Response:
        """The report of the training that made the version."""
        return _answer(request, service.reports.of_version(caller(request), name, version_in_path(version), form))

    return router


def _answer(request: Request, made: MadeReport) -> Response:
    return file_answer(request, made.file, media_type=made.media_type, filename=made.filename)
