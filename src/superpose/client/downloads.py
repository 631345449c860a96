"""Files from the service: in constant memory, resumed where the connection broke, whole and verified or not there."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from superpose.client.transport import Call, Transport
from superpose.errors import ProtocolError, UnreachableError

__all__ = ["download", "target_path", "transfer_timeout_s"]

_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.2
_SLOWEST_BYTES_PER_S: Final = 100_000
_PATIENCE_S: Final = 600.0
_UNKNOWN_S: Final = 6_000.0
_SHA256 = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")


def transfer_timeout_s(n_bytes: int | None) -> float:
    """How long a file may take on the way, in seconds: ten minutes and the time at 100 kB/s; None for unknown bytes."""
    return _PATIENCE_S + (_UNKNOWN_S if n_bytes is None else n_bytes / _SLOWEST_BYTES_PER_S)


def target_path(path: str | Path | None, name: str) -> Path:
    """Where a file goes: ``path``, or ``name`` in it if it is a directory, or ``name`` here."""
    target = Path(path).expanduser() if path is not None else Path.cwd()
    return target / name if target.is_dir() else target


def download(transport: Transport, path: str, target: Path, query: Mapping[str, str] | None = None) -> str:
    """Save the file behind a route; returns its SHA-256 in hexadecimal, which is the one that the service states.

    Where the connection breaks, the rest is asked for, at most 5 times in a row without progress.

    Raises:
        ProtocolError: the bytes that arrived do not have the digest that the service states.
        UnreachableError, ApiError: as for every call.
        OSError: the file cannot be written; it names ``target``.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w+b") as file:
                digest = _filled(transport, path, file, dict(query or {}))
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    return digest


def _filled(transport: Transport, path: str, file: IO[bytes], query: dict[str, str]) -> str:
    sha256, etag, stated, failures = hashlib.sha256(), "", "", 0
    while True:
        before = file.tell()
        headers = {"Range": f"bytes={before}-", "If-Range": etag} if before else {}
        call = Call("GET", path, query=query, headers=headers, timeout_s=transfer_timeout_s(None))
        try:
            with transport.open(call) as (head, chunks):
                if before and head.status != 206:  # the file is another one by now: from the start
                    sha256 = hashlib.sha256()
                    file.seek(0)
                    file.truncate()
                etag, stated = head.headers.get("etag", ""), head.headers.get("repr-digest", "")
                for chunk in chunks:
                    sha256.update(chunk)
                    file.write(chunk)
            break
        except UnreachableError:
            failures = 0 if file.tell() > before else failures + 1
            if failures >= _ATTEMPTS or not etag:
                raise
            time.sleep(_PAUSE_S * (failures + 1))
    if _stated_digest(stated) != sha256.digest():
        raise ProtocolError(
            f"The {file.tell():,} bytes that arrived from {path} do not have the digest that the service states. "
            "Download them again.",
        )
    return sha256.hexdigest()


def _stated_digest(header: str) -> bytes:
    found = _SHA256.search(header)
    try:
        return base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        return b""
