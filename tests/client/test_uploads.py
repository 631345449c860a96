"""Uploads by the client: where a connection breaks, the rest goes over the next one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from superpose.client import Client, resources
from superpose.errors import UnreachableError

from .conftest import Asked, ScriptedServer, http, problem
from .test_downloads import DATASET

CONTENT = b"x,y\n" + b"1,a\n2,b\n" * 500
BEGUN = http(201, {"id": "up_1", "offset": 0})


def breaks(asked: Asked, connection: socket.socket) -> None:
    """Takes the piece and breaks off without an answer."""
    connection.close()


def add(scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *answers: object) -> str:
    monkeypatch.setattr(resources, "LARGE_BYTES", 100)
    (tmp_path / "visits.csv").write_bytes(CONTENT)
    scripted.script = [BEGUN, *answers]  # type: ignore[list-item]
    with Client(scripted.url, key="sp_key_test") as client:
        return client.datasets.add(tmp_path / "visits.csv", target="y").name


def test_the_rest_is_sent_from_where_the_service_is(
    scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, done = http(200, {"id": "up_1", "offset": 1_500}), http(200, {"id": "up_1", "offset": len(CONTENT)})
    assert add(scripted, tmp_path, monkeypatch, breaks, state, done, http(201, DATASET)) == "visits"
    pieces = [asked for asked in scripted.asked if asked.method == "PATCH"]
    assert [asked.target for asked in pieces] == ["/v1/uploads/up_1?offset=0", "/v1/uploads/up_1?offset=1500"]
    assert [asked.body for asked in pieces] == [CONTENT, CONTENT[1_500:]]
    last = scripted.asked[-1]
    assert "upload=up_1" in last.target and last.body == b"" and last.headers["content-type"] == "text/csv"


def test_without_progress_the_upload_is_given_up(
    scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = http(200, {"id": "up_1", "offset": 0})
    with pytest.raises(UnreachableError):
        add(scripted, tmp_path, monkeypatch, *[breaks, nothing] * 4, breaks, http(204))
    assert [asked.method for asked in scripted.asked[-2:]] == ["PATCH", "DELETE"]


def test_a_refusal_is_final(scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match="too large"):
        add(scripted, tmp_path, monkeypatch, problem(413, "service.payload_too_large", "too large"), http(204))
    assert [asked.method for asked in scripted.asked] == ["POST", "PATCH", "DELETE"]
