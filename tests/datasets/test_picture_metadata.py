"""PNG and JPEG files lose what is no pixel before they are sent, decode as before; a report says what they lost."""

from __future__ import annotations

import io
import json
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from superpose.client.image_folder import pack_folder
from superpose.datasets import data_sheet, read_table
from superpose.datasets.picture_metadata import metadata_kinds, pixels_alone
from superpose.errors import DatasetFormatError

SECRET = "DOE^JANE 1970"
XMP = f"<x:xmpmeta><rdf:Description tiff:Orientation='1' dc:creator='{SECRET}'/></x:xmpmeta>"
NOISE = np.random.default_rng(5).integers(0, 256, (24, 20, 3), dtype=np.uint8)


def written(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x010E], made[0x8298], made[0x0112] = SECRET, SECRET, orientation
    return made.tobytes()


def xmp(orientation: int) -> str:
    return XMP.replace("'1'", f'"{orientation}"')


def png(mode: str = "L", orientation: int = 1, **options: Any) -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", SECRET)
    texts.add_text("Comment", SECRET * 9, zip=True)
    texts.add_itxt("Title", SECRET)
    image = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 200) if mode == "I;16" else Image.fromarray(NOISE)
    shown = image if mode == "I;16" else image.convert(mode)
    about = {"pnginfo": texts, "exif": exif(orientation), "icc_profile": SECRET.encode() * 9, "dpi": (300, 300)}
    return written(shown, "PNG", **about, **options)


def jpeg(mode: str = "L", orientation: int = 1, **options: Any) -> bytes:
    about = {"exif": exif(orientation), "comment": SECRET, "icc_profile": SECRET.encode() * 9, "dpi": (300, 300)}
    return written(Image.fromarray(NOISE).convert(mode), "JPEG", xmp=xmp(1).encode(), **about, **options)


def with_xmp(orientation: int) -> Iterator[bytes]:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp(orientation))
    yield written(Image.fromarray(NOISE), "PNG", pnginfo=texts)
    yield written(Image.fromarray(NOISE), "JPEG", xmp=xmp(orientation).encode())
    texts = PngImagePlugin.PngInfo()  # as ImageMagick wrote EXIF before there was a chunk for it
    raw = exif(orientation)
    texts.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=True)
    yield written(Image.fromarray(NOISE), "PNG", pnginfo=texts)


def kinds_of_files() -> Iterator[bytes]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield png(mode, 6)
    yield png("P", 3, transparency=3)
    yield written(Image.fromarray(NOISE), "PNG", save_all=True, append_images=[Image.fromarray(NOISE[::-1])])
    for mode in ("L", "RGB", "CMYK"):
        for options in ({}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 2, "optimize": True}):
            yield jpeg(mode, 8, **options)
    yield jpeg("RGB", 5, keep_rgb=True)  # an Adobe marker alone says that these are no YCbCr
    yield written(Image.fromarray(NOISE), "MPO", save_all=True, append_images=[Image.fromarray(NOISE[::-1])])
    for orientation in range(1, 9):
        yield png(orientation=orientation)
        yield jpeg(orientation=orientation)
        yield from with_xmp(orientation)


FILES = list(kinds_of_files())


