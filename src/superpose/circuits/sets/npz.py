"""NPZ from strangers: plain arrays within bounds; nothing is unpickled, and no header is believed before its bytes."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from math import prod
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from superpose.errors import CircuitFormatError

__all__ = ["read_npz", "write_npz"]

MAX_BYTES = 2**31
MAX_MEMBERS = 200_000
MAX_HEADER_BYTES = 10_000
_ENTRY = b"PK\x01\x02"
_KINDS = "fiuScb"
_BROKEN = (
    *(
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        UnicodeDecodeError,
    ),
    *(ValueError, TypeError, SyntaxError, OverflowError, OSError, MemoryError),
)


def write_npz(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    """Return arrays as NPZ bytes, not compressed; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read_npz(content: bytes, what: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays in NPZ bytes, read only.

    Args:
        content: The bytes.
        what: What they should be, for messages.

    Raises:
        CircuitFormatError: No NPZ archive of plain arrays, or more than 2 GiB unpacked.
    """
    if content.count(_ENTRY) > MAX_MEMBERS:  # before a directory of all of them takes memory
        raise CircuitFormatError(f"{what}: the archive has more than {MAX_MEMBERS:,} members.", field="")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            n_bytes = sum(info.file_size for info in members)
            if n_bytes > MAX_BYTES:
                raise ValueError(f"it takes {n_bytes:,} bytes unpacked; at most {MAX_BYTES:,} are read")
            return {info.filename.removesuffix(".npy"): _array(archive, info) for info in members}
    except _BROKEN as error:
        raise CircuitFormatError(
            f"{what}: the bytes are not NPZ that can be read: {(str(error) or type(error).__name__)[:200]}.", field=""
        ) from None


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with archive.open(info) as member:
        shape, by_columns, dtype = _header(member)
        n_bytes = prod(shape) * dtype.itemsize
        if dtype.kind not in _KINDS or n_bytes != info.file_size - member.tell():
            raise ValueError(f"array {info.filename[:80]!r} of dtype {dtype} and shape {shape} does not fit its bytes")
        content = member.read(n_bytes + 1)
    if len(content) != n_bytes:
        raise ValueError(f"array {info.filename[:80]!r} is cut off")
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    form: Any = np.lib.format  # the stubs say little of it
    read = form.read_array_header_1_0 if form.read_magic(member) == (1, 0) else form.read_array_header_2_0
    shape, by_columns, dtype = read(member, max_header_size=MAX_HEADER_BYTES)
    if any(n < 0 for n in shape):
        raise ValueError(f"its shape is {shape}")
    return tuple(map(int, shape)), bool(by_columns), dtype
