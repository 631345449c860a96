"""A backup of store and artifacts that belong together, made while the server and its workers run.

The store's write lock is held for as long as it takes to begin a read of one state of the store and to link the
artifacts beside: nothing is published or removed in between, so that state refers to exactly these files. SQLite's
backup interface then copies the state, however much is written meanwhile.

A backup is a tar file::

    superpose.sqlite      the store
    keys/admin.key        the first admin key, a secret
    keys/webhooks.key     the root of webhooks' secrets, if there is one
    artifacts/<sha256>    data sets and model files
    manifest.json         release, schema version, and SHA-256 and size of each file above
    manifest.sha256       SHA-256 of the manifest

Checkpoints of running jobs are not in it: a job that ran begins its attempt anew where the backup is restored.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, cast

import superpose
from superpose.errors import ArtifactError, BackupError
from superpose.service.nouns import Clock, iso, utc_now
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.datadir import DataDir
from superpose.service.store.disk_errors import is_of_the_disk
from superpose.service.store.migrations import SCHEMA_VERSION
from superpose.service.store.referred import owners_of_all

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "MANIFEST",
    "MANIFEST_DIGEST",
    "BackupReport",
    "artifacts_of",
    "make_backup",
    "missing_of",
]

FORMAT: Final = "superpose.backup"
FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
MANIFEST_DIGEST: Final = "manifest.sha256"
STORE: Final = "superpose.sqlite"
CHUNK_BYTES: Final = 1024 * 1024
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PAGES_AT_ONCE: Final = 2_000
_LEFT_OVER_S: Final = 24 * 3_600.0
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}
_OF_THE_DISK: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


@dataclass(frozen=True)
class BackupReport:
    """What a backup holds, or what was restored from one.

    ``missing`` are the artifacts that the store names and that are not there, each with what it is.
    """

    path: Path
    release: str
    schema_version: int
    created_at: datetime
    n_files: int
    n_bytes: int
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The report as JSON values."""
        return {
            "path": str(self.path),
            "release": self.release,
            "schema_version": self.schema_version,
            "created_at": iso(self.created_at),
            "n_files": self.n_files,
            "n_bytes": self.n_bytes,
            "missing": list(self.missing),
        }


def make_backup(
    data_dir: Path,
    target: Path,
    *,
    artifact_url: str | None = None,
    busy_timeout_s: float = 15.0,
    clock: Clock = utc_now,
) -> BackupReport:
    """Write a backup of a data directory, whether or not a server runs on it. The file appears whole or not at all.

    Args:
        data_dir: the service's data directory.
        target: the tar file to make, mode 0600; it must not exist.
        artifact_url: where artifacts lie, as in the settings; None for the data directory. Elsewhere nothing keeps an
            artifact from being removed meanwhile; the backup then fails and has to be made again.
        busy_timeout_s: how long to wait for a write that is under way.
        clock: what tells the time.

    Raises:
        BackupError: no data directory there, the target exists or cannot be written, the store is busy or damaged, or
            an artifact's bytes have changed.

    Cost: disk space of the store twice and of the artifacts once, beside the target; writes wait for the linking of the
    artifacts, some tens of microseconds each.
    """
    target = target.expanduser().absolute()
    if not (data_dir / STORE).is_file():
        raise BackupError(f"There is no superpose data in {data_dir}; name the service's data directory.")
    if target.exists():
        raise BackupError(f"{target} exists and is not overwritten; choose another name.", path=str(target))
    try:
        with _room_beside(target) as room:
            created_at = clock()
            remote = None if artifact_url is None else Artifacts(DataDir(data_dir), artifact_url)
            with _held(data_dir, busy_timeout_s, room, remote) as artifacts:
                version, named = _store_version(room / STORE), artifacts_of(room / STORE)
                with _Archive(room / "backup.tar") as made:
                    made.add(STORE, room / STORE)
                    for name in ("keys/admin.key", "keys/webhooks.key"):
                        if (data_dir / name).is_file():
                            made.add(name, data_dir / name)
                    for digest, path in artifacts:
                        if remote is None:
                            made.add(f"artifacts/{digest}", path, expected=digest, what=named.get(digest))
                        else:
                            made.add_remote(remote, digest)
                    facts = (superpose.__version__, version, created_at, len(made.files), made.n_bytes)
                    report = BackupReport(target, *facts, missing_of(named, (digest for digest, _ in artifacts)))
                    made.finish(report)
            (room / "backup.tar").replace(target)
            _sync_directory(target.parent)
    except OSError as error:
        cure = (
            " It takes the store twice and the artifacts once; choose another place." if is_of_the_disk(error) else ""
        )
        what = f"Backup {target} cannot be written: {error.strerror or error}."
        raise BackupError(what + cure, path=str(target)) from error
    except sqlite3.Error as error:
        at_rest = " Where no server runs, a plain copy of the directory is a backup too."
        cure = at_rest if getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_DISK else ""
        raise BackupError(f"The store of {data_dir} cannot be copied: {error}.{cure}", path=str(data_dir)) from error
    return report


