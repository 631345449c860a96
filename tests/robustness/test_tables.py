"""Tables that are almost right: CSV, Parquet, NPZ and archives of images."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from superpose.datasets import read_table
from superpose.datasets.readers import read_features
from superpose.errors import DatasetError, DatasetFormatError, DatasetTooLargeError

from .mutations import broken, refused_or_read, short, within, zipped

CSV = 'age,bmi,"the ""site""",outcome\n1,2.5,A,ill\n2,,B,well\n3,1e3,"A\nx",ill\n4,?,Ä,well\n'.encode()


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


PARQUET = parquet(
    {
        "age": pa.array([1.0, 2.0, None, 4.0]),
        "site": pa.array(["a", "b", "a", None]).dictionary_encode(),
        "at": pa.array([1, 2, 3, 4], pa.timestamp("ms", "UTC")),
        "outcome": ["x", "y", "x", "y"],
    }
)


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


ARRAYS = {
    "X.npy": npy(np.arange(8.0).reshape(4, 2)),
    "y.npy": npy(np.array(["a", "b", "a", "b"])),
    "names.npy": npy(np.array(["u", "v"])),
}
NPZ = zipped(ARRAYS)


def png(shade: int, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("L", (5, 4), shade).save(file, "PNG")
    return file.getvalue()


def jpeg() -> bytes:
    file, facts = io.BytesIO(), Image.Exif()
    facts[0x0112] = 6  # lies on its side
    Image.new("RGB", (9, 7), (10, 200, 30)).save(file, "JPEG", exif=facts)
    return file.getvalue()


PICTURES = {"a/1.png": png(10), "a/2.jpg": jpeg(), "b/1.png": png(200), "b/2.png": png(220)}


def read(content: bytes, form: str, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is refused a line later
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # of tags that it leaves out
        return refused_or_read(
            lambda: read_table(content, format=form, name="t", target="outcome", options=options or None)
        )


def test_the_tables_are_right_before_they_are_broken() -> None:
    assert read(CSV, "csv") is not None
    assert read(PARQUET, "parquet") is not None
    assert read(NPZ, "npz") is not None
    assert read(zipped(PICTURES), "images", size=3) is not None


@short(80)
@given(broken(CSV) | st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
def test_csv(content: bytes) -> None:
    read(content, "csv")


@short(100)
@given(broken(PARQUET))
def test_parquet(content: bytes) -> None:
    read(content, "parquet")


@short(100)
@given(broken(NPZ))
def test_npz(content: bytes) -> None:
    read(content, "npz")


@short(100)
@given(st.sampled_from(sorted(ARRAYS)), st.data())
def test_npz_with_a_broken_array_in_a_whole_archive(name: str, data: st.DataObject) -> None:
    content = zipped({**ARRAYS, name: data.draw(broken(ARRAYS[name]))})
    read(content, "npz")
    refused_or_read(lambda: read_features(content, format="npz", name="t"))


@pytest.mark.parametrize("order", "<>")
def test_texts_of_what_is_no_character(order: str) -> None:
    ordinary = np.array(["u", "v"], f"{order}U1")
    assert read(zipped({**ARRAYS, "names.npy": npy(ordinary)}), "npz") is not None
    strange = np.array([0x110000, 0x76], f"{order}u4").view(f"{order}U1")
    for name, array in {"names.npy": strange, "y.npy": np.repeat(strange, 2)}.items():
        content = zipped({**ARRAYS, name: npy(array)})
        with pytest.raises(DatasetFormatError, match="no character"):
            read_table(content, format="npz", name="t", target="outcome")
    with pytest.raises(DatasetFormatError, match="no character"):
        read_features(zipped({**ARRAYS, "names.npy": npy(strange)}), format="npz", name="t")


HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (100000000, 2), }",
    "{'descr': '<U999999999', 'fortran_order': False, 'shape': (4, 2), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (4, 2), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (4, 2), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (4, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-4, -2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4L, 2L), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), ",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), } (((",
    "'''",
    "   indented\n text",
    "(" * 500,
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (4, 2), }",
    "{'descr': '<f8,<f8', 'fortran_order': False, 'shape': (4, 2), }",
    "{'descr': 7, 'fortran_order': False, 'shape': (4, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4, True), }",
)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"])
def test_headers_of_arrays(header: str, version: bytes) -> None:
    text = header.encode() + b"\n"
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    array = b"\x93NUMPY" + version + length + text + np.arange(8.0).tobytes()
    with within(100):
        read(zipped({**ARRAYS, "X.npy": array}), "npz")
        read(zipped({**ARRAYS, "y.npy": array}), "npz")


def test_an_array_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("X.npy", "w", force_zip64=True) as out,
    ):
        for _ in range(520):
            out.write(bytes(2**20))
    with within(20), pytest.raises(DatasetTooLargeError):
        read_table(file.getvalue(), format="npz", name="t", target="outcome")


