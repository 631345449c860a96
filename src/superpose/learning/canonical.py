"""Canonical JSON and files that are whole or absent: what digests, checkpoints and model files stand on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["canonical_json", "digest_bytes", "digest_json", "gone_unless_whole", "write_atomically", "write_whole"]


def canonical_json(value: Any) -> bytes:
    """The one JSON text of ``value``: sorted keys, no spaces, UTF-8, floats as their shortest exact decimals.

    Raises:
        ValueError: a number is not finite; such a document would not be JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_bytes(content: bytes) -> str:
    """Hexadecimal SHA-256 (FIPS 180-4)."""
    return hashlib.sha256(content).hexdigest()


def digest_json(value: Any) -> str:
    """Hexadecimal SHA-256 of the canonical JSON of ``value``."""
    return digest_bytes(canonical_json(value))


def write_atomically(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file so that whoever opens ``path``, even after a power cut, finds the old bytes or all of the new ones.

    The bytes go to a neighbouring file, are forced to disk, and take the name by a rename, which POSIX makes atomic.

    Args:
        path: the file.
        content: what it will hold.
        mode: its permissions; those of every new file by default.

    Raises:
        OSError: the directory cannot be written, or the disk is full; it names ``path``.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            if mode is not None:
                unfinished.chmod(mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    _sync_directory(path.parent)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a user's file whole or not at all: where the disk is full, what ``path`` held before stays.

    What is no file, such as a pipe or ``/dev/stdout``, is written to as it is; a link is followed; who may read the
    file that was there may read the new one.

    Raises:
        OSError: it cannot be written; it names ``path``.
    """
    written = content.encode() if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(written)
        else:
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
            write_atomically(path.resolve(), written, mode)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def gone_unless_whole(path: Path) -> Iterator[None]:
    """Remove the file that a block writes if the block fails: on a full disk, half of it may be what others lack."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.truncate(path, 0)  # the error may keep its writer, which has the file open, so that its room stays taken
            path.unlink()
        raise


def _sync_directory(path: Path) -> None:
    """Force a directory's entries to disk, where the system lets one open a directory."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
