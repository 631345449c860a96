"""What the data say before and after training: checks of a split, and drift from a model's training data."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller
from superpose.api.bodies import media_type_of, read_model, receive_file
from superpose.api.documents import DriftOfDataset, SplitCheck, VersionName, body_of
from superpose.api.routes.datasets import FORMAT_OF
from superpose.api.routes.models import version_in_path
from superpose.errors import MediaTypeError
from superpose.service import Role, Service, check_scope

__all__ = ["routes"]

_COLUMN_FORMATS = {media_type: format for media_type, format in FORMAT_OF.items() if format != "images"}


def routes(service: Service) -> APIRouter:
    """The routes of checks."""
    router = APIRouter(prefix="/v1")
    max_bytes = service.config.max_body_bytes

    @router.post("/datasets/{id_or_name}/checks", tags=["datasets"], openapi_extra=body_of(SplitCheck))
    async def check(request: Request, id_or_name: str) -> Response:
        """Leaks, shared groups, doubles and drift between the parts that a training spec would make."""
        principal = caller(request)
        wanted = await read_model(request, SplitCheck, max_bytes)
        found = await run_in_threadpool(service.datasets.check, principal, id_or_name, wanted.spec)
        return Json({"findings": list(found)})

    @router.post("/models/{name}/versions/{version}/drift", tags=["models"], openapi_extra=_drift_body())
    async def drift(request: Request, name: str, version: VersionName) -> Response:
        """How far a table, in the body or registered, has moved from what the version was trained on."""
        principal = caller(request)
        principal.require(Role.VIEWER)
        number, media_type = version_in_path(version), media_type_of(request)
        if media_type == "application/json":
            wanted = await read_model(request, DriftOfDataset, max_bytes)
            check_scope(principal, "GET", f"/v1/datasets/{wanted.dataset}")
            found = await run_in_threadpool(service.drifts.of_dataset, principal, name, number, wanted.dataset)
            return Json(found)
        if media_type not in _COLUMN_FORMATS:
            allowed = [*_COLUMN_FORMATS, "application/json"]
            raise MediaTypeError(
                f"Rows are sent as {', '.join(_COLUMN_FORMATS)}, or named as a data set in application/json; got "
                f"Content-Type {media_type[:80]!r}.",
                allowed=allowed,
            )
        await run_in_threadpool(service.drifts.version, principal, name, number)  # before megabytes are read
        with service.datasets.arriving() as path:
            await receive_file(request, path, max_bytes)
            format = _COLUMN_FORMATS[media_type]
            found = await run_in_threadpool(service.drifts.of_file, principal, name, number, path, format)
        return Json(found)

    return router


def _drift_body() -> dict[str, Any]:
    tables = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in _COLUMN_FORMATS}
    named = body_of(DriftOfDataset)["requestBody"]["content"]
    return {"requestBody": {"required": True, "content": {**named, **tables}}}
