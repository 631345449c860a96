"""Keys: their form, their digests, and the files that hold them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from superpose.errors import AccessError, KeyFileError
from superpose.trust import (
    key_digest,
    keys_equal,
    mint_key,
    parse_key_id,
    read_key_file,
    sha256_bytes,
    sha256_file,
    write_key_file,
)


def test_minted_keys_have_the_stated_form_and_differ() -> None:
    keys = [mint_key() for _ in range(200)]
    assert len({key_id for key_id, _ in keys}) == len({key for _, key in keys}) == 200
    for key_id, key in keys:
        assert re.fullmatch(r"key_[a-z2-7]{12}", key_id)
        assert parse_key_id(key) == key_id
        assert re.fullmatch(r"sp_key_[a-z2-7]{12}_[A-Za-z0-9_-]{43}", key)


@pytest.mark.parametrize(
    "text", ["", "sp_", "sp_key_abcdefghijkl_short", "Bearer x", "sp_key_ABCDEFGHIJKL_" + "a" * 43]
)
def test_other_texts_have_no_key_id(text: str) -> None:
    assert parse_key_id(text) is None


def test_a_trailing_newline_is_not_part_of_a_key() -> None:
    assert parse_key_id(mint_key()[1] + "\n") is None


def test_digest_is_sha256_and_hides_the_key() -> None:
    _, key = mint_key()
    assert key_digest(key) == sha256_bytes(key.encode())
    assert key not in key_digest(key)


def test_keys_equal_takes_any_text() -> None:
    _, key = mint_key()
    assert keys_equal(key, key)
    assert not keys_equal(key, key[:-1])
    assert not keys_equal(key, "ключ")


def test_key_file_is_private_even_under_an_open_umask(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    _, key = mint_key()
    before = os.umask(0)
    try:
        write_key_file(path, key)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path) == key


def test_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    write_key_file(path, mint_key()[1])
    with pytest.raises(KeyFileError, match="exists already") as caught:
        write_key_file(path, mint_key()[1])
    assert caught.value.code == "auth.key_file"
    assert isinstance(caught.value, AccessError)


def test_key_file_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError):
        write_key_file(tmp_path / "link", mint_key()[1])
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_an_open_key_file_is_refused_and_says_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "admin.key"
    _, key = mint_key()
    write_key_file(path, key)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600") as caught:
        read_key_file(path)
    assert key not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe", b"x" * 10_000])
def test_a_file_without_a_key_is_refused_without_showing_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin.key"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="does not hold one API key") as caught:
        read_key_file(path)
    assert not content or content[:5].decode("latin1") not in str(caught.value).replace(str(path), "")


def test_an_absent_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="does not exist"):
        read_key_file(tmp_path / "none.key")
    with pytest.raises(KeyFileError):
        read_key_file(tmp_path)


def test_file_digest_equals_bytes_digest(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5_000
    (tmp_path / "data").write_bytes(content)
    assert sha256_file(tmp_path / "data") == sha256_bytes(content) == sha256_bytes(memoryview(content))
