"""Uploads in several requests: a file that arrives in pieces and survives broken connections and restarts.

A piece is appended where the last one ended; what arrived before a connection broke is kept. The state is the file
itself, ``uploads/<project>/<id>`` in the data directory, and its length.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from superpose.errors import ConflictError, NotFoundError
from superpose.service.config import ServiceConfig
from superpose.service.names import new_id
from superpose.service.nouns import Principal, Role, iso
from superpose.service.store.datadir import DataDir

__all__ = ["Upload", "Uploads"]

_KEPT = timedelta(days=1)
_MAX_OPEN = 20
_ID = re.compile(r"up_[a-z2-7]{12}")


@dataclass(frozen=True)
class Upload:
    """A file on its way in: ``n_bytes`` of it have arrived; it is dropped at ``expires_at`` unless more arrive."""

    id: str
    n_bytes: int
    max_bytes: int
    expires_at: datetime

    def to_json(self) -> dict[str, object]:
        """The upload as the API sends it."""
        return {
            "id": self.id,
            "offset": self.n_bytes,
            "max_bytes": self.max_bytes,
            "expires_at": iso(self.expires_at),
        }


class Uploads:
    """The uploads of a service.

    Args:
        data_dir: where they wait.
        config: limits.
    """

    def __init__(self, data_dir: DataDir, config: ServiceConfig) -> None:
        self._root = data_dir.root / "uploads"
        self._config = config
        self._busy: set[str] = set()
        self._choosing = threading.Lock()

    def create(self, principal: Principal) -> Upload:
        """Begin an upload.

        Raises:
            ForbiddenError: the caller's role is too small.
            ConflictError: the project has 20 uploads that are not finished.
        """
        principal.require(Role.EDITOR)
        self.clear()
        home = self._root / principal.project
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sum(1 for _ in home.iterdir()) >= _MAX_OPEN:
            raise ConflictError(
                f"Project {principal.project!r} has {_MAX_OPEN} uploads that are not finished. Finish or delete some.",
                max_open=_MAX_OPEN,
            )
        path = home / new_id("up")
        path.touch(mode=0o600)
        return self._upload(path)

    def get(self, principal: Principal, upload_id: str) -> Upload:
        """How much of an upload has arrived.

        Raises:
            NotFoundError: there is none in the caller's project, or it has expired.
        """
        principal.require(Role.EDITOR)
        return self._upload(self._path(principal, upload_id))

    def delete(self, principal: Principal, upload_id: str) -> None:
        """Give an upload up.

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: a piece of it is arriving just now.
        """
        with self.taking(principal, upload_id) as path:
            path.unlink(missing_ok=True)

    @contextmanager
    def appending(self, principal: Principal, upload_id: str, offset: int) -> Iterator[Path]:
        """The file, for a piece that begins at ``offset``; nobody else may have it meanwhile.

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: another number of bytes has arrived (``offset`` in the details), or a piece is arriving.
        """
        with self.taking(principal, upload_id) as path:
            n_bytes = path.stat().st_size
            if offset != n_bytes:
                raise ConflictError(
                    f"{n_bytes:,} bytes of upload {upload_id} have arrived, so the next piece begins there, not at "
                    f"{offset:,}.",
                    offset=n_bytes,
                )
            yield path

    @contextmanager
    def taking(self, principal: Principal, upload_id: str) -> Iterator[Path]:
        """The file, for one caller at a time.

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: another request has it.
        """
        principal.require(Role.EDITOR)
        path = self._path(principal, upload_id)
        with self._choosing:
            if upload_id in self._busy:
                raise ConflictError(f"Another request is working on upload {upload_id}. Wait for its end.")
            self._busy.add(upload_id)
        try:
            yield path
        finally:
            with self._choosing:
                self._busy.discard(upload_id)

    def clear(self) -> None:
        """Remove what has expired."""
        for path in self._root.glob("*/up_*"):
            try:
                expired = time.time() - path.stat().st_mtime > _KEPT.total_seconds()
                if expired and path.name not in self._busy:
                    path.unlink()
            except FileNotFoundError:  # finished or deleted just now
                continue

    def _path(self, principal: Principal, upload_id: str) -> Path:
        path = self._root / principal.project / upload_id
        if not _ID.fullmatch(upload_id) or not path.is_file():
            raise NotFoundError(
                f"There is no upload {upload_id[:40]!r} in this project; it may have expired.",
                kind="upload",
                id=upload_id[:40],
            )
        return path

    def _upload(self, path: Path) -> Upload:
        found = path.stat()
        expires_at = datetime.fromtimestamp(found.st_mtime, UTC) + _KEPT
        return Upload(path.name, found.st_size, self._config.max_dataset_bytes, expires_at)
