"""Bad input: each a problem document with its own code, and the server goes on."""

from __future__ import annotations

import inspect
import io
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

import superpose.errors
from superpose.api.problems import PROBLEMS
from superpose.errors import ClientError, SuperposeError

CSV = b"age,bmi,outcome\n" + b"".join(b"%d,%d,%s\n" % (i, i * 7 % 30, b"ill" if i % 2 else b"well") for i in range(40))
SEND_CSV = {"Content-Type": "text/csv"}


def add_csv(api: Any, content: bytes, name: str = "t", target: str = "outcome") -> Any:
    return api.call("POST", f"/v1/datasets?name={name}&target={target}", content, SEND_CSV)


def is_leaf(error: type[SuperposeError]) -> bool:
    """Whether the error tree goes no further; other rooms may derive classes of their own under the same code."""
    return not any(below.__module__.startswith("superpose.errors.") for below in error.__subclasses__())


def test_every_code_of_the_error_tree_has_a_row() -> None:
    classes = [
        item
        for _, item in inspect.getmembers(superpose.errors, inspect.isclass)
        if issubclass(item, SuperposeError) and not issubclass(item, ClientError)
    ]
    assert {item.code for item in classes if is_leaf(item)} <= set(PROBLEMS) <= {item.code for item in classes}
    for status, title in PROBLEMS.values():
        assert 400 <= status < 600
        assert title


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "dataset.empty", "empty"),
        (b"a,outcome\n", "dataset.empty", "no rows"),
        (b"a,outcome\n1,x\n2,x\n", "dataset.one_class", "'x'"),
        (b"a,b\n1,x\n2,y\n", "dataset.target", "outcome"),
        (b"a,outcome\n1,x\n2,y,3\n", "dataset.format", "Line 3"),
        (b"a,outcome\n\xff,x\n", "dataset.format", "UTF-8"),
        (b"1,2\n3,4\n", "dataset.format", "no header"),
        (b"a,outcome\ninf,x\n1,y\n", "dataset.format", "infinite"),
        (b",".join(b"c%d" % i for i in range(10_000)) + b",outcome\n", "dataset.too_wide", "10,001 columns"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_bad_tables(api: Any, content: bytes, code: str, words: str) -> None:
    reply = add_csv(api, content)
    assert reply.status == 422
    assert reply.code == code
    assert words in reply.json["detail"]


def test_a_good_table_comes_back(api: Any) -> None:
    made = add_csv(api, CSV, name="good")
    assert made.status == 201
    assert made.headers["location"] == f"/v1/datasets/{made.json['id']}"
    assert made.json["classes"] == ["ill", "well"]
    assert made.json["warnings"] == ["Column 'age' has another number in every row: an identifier?"]
    assert api.call("GET", "/v1/datasets/good").json | {"warnings": made.json["warnings"]} == made.json
    assert add_csv(api, CSV.replace(b"ill", b"sick"), name="good").code == "service.conflict"
    assert api.call("DELETE", "/v1/datasets/good").status == 204
    assert api.call("GET", "/v1/datasets/good").code == "service.not_found"


def test_lists_come_in_parts(api: Any) -> None:
    for name in ("part-1", "part-2", "part-3"):
        assert api.call("POST", "/v1/datasets", {"name": name, "builtin": "iris"}).status == 201
    names, cursor = [], ""
    while cursor is not None:
        page = api.call("GET", f"/v1/datasets?limit=2&cursor={cursor}" if cursor else "/v1/datasets?limit=2").json
        names += [item["name"] for item in page["items"]]
        cursor = page["next"]
    assert names == sorted(set(names))
    assert {"part-1", "part-2", "part-3"} <= set(names)
    for query in ("limit=0", "limit=x", "limit=100000", "cursor=nonsense"):
        reply = api.call("GET", f"/v1/datasets?{query}")
        assert reply.status == 400
        assert reply.code == "service.request"


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_wrong_content_types(api: Any, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    reply = api.call("POST", "/v1/datasets?name=t&target=outcome", CSV, headers)
    assert reply.status == 415
    assert reply.code == "service.media_type"
    if media_type:
        for path in ("/v1/jobs", "/v1/endpoints", "/v1/keys", "/v1/programs", "/v2/models/x/infer"):
            assert api.call("POST", path, b"{}", headers).code == "service.media_type"


def test_compressed_bodies_are_refused(api: Any) -> None:
    reply = api.call("POST", "/v1/jobs", b"{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert reply.code == "service.media_type"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"{", "line 1, column 2"),
        (b'{"kind": }', "line 1, column 10"),
        (b"\xff\xfe{}", "UTF-8"),
        ('{"kind": "train"}'.encode("utf-16"), "UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": [1, -Infinity]}', "-Infinity"),
        (b'{"a": 1e999}', "64-bit floats"),
        (b'{"a": 123456789012345678901234567890}', "64 bits"),
        (b'{"a": ' + b"1" * 5_000 + b"}", "64 bits"),
        (b'{"a": "\\ud800"}', "not Unicode"),
        (b'{"kind": "train", "kind": "train"}', "'kind'"),
        (b"[1]", "must be a"),
        (b"null", "must be a"),
        (b"[" * 100_000, "nested"),
        (b"[" * 200 + b"]" * 200, "nested more than 64"),
        (b'{"a":' * 3_000 + b"1" + b"}" * 3_000, "nested"),
    ],
)
def test_bad_json(api: Any, body: bytes, words: str) -> None:
    for path in ("/v1/jobs", "/v1/programs", "/v1/keys"):
        reply = api.call("POST", path, body, {"Content-Type": "application/json"})
        assert reply.status == 400
        assert reply.code == "service.request"
        assert words in reply.json["detail"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/datasets", {"name": "a", "builtin": "iris", "colour": 1}, "colour"),
        ("/v1/datasets", {"name": "a"}, "builtin"),
        ("/v1/datasets", {"name": 1, "builtin": "iris"}, "name"),
        ("/v1/jobs", {"kind": "train", "dataset": "a", "modle": "m"}, "modle"),
        ("/v1/jobs", {"kind": "bake", "dataset": "a"}, "kind"),
        ("/v1/jobs", {"kind": "train", "dataset": "a", "priority": "1"}, "priority"),
        ("/v1/jobs", {"kind": "train", "dataset": "a", "priority": True}, "priority"),
        ("/v1/jobs", {"kind": "train", "dataset": "a", "spec": []}, "spec"),
        ("/v1/endpoints", {"name": "a", "model": "m", "version": 0}, "version"),
        ("/v1/endpoints", {"name": "a", "model": "m", "version": 1.5}, "version"),
        ("/v1/keys", {"role": "editor", "expires_at": 1}, "expires_at"),
        ("/v1/keys", {"role": "editor", "expires_at": "2050-01-01T00:00:00"}, "expires_at"),
    ],
)
def test_unknown_and_ill_typed_fields_are_named(api: Any, path: str, body: Any, field: str) -> None:
    reply = api.call("POST", path, body)
    assert reply.status == 400
    assert reply.code == "service.request"
    assert field in {error["field"] for error in reply.json["details"]["errors"]}
    assert field in reply.json["detail"]


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ({"modle": {}}, "spec.invalid", "modle"),
        ({"model": {"n_qubits": 0}}, "spec.invalid", "model.n_qubits"),
        ({"model": {"ansatz": {"layers": "two"}}}, "spec.invalid", "model.ansatz.layers"),
        ({"training": {"epochs": 1e308}}, "spec.invalid", "training.epochs"),
        ({"model": {"n_qubits": 40}}, "engine.state_too_large", "memory"),
    ],
)
def test_bad_training_specs_are_refused_before_any_compute(api: Any, spec: Any, code: str, words: str) -> None:
    api.call("POST", "/v1/datasets", {"name": "for-specs", "builtin": "iris"})
    reply = api.call("POST", "/v1/jobs", {"kind": "train", "dataset": "for-specs", "spec": spec})
    assert (reply.status, reply.code) == (422, code)
    assert words in reply.json["detail"]
    assert api.call("POST", "/v1/jobs", {"kind": "train", "dataset": "none", "spec": {}}).code == "service.not_found"


