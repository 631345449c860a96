"""Large files to the service, piece by piece: where a connection breaks, the rest goes over the next one."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Final

from superpose.client.downloads import transfer_timeout_s
from superpose.client.json_fields import Fields
from superpose.client.transport import Call, Transport
from superpose.errors import ClientError, SuperposeError, UnreachableError

__all__ = ["LARGE_BYTES", "give_up", "upload"]

LARGE_BYTES: Final = 16 * 2**20
"""Files from this size on are sent in an upload of their own."""

_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.2


def upload(transport: Transport, path: Path) -> str:
    """Send a file and return the id of the upload that holds it.

    After a broken connection the service is asked how much has arrived; at most 5 times in a row without progress.

    Raises:
        UnreachableError, ApiError: as for every call; the upload is given up then.
        OSError: the file cannot be read.
    """
    made = Fields.of("upload", json.loads(transport.send(Call("POST", "/v1/uploads")).body))
    place = f"/v1/uploads/{made.text('id')}"
    try:
        _send(transport, place, path)
    except BaseException:
        give_up(transport, made.text("id"))
        raise
    return made.text("id")


def give_up(transport: Transport, upload_id: str) -> None:
    """Let the service drop an upload now rather than in a day."""
    with contextlib.suppress(SuperposeError):
        transport.send(Call("DELETE", f"/v1/uploads/{upload_id}"))


def _send(transport: Transport, place: str, path: Path) -> None:
    n_bytes, offset, failures = path.stat().st_size, 0, 0
    while offset < n_bytes:
        piece = Call(
            "PATCH",
            place,
            query={"offset": offset},
            body_file=path,
            body_from=offset,
            content_type="application/octet-stream",
            timeout_s=transfer_timeout_s(n_bytes - offset),
        )
        before = offset
        try:
            offset = _offset(transport.send(piece).body)
        except ClientError as error:
            failures += 1
            if failures >= _ATTEMPTS or not _passing(error):
                raise
            time.sleep(_PAUSE_S * failures)
            offset = _offset(transport.send(Call("GET", place)).body)
        failures = 0 if offset > before else failures


def _passing(error: SuperposeError) -> bool:
    """Whether the next attempt may go better: no connection, or the broken one still holds the file."""
    return isinstance(error, UnreachableError) or getattr(error, "problem_code", "") == "service.conflict"


def _offset(body: bytes) -> int:
    return Fields.of("upload", json.loads(body)).whole("offset")
