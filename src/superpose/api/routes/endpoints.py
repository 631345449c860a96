"""``/v1/endpoints``: deployed models, and the predictions they give."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import read_json, read_model
from superpose.api.documents import NewEndpoint, body_of, version_of
from superpose.api.problems import request_id_of
from superpose.api.rows import rows_of
from superpose.service import Part, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of endpoints."""
    router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])
    max_bytes = service.config.max_body_bytes

    @router.post("", status_code=201, openapi_extra=body_of(NewEndpoint))
    async def create(request: Request) -> Response:
        """Deploy a model version under a name."""
        wanted = await read_model(request, NewEndpoint, max_bytes)
        made = await run_in_threadpool(
            service.endpoints.create,
            caller(request),
            wanted.name,
            wanted.model,
            version_of(wanted.version, wanted.alias),
        )
        return Json(made.to_json(), 201, {"Location": f"/v1/endpoints/{made.name}"})

    @router.get("")
    def list_endpoints(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Endpoints of the project."""
        return page_answer(service.endpoints.list(caller(request), part))

    @router.get("/{name}")
    def get(request: Request, name: str) -> Response:
        """One endpoint."""
        return Json(service.endpoints.get(caller(request), name).to_json())

    @router.get("/{name}/lineage")
    def lineage(request: Request, name: str) -> Response:
        """What the endpoint's answers come from, as a graph."""
        return Json(service.lineages.of_endpoint(caller(request), name).to_json())

    @router.delete("/{name}", status_code=204)
    def delete(request: Request, name: str) -> Response:
        """Delete an endpoint; the model stays."""
        service.endpoints.delete(caller(request), name)
        return Response(status_code=204)

    @router.post("/{name}/predict", openapi_extra=_PREDICT_BODY)
    async def predict(request: Request, name: str) -> Response:
        """Classes and probabilities of rows."""
        rows = rows_of(await read_json(request, max_bytes, checked=False))
        prediction = await service.endpoints.predict(
            caller(request), name, rows, request_id=request_id_of(request.scope)
        )
        return Json(prediction.to_json())

    return router


_CELL: dict[str, Any] = {"type": ["number", "string", "boolean", "null"]}
_ROW: dict[str, Any] = {"anyOf": [{"type": "object", "additionalProperties": _CELL}, {"type": "array", "items": _CELL}]}
_PREDICT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"rows": {"type": "array", "items": _ROW, "minItems": 1}},
                    "required": ["rows"],
                    "additionalProperties": False,
                }
            }
        },
    }
}
