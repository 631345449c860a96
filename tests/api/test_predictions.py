"""Deployed models: predictions over REST and over the Open Inference Protocol, and the file behind them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import math
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from superpose.learning import Predictor
from superpose.service import ServiceConfig
from superpose.service.work.cpu_budget import CpuBudget

ROW = {"sepal length": 5.1, "sepal width": 3.5, "petal length": 1.4, "petal width": 0.2}
CELLS = list(ROW.values())
CLASSES = ["setosa", "versicolor", "virginica"]


def predict(api: Any, rows: Any, name: str = "iris", **options: Any) -> Any:
    return api.call("POST", f"/v1/endpoints/{name}/predict", {"rows": rows}, **options)


def infer(api: Any, *inputs: dict[str, Any], name: str = "iris", **fields: Any) -> Any:
    return api.call("POST", f"/v2/models/{name}/infer", {"inputs": list(inputs), **fields})


def tensor(name: str, shape: list[int], data: list[Any], datatype: str = "FP64") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def test_an_overloaded_endpoint_says_when_to_come_back_and_answers_all_others(deployed: Any) -> None:
    limits = {"max_concurrency": 1, "max_batch_rows": 64}
    body = {"name": "narrow", "model": "iris", "limits": limits}
    assert deployed.call("POST", "/v1/endpoints", body).status == 201
    refused: list[Any] = []
    until_s = time.monotonic() + 60
    try:
        with ThreadPoolExecutor(16) as pool:
            while not refused:  # until two requests meet
                assert time.monotonic() < until_s
                replies = list(pool.map(lambda _: predict(deployed, [CELLS] * 500, "narrow"), range(32)))
                assert {reply.status for reply in replies} <= {200, 503}
                refused = [reply for reply in replies if reply.status == 503]
                answered = [reply for reply in replies if reply.status == 200]
                assert answered and all(len(reply.json["predictions"]) == 500 for reply in answered)
        assert refused[0].code == "service.overloaded"
        details = refused[0].json["details"]
        assert details["max_concurrency"] == 1
        assert int(refused[0].headers["retry-after"]) == max(1, math.ceil(details["retry_after_s"]))
        stats = deployed.call("GET", "/v1/endpoints/narrow/stats").json
        assert stats["sides"][0]["refused"] >= len(refused)
    finally:
        deployed.call("DELETE", "/v1/endpoints/narrow")


def test_a_prediction_has_model_version_and_request_id(deployed: Any) -> None:
    reply = predict(deployed, [ROW, CELLS, ROW][:1], headers={"X-Request-Id": "trace-12345678"})
    assert reply.status == 200
    assert {k: reply.json[k] for k in ("model", "model_version", "request_id", "classes")} == {
        "model": "iris",
        "model_version": 1,
        "request_id": "trace-12345678",
        "classes": CLASSES,
    }
    (row,) = reply.json["probabilities"]
    assert sum(row) == pytest.approx(1.0)
    assert reply.json["predictions"] == [CLASSES[row.index(max(row))]]


def test_the_model_file_gives_the_same_probabilities(deployed: Any) -> None:
    version = deployed.call("GET", "/v1/models/iris/versions/1").json
    file = deployed.call("GET", "/v1/models/iris/versions/1/file")
    digest = base64.b64encode(hashlib.sha256(file.body).digest()).decode()
    assert file.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert file.headers["content-disposition"] == 'attachment; filename="iris-1.superpose"'
    assert int(file.headers["content-length"]) == len(file.body)
    predictor = Predictor.load(file.body, expected_digest=version["digest"])
    expected = predictor.predict_proba([CELLS])
    assert predict(deployed, [CELLS]).json["probabilities"] == pytest.approx(expected)
    part = deployed.call("GET", "/v1/models/iris/versions/1/file", headers={"Range": "bytes=0-9"})
    assert (part.status, part.body) == (206, file.body[:10])


def test_rows_by_name_and_by_place_agree(deployed: Any) -> None:
    shuffled = dict(reversed(ROW.items()))
    by_name, by_place = predict(deployed, [shuffled]).json, predict(deployed, [CELLS]).json
    assert by_name["probabilities"] == by_place["probabilities"]
    assert predict(deployed, [{**ROW, "petal width": None}]).status == 200
    assert predict(deployed, [{"age": 33, "smoker": "yes"}, {"age": None, "smoker": "never"}], "mixed").status == 200


@pytest.mark.parametrize(
    ("rows", "status", "code"),
    [
        ([], 400, "service.request"),
        ("rows", 400, "service.request"),
        ([1, 2], 400, "service.request"),
        ([ROW, CELLS], 400, "service.request"),
        ([{**ROW, "petal width": [1]}], 400, "service.request"),
        ([{**ROW, "petal width": {}}], 400, "service.request"),
        ([[5.1, 3.5, 1.4, 10**400]], 400, "service.request"),
        ([CELLS] * 10_001, 400, "service.request"),
        ([[5.1, 3.5]], 422, "learning.feature_mismatch"),
        ([{"sepal length": 5.1}], 422, "learning.feature_mismatch"),
        ([{**ROW, "colour": 1}], 422, "learning.feature_mismatch"),
        ([{**ROW, "petal width": "wide"}], 422, "learning.feature_mismatch"),
    ],
)
def test_bad_rows(deployed: Any, rows: Any, status: int, code: str) -> None:
    reply = predict(deployed, rows)
    assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize(
    "body",
    [b'{"rows": [[NaN, 1, 1, 1]]}', b'{"rows": [[1e999, 1, 1, 1]]}', b'{"rows": [[1,1,1,1]], "row": 1}', b"{}", b"[]"],
)
def test_bad_predict_bodies(deployed: Any, body: bytes) -> None:
    reply = deployed.call("POST", "/v1/endpoints/iris/predict", body, {"Content-Type": "application/json"})
    assert reply.status in (400, 422)
    assert reply.code in ("service.request", "learning.feature_mismatch")


def test_a_predictor_key_may_predict_and_nothing_else(deployed: Any) -> None:
    key = deployed.new_key(role="predictor")
    assert predict(deployed, [CELLS], key=key).status == 200
    assert deployed.call("GET", "/v2/models/iris/ready", key=key).status == 200
    assert deployed.call("GET", "/v1/models/iris", key=key).code == "auth.forbidden"
    assert deployed.call("DELETE", "/v1/endpoints/iris", key=key).code == "auth.forbidden"
    stranger = deployed.new_key(role="admin", project="neighbours")
    for reply in (
        predict(deployed, [CELLS], key=stranger),
        deployed.call("GET", "/v2/models/iris", key=stranger),
        deployed.call("GET", "/v2/models/iris/ready", key=stranger),
        deployed.call("GET", "/v1/models/iris/versions/1/file", key=stranger),
    ):
        assert (reply.status, reply.code) == (404, "service.not_found")


def test_a_row_that_holds_the_answer_is_told_to_leave_it_out(deployed: Any) -> None:
    reply = predict(deployed, [{"age": 40, "smoker": "no", "outcome": "ill"}], "mixed")
    assert (reply.status, reply.code) == (422, "learning.feature_mismatch")
    assert reply.json["detail"] == "column 'outcome' is what the model predicts; leave it out"


def test_inference_protocol_metadata(deployed: Any) -> None:
    iris = deployed.call("GET", "/v2/models/iris").json
    assert (iris["name"], iris["versions"], iris["platform"]) == ("iris", ["1"], "superpose")
    assert iris["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]
    assert iris["outputs"] == [
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]
    assert iris["parameters"]["classes"] == CLASSES
    server = deployed.call("GET", "/v2").json
    assert server == deployed.call("GET", "/v2/").json  # the protocol's OpenAPI document writes it so
    assert set(server) == {"name", "version", "extensions"}
    assert server["extensions"] == ["binary_tensor_data"]
    assert deployed.call("GET", "/v2/models/iris/versions/1").json == iris
    assert deployed.call("GET", "/v2/models/iris/versions/2").code == "service.not_found"
    assert deployed.call("GET", "/v2/models/mixed").json["inputs"] == [
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "smoker", "datatype": "BYTES", "shape": [-1]},
    ]
    assert deployed.call("GET", "/v2/models/iris/ready").json == {"name": "iris", "ready": True}
    assert deployed.call("GET", "/v2/models/iris/versions/2/ready").status == 404
    assert deployed.call("GET", "/v2").json["name"] == "superpose"


def test_inference_answers_as_predict_does(deployed: Any) -> None:
    rows = [CELLS, [6.0, 3.0, 4.5, 1.5]]
    expected = predict(deployed, rows).json
    flat = [cell for row in rows for cell in row]
    columns = [tensor(name, [2], [row[i] for row in rows]) for i, name in enumerate(ROW)]
    replies = [
        infer(deployed, tensor("input", [2, 4], flat), id="my-id"),
        infer(deployed, tensor("input", [2, 4], rows, "FP32"), model_name="iris"),
        infer(deployed, *columns),
        infer(deployed, *[{**column, "shape": [2, 1]} for column in columns]),
        deployed.call("POST", "/v2/models/iris/versions/1/infer", {"inputs": [tensor("input", [2, 4], flat)]}),
    ]
    for reply in replies:
        assert reply.status == 200
        assert (reply.json["model_name"], reply.json["model_version"]) == ("iris", "1")
        assert reply.json["parameters"]["model_version"] == 1
        probabilities, label = reply.json["outputs"]
        assert (probabilities["datatype"], probabilities["shape"]) == ("FP64", [2, 3])
        assert probabilities["data"] == pytest.approx([p for row in expected["probabilities"] for p in row])
        assert label == {"name": "label", "datatype": "BYTES", "shape": [2], "data": expected["predictions"]}
    assert replies[0].json["id"] == "my-id"
    assert "id" not in replies[1].json


def test_inference_with_texts_and_chosen_outputs(deployed: Any) -> None:
    age, smoker = tensor("age", [2], [30, None], "INT64"), tensor("smoker", [2], ["yes", "no"], "BYTES")
    reply = infer(deployed, smoker, age, name="mixed", outputs=[{"name": "label"}])
    assert [output["name"] for output in reply.json["outputs"]] == ["label"]
    rows = [{"age": 30, "smoker": "yes"}, {"age": None, "smoker": "no"}]
    assert reply.json["outputs"][0]["data"] == predict(deployed, rows, "mixed").json["predictions"]


def test_categories_that_the_model_does_not_know_are_counted(deployed: Any) -> None:
    rows = [{"age": 30, "smoker": smoker} for smoker in ("yes", "sometimes", None, "cigars")]
    reply = predict(deployed, rows, "mixed")
    assert reply.json["unknown_categories"] == {"smoker": 2}
    assert "unknown_categories" not in predict(deployed, rows[:1], "mixed").json
    texts = tensor("smoker", [2], ["pipe", "no"], "BYTES")
    told = infer(deployed, tensor("age", [2], [30, 40]), texts, name="mixed").json["parameters"]
    assert json.loads(told["unknown_categories"]) == {"smoker": 1}
    assert "unknown_categories" not in infer(deployed, tensor("input", [1, 4], CELLS)).json["parameters"]


def test_each_caller_learns_of_his_own_unknown_categories_only(deployed: Any) -> None:
    def call(i: int) -> Any:
        return predict(deployed, [{"age": 30, "smoker": "yes" if i % 3 else "cigars"}] * (1 + i % 2), "mixed")

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(call, range(48)))
    for i, reply in enumerate(replies):
        assert reply.json.get("unknown_categories") == (None if i % 3 else {"smoker": 1 + i % 2})


@pytest.mark.parametrize(
    ("inputs", "fields", "words"),
    [
        ([], {}, "at least one"),
        ([tensor("input", [1, 4], [1, 2, 3])], {}, "needs 4 values, got 3"),
        ([tensor("input", [2, 2], [[1, 2], [3]])], {}, "differ in length"),
        ([tensor("input", [1, 4], CELLS, "FP8")], {}, "datatype"),
        ([tensor("input", [1, 4], CELLS, "FP16")], {}, "as bytes only"),
        ([tensor("input", [1, 4], ["a", "b", "c", "d"])], {}, "not FP64"),
        ([tensor("input", [1, 4], CELLS, "BYTES")], {}, "not BYTES"),
        ([tensor("input", [1, 4, 1], CELLS)], {}, "shape"),
        ([tensor("input", [0, 4], [])], {}, "shape"),
        ([tensor("input", [1, 4], CELLS), tensor("input", [1, 4], CELLS)], {}, "twice"),
        ([tensor("a", [1], [1]), tensor("b", [2], [1, 2])], {}, "of one length"),
        ([{"name": "input"}], {}, "datatype"),
        ([{**tensor("input", [1, 4], CELLS), "colour": 1}], {}, "colour"),
        ([tensor("input", [1, 4], CELLS)], {"outputs": [{"name": "logits"}]}, "logits"),
        ([tensor("input", [1, 4], CELLS)], {"id": 7}, "id must be text"),
        ([tensor("input", [1, 4], CELLS)], {"model_name": "mixed"}, "the path names 'iris'"),
        ([tensor("input", [1, 4], CELLS)], {"model": "x"}, "model"),
        ([tensor("input", [1, 4], CELLS)], {"parameters": {"binary_data_output": 1}}, "true or false"),
        ([tensor("input", [1, 4], CELLS)], {"parameters": []}, "object"),
        ([{**tensor("input", [1, 4], CELLS), "parameters": {"binary_data_size": 32}}], {}, "either data"),
        ([tensor("input", [1, 3], [1, 2, 3])], {}, "4 values"),
    ],
)
def test_bad_inference_requests(deployed: Any, inputs: list[Any], fields: dict[str, Any], words: str) -> None:
    reply = infer(deployed, *inputs, **fields)
    assert reply.code in ("service.request", "learning.feature_mismatch")
    assert words in reply.json["error"]


def test_deleted_endpoints_answer_no_more(deployed: Any) -> None:
    assert deployed.call("POST", "/v1/endpoints", {"name": "gone", "model": "iris"}).status == 201
    assert deployed.call("POST", "/v1/endpoints", {"name": "gone", "model": "iris"}).code == "service.conflict"
    assert predict(deployed, [CELLS], "gone").status == 200
    assert deployed.call("GET", "/v1/endpoints/gone").json["state"] == "loaded"
    assert deployed.call("DELETE", "/v1/endpoints/gone").status == 204
    assert predict(deployed, [CELLS], "gone").code == "service.not_found"


def test_models_are_listed_with_their_versions(deployed: Any) -> None:
    listed = deployed.call("GET", "/v1/models").json["items"]
    assert [model["name"] for model in listed] == ["iris", "mixed"]
    assert [version["version"] for version in listed[0]["versions"]] == [1]
    assert deployed.call("GET", "/v1/models/iris").json == listed[0]


def test_one_callers_bad_rows_do_not_touch_the_others(deployed: Any) -> None:
    expected = predict(deployed, [CELLS]).json["probabilities"]

    def call(i: int) -> Any:
        return predict(deployed, [CELLS if i % 4 else ["x"] * 4])

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(call, range(80)))
    for i, reply in enumerate(replies):
        if i % 4:
            assert reply.json["probabilities"][0] == pytest.approx(expected[0])
        else:
            assert reply.code == "learning.feature_mismatch"


DESCRIPTORS = Path("/proc/self/fd")


def other_ends(one: socket.socket) -> list[socket.socket]:
    """The sockets of this process that are connected with this one, duplicated."""
    found = []
    for descriptor in DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile, or a socket without another end
            if descriptor.is_socket():
                with socket.socket(fileno=os.dup(int(descriptor.name))) as other:
                    if other.family == one.family and other.getpeername() == one.getsockname():
                        found.append(other.dup())
    return found


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="only Linux lists a process's descriptors there")
def test_answers_are_sent_at_once(deployed: Any) -> None:
    """One connection serves many requests, and no answer is held back for the 40 ms that TCP waits for company.

    How fast that is, is measured in ``benchmarks/``.
    """
    connection = deployed.connect()
    body, headers = json.dumps({"rows": [CELLS]}), {"Authorization": f"Bearer {deployed.admin_key}"}
    headers["Content-Type"] = "application/json"
    connection.connect()
    address = connection.sock.getsockname()
    for _ in range(20):
        connection.request("POST", "/v1/endpoints/iris/predict", body, headers)
        assert connection.getresponse().read()
        assert connection.sock is not None and connection.sock.getsockname() == address
    (end,) = other_ends(connection.sock)
    with end:
        assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connection.close()


def test_a_server_that_works_holds_tokens_of_the_cpu_budget(deployed: Any) -> None:
    n_tokens = ServiceConfig(data_dir=deployed.data_dir).cpu_total
    if n_tokens == 1:
        pytest.skip("one CPU is shared by priority, without tokens")
    budget = CpuBudget(deployed.data_dir / "cpu", n_tokens)
    until_s = time.monotonic() + 60.0
    while budget.n_free() == n_tokens and time.monotonic() < until_s:
        predict(deployed, [CELLS])
    assert budget.n_free() < n_tokens
    job = budget.take(1, give_up=lambda: time.monotonic() > until_s)  # makes room
    assert job is not None
    job.release()
    while budget.n_free() < n_tokens and time.monotonic() < until_s:
        time.sleep(0.1)
    assert budget.n_free() == n_tokens


def test_an_endpoint_changes_over_http(deployed: Any) -> None:
    """The endpoint moves from one model to another and back; bodies that do not fit are refused by field."""
    assert deployed.call("POST", "/v1/endpoints", {"name": "moving", "model": "iris"}).status == 201
    path = "/v1/endpoints/moving"
    moved = deployed.call("PATCH", path, {"model": "mixed", "limits": {"max_delay_ms": 0}})
    assert (moved.status, moved.json["model"], moved.json["revision"]) == (200, "mixed", 2)
    assert moved.json["limits"]["max_delay_ms"] == 0
    assert predict(deployed, [{"age": 30, "smoker": "yes"}], "moving").json["model"] == "mixed"
    assert deployed.call("POST", f"{path}/rollback", {}).json["model"] == "iris"
    assert predict(deployed, [CELLS], "moving").json["model"] == "iris"
    canary = deployed.call("PUT", f"{path}/canary", {"percent": 50, "model": "mixed", "seed": 1}).json["canary"]
    assert {name: canary[name] for name in ("model", "version", "percent", "by", "seed")} == {
        "model": "mixed",
        "version": 1,
        "percent": 50,
        "by": "request_id",
        "seed": 1,
    }
    sides = deployed.call("GET", f"{path}/stats").json["sides"]
    assert [side["side"] for side in sides] == ["stable", "canary"]
    assert deployed.call("PATCH", path, {"version": 1, "model": "mixed"}).code == "service.conflict"
    assert deployed.call("DELETE", f"{path}/canary").json["canary"] is None
    assert deployed.call("POST", f"{path}/promote").code == "service.conflict"
    assert [r["model"] for r in deployed.call("GET", f"{path}/revisions").json["items"]] == ["iris", "mixed", "iris"]
    events = deployed.call("GET", f"{path}/events?after=1").json["items"]
    assert [event["kind"] for event in events] == ["updated", "rolled_back", "canary_started", "canary_stopped"]
    for method, where, body in (
        ("PATCH", path, {}),
        ("PATCH", path, {"version": "2"}),
        ("PATCH", path, {"limits": {"max_batch_rows": 0}}),
        ("PATCH", path, {"limits": {"speed": 1}}),
        ("PUT", f"{path}/canary", {"percent": 0, "model": "mixed"}),
        ("PUT", f"{path}/canary", {"percent": 5, "by": "luck"}),
        ("POST", f"{path}/rollback", {"revision": 0}),
    ):
        assert deployed.call(method, where, body).code == "service.request", (method, body)
    assert deployed.call("PATCH", path, {"version": 9}).code == "service.not_found"
    assert deployed.call("DELETE", path).status == 204
