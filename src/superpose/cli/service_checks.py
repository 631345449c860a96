"""What `superpose doctor` looks at around a service: its settings, data, store, clock, certificate and port."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from superpose.cli.checks import Check
from superpose.cli.health import probe
from superpose.cli.settings import Settings
from superpose.client import running_service

__all__ = ["SERVICE_CHECKS"]

MIN_DISK_BYTES: Final = 200_000_000
LOW_DISK_BYTES: Final = 2_000_000_000
LOW_DAYS: Final = 21
_CLOCK_SAMPLE_S: Final = 0.2
_MAX_DRIFT_S: Final = 0.05
_MAX_AHEAD_S: Final = 5.0
_NOT_BEFORE: Final = datetime(2026, 1, 1, tzinfo=UTC)


def configuration(settings: Settings) -> Check:
    """Where settings come from."""
    origins: dict[str, int] = {}
    for value in settings.changed():
        origins[value.origin] = origins.get(value.origin, 0) + 1
    said = ", ".join(f"{count} from {origin}" for origin, count in sorted(origins.items()))
    file = settings.file or "no file"
    return Check("configuration", "ok", f"{file}; {said or 'all settings at their defaults'}")


def disk(settings: Settings) -> Check:
    """Enough room where data are kept."""
    place = _existing(settings.service.data_dir)
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:.1f} GB free at {place}"
    if free < MIN_DISK_BYTES:
        return Check(
            "disk", "fail", said, f"superpose needs {MIN_DISK_BYTES / 1e9:g} GB: free some, or another data_dir"
        )
    low = free < LOW_DISK_BYTES
    return Check("disk", "warn" if low else "ok", said, "superpose prune, or a larger disk" if low else None)


def data_directory(settings: Settings) -> Check:
    """The data directory is private and can be written."""
    path, name = settings.service.data_dir, "data directory"
    if not path.exists():
        parent = _existing(path)
        if not os.access(parent, os.W_OK | os.X_OK):
            return Check(name, "fail", f"{path} cannot be made: {parent} is not writable", "use --data-dir")
        return Check(name, "ok", f"{path} (made at the first `superpose serve`)")
    facts = path.stat()
    if not stat.S_ISDIR(facts.st_mode) or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Check(name, "fail", f"{path} cannot be read and written by this user", "run as its owner, or --data-dir")
    from superpose.service.store.disk_errors import unwritable

    if (error := unwritable(path)) is not None:
        said = f"no file can be written in {path}: {error.strerror}"
        return Check(name, "fail", said, "free some space, or mount the disk for writing (see the system's log)")
    if os.name == "posix":
        for part in (path, path / "superpose.sqlite", path / "keys" / "admin.key"):
            mode = stat.S_IMODE(part.stat().st_mode) if part.exists() else 0
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                said = f"{part} has mode {mode:04o}, others can reach it"
                return Check(name, "fail", said, f"chmod {'700' if part.is_dir() else '600'} {part}")
    return Check(name, "ok", str(path))


def store(settings: Settings) -> Check:
    """The store is whole, and its schema one that this release reads."""
    from superpose.service.store.migrations import SCHEMA_VERSION

    path = settings.service.data_dir / "superpose.sqlite"
    if not path.exists():
        return Check("store", "ok", "none yet")
    with contextlib.closing(_read_only(path)) as connection:
        said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if said != "ok":
            return Check("store", "fail", f"{path} is damaged: {said}", "stop the server and restore the newest backup")
        found, release = connection.execute(
            "SELECT version, release FROM schema_version ORDER BY version DESC LIMIT 1"
        ).fetchone()
    facts = f"whole, {path.stat().st_size / 1e6:.1f} MB, schema version {found}"
    if found > SCHEMA_VERSION:
        said = f"{facts}, written by superpose {release}; this release reads up to {SCHEMA_VERSION}"
        return Check("store", "fail", said, f"run superpose {release} or newer")
    if found < SCHEMA_VERSION:
        return Check("store", "warn", f"{facts} of {SCHEMA_VERSION}", "make a backup; the next start brings it up")
    return Check("store", "ok", facts)


def artifacts(settings: Settings) -> Check:
    """Every data set and model file that the store names is there."""
    path = settings.service.data_dir / "superpose.sqlite"
    if not path.exists():
        return Check("artifacts", "ok", "none yet")
    if getattr(settings.service, "artifact_url", None):
        return Check("artifacts", "ok", "kept outside the data directory; not looked at")
    from superpose.service.store.migrations import SCHEMA_VERSION
    from superpose.service.store.referred import owners_of_all

    with contextlib.closing(_read_only(path)) as connection:
        if connection.execute("SELECT max(version) FROM schema_version").fetchone()[0] != SCHEMA_VERSION:
            return Check("artifacts", "ok", "not looked at: the store has another release's schema")
        named = owners_of_all(connection)
    missing = sorted(name for name in named if not (settings.service.data_dir / "artifacts" / name).is_file())
    if missing:
        first = f"artifacts/{missing[0]}, {named[missing[0]]}"
        said = f"{len(missing)} of {len(named)} are gone, the first is {first}"
        return Check("artifacts", "fail", said, "put them back from a backup, under the same names")
    return Check("artifacts", "ok", f"all {len(named)} are there")


def clock(settings: Settings) -> Check:
    """The clock is set, runs evenly, agrees with the disk's, and has not been put back since the last write."""
    data_dir = settings.service.data_dir
    advice = "have the time synchronised (chrony, systemd-timesyncd)"
    now = datetime.now(UTC)
    if now < _NOT_BEFORE:
        return Check("clock", "fail", f"it says {now:%Y-%m-%d %H:%M} UTC, before this release was made", advice)
    last = _last_write(data_dir / "superpose.sqlite")
    if last is not None and (last - now).total_seconds() > _MAX_AHEAD_S:
        ahead_s = (last - now).total_seconds()
        return Check("clock", "fail", f"the store was written {ahead_s:,.0f} s in the future of this clock", advice)
    wall_s, steady_s = time.time(), time.monotonic()
    time.sleep(_CLOCK_SAMPLE_S)
    drift_s = (time.time() - wall_s) - (time.monotonic() - steady_s)
    if abs(drift_s) > _MAX_DRIFT_S:
        return Check(
            "clock", "warn", f"it moved {drift_s * 1e3:+.0f} ms in {_CLOCK_SAMPLE_S} s while we looked", advice
        )
    try:
        with tempfile.NamedTemporaryFile(dir=data_dir if data_dir.is_dir() else None) as file:
            file.write(b"x")
            file.flush()
            apart_s = os.fstat(file.fileno()).st_mtime - time.time()
    except OSError:  # told of the data directory
        return Check("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC, even; the disk's cannot be asked")
    if abs(apart_s) > _MAX_AHEAD_S:
        return Check(
            "clock", "warn", f"the disk's clock is {apart_s:+.0f} s off this one's", "synchronise both machines"
        )
    return Check("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC, even, and the disk agrees")


