"""A data directory made from a backup: everything is checked before anything is in its place."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from superpose.errors import BackupError
from superpose.service.nouns import iso, utc_now
from superpose.service.operations.backup import (
    CHUNK_BYTES,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    MANIFEST_DIGEST,
    STORE,
    BackupReport,
    artifacts_of,
    missing_of,
)
from superpose.service.operations.restored import leave_note
from superpose.service.store.datadir import DataDir
from superpose.service.store.migrations import SCHEMA_VERSION

__all__ = ["restore_backup"]

_ALLOWED: Final = re.compile(
    rf"{re.escape(STORE)}|keys/(?:admin|webhooks)\.key|artifacts/[0-9a-f]{{64}}|{re.escape(MANIFEST)}|{re.escape(MANIFEST_DIGEST)}"
)
_NOTHING: Final = "Nothing was restored; take another backup."


def restore_backup(source: Path, target: Path) -> BackupReport:
    """Make a data directory from a backup. It appears whole and checked, or not at all.

    Args:
        source: the backup, as ``make_backup`` wrote it.
        target: the directory to make; it must be empty or not exist.

    Raises:
        BackupError: the target holds something; the backup cannot be read, was made by a newer release, or a file in
            it is damaged, which the message names.
    """
    source, target = source.expanduser().absolute(), target.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(
            f"{target} is not an empty directory; a backup is restored into an empty or new one.", path=str(target)
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            with source.open("rb") as file:
                found = _unpack(file, room)
            manifest = _read_manifest(room)
            _check_files(manifest, found)
            _check_store(room / STORE)
            missing = missing_of(artifacts_of(room / STORE), (Path(name).name for name in found))
            (room / MANIFEST).unlink()
            (room / MANIFEST_DIGEST).unlink()
            DataDir(room)  # the directories that a backup leaves out
            made = {"created_at": str(manifest["created_at"]), "release": str(manifest["release"])}
            leave_note(room, **made, restored_at=str(iso(utc_now())))
            _sync(room)
            room.rename(target)  # over an empty directory too
        finally:
            shutil.rmtree(room, ignore_errors=True)
    except OSError as error:
        place = error.filename or source
        raise BackupError(f"{place} cannot be read or written: {error.strerror or error}.", path=str(place)) from error
    return BackupReport(
        target,
        str(manifest["release"]),
        int(manifest["schema_version"]),
        datetime.fromisoformat(manifest["created_at"]),
        len(manifest["files"]),
        sum(item["n_bytes"] for item in manifest["files"]),
        missing,
    )


def _unpack(file: IO[bytes], room: Path) -> dict[str, tuple[int, str]]:
    """Write the archive's files; size and SHA-256 of each."""
    found: dict[str, tuple[int, str]] = {}
    last = "its beginning"
    try:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                last = member.name
                if not member.isreg() or not _ALLOWED.fullmatch(member.name) or member.name in found:
                    raise BackupError(
                        f"The backup holds {member.name[:100]!r}, which no backup has. {_NOTHING}", path=member.name
                    )
                found[member.name] = _write(archive, member, room / member.name)
    except tarfile.TarError as error:
        raise BackupError(f"The backup is damaged at {last}: {error}. {_NOTHING}", path=last) from error
    if MANIFEST not in found or MANIFEST_DIGEST not in found:
        raise BackupError(f"The backup is damaged: it ends after {last}, before its manifest. {_NOTHING}", path=last)
    return found


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> tuple[int, str]:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest, n_bytes = hashlib.sha256(), 0
    source = archive.extractfile(member)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in _chunks(source):
            file.write(chunk)
            digest.update(chunk)
            n_bytes += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if n_bytes != member.size:
        raise tarfile.ReadError("unexpected end of data")
    return n_bytes, digest.hexdigest()


def _chunks(source: IO[bytes] | None) -> Iterator[bytes]:
    while source is not None and (chunk := source.read(CHUNK_BYTES)):
        yield chunk


def _read_manifest(room: Path) -> dict[str, Any]:
    text = (room / MANIFEST).read_bytes()
    stated = (room / MANIFEST_DIGEST).read_text(encoding="ascii", errors="replace").strip()
    if hashlib.sha256(text).hexdigest() != stated:
        raise BackupError(f"{MANIFEST} in the backup is damaged. {_NOTHING}", path=MANIFEST)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise BackupError(f"{MANIFEST} in the backup is not a JSON object. {_NOTHING}", path=MANIFEST)
    if document.get("format") != FORMAT or document.get("version") != FORMAT_VERSION:
        raise BackupError(
            f"The backup has format {document.get('format')!r}, version {document.get('version')!r}; this release "
            f"reads {FORMAT!r}, version {FORMAT_VERSION}. Restore it with the release that made it "
            f"({document.get('release', 'unknown')})."
        )
    if not _is_whole(document):
        raise BackupError(f"{MANIFEST} in the backup does not say all that it must. {_NOTHING}", path=MANIFEST)
    if document["schema_version"] > SCHEMA_VERSION:
        raise BackupError(
            f"The backup was made by superpose {document['release']} with schema version {document['schema_version']}; "
            f"this release reads up to {SCHEMA_VERSION}. Restore it with the newer release.",
            found=document["schema_version"],
        )
    return document


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Whether the manifest has all its fields, each of its kind."""
    try:
        datetime.fromisoformat(manifest["created_at"])
        stated = [(type(item["path"]), type(item["n_bytes"]), type(item["sha256"])) for item in manifest["files"]]
    except (KeyError, TypeError, ValueError):
        return False
    plain = type(manifest.get("release")) is str and type(manifest.get("schema_version")) is int
    return plain and set(stated) <= {(str, int, str)}


def _check_files(manifest: dict[str, Any], found: dict[str, tuple[int, str]]) -> None:
    """Hold every file against the manifest, and every artifact against its name."""
    stated = {item["path"]: (item["n_bytes"], item["sha256"]) for item in manifest["files"]}
    for path in sorted({*stated, *found} - {MANIFEST, MANIFEST_DIGEST}):
        if path not in found:
            raise BackupError(f"{path} is missing in the backup. {_NOTHING}", path=path)
        if path not in stated:
            raise BackupError(f"{path} is in the backup but not in its manifest. {_NOTHING}", path=path)
        digest = found[path][1]
        if found[path] != stated[path] or (path.startswith("artifacts/") and digest != path.partition("/")[2]):
            raise BackupError(
                f"{path} in the backup is damaged: its bytes have SHA-256 {digest[:12]}, the manifest states "
                f"{stated[path][1][:12]}. {_NOTHING}",
                path=path,
                found=digest,
            )


def _check_store(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise BackupError(f"{STORE} in the backup is damaged: {said}. {_NOTHING}", path=STORE)


def _sync(room: Path) -> None:
    """Have the directories on the disk, as the files already are."""
    if os.name != "posix":
        return
    for path in (room, *(part for part in room.iterdir() if part.is_dir()), room.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
