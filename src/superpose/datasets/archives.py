"""Zip archives from strangers: opened within bounds, and every way in which they can be broken is one error."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from superpose.datasets.dicom.files import HEAD_BYTES
from superpose.errors import DatasetFormatError

__all__ = ["member_head", "open_archive"]

MAX_MEMBERS = 200_000
_ENTRY = b"PK\x01\x02"
_PIECE_BYTES = 2**20
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, NotImplementedError),
    *(ValueError, OverflowError, IndexError, OSError, MemoryError),
)


@contextmanager
def open_archive(content: bytes | Path, what: str) -> Iterator[zipfile.ZipFile]:
    """The archive in these bytes or this file; what goes wrong with it within the block is a ``DatasetFormatError``.

    Args:
        content: the bytes, or a file, which is not read into memory.
        what: what the archive should be, for the message, such as "an NPZ archive".

    Raises:
        DatasetFormatError: no archive that can be read, or more than 200,000 members.
    """
    if _n_entries(content) > MAX_MEMBERS:  # before a directory of all of them takes memory
        raise DatasetFormatError(f"The archive has more than {MAX_MEMBERS:,} members.", max_members=MAX_MEMBERS)
    try:
        with zipfile.ZipFile(content if isinstance(content, Path) else io.BytesIO(content)) as archive:
            yield archive
    except _BROKEN as error:
        said = str(error) or type(error).__name__
        raise DatasetFormatError(f"The bytes are not {what} that can be read: {said[:200]}.") from error


def _n_entries(content: bytes | Path) -> int:
    """How many members a directory in these bytes may have at most."""
    if isinstance(content, bytes):
        return content.count(_ENTRY)
    n_entries, kept = 0, b""
    with content.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            n_entries += (kept + piece).count(_ENTRY)
            kept = piece[1 - len(_ENTRY) :]  # too short to be counted twice
    return n_entries


def member_head(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The first bytes of a member, as many as tell whether it is DICOM; no more of it is unpacked."""
    with archive.open(info) as file:
        return file.read(HEAD_BYTES)
