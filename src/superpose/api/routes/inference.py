"""``/v2``: the Open Inference Protocol. A model's name is its endpoint's; the project comes from the key."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose import __version__
from superpose.api.answers import Json, caller
from superpose.api.lane import as_response
from superpose.api.predictions import infer_with
from superpose.api.tensors import input_tensors, output_tensors
from superpose.errors import NotFoundError, StoreError
from superpose.service import Endpoint, Principal, Service

__all__ = ["routes"]

_TENSOR: dict[str, Any] = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2},
        "datatype": {"type": "string", "description": "BOOL, INT8 to UINT64, FP32, FP64 or BYTES"},
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    },
}
_REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string", "maxLength": 256},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
}
_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_INFER_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}, **_BYTES}}}
_INFERRED: dict[int | str, dict[str, Any]] = {
    200: {"description": "Tensors", "content": {"application/json": {"schema": {"type": "object"}}, **_BYTES}}
}


def routes(service: Service) -> APIRouter:
    """The routes of the Open Inference Protocol."""
    router = APIRouter(prefix="/v2", tags=["inference"])
    _add_server_routes(router, service)
    _add_model_routes(router, service)
    return router


def _add_server_routes(router: APIRouter, service: Service) -> None:

    @router.get("/health/live")
    async def live() -> Response:
        """Whether the server lives."""
        return Json({"live": True})

    @router.get("/health/ready")
    async def ready(request: Request) -> Response:
        """Whether the server takes requests."""
        ok = not request.app.state.draining.is_set() and await run_in_threadpool(_store_answers, service)
        return Json({"ready": ok}, 200 if ok else 503)

    @router.get("")
    @router.get("/")
    async def server() -> Response:
        """The server's metadata."""
        return Json({"name": "superpose", "version": __version__, "extensions": ["binary_tensor_data"]})


def _add_model_routes(router: APIRouter, service: Service) -> None:
    answer = infer_with(service)

    @router.get("/models/{name}")
    @router.get("/models/{name}/versions/{number}")
    def metadata(request: Request, name: str, number: int | None = None) -> Response:
        """The model's inputs and outputs; loads it."""
        _check_version(service, caller(request), name, number)
        endpoint, predictor = service.endpoints.predictor(caller(request), name)
        columns, classes = list(predictor.input_schema), [str(label) for label in predictor.classes]
        parameters = {
            "model": endpoint.model,
            "model_version": endpoint.version,
            "columns": columns,
            "classes": classes,
            **({} if predictor.target is None else {"target": predictor.target}),
        }
        return Json(
            {
                "name": name,
                "versions": [str(version) for version in _versions(endpoint)],
                "platform": "superpose",
                "inputs": input_tensors(columns),
                "outputs": output_tensors(len(classes), predictor.interval is not None),
                "parameters": parameters,
            }
        )

    @router.get("/models/{name}/ready")
    @router.get("/models/{name}/versions/{number}/ready")
    def model_ready(request: Request, name: str, number: int | None = None) -> Response:
        """Whether the model can answer."""
        _check_version(service, caller(request), name, number)
        return Json({"name": name, "ready": True})

    @router.post("/models/{name}/infer", openapi_extra=_INFER_BODY, responses=_INFERRED)
    @router.post("/models/{name}/versions/{number}/infer", openapi_extra=_INFER_BODY, responses=_INFERRED)
    async def infer(request: Request, name: str, number: int | None = None) -> Response:
        """Classes and probabilities, or numbers, of rows in tensors, JSON or bytes (binary tensor data extension)."""
        return as_response(await answer(request, name, number))


def _check_version(service: Service, principal: Principal, name: str, number: int | None) -> Endpoint:
    """Refuse a version that the endpoint does not answer with."""
    endpoint = service.endpoints.get(principal, name)
    if number is not None and number not in _versions(endpoint):
        raise NotFoundError(
            f"Endpoint {name!r} answers with version {' and '.join(map(str, _versions(endpoint)))}, not {number}.",
            version=endpoint.version,
        )
    return endpoint


def _versions(endpoint: Endpoint) -> list[int]:
    """What answers: the endpoint's version, and its canary's."""
    return [endpoint.version] + ([endpoint.canary.version] if endpoint.canary else [])


def _store_answers(service: Service) -> bool:
    try:
        service.store.has_work()
    except StoreError:
        return False
    return True
