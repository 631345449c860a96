"""Canonical JSON and files that are whole or absent: what digests, checkpoints and model files stand on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

__all__ = ["canonical_json", "digest_bytes", "digest_json", "write_atomically"]


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


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that whoever opens ``path``, even after a power cut, finds the old bytes or all of the new ones.

    The bytes go to a neighbouring file, are forced to disk, and take the name by a rename, which POSIX makes atomic.

    Raises:
        OSError: the directory cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Force a directory's entries to disk, where the system lets one open a directory."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
