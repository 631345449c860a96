"""The private temporary directory of a quickstart: removed at its end, or by the next one after a kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # without file locks nobody can tell whether a directory is in use, so none is swept
    fcntl = None  # type: ignore[assignment]  # absent there

__all__ = ["room", "sweep"]

PREFIX: Final = "superpose-quickstart-"
_LOCK: Final = "in-use.lock"
#: Locks below a room that are held while it is in use: the quickstart's own, and its server's.
_LOCKS: Final = (_LOCK, "data/server.lock")


@contextlib.contextmanager
def room(*, keep: bool) -> Iterator[Path]:
    """A new private directory, removed at the end, or with ``keep`` only after an error.

    What killed runs left behind is removed first.
    """
    sweep()
    path, lock = Path(tempfile.mkdtemp(prefix=PREFIX)), None
    if not keep and fcntl is not None:  # without this lock a room is never swept
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield path
    except GeneratorExit:  # whoever keeps the room lets go of us
        raise
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    else:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        if lock is not None:
            os.close(lock)


def sweep() -> None:
    """Remove the rooms of this user whose quickstart and server are both gone."""
    found = Path(tempfile.gettempdir()).glob(f"{PREFIX}*")
    for path in found if fcntl is not None else ():
        with contextlib.suppress(OSError):  # gone just now, or not ours to look into
            facts = path.lstat()
            ours = stat.S_ISDIR(facts.st_mode) and (not hasattr(os, "getuid") or facts.st_uid == os.getuid())
            if ours and (path / _LOCK).exists() and not any(_is_held(path / name) for name in _LOCKS):
                shutil.rmtree(path, ignore_errors=True)


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file."""
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
