"""``/v1/models``: the registry and its files."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import FileResponse, Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.documents import VersionNumber
from superpose.service import Part, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of models."""
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get("")
    def list_models(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Models of the project."""
        return page_answer(service.models.list(caller(request), part))

    @router.get("/{name}")
    def get(request: Request, name: str) -> Response:
        """One model with its versions."""
        return Json(service.models.get(caller(request), name).to_json())

    @router.get("/{name}/versions/{number}")
    def version(request: Request, name: str, number: VersionNumber) -> Response:
        """One version with its evaluation and manifest."""
        return Json(service.models.version(caller(request), name, number).to_json())

    @router.get("/{name}/versions/{number}/file")
    def file(request: Request, name: str, number: VersionNumber) -> Response:
        """The version's model file; ``Repr-Digest`` (RFC 9530) is that of the whole file."""
        principal = caller(request)
        found = service.models.version(principal, name, number)
        path = service.models.file_path(principal, name, number)
        sha256 = base64.b64encode(bytes.fromhex(found.artifact)).decode("ascii")
        headers = {"Repr-Digest": f"sha-256=:{sha256}:", "ETag": f'"{found.artifact}"', "Cache-Control": "no-store"}
        return FileResponse(
            path, headers=headers, media_type="application/zip", filename=f"{found.model}-{found.version}.superpose"
        )

    return router
