"""Where a fleet writes down what it has handed to whom, so that another process, or day, can go on with it."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from superpose.errors import FleetJournalError

__all__ = ["FileJournal", "Journal", "MemoryJournal"]

Document = Mapping[str, Any]


class Journal(Protocol):
    """Documents in JSON values by key. A change is whole or not there, and nobody else changes the same meanwhile."""

    def read(self, key: str) -> dict[str, Any] | None:
        """Return the document of this key, or None."""
        ...

    def change(self, key: str, change: Callable[[dict[str, Any] | None], Document]) -> dict[str, Any]:
        """Replace the document of this key by what ``change`` makes of it (None: there is none), and return that."""
        ...

    def remove(self, key: str) -> None:
        """Remove the document of this key, if there is one."""
        ...


class MemoryJournal:
    """A journal that ends with its process. For any number of threads."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._lock = threading.RLock()

    def read(self, key: str) -> dict[str, Any] | None:
        """Return the document of this key, or None."""
        with self._lock:
            text = self._texts.get(key)
        return None if text is None else json.loads(text)

    def change(self, key: str, change: Callable[[dict[str, Any] | None], Document]) -> dict[str, Any]:
        """Replace the document of this key by what ``change`` makes of it, and return that."""
        with self._lock:
            made = dict(change(self.read(key)))
            self._texts[key] = json.dumps(made)
        return made

    def remove(self, key: str) -> None:
        """Remove the document of this key, if there is one."""
        with self._lock:
            self._texts.pop(key, None)


class FileJournal:
    """A journal in a directory: a file for each key, replaced whole and synced, with a lock beside it.

    Args:
        directory: Made, for its owner alone, where it is not there.

    Raises:
        FleetJournalError: It cannot be used.
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)
        try:
            for above in reversed(self._directory.parents):
                if not above.exists():
                    above.mkdir(mode=0o700, exist_ok=True)  # a service may keep its data there one day
            self._directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise FleetJournalError(f"{self._directory} cannot be used: {error.strerror or error}.") from None
        self._threads = threading.RLock()

    def read(self, key: str) -> dict[str, Any] | None:
        """Return the document of this key, or None.

        Raises:
            FleetJournalError: Its file cannot be read.
        """
        path = self._path(key)
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise FleetJournalError(f"{path} cannot be read: {error}.") from None
        return document

    def change(self, key: str, change: Callable[[dict[str, Any] | None], Document]) -> dict[str, Any]:
        """Replace the document of this key by what ``change`` makes of it, and return that.

        Raises:
            FleetJournalError: Its file cannot be read or written.
        """
        import fcntl  # of POSIX systems; a MemoryJournal serves elsewhere

        path = self._path(key)
        try:
            opened = path.with_suffix(".lock").open("w")
        except OSError as error:
            raise FleetJournalError(f"{path} cannot be written: {error.strerror or error}.") from None
        with self._threads, opened as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = dict(change(self.read(key)))
            self._write(path, json.dumps(made))
        return made

    def remove(self, key: str) -> None:
        """Remove the document of this key, if there is one, and its lock."""
        path = self._path(key)
        with self._threads:
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)

    def _write(self, path: Path, text: str) -> None:
        try:
            handle, name = tempfile.mkstemp(dir=self._directory, prefix=".new-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            directory = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise FleetJournalError(f"{path} cannot be written: {error.strerror or error}.") from None

    def _path(self, key: str) -> Path:
        """The file of a key, which may hold anything."""
        return self._directory / f"{sha256(key.encode()).hexdigest()[:40]}.json"