@pytest.mark.parametrize("format", ["parquet", "npz"])
def test_binary_tables_come_in_too(api: Any, format: str) -> None:
    sink = io.BytesIO()
    if format == "npz":
        np.savez(sink, x=np.eye(4), y=np.array([0, 1, 0, 1]))
    else:
        pd.DataFrame({"x_0": [1.0, 0, 0, 0], "y": [0, 1, 0, 1]}).to_parquet(sink)
    media_type = {"npz": "application/x-npz", "parquet": "application/vnd.apache.parquet"}[format]
    path = f"/v1/datasets?name=binary-{format}&target=y"
    made = api.call("POST", path, sink.getvalue(), {"Content-Type": media_type})
    assert (made.status, made.json["classes"], made.json["format"]) == (201, ["0", "1"], format)
    reply = api.call("POST", path, CSV, {"Content-Type": media_type})
    assert (reply.status, reply.code) == (422, "dataset.format")


@pytest.mark.parametrize("body", [[], "text", 1, None, True])
def test_bodies_that_are_no_objects(api: Any, body: Any) -> None:
    for path in ("/v1/datasets", "/v1/jobs", "/v1/endpoints", "/v1/keys", "/v1/programs", "/v1/endpoints/x/predict"):
        raw = json.dumps(body).encode()
        assert api.call("POST", path, raw, {"Content-Type": "application/json"}).code == "service.request"


@pytest.mark.parametrize("name", ["../etc/passwd", "a b", "", "-x", "x" * 64, "ключ", "a/b", "\u0000"])
def test_bad_names(api: Any, name: str) -> None:
    reply = api.call("POST", "/v1/datasets", {"name": name, "builtin": "iris"})
    assert reply.status == 400
    assert reply.code == "service.request"


