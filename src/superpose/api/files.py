"""Files as answers: streamed in constant memory, whole or one range (RFC 9110 section 14), with their digest."""

from __future__ import annotations

import base64
import re
from typing import Any

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from superpose.errors import ByteRangeError
from superpose.service import StoredFile

__all__ = ["file_answer", "file_answers"]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def file_answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """What ``file_answer`` answers, for the OpenAPI document of a route with ``response_class=Response``."""
    content = {name: {"schema": {"type": "string", "format": "binary"}} for name in media_types}
    return {
        200: {"description": "The whole file", "content": content},
        206: {"description": "The part that Range asks for", "content": content},
        304: {"description": "The caller has it already"},
    }


def file_answer(request: Request, file: StoredFile, *, media_type: str, filename: str) -> Response:
    """The file, or the part that ``Range`` asks for, or 304 where ``If-None-Match`` has its ``ETag``.

    ``Repr-Digest`` (RFC 9530) is that of the whole file. Several ranges at once are answered by the whole file.

    Raises:
        ByteRangeError: the range lies outside the file.
    """
    etag = f'"{file.digest}"'
    sha256 = base64.b64encode(bytes.fromhex(file.digest)).decode("ascii")
    headers = {
        "Repr-Digest": f"sha-256=:{sha256}:",
        "ETag": etag,
        "Cache-Control": "no-store",
        "Accept-Ranges": "bytes",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    start, stop = 0, file.n_bytes
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if asked is not None and request.headers.get("if-range", etag) == etag:
        start, stop = _bounds(asked[1], asked[2], file.n_bytes)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.n_bytes}"
    headers["Content-Length"] = str(stop - start)
    headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    status = 206 if "Content-Range" in headers else 200
    return StreamingResponse(file.chunks(start, stop), status, headers, media_type)


def _bounds(first: str, last: str, n_bytes: int) -> tuple[int, int]:
    """First byte and the one after the last; ``-5`` means the last five."""
    if first:
        start, stop = int(first), min(int(last) + 1, n_bytes) if last else n_bytes
    else:
        start, stop = max(0, n_bytes - int(last or "0")), n_bytes
    if start >= stop:
        raise ByteRangeError(
            f"The range {first}-{last} lies outside the file, which has {n_bytes:,} bytes.", n_bytes=n_bytes
        )
    return start, stop
