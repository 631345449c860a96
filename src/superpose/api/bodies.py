"""Reading request bodies: bounded while they stream in, strict JSON, fields named when they do not fit."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator
from io import RawIOBase
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from superpose.api.problems import from_validation_error
from superpose.errors import MediaTypeError, PayloadTooLargeError, RequestError

__all__ = [
    "JSON_LIMIT",
    "check_values",
    "media_type_of",
    "parse_json",
    "read_body",
    "read_json",
    "read_model",
    "receive_file",
]

JSON_LIMIT = 16 * 1024 * 1024
MAX_DEPTH = 64
_LARGEST_INTEGER = 2**63
_DRAIN_S = 5.0
_WRITTEN_BYTES = 1024 * 1024
_LARGE = 64 * 1024  # parsing more than this would hold up other requests

_KINDS = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}

ModelT = TypeVar("ModelT", bound=BaseModel)


def media_type_of(request: Request) -> str:
    """The body's media type in lower case, without parameters; empty where none is stated."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, if it is at most ``max_bytes`` long.

    Raises:
        PayloadTooLargeError: it is longer, by its Content-Length or as it arrives.
        MediaTypeError: it is compressed.
    """
    parts = [part async for part in _parts(request, max_bytes)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def receive_file(request: Request, path: Path, max_bytes: int, *, offset: int = 0) -> None:
    """Write the body to an existing file from ``offset`` on as it arrives, in constant memory.

    What arrives before the connection breaks is in the file.

    Raises:
        PayloadTooLargeError, MediaTypeError: as for ``read_body``.
        ClientDisconnect: the client went away.
        OSError: the file cannot be written.
    """
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        kept: list[bytes] = []
        n_bytes = 0
        try:
            async for part in _parts(request, max_bytes):
                kept.append(part)
                n_bytes += len(part)
                if n_bytes >= _WRITTEN_BYTES:  # a slow disk holds up nobody else
                    await run_in_threadpool(_write_all, file, kept)
                    kept, n_bytes = [], 0
        except ClientDisconnect:
            _write_all(file, kept)
            raise
        await run_in_threadpool(_write_all, file, kept)


def _write_all(file: RawIOBase, parts: list[bytes]) -> None:
    rest = memoryview(b"".join(parts))
    while rest:
        rest = rest[file.write(rest) or 0 :]


async def _parts(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """The parts of the body as they arrive.

    A body that is too long is read on and dropped for a while, so that a client that sends before it listens gets
    to see the answer; not where it states ``Expect: 100-continue`` and so waits for one.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise MediaTypeError(
            f"Bodies are read as they are, got Content-Encoding {coding[:40]!r}. Send it uncompressed."
        )
    stated = request.headers.get("content-length", "")
    expected = int(stated) if stated.isascii() and stated.isdigit() else None
    if expected is not None and expected > max_bytes and "expect" in request.headers:
        _refuse(max_bytes)
    n_bytes, deadline = 0, 0.0
    async for part in request.stream():
        n_bytes += len(part)
        if n_bytes <= max_bytes:
            yield part
            continue
        deadline = deadline or time.monotonic() + _DRAIN_S
        if n_bytes > 4 * max_bytes + JSON_LIMIT or time.monotonic() > deadline:
            break
    if n_bytes > max_bytes:
        _refuse(max_bytes)


async def read_json(request: Request, max_bytes: int, *, checked: bool = True) -> Any:
    """The JSON value in the body (RFC 8259: UTF-8, no NaN or Infinity, no member twice).

    Args:
        request: the request.
        max_bytes: largest body accepted.
        checked: whether to walk the value for absurd depth, numbers and text; a caller that looks at each value
            itself leaves it out.

    Raises:
        RequestError: not such JSON.
        MediaTypeError: the Content-Type is not JSON.
        PayloadTooLargeError: longer than ``max_bytes``.
    """
    media_type = media_type_of(request)
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise MediaTypeError(
            f"This route reads JSON, got Content-Type {media_type[:80]!r}. Send 'Content-Type: application/json'.",
            allowed=["application/json"],
        )
    body = await read_body(request, min(max_bytes, JSON_LIMIT))
    if not body:
        raise RequestError("The body is empty; a JSON object is expected.")
    if len(body) > _LARGE:
        return await run_in_threadpool(_read, body, checked)
    return _read(body, checked)


async def read_model(request: Request, model: type[ModelT], max_bytes: int) -> ModelT:
    """The JSON body as a ``model``.

    Raises:
        RequestError: naming the fields that do not fit.
        MediaTypeError, PayloadTooLargeError: as ``read_json``.
    """
    value = await read_json(request, max_bytes)
    if not isinstance(value, dict):
        raise RequestError(f"The body must be a JSON object, got {_KINDS.get(type(value), 'null')}.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise from_validation_error(error) from None


def check_values(value: object, depth: int = 0) -> None:
    """Refuse what JSON can say but no document here may hold.

    Raises:
        RequestError: more than 64 levels, numbers beyond 64 bits, or text that is not Unicode.
    """
    if depth > MAX_DEPTH:
        raise RequestError(f"The JSON is nested more than {MAX_DEPTH} levels deep.", max_depth=MAX_DEPTH)
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise RequestError("The JSON holds a number beyond the range of 64-bit floats.")
    elif isinstance(value, int):
        if not -_LARGEST_INTEGER <= value < 2 * _LARGEST_INTEGER:
            raise RequestError("The JSON holds an integer beyond 64 bits.")
    elif isinstance(value, list):
        for item in value:
            check_values(item, depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name)
            check_values(item, depth + 1)


def _read(body: bytes, checked: bool) -> Any:
    value = parse_json(body, _STRICT if checked else _PLAIN)
    if checked:
        check_values(value)
    return value


def parse_json(body: bytes, decoder: json.JSONDecoder | None = None) -> Any:
    """The JSON value in a body, for callers that look at each value themselves.

    Raises:
        RequestError: not JSON (RFC 8259: UTF-8, no NaN or Infinity).
    """
    try:
        return (decoder or _PLAIN).decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is not UTF-8 at byte {error.start}.", offset=error.start) from None
    except json.JSONDecodeError as error:
        raise RequestError(
            f"The body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.",
            line=error.lineno,
            column=error.colno,
        ) from None
    except RecursionError:
        raise RequestError(f"The JSON is nested more than {MAX_DEPTH} levels deep.", max_depth=MAX_DEPTH) from None
    except ValueError:  # Python's limit on the digits of an integer
        raise RequestError("The JSON holds an integer beyond 64 bits.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise RequestError(f"The body is not JSON: {name} is not a JSON number. Send null for a missing value.")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = sorted({name for name in names if names.count(name) > 1})[:5]
        raise RequestError(f"The JSON has members twice in one object: {', '.join(map(repr, doubled))[:200]}.")
    return members


_PLAIN = json.JSONDecoder(parse_constant=_refuse_constant)
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_members)


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise RequestError("The JSON holds text that is not Unicode (half of a surrogate pair).") from None


def _refuse(max_bytes: int) -> NoReturn:
    raise PayloadTooLargeError(
        f"The body is larger than the {max_bytes:,} bytes allowed here. Send less at a time.", max_bytes=max_bytes
    )
