"""Predictions from the bytes that come to those that go: in our own form, and in the Open Inference Protocol's."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Message

from superpose.api.answers import caller
from superpose.api.binary_tensors import HEADER_LENGTH, BinaryParts, header_length
from superpose.api.bodies import JSON_LIMIT, media_type_of, parse_json, read_body
from superpose.api.lane import Answerer, Reply
from superpose.api.problems import request_id_of
from superpose.api.rows import asked_rows_of
from superpose.api.tensors import infer_answer, inference_of
from superpose.errors import MediaTypeError, RequestError
from superpose.service import Prediction, Service

__all__ = ["infer_with", "predict_with"]

_LARGE: Final = 64 * 1024  # parsing more than this would hold up other requests
_HEADERS: Final = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_BINARY_HEADERS: Final = ((b"content-type", b"application/octet-stream"), (b"cache-control", b"no-store"))


def predict_with(service: Service) -> Answerer:
    """What answers ``{"rows": [...]}``."""
    max_bytes = min(service.config.max_body_bytes, JSON_LIMIT)

    async def predict(request: Request, name: str, version: int | None) -> Reply:
        rows, asked = await _read(request, max_bytes, lambda body: asked_rows_of(parse_json(body)))
        found = await service.endpoints.predict(
            caller(request), name, rows, request_id=request_id_of(request.scope), version=version, asked=asked
        )
        return _json_of(found), _HEADERS

    return predict


def infer_with(service: Service) -> Answerer:
    """What answers inference requests, with tensors as JSON or as bytes."""
    max_bytes = service.config.max_body_bytes

    async def infer(request: Request, name: str, version: int | None) -> Reply:
        stated = request.headers.get(HEADER_LENGTH)

        def read(body: bytes) -> Any:
            length = header_length(stated, len(body))
            if length is None:
                return inference_of(parse_json(body), name)
            return inference_of(parse_json(body[:length]), name, BinaryParts(memoryview(body)[length:]))

        asked = await _read(request, max_bytes if stated else min(max_bytes, JSON_LIMIT), read, binary=bool(stated))
        found = await service.endpoints.predict(
            caller(request),
            name,
            asked.rows,
            request_id=request_id_of(request.scope),
            version=version,
            asked=asked.asked,
        )
        content, length = infer_answer(name, found, asked)
        if length is None:
            return content, _HEADERS
        return content, (*_BINARY_HEADERS, (HEADER_LENGTH.lower().encode(), b"%d" % length))

    return infer


@lru_cache(maxsize=1024)
def _beginning(model: str, version: int, classes: tuple[str, ...]) -> tuple[str, str]:
    """What all answers of a model version share: JSON before the request id and behind it."""
    head = f'{{"model":{json.dumps(model)},"model_version":{version},"request_id":"'
    return head, f'","classes":{json.dumps(classes, separators=(",", ":"))},"probabilities":'


def _json_of(found: Prediction) -> bytes:
    """The prediction's JSON form, as ``to_json`` has it, put together by hand: floats print themselves as JSON does."""
    if found.details is not None or found.target is not None:
        return json.dumps(found.to_json(), allow_nan=False, separators=(",", ":")).encode("ascii")
    head, behind_id = _beginning(found.model, found.model_version, found.classes)
    rows = str(list(map(list, found.probabilities))).replace(" ", "")
    labels = json.dumps(found.predictions, separators=(",", ":")) if len(found.predictions) > 1 else _only(found)
    told = f',"unknown_categories":{json.dumps(dict(found.unknown_categories))}' if found.unknown_categories else ""
    if found.notice is not None:
        told += f',"notice":{json.dumps(found.notice)}'
    return f'{head}{found.request_id}{behind_id}{rows},"predictions":{labels}{told}}}'.encode("ascii")


def _only(found: Prediction) -> str:
    return f"[{json.dumps(found.predictions[0])}]"


async def _read(request: Request, max_bytes: int, read: Callable[[bytes], Any], *, binary: bool = False) -> Any:
    """What ``read`` makes of the body, in a thread where that takes long."""
    body = await _body(request, max_bytes, binary)
    if not body:
        raise RequestError("The body is empty; a JSON object is expected.")
    return await run_in_threadpool(read, body) if len(body) > _LARGE else read(body)


async def _body(request: Request, max_bytes: int, binary: bool) -> bytes:
    """The body. One that is plain JSON in one piece, as nearly all are, is read without further ado."""
    plain = True
    for name, value in request.scope["headers"]:
        if name == b"content-encoding" or (name == b"content-type" and value != b"application/json"):
            plain = False
    if plain:
        first = await request.receive()
        body: bytes = first.get("body", b"")
        if first["type"] == "http.request" and not first.get("more_body") and len(body) <= max_bytes:
            return body
        request = Request(request.scope, _again(first, request.receive))
    elif not binary:
        media_type = media_type_of(request)
        if media_type and media_type != "application/json" and not media_type.endswith("+json"):
            raise MediaTypeError(
                f"This route reads JSON, got Content-Type {media_type[:80]!r}. Send 'Content-Type: application/json', "
                f"or tensors as bytes with {HEADER_LENGTH} (under /v2).",
                allowed=["application/json"],
            )
    return await read_body(request, max_bytes)


def _again(first: Message, receive: Callable[[], Awaitable[Message]]) -> Callable[[], Awaitable[Message]]:
    """A ``receive`` that begins with a message that was received already."""
    waiting = [first]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received