def test_an_unknown_builtin_lists_the_known_ones(api: Any) -> None:
    reply = api.call("POST", "/v1/datasets", {"name": "a", "builtin": "mnist"})
    assert reply.code == "service.request"
    assert "breast_cancer" in reply.json["detail"]


def test_a_table_without_name_or_target(api: Any) -> None:
    reply = api.call("POST", "/v1/datasets", CSV, SEND_CSV)
    assert reply.code == "service.request"
    assert [error["field"] for error in reply.json["details"]["errors"]] == ["name", "target"]


def test_bodies_too_large_by_their_length(api: Any) -> None:
    reply = add_csv(api, CSV + b"1,1,ill\n" * 100_000)
    assert reply.status == 413
    assert reply.code == "service.payload_too_large"
    assert reply.json["details"] == {"max_bytes": 300_000}
    reply = api.call("POST", "/v1/jobs", {"kind": "train", "dataset": "x" * 400_000})
    assert reply.code == "service.payload_too_large"


def test_bodies_too_large_while_they_stream_without_a_length(api: Any) -> None:
    def endless() -> Any:
        for _ in range(200):
            yield b"1,1,ill\n" * 1_000

    connection = api.connect()
    headers = {"Authorization": f"Bearer {api.admin_key}", **SEND_CSV}
    connection.request("POST", "/v1/datasets?name=t&target=outcome", endless(), headers, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413
    assert response.getheader("connection") == "close"
    assert json.loads(response.read())["code"] == "service.payload_too_large"
    connection.close()


def test_a_body_announced_too_large_is_refused_before_it_is_sent(api: Any) -> None:
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/datasets?name=t&target=y HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
            b"Expect: 100-continue\r\nContent-Length: 999999999\r\nAuthorization: Bearer "
            + api.admin_key.encode()
            + b"\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_leaves_in_the_middle_does_no_harm(api: Any) -> None:
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
            b"Authorization: Bearer " + api.admin_key.encode() + b"\r\n\r\n{"
        )
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert api.call("GET", "/v1/version").status == 200


def test_unknown_paths_and_methods(api: Any) -> None:
    for path in ("/", "/v1", "/v1/jobs/", "/v3", "/docs", "/v1/metrics", "/v1/models/m/versions/1/file/x"):
        assert api.call("GET", path).code == "service.not_found"
    reply = api.call("PUT", "/v1/jobs")
    assert (reply.status, reply.code, reply.headers["allow"]) == (405, "service.method", "GET, POST")
    assert api.call("GET", "/v1/models/m/versions/0").code == "service.request"
    assert api.call("GET", "/v1/models/m/versions/one").code == "service.not_found"  # no such alias
    for path in (
        "/v1/jobs/job_x",
        "/v1/models/m",
        "/v1/models/m/versions/1/file",
        "/v1/endpoints/e",
        "/v1/programs/job_x",
    ):
        assert api.call("GET", path).code == "service.not_found"
    assert api.call("POST", "/v1/jobs/job_x/cancel").code == "service.not_found"
    assert api.call("GET", "/v1/jobs/job_x/events").code == "service.not_found"


def test_under_v2_errors_also_read_as_the_protocol_asks(api: Any) -> None:
    for reply in (
        api.call("GET", "/v2/models/none"),
        api.call("POST", "/v2/models/none/infer", {"inputs": []}),
        api.call("GET", "/v2/models", key=None),
    ):
        assert reply.code
        assert reply.json["error"] == reply.json["detail"]


def test_request_ids_are_taken_over_if_sane(api: Any) -> None:
    sane = "trace-0123.abcd_EF"
    assert api.call("GET", "/v1/version", headers={"X-Request-Id": sane}).headers["x-request-id"] == sane
    for other in ("short", "x" * 200, "a b c d e f g", "<script>alert(1)</script>", api.admin_key):
        given = api.call("GET", "/v1/version", headers={"X-Request-Id": other}).headers["x-request-id"]
        assert given.startswith("req_")
        assert len(given) == 20


def test_an_unforeseen_error_tells_nothing_but_its_id(start: Any) -> None:
    with start() as api:
        assert api.call("POST", "/v1/datasets", {"name": "a", "builtin": "iris"}).status == 201
        for artifact in (api.data_dir / "artifacts").iterdir():
            artifact.write_bytes(b"damaged")
        reply = api.call("POST", "/v1/jobs", {"kind": "train", "dataset": "a"})
        assert reply.status == 500
        assert reply.code == "service.artifact"
        said = "Stored file is damaged: a failure on the service's side. Its log tells more under"
        assert reply.json["detail"] == f"{said} {reply.json['request_id']}."
        assert str(api.data_dir) not in reply.body.decode()
        assert reply.json["details"] == {}
        for path in api.data_dir.glob("superpose.sqlite*"):
            path.write_bytes(b"x" * 5_000)
        reply = api.call("GET", "/v1/datasets")
        assert reply.status == 500
        log = (api.data_dir / "logs" / "api.jsonl").read_text().splitlines()
        failures = {line["request_id"]: line for line in map(json.loads, log) if "error" in line}
        assert failures[reply.json["request_id"]]["places"]
