"""The outermost layer: request ids, the access log, and every error as a problem document."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
import traceback
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from superpose.api.access_log import ACCESS_LOGGER, log_access, time_text
from superpose.api.problems import PROBLEMS, problem_response
from superpose.errors import InternalError, OverloadedError, SuperposeError
from superpose.service import Service
from superpose.service.operations.trace_context import TraceContext, current_trace
from superpose.service.store.disk_errors import disk_error, is_of_the_disk

__all__ = ["ACCESS_LOGGER", "ERROR_LOGGER", "Edge"]

ERROR_LOGGER = "superpose.api"

_access = logging.getLogger(ACCESS_LOGGER)
_errors = logging.getLogger(ERROR_LOGGER)
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{8,128}")
_KEY_IN_TEXT = re.compile(r"sp_key_[A-Za-z0-9]+_[A-Za-z0-9_-]+")
_CUT_OFF = (
    "The server ends and cut this request off; what it asked for may be done or not. Look when the server is back, and "
    "ask again if it is not."
)
_RETRY_AFTER_S = 5.0
_CLIENT_LEFT = 499  # no standard status says so; nginx's is understood widely


class Edge:
    """ASGI middleware around the whole app.

    Args:
        app: what stands behind it.
        service: who counts requests and collects spans.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._measurements = service.measurements
        self._tracer = service.tracer
        self._trace_share = service.config.trace_share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever happens behind."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        answer = _Answer(send, _request_id(scope))
        parent = TraceContext.parse(_header(scope, b"traceparent"))
        place = TraceContext.begin(self._trace_share) if parent is None else parent.child()
        scope.setdefault("state", {}).update(request_id=answer.request_id, trace=place)
        before = current_trace.set(place)
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            answer.status = answer.status or _CLIENT_LEFT
        except asyncio.CancelledError:  # the server ends and has waited long enough
            if answer.status:
                raise
            cut_off = OverloadedError(_CUT_OFF, retry_after_s=_RETRY_AFTER_S)
            await problem_response(scope, cut_off)(scope, receive, answer.send)
        except Exception as error:
            _log_failure(answer.request_id, place.trace_id, error)
            if answer.status:
                raise  # half an answer is sent; the server must cut the connection
            told = _told(error)
            await problem_response(scope, told)(scope, receive, answer.send)
        finally:
            current_trace.reset(before)
            elapsed_s, route = time.perf_counter() - started, _route(scope)
            self._measurements.request(scope["method"], route, answer.status, elapsed_s)
            if self._tracer.enabled and place.sampled:
                self._record(scope, answer, place, parent, elapsed_s)
            if _access.isEnabledFor(logging.INFO):
                log_access(_access_line(scope, answer, place.trace_id, elapsed_s))

    def _record(
        self, scope: Scope, answer: _Answer, place: TraceContext, parent: TraceContext | None, elapsed_s: float
    ) -> None:
        """The span of a request, and ``post`` for the time from its last part to the end of the answer."""
        now_s, route = time.time(), _route(scope)
        facts = {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": answer.status,
            "superpose.request_id": answer.request_id,
        }
        name, failed = f"{scope['method']} {route}", answer.status >= 500
        self._tracer.record(name, place, parent, (now_s - elapsed_s, now_s), facts, failed=failed)
        if answer.started_s:
            sent_s = now_s - (time.perf_counter() - answer.started_s)
            self._tracer.record("post", place.child(), place, (sent_s, now_s))


class _Answer:
    """Passes an answer on, adding the request id, and remembers what was sent."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0
        self.n_bytes = 0
        self.started_s = 0.0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.started_s = time.perf_counter()
            own = ((b"x-request-id", self.request_id.encode("ascii")), (b"x-content-type-options", b"nosniff"))
            message["headers"] = [*message.get("headers", ()), *own]
        elif message["type"] == "http.response.body":
            self.n_bytes += len(message.get("body", b""))
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """The caller's ``X-Request-Id`` if it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value) and not value.startswith(b"sp_"):
            return str(value, "ascii")
    return f"req_{secrets.token_hex(8)}"


def _header(scope: Scope, wanted: bytes) -> str | None:
    """A header's value; None where it is absent or no text."""
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "ascii", "replace")
    return None


def _route(scope: Scope) -> str:
    """The route as the code writes it, so that no caller can make up new ones."""
    return str(getattr(scope.get("route"), "path", "none"))


def _access_line(scope: Scope, answer: _Answer, trace_id: str, elapsed_s: float) -> str:
    """A line of JSON, put together by hand: every request pays for it. Ids are made of harmless characters."""
    principal = scope["state"].get("principal")
    path = scope["path"]
    if "sp_key_" in path:
        path = _KEY_IN_TEXT.sub("(key)", path)
    key_id, project = json.dumps(getattr(principal, "key_id", None)), json.dumps(getattr(principal, "project", None))
    return (
        f'{{"at": "{time_text()}", "request_id": "{answer.request_id}", "trace_id": "{trace_id}", '
        f'"method": {json.dumps(scope["method"])}, "path": {json.dumps(path[:500])}, "status": {answer.status}, '
        f'"duration_ms": {elapsed_s * 1000:.3f}, "bytes_out": {answer.n_bytes}, "key_id": {key_id}, '
        f'"project": {project}}}'
    )


def _told(error: Exception) -> SuperposeError:
    """What the caller hears: of a disk that is full or can only be read that it is; of other foreign errors nothing."""
    if isinstance(error, SuperposeError):
        return error
    if isinstance(error, OSError) and is_of_the_disk(error):
        return disk_error(error, "What was sent, or is made of it, cannot be written")
    return InternalError("Unforeseen.")


def _log_failure(request_id: str, trace_id: str, error: Exception) -> None:
    """Log what is our fault: the kind of error and where; a foreign message may hold data, so only ours is kept."""
    if isinstance(error, SuperposeError):
        status, _ = PROBLEMS.get(error.code, PROBLEMS[InternalError.code])
        if status != 500:
            return
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    line = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": request_id,
        "trace_id": trace_id,
        "error": type(error).__name__,
        "message": error.message if isinstance(error, SuperposeError) else None,
        "places": places[-12:],
    }
    _errors.error(json.dumps(line))
