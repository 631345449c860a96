"""The binary tensor extension of the Open Inference Protocol: numbers and texts as bytes behind a JSON header.

Numbers are little-endian, in row-major order; BF16 is the upper half of an FP32. A BYTES tensor is, for each element,
its length as a 32-bit unsigned integer and then its bytes; they must be UTF-8 here. (Triton Inference Server, "Binary
Tensor Data Extension".)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import RequestError

__all__ = ["HEADER_LENGTH", "BinaryParts", "bytes_of_numbers", "bytes_of_texts", "header_length"]

#: The HTTP header that tells how long the JSON header is; what follows it is binary.
HEADER_LENGTH = "Inference-Header-Content-Length"

_NUMBERS: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}


def header_length(value: str | None, n_bytes: int) -> int | None:
    """How many of a body's bytes are its JSON header; None where all are.

    Raises:
        RequestError: not a number, or more than there are.
    """
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 12 and 0 < int(value) <= n_bytes):
        raise RequestError(
            f"{HEADER_LENGTH} must be a whole number from 1 to the body's {n_bytes:,} bytes, got {value[:40]!r}.",
            field=HEADER_LENGTH,
        )
    return int(value)


class BinaryParts:
    """What follows the JSON header, taken tensor by tensor."""

    def __init__(self, content: bytes | memoryview = b"") -> None:
        self._content = memoryview(content)
        self._start = 0

    def take(self, name: str, datatype: str, shape: Sequence[int], size: Any) -> NDArray[Any] | list[str]:
        """The next tensor: an array of its shape, or for BYTES a flat list of texts.

        Raises:
            RequestError: ``size`` is not its number of bytes, or there are not as many.
        """
        field = f"inputs.{name[:80]}.parameters.binary_data_size"
        left = len(self._content) - self._start
        if type(size) is not int or not 0 <= size <= left:
            raise RequestError(
                f"binary_data_size of {name[:80]!r} must be a whole number; {left:,} bytes are left, got "
                f"{str(size)[:40]!r}.",
                field=field,
            )
        part = self._content[self._start : self._start + size]
        self._start += size
        if datatype == "BYTES":
            return _texts(part, name, math.prod(shape), field)
        dtype = _NUMBERS[datatype]
        needed = math.prod(shape) * dtype.itemsize
        if size != needed:
            raise RequestError(
                f"{name[:80]!r} of shape {list(shape)} and {datatype} needs {needed:,} bytes, got {size:,}.",
                field=field,
            )
        return _widened(np.frombuffer(part, dtype), datatype).reshape(shape)

    def end(self) -> None:
        """Refuse bytes that no tensor took.

        Raises:
            RequestError: there are some.
        """
        left = len(self._content) - self._start
        if left:
            raise RequestError(f"{left:,} bytes follow the last tensor; binary_data_size of each says what is its own.")


def bytes_of_numbers(values: Any) -> bytes:
    """FP64 values as bytes."""
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def bytes_of_texts(texts: Sequence[str]) -> bytes:
    """Texts as a BYTES tensor's bytes."""
    encoded = [text.encode("utf-8") for text in texts]
    return b"".join(struct.pack("<I", len(part)) + part for part in encoded)


def _widened(numbers: NDArray[Any], datatype: str) -> NDArray[Any]:
    """Numbers of half length in FP32, which holds them exactly; others as they are."""
    if datatype == "FP16":
        return numbers.astype(np.float32)
    return (numbers.astype(np.uint32) << 16).view(np.float32) if datatype == "BF16" else numbers


def _texts(part: memoryview, name: str, n_texts: int, field: str) -> list[str]:
    texts: list[str] = []
    start = 0
    while start + 4 <= len(part) and len(texts) < n_texts:
        (length,) = struct.unpack_from("<I", part, start)
        start += 4
        if start + length > len(part):
            break
        try:
            texts.append(str(part[start : start + length], "utf-8"))
        except UnicodeDecodeError:
            raise RequestError(f"{name[:80]!r} holds text that is not UTF-8.", field=field) from None
        start += length
    if len(texts) != n_texts or start != len(part):
        raise RequestError(
            f"{name[:80]!r} needs {n_texts:,} texts, each behind its length in 4 bytes; its {len(part):,} bytes hold "
            "something else.",
            field=field,
        )
    return texts
