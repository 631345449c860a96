"""One deterministic zip: members stored without compression, in order, with no timestamps; equal content, equal bytes.

Reading is strict: the members are parsed and packed again, and the result must be the file, byte for byte. So nothing
can hide between, before or behind the members, and a name, size or checksum that was touched is refused. Nothing is
ever decompressed or written to disk.

Source: PKWARE APPNOTE 6.3.10, sec. 4.3 and 4.4.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping

from superpose.errors import ModelFileCorruptError

__all__ = ["MAX_FILE_BYTES", "pack", "unpack"]

MAX_FILE_BYTES = 512 * 1024 * 1024
"""Larger files are refused before they are read."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99})?")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION, _FLAGS, _STORED, _TIME, _DATE = 20, 0, 0, 0, 0x0021  # the date is 1 January 1980, the first that zip knows
_MAX_MEMBERS = 100


def _header(name: bytes, content: bytes) -> tuple[int, ...]:
    """The fields that a member's local and central headers share, from version to the length of the extra field."""
    size = len(content)
    return (_VERSION, _FLAGS, _STORED, _TIME, _DATE, zlib.crc32(content), size, size, len(name), 0)


def pack(members: Mapping[str, bytes]) -> bytes:
    """The zip of ``members``, in the mapping's order.

    Raises:
        ValueError: a name is not a plain relative path, or there are too many members or bytes.
    """
    if len(members) > _MAX_MEMBERS or sum(map(len, members.values())) > MAX_FILE_BYTES:
        raise ValueError(f"a model file holds at most {_MAX_MEMBERS} members and {MAX_FILE_BYTES} bytes")
    body, directory = bytearray(), bytearray()
    for name, content in members.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name of at most two plain parts")
        encoded = name.encode("ascii")
        fields = _header(encoded, content)
        directory += _CENTRAL.pack(b"PK\x01\x02", _VERSION, *fields, 0, 0, 0, 0, len(body)) + encoded
        body += _LOCAL.pack(b"PK\x03\x04", *fields) + encoded + content
    count = len(members)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def unpack(content: bytes) -> dict[str, bytes]:
    """The members of a zip that `pack` made.

    Raises:
        ModelFileCorruptError: the bytes are anything else.
    """
    members: dict[str, bytes] = {}
    offset = 0
    while content[offset : offset + 4] == b"PK\x03\x04" and len(members) < _MAX_MEMBERS:
        if offset + _LOCAL.size > len(content):
            break
        *_, size, name_length, extra_length = _LOCAL.unpack_from(content, offset)
        start = offset + _LOCAL.size + name_length + extra_length
        name = content[offset + _LOCAL.size : offset + _LOCAL.size + name_length].decode("ascii", errors="replace")
        if not _NAME.fullmatch(name) or name in members or start + size > len(content):
            raise ModelFileCorruptError(f"the model file is damaged near byte {offset}: a member's header is not valid")
        members[name] = content[start : start + size]
        offset = start + size
    if not members or pack(members) != content:
        raise ModelFileCorruptError(
            f"the file of {len(content)} bytes is not a whole model file as superpose writes it; "
            "it was cut, changed or packed by another program"
        )
    return members
