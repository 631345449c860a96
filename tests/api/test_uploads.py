"""Uploads in pieces: they grow where they ended, survive broken connections, and become data sets."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from superpose.client import Client, resources
from superpose.errors import ApiError

CSV = b"age,dose,outcome\n" + b"".join(b"%d,%d.5,%s\n" % (i, i % 7, b"ill" if i % 3 else b"well") for i in range(90))


def begin(api: Any) -> str:
    made = api.call("POST", "/v1/uploads")
    assert made.status == 201 and made.json["offset"] == 0
    assert made.headers["location"] == f"/v1/uploads/{made.json['id']}"
    return str(made.json["id"])


def append(api: Any, upload: str, offset: int, piece: bytes) -> Any:
    headers = {"Content-Type": "application/octet-stream"}
    return api.call("PATCH", f"/v1/uploads/{upload}?offset={offset}", piece, headers)


def finish(api: Any, upload: str, name: str, target: str = "outcome") -> Any:
    path = "/v1/datasets?" + urlencode({"name": name, "target": target, "upload": upload})
    return api.call("POST", path, b"", {"Content-Type": "text/csv"})


def offset_of(api: Any, upload: str) -> int:
    return int(api.call("GET", f"/v1/uploads/{upload}").json["offset"])


def test_pieces_become_a_data_set(api: Any) -> None:
    upload = begin(api)
    for start in range(0, len(CSV), 500):
        assert append(api, upload, start, CSV[start : start + 500]).json["offset"] == min(start + 500, len(CSV))
    refused = finish(api, upload, "pieces", target="result")
    assert refused.code == "dataset.target"
    made = finish(api, upload, "pieces")  # the file is still there: only the target was wrong
    assert made.status == 201 and made.json["n_rows"] == 90
    assert api.call("GET", f"/v1/uploads/{upload}").code == "service.not_found"
    whole = api.call("POST", "/v1/datasets?name=whole&target=outcome", CSV, {"Content-Type": "text/csv"})
    assert whole.json["digest"] == made.json["digest"]


def test_a_piece_at_the_wrong_place_is_refused_and_changes_nothing(api: Any) -> None:
    upload = begin(api)
    append(api, upload, 0, CSV[:100])
    for offset in (0, 99, 101, 10**9):
        answer = append(api, upload, offset, b"x" * 50)
        assert answer.code == "service.conflict" and answer.json["details"]["offset"] == 100
    assert append(api, upload, -1, b"x").code == "service.request"
    assert offset_of(api, upload) == 100


def test_what_arrived_before_a_connection_broke_is_kept(api: Any) -> None:
    upload = begin(api)
    connection = api.connect()
    connection.putrequest("PATCH", f"/v1/uploads/{upload}?offset=0")
    for name, value in (("Authorization", f"Bearer {api.admin_key}"), ("Content-Length", str(len(CSV)))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(CSV[:700])
    until_s = time.monotonic() + 60
    while append(api, upload, 0, b"").status != 409 and time.monotonic() < until_s:
        time.sleep(0.01)  # until the piece is being received, so that nobody else may append
    connection.close()
    while offset_of(api, upload) < 700 and time.monotonic() < until_s:
        time.sleep(0.01)
    assert offset_of(api, upload) == 700
    assert append(api, upload, 700, CSV[700:]).status == 200
    assert finish(api, upload, "resumed").json["n_rows"] == 90


def test_an_upload_belongs_to_its_project(api: Any) -> None:
    upload = begin(api)
    other = api.new_key(project="uploads-elsewhere", role="admin")
    for method, path in (
        ("GET", f"/v1/uploads/{upload}"),
        ("DELETE", f"/v1/uploads/{upload}"),
        ("PATCH", f"/v1/uploads/{upload}?offset=0"),
        ("POST", f"/v1/datasets?name=x&target=y&upload={upload}"),
    ):
        answer = api.call(method, path, b"", {"Content-Type": "text/csv"}, key=other)
        assert answer.code == "service.not_found"
    assert api.call("GET", "/v1/uploads/..%2F..%2Fkeys").status == 404
    assert api.call("DELETE", f"/v1/uploads/{upload}").status == 204
    assert api.call("GET", f"/v1/uploads/{upload}").status == 404


def test_uploads_are_bounded_and_expire(start: Any) -> None:
    with start(max_dataset_bytes=1_000) as api:
        first = begin(api)
        assert append(api, first, 0, b"x" * 900).status == 200
        assert append(api, first, 900, b"x" * 200).code == "service.payload_too_large"
        assert offset_of(api, first) <= 1_000
        for _ in range(19):
            begin(api)
        assert api.call("POST", "/v1/uploads").code == "service.conflict"
        path = api.data_dir / "uploads" / "default" / first
        old = time.time() - 25 * 3_600
        os.utime(path, (old, old))
        begin(api)
        assert not path.exists()


def test_the_client_sends_large_files_in_an_upload(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "LARGE_BYTES", 1_000)
    (tmp_path / "by-client.csv").write_bytes(CSV)
    with Client(api.url, key=api.admin_key) as client:
        assert client.datasets.add(tmp_path / "by-client.csv", target="outcome").n_rows == 90
        with pytest.raises(ApiError):
            client.datasets.add(tmp_path / "by-client.csv", target="nothing", name="refused")
    uploads = api.data_dir / "uploads" / "default"
    assert not [path for path in uploads.iterdir() if path.stat().st_size == len(CSV)]
