"""``/v1/endpoints``: deployed models, and the predictions they give."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import JSON_LIMIT, read_model
from superpose.api.documents import body_of, version_of
from superpose.api.endpoint_documents import EndpointChange, NewCanary, NewEndpoint, Rollback, ToExplain
from superpose.api.lane import as_response
from superpose.api.patience import AT_ONCE, Turns, while_it_waits
from superpose.api.predictions import predict_with
from superpose.service import Part, Release, Service

__all__ = ["routes"]


def routes(service: Service) -> APIRouter:
    """The routes of endpoints."""
    router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])
    max_bytes, answer = service.config.max_body_bytes, predict_with(service)
    turns = Turns(AT_ONCE)

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
            wanted.limits.given(),
            Release(wanted.stage, wanted.override),
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

    @router.get("/{name}/alarms")
    def alarms(request: Request, name: str) -> Response:
        """Alarms that rows are not what the model was trained on, newest first; at most 200."""
        return Json({"items": [alarm.to_json() for alarm in service.endpoints.alarms(caller(request), name)]})

    @router.get("/{name}/lineage")
    def lineage(request: Request, name: str) -> Response:
        """What the endpoint's answers come from, as a graph."""
        return Json(service.lineages.of_endpoint(caller(request), name).to_json())

    @router.delete("/{name}", status_code=204)
    def delete(request: Request, name: str) -> Response:
        """Delete an endpoint; the model stays."""
        service.endpoints.delete(caller(request), name)
        return Response(status_code=204)

    _add_rollout_routes(router, service)

    @router.post("/{name}/predict", openapi_extra=_PREDICT_BODY, responses=_PREDICTED)
    async def predict(request: Request, name: str) -> Response:
        """Classes and probabilities of rows, or numbers and intervals, as the model predicts."""
        return as_response(await answer(request, name, None))

    @router.post("/{name}/explain", openapi_extra=body_of(ToExplain))
    async def explain(request: Request, name: str) -> Response:
        """What the predictions of rows were made of: attributions, and on demand counterfactuals and shot noise."""
        asked = await read_model(request, ToExplain, min(max_bytes, JSON_LIMIT))
        principal, wanted = caller(request), asked.wanted()
        found = await while_it_waits(
            request.receive,
            turns.of(principal.project),
            lambda look: service.endpoints.explain(principal, name, asked.rows, wanted, look),
        )
        return Json(found)

    return router


def _add_rollout_routes(router: APIRouter, service: Service) -> None:
    """What changes an endpoint's version, and what tells of it."""
    rollouts, max_bytes = service.endpoints.rollouts, service.config.max_body_bytes

    @router.patch("/{name}", openapi_extra=body_of(EndpointChange))
    async def update(request: Request, name: str) -> Response:
        """Put another version behind the name, change limits, or both; no request fails meanwhile."""
        wanted = await read_model(request, EndpointChange, max_bytes)
        limits = wanted.limits.given()
        changed = await run_in_threadpool(
            rollouts.update,
            caller(request),
            name,
            model=wanted.model,
            version=version_of(wanted.version, wanted.alias),
            limits=limits,
            release=Release(wanted.stage, wanted.override),
        )
        return Json(changed.to_json())

    @router.post("/{name}/rollback", openapi_extra=body_of(Rollback))
    async def rollback(request: Request, name: str) -> Response:
        """Put back what answered before, as a new revision."""
        wanted = await read_model(request, Rollback, max_bytes)
        release = Release(override=wanted.override)
        changed = await run_in_threadpool(rollouts.rollback, caller(request), name, wanted.revision, release)
        return Json(changed.to_json())

    @router.put("/{name}/canary", openapi_extra=body_of(NewCanary))
    async def start_canary(request: Request, name: str) -> Response:
        """Let another version answer a share of the requests."""
        wanted = await read_model(request, NewCanary, max_bytes)
        changed = await run_in_threadpool(
            rollouts.start_canary,
            caller(request),
            name,
            percent=wanted.percent,
            version=version_of(wanted.version, wanted.alias),
            model=wanted.model,
            by=wanted.by,
            seed=wanted.seed,
            release=Release(override=wanted.override),
        )
        return Json(changed.to_json())

    @router.delete("/{name}/canary")
    def stop_canary(request: Request, name: str) -> Response:
        """Let the endpoint's own version answer all requests again."""
        return Json(rollouts.stop_canary(caller(request), name).to_json())

    @router.post("/{name}/promote")
    def promote(request: Request, name: str) -> Response:
        """Let the canary answer all requests."""
        return Json(rollouts.promote(caller(request), name).to_json())

    @router.get("/{name}/revisions")
    def revisions(request: Request, name: str, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Which versions stood behind the name, newest first."""
        return page_answer(rollouts.revisions(caller(request), name, part))

    @router.get("/{name}/events")
    def events(
        request: Request,
        name: str,
        after: Annotated[int, Query(ge=0, le=2**53, description="last event that you have")] = 0,
    ) -> Response:
        """What happened to the endpoint, oldest first; at most 500 at a time."""
        return Json({"items": [event.to_json() for event in rollouts.events(caller(request), name, after)]})

    @router.get("/{name}/stats")
    def stats(request: Request, name: str) -> Response:
        """Requests, errors and latency of the endpoint's version and of its canary, since the server started."""
        return Json({"sides": [side.to_json() for side in service.endpoints.traffic(caller(request), name)]})


_CELL: dict[str, Any] = {"type": ["number", "string", "boolean", "null"]}
_ROW: dict[str, Any] = {"anyOf": [{"type": "object", "additionalProperties": _CELL}, {"type": "array", "items": _CELL}]}
_NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "number"}}
_TOLD: dict[str, Any] = {
    "model": {"type": "string"},
    "model_version": {"type": "integer"},
    "request_id": {"type": "string"},
}
_PREDICTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Predictions",
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {
                            "title": "of classes",
                            "type": "object",
                            "properties": {
                                **_TOLD,
                                "classes": {"type": "array", "items": {"type": "string"}},
                                "probabilities": {"type": "array", "items": _NUMBERS},
                                "predictions": {"type": "array", "items": {"type": ["string", "null"]}},
                            },
                            "required": [*_TOLD, "classes", "probabilities", "predictions"],
                        },
                        {
                            "title": "of numbers",
                            "type": "object",
                            "properties": {
                                **_TOLD,
                                "target": {"type": "string", "description": "what the number is called"},
                                "predictions": _NUMBERS,
                                "intervals": {
                                    "type": "array",
                                    "items": {**_NUMBERS, "minItems": 2, "maxItems": 2},
                                    "description": "of each row the lower and the upper end, if the model keeps them",
                                },
                                "coverage": {"type": "number", "description": "how often they hold the true number"},
                            },
                            "required": [*_TOLD, "target", "predictions"],
                        },
                    ]
                }
            }
        },
    }
}
_PREDICT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "rows": {"type": "array", "items": _ROW, "minItems": 1},
                        "prediction_set": {"type": "boolean", "description": "classes that hold the true one"},
                        "abstain": {
                            "anyOf": [{"type": "boolean"}, {"type": "number"}, {"const": "set"}],
                            "description": "no label where the model is unsure: its rule, a probability, or sets",
                        },
                        "novelty": {"type": "boolean", "description": "how unlike the training rows each row is"},
                    },
                    "required": ["rows"],
                    "additionalProperties": False,
                }
            }
        },
    }
}
