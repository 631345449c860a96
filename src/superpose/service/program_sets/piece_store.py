"""The pieces of a program set that are done, each in a file of its own that is whole or does not count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superpose.learning.canonical import write_atomically
from superpose.trust import sha256_bytes

__all__ = ["PieceStore"]


class PieceStore:
    """Pieces in a directory, by number; each file begins with the SHA-256 of what follows.

    Beside them stands which piece is being tried, and in which attempt: who finds that after a crash knows the suspect.

    Args:
        directory: made if absent.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._trying = directory / "trying.json"
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, number: int, content: bytes) -> None:
        """Keep the results of a piece."""
        self._seal(self._path(number, "npz"), content)

    def write_failure(self, number: int, failure: Mapping[str, Any]) -> None:
        """Keep why a piece has no results."""
        self._seal(self._path(number, "json"), json.dumps(failure).encode())

    def read(self, number: int) -> bytes | None:
        """The results of a piece; None if they are not there or damaged."""
        return _unsealed(self._path(number, "npz"))

    def has(self, number: int) -> bool:
        """Whether there is a file with results of a piece, damaged or not."""
        return self._path(number, "npz").exists()

    def failure(self, number: int) -> dict[str, Any] | None:
        """Why a piece has no results; None if nothing is known of that."""
        content = _unsealed(self._path(number, "json"))
        return None if content is None else json.loads(content)

    def begin(self, number: int, attempt: int, n_crashes: int) -> None:
        """Note that a piece is about to be tried. Not synced: a power cut is nobody's fault."""
        self._trying.write_text(json.dumps([number, attempt, n_crashes]))

    def end(self) -> None:
        """Note that the piece in hand is done with."""
        self._trying.unlink(missing_ok=True)

    def left_off(self) -> tuple[int, int, int] | None:
        """Number, attempt and earlier crashes of the piece that an attempt was trying when it ended; None if none."""
        try:
            number, attempt, n_crashes = map(int, json.loads(self._trying.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return number, attempt, n_crashes

    def _seal(self, path: Path, content: bytes) -> None:
        write_atomically(path, f"{sha256_bytes(content)}\n".encode() + content)

    def _path(self, number: int, form: str) -> Path:
        return self._directory / f"{number:08d}.{form}"


def _unsealed(path: Path) -> bytes | None:
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    return content if sha256_bytes(content).encode() == digest else None