def test_an_array_that_says_it_is_small_is_not_unpacked_any_further() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(600)) + packer.flush()
    archive = bytearray(zipped({"X.npy": b"", "y.npy": ARRAYS["y.npy"]}))
    small = zipped({"X.npy": bytes(1000)})
    head = small[: small.index(b"X.npy") + 5]
    head = head[:18] + struct.pack("<II", len(bomb), 1000) + head[26:]
    body = head + bomb
    central = small[small.index(b"PK\x01\x02") : small.index(b"PK\x05\x06")]
    central = central[:20] + struct.pack("<II", len(bomb), 1000) + central[28:]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(body), 0)
    assert archive
    with within(20), pytest.raises(DatasetFormatError):
        read_table(body + central + end, format="npz", name="t", target="outcome")


def test_an_archive_of_too_many_members_is_refused() -> None:
    name = b"a/1.png"
    entry = zipped({name.decode(): b""})
    central = entry[entry.index(b"PK\x01\x02") : entry.index(b"PK\x05\x06")]
    directory = central * 300_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(directory), 0, 0)
    for form in ("npz", "images"):
        with within(60), pytest.raises(DatasetError):
            read_table(directory + end, format=form, name="t", target="outcome")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@short(60)
@given(data=st.data())
def test_archives_of_every_compression(compression: int, data: st.DataObject) -> None:
    read(data.draw(broken(zipped(ARRAYS, compression))), "npz")
    read(data.draw(broken(zipped(PICTURES, compression))), "images", size=2)


@short(80)
@given(st.sampled_from(sorted(PICTURES)), st.data())
def test_broken_images_in_a_whole_archive(name: str, data: st.DataObject) -> None:
    read(zipped({**PICTURES, name: data.draw(broken(PICTURES[name]))}), "images", size=2)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _large_png(width: int, height: int, *further: bytes) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + b"".join(further)
        + _chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + _chunk(b"IEND", b"")
    )


def test_an_image_that_says_it_is_vast_is_refused_before_it_is_unpacked() -> None:
    for width, height in ((2**31 - 1, 2**31 - 1), (100_000, 100_000), (10_000, 6_000), (0, 5)):
        with within(20):
            assert read(zipped({**PICTURES, "a/1.png": _large_png(width, height)}), "images", size=2) is None
    text = _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**27)))
    with within(80):
        read(zipped({**PICTURES, "a/1.png": _large_png(4, 4, text)}), "images", size=2)


def test_a_text_repeated_by_the_dictionary_of_a_parquet_file_is_refused() -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 30_000, pa.int32()), pa.array(["x" * 100_000, "y"]))
    content = parquet({"a": text, "outcome": pa.array(["x", "y"] * 30_000)})
    assert len(content) < 2_000_000
    before = pa.total_allocated_bytes()
    with within(200), pytest.raises(DatasetTooLargeError):
        read_table(content, format="parquet", name="t", target="outcome")
    assert pa.total_allocated_bytes() - before < 200 * 2**20