class _Archive:
    """A tar file written in one pass, with what its manifest will say."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # finish() closes it
        self.files: list[dict[str, object]] = []
        self.n_bytes = 0

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, path: Path, *, expected: str | None = None, what: str | None = None) -> None:
        """Add a file, hashing what is written."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            raise BackupError(f"{name} was removed while the backup was made; make it again.", path=name) from None
        with source:
            self._add(name, os.fstat(source.fileno()).st_size, source, expected, what)

    def add_remote(self, artifacts: Artifacts, digest: str) -> None:
        """Add an artifact that lies elsewhere."""
        name = f"artifacts/{digest}"
        try:
            source = cast("IO[bytes]", _Chunks(artifacts.chunks(digest)))
            self._add(name, artifacts.size(digest), source, digest)
        except ArtifactError as error:
            raise BackupError(f"{name}: {error.message} No backup was made; make it again.", path=name) from error

    def _add(self, name: str, size: int, source: IO[bytes], expected: str | None, what: str | None = None) -> None:
        hashing = _Hashing(source)
        self._tar.addfile(_member(name, size), hashing)
        digest = hashing.digest.hexdigest()
        if expected is not None and digest != expected:
            raise BackupError(
                f"{name} has changed: its bytes have SHA-256 {digest[:12]}. Put it back from an older backup, or "
                f"delete {what or 'the data set or model that it belongs to'}; no backup was made.",
                path=name,
                found=digest,
            )
        self.files.append({"path": name, "n_bytes": size, "sha256": digest})
        self.n_bytes += size

    def finish(self, report: BackupReport) -> None:
        """Write the manifest and have everything on the disk."""
        document = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "release": report.release,
            "schema_version": report.schema_version,
            "created_at": iso(report.created_at),
            "files": self.files,
        }
        text = json.dumps(document, indent=1).encode()
        for name, content in ((MANIFEST, text), (MANIFEST_DIGEST, hashlib.sha256(text).hexdigest().encode())):
            self._tar.addfile(_member(name, len(content)), io.BytesIO(content))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())


class _Hashing:
    """A file being read, and the digest of what was read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = self._source.read(size)
        self.digest.update(content)
        return content


class _Chunks:
    """Pieces of bytes as a file to read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next bytes."""
        while len(self._rest) < size and (chunk := next(self._chunks, b"")):
            self._rest += chunk
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


def _member(name: str, size: int) -> Any:
    """A tar header that tells nothing of this machine's users."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    return member


@contextlib.contextmanager
def _held(
    data_dir: Path, busy_timeout_s: float, room: Path, remote: Artifacts | None
) -> Iterator[list[tuple[str, Path]]]:
    """Copy one state of the store into ``room``, and give the artifacts that belong to it, kept from removal."""
    holding = data_dir / f".backup-{room.name.rpartition('.')[2]}"
    _remove_left_over(data_dir)
    try:
        with contextlib.closing(_connect(data_dir / STORE, busy_timeout_s)) as reading:
            with contextlib.closing(_connect(data_dir / STORE, busy_timeout_s)) as locking:
                locking.execute("BEGIN IMMEDIATE")
                reading.execute("BEGIN")
                reading.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the state is chosen by this read
                if remote is None:
                    artifacts = _link(data_dir / "artifacts", holding)
                else:
                    artifacts = [(digest, Path(digest)) for digest in remote.digests()]
                locking.execute("ROLLBACK")
            _copy_store(reading, room / STORE)
        yield artifacts
    finally:
        shutil.rmtree(holding, ignore_errors=True)


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", timeout=busy_timeout_s, isolation_level=None, uri=True
    )


def _link(artifacts: Path, holding: Path) -> list[tuple[str, Path]]:
    """Every artifact under a second name that no removal takes away; under its own where the disk has no links.

    Nor does a full one, whose data are the most in need of a backup elsewhere.
    """
    names = sorted(path.name for path in artifacts.iterdir() if _DIGEST.fullmatch(path.name))
    found = []
    for name in names:
        place = holding / name
        try:
            holding.mkdir(mode=0o700, exist_ok=True)
            os.link(artifacts / name, place)
        except OSError as error:
            if error.errno not in _NO_LINKS and not is_of_the_disk(error):
                raise
            place = artifacts / name
        found.append((name, place))
    return found


def _copy_store(reading: sqlite3.Connection, path: Path) -> None:
    """Copy the state that ``reading`` has begun to read, as a single file, and check it."""
    path.touch(0o600)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as copy:
        try:
            reading.backup(copy, pages=_PAGES_AT_ONCE)
            copy.execute("PRAGMA journal_mode=DELETE").fetchone()  # without side files; the server turns it back
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error  # of the disk that the backup goes to
        said = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise BackupError(f"The store is damaged: {said}. No backup was made; restore the newest one that there is.")


def artifacts_of(store: Path) -> dict[str, str]:
    """Digest of each artifact that a store of this release names -> what it is; of another's schema none are known."""
    if _store_version(store) != SCHEMA_VERSION:
        return {}
    with contextlib.closing(sqlite3.connect(store)) as connection:
        return owners_of_all(connection)


def missing_of(named: Mapping[str, str], there: Iterable[str]) -> tuple[str, ...]:
    """The files of artifacts that a store names and that are not ``there``, each with what it is."""
    return tuple(f"artifacts/{digest}, {named[digest]}" for digest in sorted(set(named).difference(there)))


def _store_version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0])


def _remove_left_over(data_dir: Path) -> None:
    """Remove what a killed backup left."""
    for path in data_dir.glob(".backup-*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT_OVER_S:
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _room_beside(target: Path) -> Iterator[Path]:
    """A private directory on the target's disk, so that the last step is a rename."""
    room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _sync_directory(path: Path) -> None:
    """Make a rename outlast a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
