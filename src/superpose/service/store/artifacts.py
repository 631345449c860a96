"""Files named by the SHA-256 of their bytes: written once, verified when read.

A file is first *staged* (written and synced under another name) and then *published* by a rename inside the write
transaction that makes a row refer to it. The transaction's lock orders publishing and removing, so a row never refers
to a file that is not there, and what no row refers to is waste that ``sweep`` may remove at any time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from superpose.errors import ArtifactError
from superpose.service.names import new_id
from superpose.service.store.datadir import DataDir
from superpose.trust import sha256_bytes

__all__ = ["Artifacts", "Staged"]


@dataclass(frozen=True)
class Staged:
    """A file on its way: the SHA-256 of its bytes, and where it waits."""

    digest: str
    path: Path

    @property
    def n_bytes(self) -> int:
        """How many bytes it has."""
        return self.path.stat().st_size


class Artifacts:
    """The artifacts of a data directory."""

    def __init__(self, data_dir: DataDir) -> None:
        self._directory = data_dir.artifacts
        self._staging = data_dir.staging
        self._sizes: dict[str, int] = {}  # of a digest's bytes, which never change

    def stage(self, content: bytes) -> Staged:
        """Write ``content`` where it outlasts a power cut, ready to be published."""
        path = self._staging / new_id("part")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return Staged(sha256_bytes(content), path)

    def publish(self, staged: Staged) -> None:
        """Give a staged file its name. Call inside the write transaction that refers to it."""
        staged.path.replace(self.path(staged.digest))
        _sync_directory(self._directory)

    def discard(self, staged: Staged) -> None:
        """Remove a staged file that was not published; one that was stays."""
        staged.path.unlink(missing_ok=True)

    def path(self, digest: str) -> Path:
        """Where the artifact stands."""
        return self._directory / digest

    def read(self, digest: str) -> bytes:
        """The bytes of an artifact.

        Raises:
            ArtifactError: the file is gone or its bytes have changed.
        """
        try:
            content = self.path(digest).read_bytes()
        except OSError as error:
            raise ArtifactError(f"Artifact {digest[:12]} cannot be read: {error.strerror}.", digest=digest) from error
        found = sha256_bytes(content)
        if found != digest:
            raise ArtifactError(
                f"Artifact {digest[:12]} has changed: its bytes have SHA-256 {found[:12]}. Restore it from a backup.",
                digest=digest,
                found=found,
            )
        return content

    def size(self, digest: str) -> int:
        """How many bytes an artifact has; 0 for one whose file is gone."""
        known = self._sizes.get(digest)
        if known is None:
            try:
                known = self._sizes[digest] = self.path(digest).stat().st_size
            except OSError:
                return 0
        return known

    def remove(self, digest: str) -> None:
        """Remove an artifact. Call inside a write transaction in which no row refers to it."""
        self.path(digest).unlink(missing_ok=True)
        self._sizes.pop(digest, None)

    def sweep(self, referred: Collection[str]) -> None:
        """Remove what no row refers to. Call inside a write transaction."""
        for path in self._directory.iterdir():
            if path.name not in referred:
                path.unlink(missing_ok=True)

    def clear_staging(self, older_than_s: float = 3_600.0) -> None:
        """Remove what a crash left in staging."""
        for path in self._staging.iterdir():
            try:
                if time.time() - path.stat().st_mtime > older_than_s:
                    path.unlink()
            except FileNotFoundError:  # published or discarded just now
                continue


def _sync_directory(path: Path) -> None:
    """Make a rename outlast a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
