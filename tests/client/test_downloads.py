"""Downloads: resumed where the connection broke, checked against the stated digest, whole or not there at all."""

from __future__ import annotations

import base64
import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from superpose.client import Client
from superpose.errors import ApiError, ProtocolError, UnreachableError

from .conftest import Asked, ScriptedServer, http, problem

CONTENT = bytes(range(256)) * 2_000
DIGEST = hashlib.sha256(CONTENT)
ETAG = f'"{DIGEST.hexdigest()}"'
DATASET = {
    "id": "ds_1",
    "name": "visits",
    "format": "csv",
    "n_rows": 3,
    "n_features": 1,
    "target": "y",
    "classes": ["a", "b"],
    "columns": [],
    "digest": "0" * 64,
    "created_at": "2026-01-01T00:00:00Z",
}


def part(start: int, stop: int | None = None, *, content: bytes = CONTENT, etag: str = ETAG) -> Any:
    """Answers with the file from ``start`` on and breaks off before ``stop``."""

    def answer(asked: Asked, connection: socket.socket) -> None:
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        status = "206 Partial Content" if start else "200 OK"
        lines = {
            "Content-Length": str(len(content) - start),
            "ETag": etag,
            "Repr-Digest": f"sha-256=:{digest}:",
            "Connection": "close",
        }
        head = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        connection.sendall(head.encode() + content[start:stop])

    return answer


def download(scripted: ScriptedServer, target: Path, *answers: Any) -> Path:
    scripted.script = [http(200, DATASET), *answers]
    with Client(scripted.url, key="sp_key_test") as client:
        return client.datasets.download("visits", target)


def test_a_file_arrives_whole(scripted: ScriptedServer, tmp_path: Path) -> None:
    assert download(scripted, tmp_path, part(0)) == tmp_path / "visits.parquet"
    assert (tmp_path / "visits.parquet").read_bytes() == CONTENT
    assert [asked.target for asked in scripted.asked] == ["/v1/datasets/visits", "/v1/datasets/ds_1/file"]


def test_a_broken_download_goes_on_where_it_stopped(scripted: ScriptedServer, tmp_path: Path) -> None:
    def resumed(asked: Asked, connection: socket.socket) -> None:
        part(int(asked.headers["range"].removeprefix("bytes=").removesuffix("-")))(asked, connection)

    path = download(scripted, tmp_path, part(0, 200_000), resumed)
    assert path.read_bytes() == CONTENT
    asked = scripted.asked[-1].headers
    assert asked["if-range"] == ETAG
    assert 0 < int(asked["range"].removeprefix("bytes=").removesuffix("-")) <= 200_000


def test_a_file_that_changed_meanwhile_is_taken_from_the_start(scripted: ScriptedServer, tmp_path: Path) -> None:
    other = CONTENT[::-1]
    path = download(scripted, tmp_path, part(0, 100_000), part(0, content=other, etag='"other"'))
    assert path.read_bytes() == other


@pytest.mark.parametrize("stated", [hashlib.sha256(b"else").digest(), b""])
def test_bytes_with_another_digest_are_not_kept(scripted: ScriptedServer, tmp_path: Path, stated: bytes) -> None:
    header = {"Repr-Digest": f"sha-256=:{base64.b64encode(stated).decode()}:"}
    with pytest.raises(ProtocolError, match="do not have the digest"):
        download(scripted, tmp_path, http(200, body=CONTENT, headers=header))
    assert list(tmp_path.glob("*visits*")) == []


def test_a_download_that_fails_leaves_the_old_file(scripted: ScriptedServer, tmp_path: Path) -> None:
    old = tmp_path / "visits.parquet"
    old.write_bytes(b"old")
    with pytest.raises(ApiError):
        download(scripted, tmp_path, problem(404, "service.not_found", "gone"))
    with pytest.raises(UnreachableError):
        download(scripted, tmp_path, b"")  # no answer at all
    assert old.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir() if "visits" in path.name] == ["visits.parquet"]
