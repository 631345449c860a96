"""The directory in which everything lasts: who may read it, where things stand, and which server owns it.

::

    superpose.sqlite       the store
    keys/admin.key         the first admin key, minted on the first start
    keys/webhooks.key      the root of webhooks' secrets, made with the first webhook
    artifacts/<sha256>     data sets and model files, named by the SHA-256 of their bytes
    staging/               files on their way to artifacts/
    jobs/<id>/<attempt>/   checkpoints of a running job
    logs/                  what workers say
    cpu/                   tokens of the CPU budget
    server.lock            held by the server that owns the directory
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from superpose.errors import StoreError
from superpose.service.store.disk_errors import disk_error

try:
    import fcntl
except ImportError:  # Windows has no flock; the store's own locks still keep the data whole
    fcntl = None  # type: ignore[assignment]  # absent there

__all__ = ["DataDir"]

_PARTS = ("keys", "artifacts", "staging", "jobs", "logs", "cpu")


class DataDir:
    """A service's data directory.

    Raises:
        StoreError: it cannot be created, or holds something else.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database_path = root / "superpose.sqlite"
        self.admin_key_path = root / "keys" / "admin.key"
        self.webhook_root_path = root / "keys" / "webhooks.key"
        self.artifacts = root / "artifacts"
        self.staging = root / "staging"
        self.jobs = root / "jobs"
        self.logs = root / "logs"
        self.cpu = root / "cpu"
        self._lock: IO[str] | None = None
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.database_path.exists() and not self._is_unused():
                raise StoreError(
                    f"Directory {root} is not empty and holds no superpose data. Choose an empty or new directory.",
                    path=str(root),
                )
            root.chmod(0o700)
            for part in _PARTS:
                (root / part).mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise disk_error(error, f"Data directory {root} cannot be used") from error

    def _is_unused(self) -> bool:
        """Whether nothing is there, or no more than a start that found no room for a store has left."""
        left = [path for path in self.root.iterdir() if path.name != "server.lock"]
        return all(path.name in _PARTS and path.is_dir() and not any(path.iterdir()) for path in left)

    def lock(self) -> None:
        """Own the directory until ``unlock`` or the end of the process, however it ends.

        Raises:
            StoreError: another server owns it, or the disk takes no more.
        """
        try:
            file = os.fdopen(os.open(self.root / "server.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
        except OSError as error:
            raise disk_error(error, f"Data directory {self.root} cannot be locked") from error
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                owner = file.read(20).strip()
                file.close()
                raise StoreError(
                    f"Data directory {self.root} is in use by another server{f' (process {owner})' if owner else ''}. "
                    "Stop it, or use another directory.",
                    path=str(self.root),
                ) from None
        try:
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        except OSError as error:
            with suppress(OSError):  # what could not be written is tried once more
                file.close()
            raise disk_error(error, f"File {self.root / 'server.lock'} cannot be written") from error
        self._lock = file

    def unlock(self) -> None:
        """Let another server own the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def attempt_directory(self, job_id: str, attempt: int) -> Path:
        """The directory of an attempt; it takes over what the newest attempt before it left.

        Taking over is a rename, so an earlier worker that wakes up again no longer finds the files it would spoil.
        """
        home = self.jobs / job_id
        home.mkdir(exist_ok=True, mode=0o700)
        own = home / str(attempt)
        earlier = (int(path.name) for path in home.iterdir() if path.name.isdigit() and int(path.name) < attempt)
        for before in sorted(earlier, reverse=True):
            if own.exists():
                break
            try:
                (home / str(before)).rename(own)
            except OSError:  # its worker, or another attempt's, was quicker
                continue
        own.mkdir(exist_ok=True, mode=0o700)
        return own

    def remove_job(self, job_id: str) -> None:
        """Remove the checkpoints of a job that has ended."""
        shutil.rmtree(self.jobs / job_id, ignore_errors=True)

    def job_ids(self) -> Sequence[str]:
        """Jobs that have checkpoints here."""
        return [path.name for path in self.jobs.iterdir()]
