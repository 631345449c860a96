"""Quantum functions over HTTP: who may call, what callers see, and the answers' form."""

from __future__ import annotations

from typing import Any

BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'


def test_a_key_for_one_function_opens_that_one_only(api: Any) -> None:
    for name in ("bell-a", "bell-b"):
        made = api.call("POST", "/v1/functions", {"name": name, "file_name": "bell.qasm", "source": BELL})
        assert made.status == 201
        assert made.headers["location"] == f"/v1/functions/{name}"
    key = api.new_key(role="predictor", scopes=["functions/bell-a:call"])
    answer = api.call("POST", "/v1/functions/bell-a/call", {"input": {}, "seed": 1, "shots": 50}, key=key)
    assert answer.status == 200
    assert sum(answer.json["output"]["counts"][0].values()) == 50
    assert answer.json["provenance"]["seed"] == 1
    assert "logs" not in answer.json  # what a function prints is for its own people
    assert "logs" in api.call("POST", "/v1/functions/bell-a/call", {"input": {}}).json
    assert api.call("GET", "/v1/functions/bell-a", key=key).status == 200
    waiting = api.call("POST", "/v1/functions/bell-a/call?wait_s=0", {"input": {}}, key=key)
    assert (waiting.status, waiting.json["status"]) == (202, "queued")
    place = waiting.headers["location"]
    assert place == f"/v1/functions/bell-a/calls/{waiting.json['job_id']}"
    assert api.call("GET", place, key=key).json["status"] == "queued"
    for method, path in (
        ("POST", "/v1/functions/bell-b/call"),
        ("GET", "/v1/functions/bell-b"),
        ("DELETE", "/v1/functions/bell-a"),
        ("GET", "/v1/functions"),
        ("POST", "/v1/functions"),
    ):
        assert api.call(method, path, {} if method == "POST" else None, key=key).code == "auth.scope"
    other = place.replace("bell-a", "bell-b")
    assert api.call("GET", other).code == "service.not_found"  # a call of another function
    for name in ("bell-a", "bell-b"):
        assert api.call("DELETE", f"/v1/functions/{name}").status == 204


def test_one_job_per_idempotency_key(api: Any) -> None:
    api.call("POST", "/v1/functions", {"name": "once", "file_name": "bell.qasm", "source": BELL})
    headers = {"Idempotency-Key": "once-1"}
    path = "/v1/functions/once/call?wait_s=0"
    jobs = [api.call("POST", path, {"input": {}}, headers).json["job_id"] for _ in range(2)]
    assert jobs[0] == jobs[1]
    assert api.call("POST", path, {"input": {}, "shots": 7}, headers).code == "service.conflict"
    api.call("DELETE", "/v1/functions/once")


def test_bodies_that_do_not_fit_are_refused(api: Any) -> None:
    new = {"name": "f", "file_name": "f.qasm", "source": BELL}
    for body, code in (
        ({"name": "f"}, "service.request"),
        ({**new, "more": 1}, "service.request"),
        ({**new, "name": "../f"}, "service.request"),
        ({**new, "file_name": "f"}, "quantum_function.file"),
        ({**new, "shots": -1}, "service.request"),
        ({**new, "backend": "nowhere"}, "backend.unknown"),
        ({**new, "source": BELL + "x" * 600_000}, "service.payload_too_large"),
    ):
        assert api.call("POST", "/v1/functions", body).code == code
    assert api.call("POST", "/v1/functions/f/call", {"input": {}}).code == "service.not_found"
