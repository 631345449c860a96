"""Files in and out: streamed, in ranges, with their digest, and without the server growing by them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd
import pytest

from superpose.client import Client
from superpose.datasets import table_from_parquet_bytes
from superpose.errors import ApiError

CSV = b"age,dose,outcome\n" + b"".join(b"%d,%d.5,%s\n" % (i, i % 7, b"ill" if i % 3 else b"well") for i in range(30))


def add(api: Any, content: bytes, name: str, media_type: str = "text/csv", **query: str) -> Any:
    path = "/v1/datasets?" + urlencode({"name": name, "target": "outcome", **query})
    return api.call("POST", path, content, {"Content-Type": media_type})


@pytest.fixture(scope="module")
def stored(api: Any) -> bytes:
    assert add(api, CSV, "in-ranges").status == 201
    return bytes(api.call("GET", "/v1/datasets/in-ranges/file").body)


def ranged(api: Any, header: str, **headers: str) -> Any:
    return api.call("GET", "/v1/datasets/in-ranges/file", headers={"Range": header, **headers})


def test_a_data_set_comes_back_as_the_table_it_was(api: Any, stored: bytes) -> None:
    answer = api.call("GET", "/v1/datasets/in-ranges/file")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["content-length"] == str(len(stored))
    digest = base64.b64encode(hashlib.sha256(stored).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["content-disposition"] == 'attachment; filename="in-ranges.parquet"'
    described = api.call("GET", "/v1/datasets/in-ranges").json
    assert table_from_parquet_bytes(stored).digest == described["digest"]
    assert pd.read_parquet(io.BytesIO(stored)).shape == (30, 3)


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-50", -50, None), ("bytes=5-999999999", 5, None)],
)
def test_a_range_is_a_part(api: Any, stored: bytes, header: str, start: int, stop: int | None) -> None:
    answer = ranged(api, header)
    assert answer.status == 206
    assert answer.body == stored[start:stop]
    first = start % len(stored)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.body) - 1}/{len(stored)}"


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "lines=0-1", "bytes=", "bytes=x-y", "bytes=--5"])
def test_what_is_no_single_range_is_ignored(api: Any, stored: bytes, header: str) -> None:
    answer = ranged(api, header)
    if header == "bytes=":
        assert answer.status in (200, 416)
    else:
        assert (answer.status, answer.body) == (200, stored)


def test_conditions_on_the_file_are_kept(api: Any, stored: bytes) -> None:
    etag = ranged(api, "bytes=0-0").headers["etag"]
    assert etag == f'"{hashlib.sha256(stored).hexdigest()}"'
    assert ranged(api, "bytes=1-4", **{"If-Range": etag}).status == 206
    assert ranged(api, "bytes=1-4", **{"If-Range": '"another"'}).body == stored
    same = api.call("GET", "/v1/datasets/in-ranges/file", headers={"If-None-Match": etag})
    assert (same.status, same.body) == (304, b"")


@pytest.mark.parametrize("header", [f"bytes={10**9}-", "bytes=5-4", "bytes=-0"])
def test_a_range_outside_the_file_is_refused(api: Any, stored: bytes, header: str) -> None:
    answer = ranged(api, header)
    assert (answer.status, answer.code) == (416, "service.range")
    assert answer.headers["content-range"] == f"bytes */{len(stored)}"


def test_the_sheet_and_the_units_are_told(api: Any) -> None:
    made = add(api, CSV, "with-units", units=json.dumps({"dose": "mg"}))
    assert made.status == 201
    assert {column["name"]: column["unit"] for column in made.json["columns"]} == {"age": None, "dose": "mg"}
    sheet = api.call("GET", "/v1/datasets/with-units/sheet").json
    assert (sheet["name"], sheet["n_rows"], sheet["class_counts"]) == ("with-units", 30, {"ill": 20, "well": 10})
    dose = sheet["columns"][1]
    assert (dose["unit"], dose["type"], dose["low"], dose["high"]) == ("mg", "numeric", 0.5, 6.5)
    assert sheet["warnings"] == made.json["warnings"]
    for units in ("[]", '{"age": 1}', "{", '{"weight": "kg"}'):
        assert add(api, CSV, "bad-units", units=units).code in ("service.request", "dataset.format")


def test_a_stranger_gets_neither_file_nor_sheet(api: Any, stored: bytes) -> None:
    other = api.new_key(project="files-elsewhere", role="admin")
    for route in ("file", "sheet"):
        assert api.call("GET", f"/v1/datasets/in-ranges/{route}", key=other).code == "service.not_found"
    predictor = api.new_key(role="predictor")
    assert api.call("GET", "/v1/datasets/in-ranges/file", key=predictor).code == "auth.forbidden"


def large_csv(n_rows: int, seed: int = 0) -> bytes:
    numbers = np.random.default_rng(seed).normal(size=(n_rows, 10))
    frame = pd.DataFrame(numbers, columns=[f"x{i}" for i in range(10)])
    frame["outcome"] = np.where(numbers[:, 0] > 0, "ill", "well")
    return frame.to_csv(index=False).encode()


@pytest.mark.slow
def test_a_large_file_is_read_by_another_process(start: Any) -> None:
    content = large_csv(25_000)  # some 5 MB
    with start() as api:
        made = add(api, content, "large")
        assert made.status == 201 and made.json["n_rows"] == 25_000
        assert api.call("GET", "/v1/datasets/large/sheet").json["columns"][0]["type"] == "numeric"
        refused = add(api, content, "one-class", target="x0")
        assert refused.code == "dataset.target"  # as told by that process
        assert add(api, b"\xff\xfe" + content, "binary").code == "dataset.format"
        assert not list((api.data_dir / "staging").iterdir())


def test_a_file_over_the_limit_leaves_nothing(start: Any) -> None:
    with start(max_dataset_bytes=10_000) as api:
        answer = add(api, CSV * 100, "too-large")
        assert (answer.status, answer.code) == (413, "service.payload_too_large")
        assert answer.json["details"]["max_bytes"] == 10_000
        assert not list((api.data_dir / "staging").iterdir())


def test_a_client_that_leaves_in_the_middle_leaves_nothing(start: Any) -> None:
    with start() as api:
        connection = api.connect()
        connection.putrequest("POST", f"/v1/datasets?name=half&target={quote('outcome')}")
        for name, value in (
            ("Authorization", f"Bearer {api.admin_key}"),
            ("Content-Type", "text/csv"),
            ("Content-Length", str(10 * len(CSV))),
        ):
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(CSV)
        staging = api.data_dir / "staging"
        until_s = time.monotonic() + 60
        while not list(staging.iterdir()) and time.monotonic() < until_s:
            time.sleep(0.01)
        assert list(staging.iterdir())
        connection.close()
        while list(staging.iterdir()) and time.monotonic() < until_s:
            time.sleep(0.01)
        assert not list(staging.iterdir())
        assert api.call("GET", "/v1/datasets/half").status == 404


_SERVER = """
import sys
from pathlib import Path
from superpose.api import serve
from superpose.service import ServiceConfig
config = ServiceConfig(data_dir=Path(sys.argv[1]), workers=0)
serve(config, port=0, on_ready=lambda url: print(url, flush=True))
"""


def resident_bytes(pid: int, field: str = "VmRSS") -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_the_server_does_not_grow_by_a_file_of_100_megabytes(tmp_path: Path) -> None:
    table = tmp_path / "large.csv"
    with table.open("wb") as file:
        for seed in range(11):
            head, _, rows = large_csv(50_000, seed).partition(b"\n")
            file.write(rows if seed else head + b"\n" + rows)
    n_bytes = table.stat().st_size
    assert n_bytes > 100e6
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        key_file = tmp_path / "data" / "keys" / "admin.key"
        with Client(url, key_file=key_file) as client:
            (tmp_path / "small.csv").write_bytes(CSV)
            client.datasets.add(tmp_path / "small.csv", target="outcome")  # what is imported once is in memory now
            client.datasets.download("small", tmp_path)
            before = resident_bytes(server.pid)
            added = client.datasets.add(table, target="outcome")
            assert added.n_rows == 550_000
            path = client.datasets.download("large", tmp_path)
            assert path.stat().st_size > 20e6
            assert len(client.datasets.sheet("large").columns) == 10
            peak = resident_bytes(server.pid, "VmHWM")
            assert peak - before < 25e6, f"grew from {before / 1e6:.0f} to {peak / 1e6:.0f} MB"
            print(f"{n_bytes / 1e6:.0f} MB sent; server from {before / 1e6:.0f} MB to at most {peak / 1e6:.0f} MB")
            with pytest.raises(ApiError):
                client.datasets.add(table, target="x0", name="refused")
    finally:
        server.terminate()
        server.wait(60)
        if server.stdout is not None:
            server.stdout.close()