def certificate(settings: Settings) -> Check:
    """The certificate can be used and does not end soon."""
    server = settings.server
    if server.tls_certificate is None or server.tls_key is None:
        said = f"none: {server.host} is served without TLS"
        return Check("certificate", "ok", said + (f" ({server.behind_proxy})" if server.behind_proxy else ""))
    from superpose.api import Tls

    ends_at = Tls(server.tls_certificate, server.tls_key).ends_at()
    days = (ends_at - datetime.now(UTC)).days
    said = f"{server.tls_certificate} is good until {ends_at:%Y-%m-%d}"
    if days < LOW_DAYS:
        return Check("certificate", "warn", f"{said}, {days} days", "renew it, then send the server SIGHUP")
    return Check("certificate", "ok", said)


def port(settings: Settings) -> Check:
    """A port on 127.0.0.1 can be opened and reached; whether the service's own is free."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()[:2], 2),
        ):
            pass
    except OSError as error:
        return Check("port", "fail", f"no port on 127.0.0.1 can be opened: {error.strerror or error}")
    number = settings.server.port
    try:
        socket.create_server((settings.server.host, number)).close()
    except OSError:
        taken = running_service(settings.service.data_dir) is None
        advice = "`superpose serve --port 0` finds a free one" if taken else None
        return Check("port", "warn" if taken else "ok", f"loopback works; port {number} is taken", advice)
    return Check("port", "ok", f"loopback works; port {number} is free")


def service(settings: Settings) -> Check:
    """Whether a service runs from the data directory, and answers."""
    running = running_service(settings.service.data_dir)
    if running is None:
        return Check("service", "ok", "none runs here (start one with `superpose serve`)")
    ready = probe(running)
    said = f"{running.url} {'is ready' if ready else 'is not ready yet'}"
    return Check("service", "ok" if ready else "warn", said, None if ready else "wait, or look into logs/api.jsonl")


SERVICE_CHECKS: Final[tuple[Callable[[Settings], Check], ...]] = (
    configuration,
    disk,
    data_directory,
    store,
    artifacts,
    clock,
    certificate,
    port,
    service,
)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _read_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _last_write(path: Path) -> datetime | None:
    """When the newest event was written."""
    if not path.exists():
        return None
    with contextlib.closing(_read_only(path)) as connection:
        newest = connection.execute(
            "SELECT max(created_at) FROM (SELECT max(created_at) AS created_at FROM jobs "
            "UNION SELECT max(created_at) FROM keys)"
        ).fetchone()[0]
    return None if newest is None else datetime.fromtimestamp(newest / 1e6, UTC)
