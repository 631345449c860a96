"""The app: routes of every noun behind the gate and the edge."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from superpose import __version__
from superpose.api.edge import Edge
from superpose.api.gate import Gate
from superpose.api.lane import Lane, is_prediction
from superpose.api.openapi import describe
from superpose.api.predictions import infer_with, predict_with
from superpose.api.problems import from_http_exception, from_validation_error, problem_response
from superpose.api.routes import (
    audit,
    budgets,
    data_checks,
    datasets,
    endpoints,
    functions,
    inference,
    job_outputs,
    jobs,
    keys,
    metrics,
    models,
    modules,
    predictions,
    program_sets,
    programs,
    projects,
    reports,
    residency,
    solutions,
    sweeps,
    uploads,
    usage,
    users,
    version,
    waits,
    webhooks,
)
from superpose.service import Service

__all__ = ["create_app"]


def create_app(service: Service) -> FastAPI:
    """The ASGI app of a service: ``/v1``, the Open Inference Protocol under ``/v2``, and ``/openapi.json``.

    Every path needs a key, also those that do not exist; only ``/v2/health/live`` and ``/v2/health/ready`` answer
    without one. ``app.state.draining`` is an event that ends streams which would otherwise outlast a shutdown.
    """
    app = _App(
        title="superpose",
        version=__version__,
        summary="Hybrid quantum-classical machine learning as a service.",
        openapi_url="/openapi.json",
        docs_url=None,  # the page would need a key as every other, and loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _on_http_exception, RequestValidationError: _on_validation_error},
    )
    app.state.draining = asyncio.Event()
    people = (projects, residency, users, keys, usage, budgets, webhooks, audit)
    data = (datasets, uploads, data_checks)
    work = (jobs, job_outputs, sweeps, predictions, programs, program_sets, solutions, waits)
    for noun in (*data, models, modules, reports, *work, endpoints, functions, *people, inference, metrics, version):
        app.router.routes.extend(noun.routes(service).routes)  # flat: one list holds every route there is
    describe(app)
    # The last one added is the outermost.
    app.add_middleware(Gate, service=service)
    app.add_middleware(Edge, service=service)
    lane = Lane(predict=predict_with(service), infer=infer_with(service), routes=app.routes)
    app.lane = Edge(Gate(lane, service=service), service=service)
    return app


class _App(FastAPI):
    """FastAPI, but that predictions go to the lane, past everything that FastAPI and Starlette do for a request."""

    lane: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self.lane is not None and is_prediction(scope):
            await self.lane(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    allowed = _methods(request) if error.status_code == 405 else ()
    return problem_response(request.scope, from_http_exception(error, request.scope, allowed))


def _methods(request: Request) -> list[str]:
    """Methods that the request's path takes."""
    matching = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})


async def _on_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return problem_response(request.scope, from_validation_error(error))
