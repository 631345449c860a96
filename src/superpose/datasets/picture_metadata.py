"""PNG and JPEG files with nothing but their pixels: what else is in them is left out and named, never shown.

Compressed pixels are copied as they are, so that they decode to the same values and a file does not grow. What stays
of a PNG (W3C PNG, third edition, sec. 11) is IHDR, PLTE, tRNS, IDAT and IEND; of a JPEG (ITU-T T.81, annex B) the
frame, its tables and its scans, and that a JFIF or Adobe marker was there, by which decoders choose the colours.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from superpose.errors import DatasetFormatError

__all__ = ["PictureReport", "PixelsAlone", "metadata_kinds", "pixels_alone"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_DRAWN: Final = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_MAX_TRANSPARENCY: Final = 256
_CHUNKS: Final = {
    b"eXIf": "EXIF",
    b"iCCP": "ICC profile",
    **dict.fromkeys((b"tEXt", b"zTXt", b"iTXt"), "text"),
    **dict.fromkeys((b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT", b"bKGD", b"hIST", b"sPLT"), "colour settings"),
    **dict.fromkeys((b"acTL", b"fcTL", b"fdAT"), "further pictures"),
    **dict.fromkeys((b"pHYs", b"oFFs", b"sCAL"), "resolution"),
    b"tIME": "time of change",
}
_PROFILES: Final = (
    (b"XML:com.adobe.xmp\0", "XMP"),
    (b"Raw profile type xmp\0", "XMP"),
    (b"Raw profile type iptc\0", "IPTC"),
    (b"Raw profile type 8bim\0", "IPTC"),
    (b"Raw profile type icc\0", "ICC profile"),
    (b"Raw profile type icm\0", "ICC profile"),
    (b"Raw profile type ", "EXIF"),
    (b"exif\0", "EXIF"),
)
_SEGMENTS: Final = (
    (0xE0, b"", "thumbnail"),
    (0xE1, b"Exif\0\0", "EXIF"),
    (0xE1, b"http://ns.adobe.com/x", "XMP"),
    (0xE2, b"ICC_PROFILE\0", "ICC profile"),
    (0xE2, b"MPF\0", "further pictures"),
    (0xED, b"Photoshop", "IPTC"),
    (0xFE, b"", "comment"),
)
_OTHER: Final = "other"
_AFTER: Final = "data after the end"
_MAY_TURN: Final = {"EXIF", "XMP"}
"""Kinds in which a reader may find how a picture is to be turned."""
_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_AFTER_SCAN = re.compile(rb"\xff+([\xc0-\xcf\xd8-\xef\xfe])", re.DOTALL)
"""What ends the data of a scan: not its stuffed zeros, its restarts, nor codes that mean nothing and are damage."""
_JFIF: Final = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
_FRAME_AND_TABLES: Final = {*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD}
_ORIENTATION: Final = 0x0112


@dataclass(frozen=True)
class PixelsAlone:
    """A picture's file without what is no pixel.

    Attributes:
        content: of the new file; it decodes to the same pixels.
        suffix: ``.png`` or ``.jpg``, as the content is.
        removed: what was left out, by kind, such as EXIF, XMP, text or comment.
        turned: whether EXIF or XMP said how the picture is to be turned, which stays (and nothing else of them).
    """

    content: bytes
    suffix: str
    removed: frozenset[str]
    turned: bool


@dataclass
class PictureReport:
    """What was removed from PNG and JPEG files, replaced and kept, counted in files; never a value.

    Attributes:
        n_files: files read.
        removed: files by kind of what was in them besides pixels, such as EXIF.
        replaced: files by what of their path became a number.
        kept: files of which something stayed besides pixels: how they are to be turned.
    """

    n_files: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    def add(self, removed: Iterable[str], *, replaced: Iterable[str] = (), turned: bool = False) -> None:
        """Count one file.

        Args:
            removed: what was left out, by kind.
            replaced: what of its path became a number.
            turned: whether it stays said how it is to be turned.
        """
        self.n_files += 1
        self.removed.update(removed)
        self.replaced.update(replaced)
        self.kept.update(("orientation",) if turned else ())

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        counted = {name: dict(sorted(getattr(self, name).items())) for name in ("removed", "replaced", "kept")}
        return {"n_files": self.n_files, **counted}


def metadata_kinds(content: bytes) -> frozenset[str]:
    """What a PNG or JPEG file holds besides its pixels, by kind; nothing of another file.

    Cost: one pass over the bytes.
    """
    return frozenset(kind for _, kind in _pieces(content) if kind)


def pixels_alone(content: bytes, name: str) -> PixelsAlone:
    """A PNG or JPEG file without metadata, other pictures, comments, or what stands after its end.

    Damaged pixels stay as they are; who reads them says so.

    Args:
        content: of the file.
        name: its name, for messages.

    Raises:
        DatasetFormatError: it is neither PNG nor JPEG by its content, its metadata are damaged, or it has some that may
            say how to turn it and Pillow, which reads them, is absent.

    Cost: one pass over the bytes; a PNG file with XMP or an old form of EXIF is decoded too.
    """
    if not content.startswith((_PNG, _JPEG)):
        raise DatasetFormatError(
            f"Image {name[:120]!r} cannot be read as PNG or JPEG: its content is neither. Convert it, or take it out.",
            file=name[:200],
        )
    pieces, png = list(_pieces(content)), content.startswith(_PNG)
    removed = frozenset(kind for _, kind in pieces if kind)
    orientation = _orientation(content, name) if removed & _MAY_TURN else 1
    kept = [piece for piece, _ in pieces if piece]
    if orientation != 1:
        kept.insert(1, _turning(orientation, png=png))  # behind the PNG's IHDR, or the JPEG's start
    return PixelsAlone(b"".join(kept), ".png" if png else ".jpg", removed, orientation != 1)


def _pieces(content: bytes) -> Iterator[tuple[bytes, str]]:
    """What stays of a file, piece by piece, each with the kind of what was left out there, or ""."""
    if content.startswith(_PNG):
        yield from _png_pieces(content)
    elif content.startswith(_JPEG):
        yield from _jpeg_pieces(content)


def _png_pieces(content: bytes) -> Iterator[tuple[bytes, str]]:
    place, head = len(_PNG), _PNG
    while place < len(content):
        length, code = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
        end = place + 12 + length
        if code in _DRAWN or (code == b"tRNS" and length <= _MAX_TRANSPARENCY):
            yield head + content[place:end], ""
            head = b""
        else:
            yield b"", _chunk_kind(code, content[place + 8 : min(end, place + 72)])
        place = end
        if code == b"IEND":
            break
    if head:
        yield head, ""
    if place < len(content):
        yield b"", _AFTER


def _chunk_kind(code: bytes, begin: bytes) -> str:
    kind = _CHUNKS.get(code, _OTHER)
    if kind == "text":
        return next((profile for key, profile in _PROFILES if begin.startswith(key)), kind)
    return kind


def _jpeg_pieces(content: bytes) -> Iterator[tuple[bytes, str]]:
    yield _JPEG[:2], ""
    place, ends = 2, _MARKER
    while found := ends.search(content, place):
        code, begin = found[1][0], found.end()
        if ends is _AFTER_SCAN:
            yield content[place : found.start()], ""
        elif found.start() > place:
            yield b"", _OTHER  # bytes between segments, which decoders skip
        if code == 0xD9:
            yield b"\xff\xd9", _AFTER if begin < len(content) else ""
            return
        if code in range(0xD0, 0xD9) or code == 0x01:  # without a length
            yield b"\xff\xd8" if code == 0xD8 else b"", ""  # a second start is an error that stays one
            place, ends = begin, _MARKER
            continue
        place = begin + max(2, int.from_bytes(content[begin : begin + 2], "big"))
        piece, kind = _segment(code, content[begin:place])
        if not piece and place > len(content):  # damage in a scan may look so; as long as before, it is read as before
            piece = bytes((0xFF, code)) + content[begin : begin + 2] + bytes(max(0, len(content) - begin - 2))
        yield piece, kind
        ends = _AFTER_SCAN if code == 0xDA else _MARKER
    if ends is _AFTER_SCAN:
        yield content[place:], ""
    elif place < len(content):
        yield b"", _OTHER


def _segment(code: int, body: bytes) -> tuple[bytes, str]:
    """What stays of a segment, whose body begins with its length, and the kind of what is left out."""
    data = body[2:]
    if code in _FRAME_AND_TABLES:
        return bytes((0xFF, code)) + body, ""
    if code == 0xE0 and data.startswith(_JFIF[:5]) and len(data) >= len(_JFIF):
        kind = "thumbnail" if len(data) > len(_JFIF) else "resolution" if data[7:12] != _JFIF[7:12] else ""
        return _written(code, _JFIF), kind
    if code == 0xEE and data.startswith(b"Adobe") and len(data) >= 12:
        return _written(code, b"Adobe\0\x64\0\0\0\0" + data[11:12]), _OTHER if len(data) > 12 else ""
    known = (kind for own, begin, kind in _SEGMENTS if own == code and data.startswith(begin))
    return b"", next(known, _OTHER)


def _written(code: int, data: bytes) -> bytes:
    return bytes((0xFF, code)) + (len(data) + 2).to_bytes(2, "big") + data


def _orientation(content: bytes, name: str) -> int:
    """How a reader will turn a picture: 1 (not at all) to 8, as EXIF counts."""
    try:
        from PIL import Image
    except ImportError:
        raise DatasetFormatError(
            f"Image {name[:120]!r} holds metadata, which may say how to turn it; the package Pillow reads that: pip "
            "install 'superpose[images]'.",
            file=name[:200],
        ) from None
    broken = (OSError, ValueError, SyntaxError, TypeError, LookupError, OverflowError, MemoryError, struct.error)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values are common
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
                found = image.getexif().get(_ORIENTATION, 1)
    except (Image.DecompressionBombError, zlib.error, *broken) as error:
        raise DatasetFormatError(
            f"Image {name[:120]!r} cannot be read: it, or what its metadata say of how to turn it, is cut short or "
            "damaged. Save it anew, or take it out.",
            file=name[:200],
        ) from error
    return int(found) if found in range(2, 9) else 1


def _turning(orientation: int, *, png: bool) -> bytes:
    """EXIF that says how to turn a picture and nothing else, as a chunk or segment: one entry of type SHORT."""
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, _ORIENTATION, 3, 1, orientation, 0, 0)
    if not png:
        return _written(0xE1, b"Exif\0\0" + exif)
    chunk = b"eXIf" + exif
    return len(exif).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