def upright(content: bytes) -> tuple[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            image.load()
            turned = ImageOps.exif_transpose(image)
            return turned.mode, np.asarray(turned)


def said_plainly(content: bytes) -> bytes:
    """The bytes and all that a PNG file holds compressed besides its pixels."""
    found, place = content, 8
    while content[:4] == b"\x89PNG" and place < len(content):
        length, code = struct.unpack(">I4s", content[place : place + 8])
        data = content[place + 8 : place + 8 + length]
        if code in (b"zTXt", b"iCCP"):
            found += zlib.decompress(data.split(b"\0", 1)[1][1:])
        place += 12 + length
    return found


def test_every_kind_of_file_decodes_to_the_same_pixels_and_says_nothing_else() -> None:
    n_secret = 0
    for content in FILES:
        alone = pixels_alone(content + SECRET.encode(), "a")
        mode, pixels = upright(content)
        after, same = upright(alone.content)
        assert after == mode
        np.testing.assert_array_equal(same, pixels)
        n_secret += SECRET.encode() in said_plainly(content)
        assert SECRET.encode() not in said_plainly(alone.content)
        assert "data after the end" in alone.removed
        again = pixels_alone(alone.content, "a")
        assert again.content == alone.content and again.removed == ({"EXIF"} if alone.turned else set())
        assert len(alone.content) <= len(content) + 80  # compressed pixels are copied
    assert n_secret == len(FILES) - 8 - 2  # in hexadecimal in the old form of EXIF, and nowhere in two


def test_kinds_are_named() -> None:
    assert pixels_alone(png(), "a").removed == {"EXIF", "ICC profile", "text", "resolution"}
    assert pixels_alone(jpeg(), "a").removed == {"EXIF", "ICC profile", "XMP", "comment", "resolution"}
    in_xmp, _, in_text = with_xmp(6)
    assert pixels_alone(in_xmp, "a").removed == {"XMP"} and pixels_alone(in_text, "a").removed == {"EXIF"}
    assert pixels_alone(in_xmp, "a").turned and not pixels_alone(png(), "a").turned
    several = next(content for content in FILES if b"MPF\0" in content)
    assert pixels_alone(several, "a").removed >= {"further pictures", "data after the end"}
    iptc = b"\xff\xed" + struct.pack(">H", 20 + len(SECRET)) + b"Photoshop 3.0\0    " + SECRET.encode()
    thumbnail = b"\xff\xe0\x00\x0aJFXX\0\x10\xff\xd8"  # holds what looks like the start of another file
    odd = b"\xff\xeb\x00\x09vendor!"
    plain = written(Image.fromarray(NOISE), "JPEG")
    alone = pixels_alone(plain[:2] + iptc + thumbnail + odd + plain[2:], "a")
    assert alone.removed == {"IPTC", "thumbnail", "other"} and alone.content == plain
    assert metadata_kinds(plain) == metadata_kinds(b"neither") == metadata_kinds(b"") == frozenset()


@given(st.sampled_from(FILES), st.floats(0, 1), st.sampled_from(["cut", "change"]), st.integers(0, 255))
def test_damage_is_read_after_as_it_was_before(content: bytes, where: float, how: str, value: int) -> None:
    place = 3 + int(where * (len(content) - 4))
    damaged = content[:place] if how == "cut" else content[:place] + bytes([value]) + content[place + 1 :]
    metadata_kinds(damaged)  # whatever it is
    try:
        mode, pixels = upright(damaged)
    except Exception:  # what cannot be read need not become better
        return
    after, same = upright(pixels_alone(damaged, "a").content)
    assert after == mode
    np.testing.assert_array_equal(same, pixels)


@pytest.mark.parametrize("content", [b"II*\0 a TIFF", b"", b"\x89PNG", jpeg()[:30]])
def test_what_is_neither_or_cannot_say_how_to_turn_it_is_refused_by_its_own_name(content: bytes) -> None:
    with pytest.raises(DatasetFormatError, match=r"Image 'ill/DOE.png' cannot be read.*(neither|damaged)"):
        pixels_alone(content, "ill/DOE.png")


def folder_at(path: Path) -> Path:
    for name, content in (
        ("ill/DOE_JANE.JPG", jpeg("RGB", 6)),
        ("ill/ROE_MAX/2024-05-01.png", png("L", 3)),
        ("ill/a.png", written(Image.fromarray(NOISE), "PNG")),
        ("well/scan.png", jpeg("L")),  # by its content no PNG
        ("well/xray.jpeg", png("RGB")),
    ):
        (file := path / name).parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


def table_of(archive: bytes) -> Any:
    return read_table(archive, format="images", name="x", target="class", options={"size": 5, "mode": "rgb"})


def test_a_folder_is_sent_without_names_and_metadata_and_makes_the_same_table(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "scans")
    sent = pack_folder(folder, tmp_path / "scans.zip")
    assert sent == {
        "ill/image_000000.jpg": "ill/DOE_JANE.JPG",
        "ill/patient_000001/image_000001.png": "ill/ROE_MAX/2024-05-01.png",
        "ill/image_000002.png": "ill/a.png",
        "well/image_000003.jpg": "well/scan.png",
        "well/image_000004.png": "well/xray.jpeg",
    }
    content = (tmp_path / "scans.zip").read_bytes()
    assert not any(own in content for own in (b"DOE", b"ROE", b"2024-05-01", b"xray", b"JANE"))
    with zipfile.ZipFile(tmp_path / "scans.zip") as archive:
        assert all(SECRET.encode() not in said_plainly(archive.read(name)) for name in archive.namelist())
        said = json.loads(archive.comment)["pictures"]
    assert said == {
        "n_files": 5,
        "removed": {"EXIF": 4, "ICC profile": 4, "XMP": 2, "comment": 2, "resolution": 4, "text": 2},
        "replaced": {"name of its patient's folder": 1, "name of the file": 5},
        "kept": {"orientation": 2},
    }
    as_it_was = io.BytesIO()
    with zipfile.ZipFile(as_it_was, "w") as archive:
        for name, own in sent.items():  # in the same order
            archive.writestr(str(Path(name).with_suffix(Path(own).suffix)), (folder / own).read_bytes())
    before, after = table_of(as_it_was.getvalue()), table_of(content)
    assert before.digest == after.digest
    found = data_sheet(after).deidentification
    assert found is not None and found["by_sender"]["pictures"] == said
    assert found["n_files"] == 0 and found["pictures"]["removed"] == {"EXIF": 2}  # how to turn two of them
    alone = data_sheet(before).deidentification
    assert alone is not None and alone["by_sender"] is None and alone["pictures"]["removed"] == said["removed"]


def test_what_a_sender_says_of_pictures_is_bounded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("ill/a.png", png())
        archive.writestr("well/b.png", written(Image.fromarray(NOISE), "PNG"))
        counts = {"removed": {"x" * 99: "3"}, "replaced": {}, "kept": {}}
        archive.comment = json.dumps({"n_files": 0, **counts, "pictures": {"n_files": 2, **counts}}).encode()
    found = data_sheet(table_of((tmp_path / "x.zip").read_bytes())).deidentification
    assert found is not None and found["by_sender"]["pictures"]["removed"] == {"x" * 64: 3}
    assert found["pictures"]["n_files"] == 2 and found["warnings"] == []


def test_too_large_a_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "scans")
    with (folder / "ill" / "a.png").open("r+b") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(DatasetFormatError, match=r"'ill/a\.png' has 67,108,865 bytes; at most 67,108,864"):
        pack_folder(folder, tmp_path / "scans.zip")


def test_without_pillow_only_what_may_say_how_to_turn_a_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told, texts = png(), PngImagePlugin.PngInfo()
    texts.add_text("Author", SECRET)
    plain = written(Image.fromarray(NOISE), "PNG", pnginfo=texts)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert pixels_alone(plain, "a").removed == {"text"}
    with pytest.raises(DatasetFormatError, match=r"may say how to turn it; the package Pillow reads that: pip install"):
        pixels_alone(told, "a")
