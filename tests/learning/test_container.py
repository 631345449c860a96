"""The container of model files: a zip that other programs can read, and that is refused when one byte differs."""

from __future__ import annotations

import io
import zipfile

import pytest

from superpose.errors import ModelFileCorruptError
from superpose.learning.container import pack, unpack

MEMBERS = {
    "manifest.json": b'{"a": 1}',
    "arrays.safetensors": bytes(range(256)),
    "circuits/quantum.qasm": b"OPENQASM 3;",
}


def test_members_come_back_and_equal_members_give_equal_bytes() -> None:
    assert unpack(pack(MEMBERS)) == MEMBERS
    assert pack(MEMBERS) == pack(dict(MEMBERS))


def test_any_zip_program_can_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(MEMBERS))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == MEMBERS
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_every_changed_byte_and_every_cut_is_refused() -> None:
    content = pack(MEMBERS)
    for place in range(len(content)):
        for flip in (1, 0x80):
            with pytest.raises(ModelFileCorruptError):
                unpack(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
    for length in range(len(content)):
        with pytest.raises(ModelFileCorruptError):
            unpack(content[:length])


def test_nothing_can_hide_before_between_or_behind() -> None:
    content = pack(MEMBERS)
    end = len(pack({"manifest.json": MEMBERS["manifest.json"]})) // 2
    for changed in (b"x" + content, content + b"x", content[:end] + b"xx" + content[end:], content + content, b""):
        with pytest.raises(ModelFileCorruptError):
            unpack(changed)


def zipped(names: list[str], compression: int = zipfile.ZIP_STORED) -> bytes:
    """What Python's zipfile makes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name in names:
            archive.writestr(name, b"0" * 1000)
    return target.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        zipped(["manifest.json"]),
        zipped(["manifest.json"], zipfile.ZIP_DEFLATED),
        zipped(["../../etc/passwd"]),
        zipped(["/etc/passwd"]),
        zipped(["C:\\x"]),
        zipped([f"m{i}" for i in range(300)]),
        b"PK\x05\x06" + bytes(18),
        b"PK\x03\x04" * 50,
    ],
)
def test_zips_of_other_programs_and_crafted_ones_are_refused(content: bytes) -> None:
    with pytest.raises(ModelFileCorruptError):
        unpack(content)


@pytest.mark.parametrize("name", ["../x", "/x", "a/b/c", "", "a b", "ä", ".hidden", "a/.b", "a//b"])
def test_names_that_could_lead_out_of_a_directory_are_not_packed(name: str) -> None:
    with pytest.raises(ValueError, match="plain parts"):
        pack({name: b""})
