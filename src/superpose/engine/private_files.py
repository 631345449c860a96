"""Files that this engine keeps between processes: compiled kernels.

They lie in a private directory: mode 0700, owned by the user (or by root, as in a container image), below directories
that nobody else may change. Each is written whole and moved into place, so that processes may fill the directory at
once, and starts with a digest of its name and content, so that a damaged one is ignored. Files are plain data: nothing
is ever unpickled. A directory that was filled before and cannot be written to is used as it is.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no flock; two processes may make the same file there
    fcntl = None  # type: ignore[assignment]  # absent there

__all__ = ["base_directory", "claimed", "open_directory", "read", "untrusted", "write"]

_DIGEST_SIZE = 32
_LONGEST_WAIT_S = 60.0
"""A kernel takes some seconds to compile; who holds a claim for longer may have been stopped by its user."""
_log = logging.getLogger("superpose.engine")


def base_directory() -> Path:
    """Return SUPERPOSE_CACHE_DIR, else ``superpose`` below XDG_CACHE_HOME or ``~/.cache``; it may not exist yet.

    Raises:
        RuntimeError: None of these is set and the user has no home directory.
    """
    base = os.environ.get("SUPERPOSE_CACHE_DIR")
    if not base:
        base = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "superpose")
    return Path(base).absolute()


def untrusted(path: Path) -> str | None:
    """Return why ``path`` may not be trusted, or None.

    It must belong to us or to root and be writable by nobody else, and nobody else may be able to put another in its
    place: parents belong to us or to root and are not writable by others, unless that is restricted by the sticky bit,
    or they lie below one that only we enter.
    """
    uid, hidden = os.geteuid(), False
    for place in (*reversed(path.parents), path):
        try:
            found = place.lstat() if place == path else place.stat()
        except OSError as error:
            return f"{place}: {error.strerror}"
        if not stat.S_ISDIR(found.st_mode):
            return f"{place} is not a directory"
        ours, others = found.st_uid in (0, uid), found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if place == path and (not ours or others):
            return f"{place} must be owned by the user or root and writable by nobody else"
        if not hidden and (not ours or (others and not found.st_mode & stat.S_ISVTX)):
            return f"{place} can be changed by others"
        hidden = hidden or (found.st_uid == uid and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    return None


def open_directory(name: str) -> tuple[Path | None, str]:
    """Return the directory of this name, made where it can be, or None and the reason."""
    try:
        path = base_directory() / name
        if not path.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home directory
        return None, str(error)
    reason = untrusted(path)
    return (None, reason) if reason else (path, "")


def _digest(path: Path, content: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + b"\0" + content).digest()


def read(path: Path) -> bytes | None:
    """Return what `write` put there, or None where there is no such file or it is not as we wrote it."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                _log.info("file %s is not the user's alone; it is ignored", path)
                return None
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.info("file %s cannot be read: %s", path, error)
        return None
    if _digest(path, content[_DIGEST_SIZE:]) != content[:_DIGEST_SIZE]:
        _log.info("file %s is damaged; it is made anew", path)
        return None
    return content[_DIGEST_SIZE:]


def write(path: Path, content: bytes) -> None:
    """Put a file there, whole or not at all; what stands in the way is told in the log."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(path, content) + content)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        _log.info("file %s cannot be written: %s", path, error)


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Have other processes wait in the same place until the block ends; gives whether we waited for one.

    It may have put the file there by then. The claim ends with its process. Where it cannot be had, in a directory
    that we may not write to or after a minute, the block runs nevertheless: nothing but time is lost where two
    processes make the same file.
    """
    claim = path.with_name(f".{path.name}.lock")
    try:
        handle = os.open(claim, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield False
        return
    try:
        yield _waited(handle)
    finally:
        with suppress(OSError):  # who waits has it open, and who comes later finds what was made
            claim.unlink()
        os.close(handle)


def _waited(handle: int) -> bool:
    """Lock a file, at the latest after a while; whether another process had it."""
    waited, until_s = False, time.monotonic() + _LONGEST_WAIT_S
    while fcntl is not None and time.monotonic() < until_s:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            time.sleep(0.02)
        except OSError:  # a file system without locks
            break
        else:
            break
    return waited
