"""Files named by the SHA-256 of their bytes: written once, verified when read, in any place that fsspec reaches.

A file is first *staged* (written under another name, its digest taken on the way) and then *published* by a rename
inside the write transaction that makes a row refer to it. The transaction's lock orders publishing and removing, so a
row never refers to a file that is not there, and what no row refers to is waste that ``sweep`` may remove at any time.

In the data directory, files are synced before they are renamed and outlast a power cut. Elsewhere (``memory://``,
``s3://bucket/prefix``) a rename is what the place makes of it: on object stores a copy within the store, which appears
whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from superpose.errors import ArtifactError, RequestError
from superpose.service.names import new_id
from superpose.service.store.datadir import DataDir
from superpose.service.store.disk_errors import disk_error, is_of_the_disk

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["Artifacts", "Staged", "StagingFile", "StoredFile"]

CHUNK_BYTES = 2**20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REMEMBERED = 256
_EXTRAS = {"s3": "s3", "s3a": "s3"}


@dataclass(frozen=True)
class Staged:
    """A file on its way: the SHA-256 of its bytes, their number, and where it waits."""

    digest: str
    place: str
    n_bytes: int


@dataclass(frozen=True)
class StoredFile:
    """An artifact that was verified just now: its SHA-256, the number of its bytes, and how to read a part of them.

    ``chunks(start, stop)`` gives the bytes from ``start`` to before ``stop`` in pieces of at most a mebibyte.
    """

    digest: str
    n_bytes: int
    chunks: Callable[[int, int], Iterator[bytes]]


class StagingFile:
    """A file being written; its digest is taken on the way, so it costs no second pass and no memory."""

    def __init__(self, file: IO[bytes], place: str, *, durable: bool) -> None:
        self._file = file
        self._place = place
        self._durable = durable
        self._sha256 = hashlib.sha256()
        self.n_bytes = 0

    def write(self, content: bytes | memoryview) -> None:
        """Append bytes."""
        self._sha256.update(content)
        self.n_bytes += len(content)
        self._file.write(content)

    def finish(self) -> Staged:
        """Close the file, durable where the place allows it."""
        self._file.flush()
        if self._durable:
            os.fsync(self._file.fileno())
        self._file.close()
        return Staged(self._sha256.hexdigest(), self._place, self.n_bytes)


class Artifacts:
    """The artifacts of a service.

    Args:
        data_dir: whose ``artifacts`` directory holds them unless ``url`` says otherwise.
        url: an fsspec URL of a directory, such as ``s3://bucket/superpose``; credentials come from the environment.

    Raises:
        RequestError: no such protocol, its package is not installed, or the URL holds a password.
    """

    def __init__(self, data_dir: DataDir, url: str | None = None) -> None:
        if url is None:
            url, staging = f"file://{data_dir.artifacts}", str(data_dir.staging)
            self._files, self._root = _filesystem(url)
            self._staging = staging
        else:
            self._files, self._root = _filesystem(url)
            self._staging = f"{self._root}/.staging"
        self._local = "file" in _protocols(self._files)
        self._verified: dict[str, object] = {}
        self._sizes: dict[str, int] = {}  # of a digest's bytes, which never change
        for directory in (self._root, self._staging):
            self._files.makedirs(directory, exist_ok=True)

    @contextmanager
    def writing(self) -> Iterator[StagingFile]:
        """A file to write in pieces; ``finish`` makes it a ``Staged``. It is removed if the block fails.

        Raises:
            ArtifactError: the place cannot be written.
        """
        place = f"{self._staging}/{new_id('part')}"
        with _telling("written", place.rpartition("/")[2]):
            file: Any = self._create(place)
        try:
            with _telling("written", place.rpartition("/")[2]):
                yield StagingFile(file, place, durable=self._local)
        except BaseException:
            file.close()
            self._files.rm_file(place)
            raise

    def stage(self, content: bytes) -> Staged:
        """Write ``content`` where it is ready to be published."""
        with self.writing() as file:
            file.write(content)
            return file.finish()

    def stage_file(self, path: Path) -> Staged:
        """Copy a file on this machine to where it is ready to be published, in constant memory."""
        with self.writing() as file, path.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                file.write(chunk)
            return file.finish()

    def publish(self, staged: Staged) -> None:
        """Give a staged file its name. Call inside the write transaction that refers to it.

        One that has its name already keeps it: a transaction is tried again where the disk was full at its end.
        """
        target = self._path(staged.digest)
        with _telling("published", staged.digest[:12]):
            try:
                if self._local:
                    Path(staged.place).replace(target)
                    _sync_directory(Path(self._root))
                else:
                    self._files.mv(staged.place, target)
            except FileNotFoundError:
                if not self._files.exists(target):
                    raise

    def discard(self, staged: Staged) -> None:
        """Remove a staged file that was not published; one that was stays."""
        self._remove(staged.place)

    def size(self, digest: str) -> int:
        """How many bytes an artifact has; 0 for one whose file is gone."""
        known = self._sizes.get(digest)
        if known is None:
            try:
                known = self._sizes[digest] = int(self._files.size(self._path(digest)))
            except OSError:
                return 0
        return known

    def read(self, digest: str) -> bytes:
        """The bytes of an artifact.

        Raises:
            ArtifactError: the file is gone or its bytes have changed.
        """
        with _telling("read", digest[:12]):
            content: bytes = self._files.cat_file(self._path(digest))
        _check(digest, hashlib.sha256(content).hexdigest())
        return content

    def verify(self, digest: str) -> int:
        """Check the bytes of an artifact against its name, in constant memory; returns their number.

        A file that was verified and whose size and time of change are the same is not read again.

        Raises:
            ArtifactError: the file is gone or its bytes have changed.
        """
        with _telling("read", digest[:12]):
            info = self._files.info(self._path(digest))
        mark = tuple(str(info.get(key)) for key in ("size", "mtime", "created", "LastModified", "ETag", "ino"))
        if self._verified.get(digest) != mark:
            sha256 = hashlib.sha256()
            for chunk in self.chunks(digest):
                sha256.update(chunk)
            _check(digest, sha256.hexdigest())
            while len(self._verified) >= _REMEMBERED:
                self._verified.pop(next(iter(self._verified)), None)
            self._verified[digest] = mark
        return int(info["size"])

    def stored(self, digest: str) -> StoredFile:
        """An artifact to be read in pieces, verified.

        Raises:
            ArtifactError: the file is gone or its bytes have changed.
        """
        return StoredFile(digest, self.verify(digest), partial(self.chunks, digest))

    def chunks(self, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``stop`` in pieces of at most a mebibyte, not verified; see ``verify``.

        Raises:
            ArtifactError: the file is gone or shorter.
        """
        left = None if stop is None else stop - start
        with _telling("read", digest[:12]), self._files.open(self._path(digest), "rb", cache_type="readahead") as file:
            file.seek(start)
            while left is None or left > 0:
                chunk = file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
                if not chunk:
                    break
                left = None if left is None else left - len(chunk)
                yield chunk
        if left:
            raise ArtifactError(f"Artifact {digest[:12]} is {left:,} bytes shorter than it was.", digest=digest)

    def digests(self) -> list[str]:
        """All artifacts that are there, in order. Call inside a write transaction if none may come or go meanwhile."""
        names = [place.rstrip("/").rpartition("/")[2] for place, _ in self._listed(self._root)]
        return sorted(name for name in names if _DIGEST.fullmatch(name))

    def remove(self, digest: str) -> None:
        """Remove an artifact. Call inside a write transaction in which no row refers to it."""
        self._verified.pop(digest, None)
        self._sizes.pop(digest, None)
        self._remove(self._path(digest))

    def sweep(self, referred: Collection[str]) -> None:
        """Remove what no row refers to. Call inside a write transaction."""
        for place, _ in self._listed(self._root):
            name = place.rstrip("/").rpartition("/")[2]
            if _DIGEST.fullmatch(name) and name not in referred:
                self._remove(place)

    def clear_staging(self, older_than_s: float = 3_600.0) -> None:
        """Remove what a crash left in staging."""
        for place, info in self._listed(self._staging):
            changed: Any = info.get("mtime", info.get("LastModified", info.get("created")))
            changed_s = changed.timestamp() if hasattr(changed, "timestamp") else changed
            if isinstance(changed_s, int | float) and time.time() - changed_s > older_than_s:
                self._remove(place)

    def _create(self, place: str) -> Any:
        if self._local:
            return os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        return self._files.open(place, "wb")

    def _path(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise ArtifactError(f"{digest[:70]!r} is no digest, so no artifact has this name.", digest=digest[:70])
        return f"{self._root}/{digest}"

    def _listed(self, directory: str) -> list[tuple[str, dict[str, Any]]]:
        self._files.invalidate_cache()
        with _telling("listed", directory.rpartition("/")[2]):
            try:
                found = self._files.ls(directory, detail=True)
            except FileNotFoundError:  # object stores have no empty directories
                return []
        return [(str(info["name"]), info) for info in found if info["type"] == "file"]

    def _remove(self, place: str) -> None:
        try:
            self._files.rm_file(place)
        except FileNotFoundError:  # removed, published or never there: that is what was wanted
            return


def _filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system behind a URL, without its cache of listings, and the directory's path there."""
    import fsspec

    protocol = url.partition("://")[0] if "://" in url else "file"
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise RequestError(
            "artifact_url must hold no user or password; give credentials by the environment of the service.",
            field="artifact_url",
        )
    try:
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError:
        extra = _EXTRAS.get(protocol)
        raise RequestError(
            f"artifact_url {protocol}:// needs a package that is not installed"
            + (f": pip install superpose[{extra}]." if extra else "; see the list of fsspec's file systems."),
            field="artifact_url",
        ) from None
    except ValueError:
        raise RequestError(
            f"artifact_url has the protocol {protocol[:20]!r}, which fsspec does not know; give a directory such as "
            "file:///srv/superpose, s3://bucket/prefix.",
            field="artifact_url",
        ) from None
    return files, str(root).rstrip("/")


def _protocols(files: AbstractFileSystem) -> tuple[str, ...]:
    named = files.protocol
    return (named,) if isinstance(named, str) else tuple(named)


@contextmanager
def _telling(what: str, name: str) -> Iterator[None]:
    """Tell an operating system's or a store's error as ours."""
    try:
        yield
    except OSError as error:
        if is_of_the_disk(error):
            raise disk_error(error, f"Artifact {name} cannot be {what}") from error
        cure = " Restore it from a backup." if isinstance(error, FileNotFoundError) and what == "read" else ""
        raise ArtifactError(
            f"Artifact {name} cannot be {what}: {error.strerror or type(error).__name__}.{cure}", digest=name
        ) from error


def _check(digest: str, found: str) -> None:
    if found != digest:
        raise ArtifactError(
            f"Artifact {digest[:12]} has changed: its bytes have SHA-256 {found[:12]}. Restore it from a backup.",
            digest=digest,
            found=found,
        )


def _sync_directory(path: Path) -> None:
    """Make a rename outlast a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
