"""What the operating system says about a disk, as the service's errors."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from pathlib import Path

from superpose.errors import StoreError, StoreFullError, StoreReadOnlyError

__all__ = ["disk_error", "from_sqlite", "is_of_the_disk", "passes", "unwritable"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_PASSING = _FULL | _READ_ONLY | _FORBIDDEN | {errno.EIO, errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ESTALE}
_PRIMARY = 0xFF


def disk_error(error: OSError, what: str) -> StoreError:
    """The service's error for one of the operating system's; ``what`` cannot be done, such as "The file be written"."""
    if error.errno in _FULL:
        return StoreFullError(
            f"{what}: the disk is full, or a limit for files is reached ({error.strerror}). Nothing was changed. Free "
            "some space; jobs go on by themselves."
        )
    if error.errno in _READ_ONLY:
        return StoreReadOnlyError(
            f"{what}: the disk can only be read ({error.strerror}). Nothing was changed. Mount it for writing; jobs go "
            "on by themselves."
        )
    cure = " Run as the user who owns it, or let this one write there." if error.errno in _FORBIDDEN else ""
    return StoreError(f"{what}: {error.strerror or type(error).__name__}.{cure}")


def from_sqlite(error: BaseException | None, what: str, path: str) -> StoreError:
    """The service's error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code == sqlite3.SQLITE_FULL:
        return StoreFullError(
            f"{what}: {error}. Nothing was changed. Free some space on the disk of the data directory; jobs go on by "
            "themselves."
        )
    if code == sqlite3.SQLITE_READONLY:
        return StoreReadOnlyError(
            f"{what}: {error}. Nothing was changed. The disk or file of the store can only be read; make it writable."
        )
    cure = ""
    if code == sqlite3.SQLITE_IOERR:  # which is all that it says of a disk that the system has made read-only meanwhile
        found = unwritable(Path(path).parent)
        if found is not None and is_of_the_disk(found):
            return disk_error(found, what)
        cure = " The disk is full or fails: free some space, or look after it."
    return StoreError(f"{what}: {error}.{cure}", path=path)


def unwritable(directory: Path) -> OSError | None:
    """Why no file can be written in a directory now; None where one can. Leaves nothing there."""
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            file.write(b"x")
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def is_of_the_disk(error: OSError) -> bool:
    """Whether the disk is full or can only be read, which is no fault of the file."""
    return error.errno in _FULL | _READ_ONLY


def passes(error: OSError) -> bool:
    """Whether the operating system's error may go away by itself, or by an operator's hand."""
    return error.errno in _PASSING
