"""Jobs as a user sees them: submission, events as a stream, results of programs. The test plays the worker."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from superpose.circuits import Circuit, Observable, Program, program_to_json


def program(angle: float = 0.5, n_qubits: int = 2) -> dict[str, Any]:
    circuit = Circuit(n_qubits).h(0).rx(angle, n_qubits - 1)
    return dict(program_to_json(Program(circuit, params={}, observables=(Observable.z(0, n_qubits),))))


def submit(api: Any, angle: float = 0.5, **headers: str) -> Any:
    return api.call("POST", "/v1/programs", program(angle), headers)


class Stream:
    """A server-sent event stream, read frame by frame."""

    def __init__(self, api: Any, job_id: str, query: str = "", **headers: str) -> None:
        self.connection = api.connect()
        headers["Authorization"] = f"Bearer {headers.pop('key', api.admin_key)}"
        self.connection.request("GET", f"/v1/jobs/{job_id}/events{query}", headers=headers)
        self.response: http.client.HTTPResponse = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.getheader("content-type") == "text/event-stream; charset=utf-8"
        assert self.response.getheader("x-request-id")

    def frames(self) -> Iterator[dict[str, str]]:
        frame: dict[str, str] = {}
        for line in iter(self.response.readline, b""):
            text = line.decode().rstrip("\n")
            if not text:
                yield frame
                frame = {}
                continue
            name, _, value = text.partition(": ")
            frame[name] = value
        assert not frame

    def events(self) -> Iterator[dict[str, Any]]:
        for frame in self.frames():
            if "data" in frame:
                event = json.loads(frame["data"])
                assert frame["id"] == str(event["seq"])
                assert frame["event"] == event["kind"]
                yield event

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@pytest.fixture
def open_stream() -> Iterator[Any]:
    """Opens streams, and closes them after the test."""
    opened: list[Stream] = []

    def make(*args: Any, **headers: str) -> Stream:
        opened.append(Stream(*args, **headers))
        return opened[-1]

    yield make
    for stream in opened:
        stream.close()


def run_next(store: Any, *, n_progress: int = 0) -> Any:
    claim = store.claim("worker_test")
    for i in range(n_progress):
        store.append(claim, "progress", {"epoch": i, "fraction": i / n_progress})
    return store.succeed(claim, {"answer": 42})


def test_events_stream_as_they_happen_and_end_with_the_job(api: Any, store: Any, open_stream: Any) -> None:
    job = submit(api).json
    seen: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stream = open_stream(api, job["id"])

    def read() -> None:
        for event in stream.events():
            seen.put(event)
        seen.put(None)

    reader = threading.Thread(target=read)
    reader.start()
    assert seen.get(timeout=60)["kind"] == "queued"
    claim = store.claim("worker_test")
    assert seen.get(timeout=60)["kind"] == "running"
    store.append(claim, "progress", {"epoch": 1, "note": "line\nbreak \u2028 é"})
    event = seen.get(timeout=60)
    assert (event["seq"], event["kind"], event["data"]["note"]) == (3, "progress", "line\nbreak \u2028 é")
    store.succeed(claim, {"answer": 42})
    assert seen.get(timeout=60)["kind"] == "succeeded"
    assert seen.get(timeout=60) is None
    reader.join()


def test_a_stream_goes_on_where_the_last_one_stopped(api: Any, store: Any, open_stream: Any) -> None:
    job = submit(api).json
    run_next(store, n_progress=3)
    everything = [event["seq"] for event in open_stream(api, job["id"]).events()]
    assert everything == [1, 2, 3, 4, 5, 6]
    for stream in (
        open_stream(api, job["id"], **{"Last-Event-ID": "4"}),
        open_stream(api, job["id"], "?after=4"),
        open_stream(api, job["id"], "?after=1", **{"Last-Event-ID": "4"}),
    ):
        assert [event["seq"] for event in stream.events()] == [5, 6]
    for after in (6, 1_000_000):
        assert list(open_stream(api, job["id"], f"?after={after}").events()) == []


@pytest.mark.parametrize("query", ["?after=-1", "?after=x", "?after=1.5", "?after=99999999999999999999"])
def test_a_bad_place_to_go_on_from_is_refused(api: Any, query: str) -> None:
    job = submit(api).json
    assert api.call("GET", f"/v1/jobs/{job['id']}/events{query}").code == "service.request"
    assert api.call("GET", f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "x"}).code == "service.request"
    api.call("POST", f"/v1/jobs/{job['id']}/cancel")


def test_someone_elses_job_is_not_there(api: Any) -> None:
    job = submit(api).json
    stranger = api.new_key(project="strangers", role="admin")
    for method, path in [
        ("GET", f"/v1/jobs/{job['id']}"),
        ("GET", f"/v1/jobs/{job['id']}/events"),
        ("POST", f"/v1/jobs/{job['id']}/cancel"),
        ("GET", f"/v1/programs/{job['id']}"),
    ]:
        reply = api.call(method, path, key=stranger)
        assert (reply.status, reply.code) == (404, "service.not_found")
    assert api.call("POST", f"/v1/jobs/{job['id']}/cancel").json["status"] == "cancelled"


def test_clients_that_leave_free_the_server(api: Any, store: Any, open_stream: Any) -> None:
    job = submit(api).json
    for _ in range(20):
        stream = open_stream(api, job["id"])
        assert next(stream.events())["seq"] == 1
        stream.close()
    started = time.monotonic()
    assert api.call("GET", f"/v1/jobs/{job['id']}").json["status"] == "queued"
    assert time.monotonic() - started < 30.0
    api.call("POST", f"/v1/jobs/{job['id']}/cancel")


def test_a_stream_stays_alive_and_ends_with_its_key(
    api: Any, monkeypatch: pytest.MonkeyPatch, open_stream: Any
) -> None:
    monkeypatch.setattr("superpose.api.events.KEEP_ALIVE_S", 0.2)
    job = submit(api).json
    made = api.call("POST", "/v1/keys", {"role": "viewer"}).json
    frames = open_stream(api, job["id"], key=made["secret"]).frames()
    assert next(frames) == {"retry": "1000"}
    assert next(frames)["event"] == "queued"
    assert next(frames) == {"": "keep-alive"}
    api.call("DELETE", f"/v1/keys/{made['id']}")
    assert all(frame == {"": "keep-alive"} for frame in frames)
    api.call("POST", f"/v1/jobs/{job['id']}/cancel")


def test_a_server_that_stops_ends_its_streams(start: Any, open_stream: Any) -> None:
    with start() as api:
        stream = open_stream(api, submit(api).json["id"])
        events = stream.events()
        assert next(events)["kind"] == "queued"
    assert list(events) == []  # ended whole: a stream cut off in the middle of its chunks would raise


def test_a_program_answers_with_its_result_if_one_waits(api: Any, store: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.call, "POST", "/v1/programs?wait_s=60", program(0.75))
        while (claim := store.claim("worker_test")) is None:
            time.sleep(0.01)
        store.succeed(claim, {"expectations": [[0.0]]})
        reply = waiting.result(timeout=60)
    assert reply.status == 200
    assert reply.json["status"] == "succeeded"
    assert reply.json["result"] == {"expectations": [[0.0]]}
    assert reply.headers["location"] == f"/v1/programs/{reply.json['id']}"
    assert api.call("GET", reply.headers["location"]).json == reply.json


def test_a_program_that_takes_longer_is_a_job_to_come_back_to(api: Any) -> None:
    reply = api.call("POST", "/v1/programs?wait_s=0.1", program(0.25))
    assert reply.status == 202
    assert (reply.json["kind"], reply.json["status"]) == ("program", "queued")
    assert [job["id"] for job in api.call("GET", "/v1/jobs?status=queued&limit=1").json["items"]] == [reply.json["id"]]
    assert api.call("POST", f"/v1/jobs/{reply.json['id']}/cancel").json["status"] == "cancelled"
    for query in ("wait_s=61", "wait_s=-1", "wait_s=nan", "wait_s=inf", "wait_s=x", "priority=11"):
        assert api.call("POST", f"/v1/programs?{query}", program()).code == "service.request"
    assert api.call("GET", "/v1/jobs?status=asleep").code == "service.request"


def test_one_job_per_idempotency_key(api: Any) -> None:
    first, again = (submit(api, **{"Idempotency-Key": "once"}).json for _ in range(2))
    assert first["id"] == again["id"]
    assert submit(api, 0.9, **{"Idempotency-Key": "once"}).code == "service.conflict"
    api.call("POST", f"/v1/jobs/{first['id']}/cancel")


def test_forty_qubits_are_refused_with_the_memory_they_would_need(api: Any) -> None:
    reply = api.call("POST", "/v1/programs", program(n_qubits=40))
    assert (reply.status, reply.code) == (422, "engine.state_too_large")
    assert "GiB" in reply.json["detail"] or "TiB" in reply.json["detail"]
    assert all(isinstance(value, int | float | str) for value in reply.json["details"].values())


@pytest.mark.parametrize("body", [{}, {"circuit": 1}, {"circuit": {}, "qubits": 3}])
def test_what_is_no_program_is_refused(api: Any, body: Any) -> None:
    reply = api.call("POST", "/v1/programs", body)
    assert reply.status == 422
    assert reply.code.startswith("circuit.")


def test_a_program_comes_after_other_jobs(api: Any) -> None:
    first, other = (api.call("POST", "/v1/programs", program(angle)).json["id"] for angle in (0.1, 0.2))
    reply = api.call("POST", f"/v1/programs?after={first}&after={other}&priority=10", program(0.3))
    assert (reply.status, reply.json["after"]) == (202, [first, other])
    api.call("POST", f"/v1/jobs/{other}/cancel")
    failed = api.call("GET", reply.headers["location"]).json
    assert (failed["status"], failed["error"]["code"]) == ("failed", "service.job_dependency")
    assert api.call("POST", f"/v1/programs?after={other}", program(0.3)).code == "service.job_dependency"
    assert api.call("POST", "/v1/programs?after=job_nowhere", program(0.3)).status == 404


@pytest.mark.slow
def test_programs_that_are_long_to_check_are_refused_while_others_are_answered(api: Any) -> None:
    doubling = "".join(f"gate g{i} q {{ g{i - 1} q; g{i - 1} q; }} " for i in range(1, 40))
    text = f'OPENQASM 3; include "stdgates.inc"; gate g0 q {{ h q; }} {doubling} qubit q; g39 q;'
    body = {**program(), "circuit": text}
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(api.call, "POST", "/v1/programs", body) for _ in range(8)]
        started = time.monotonic()
        assert api.call("GET", "/v1/version").json["limits"]["max_instructions"] == 100_000
        elapsed_s = time.monotonic() - started
        replies = [future.result() for future in waiting]
    assert {reply.code for reply in replies} == {"circuit.qasm"}
    assert "more than 100000 steps" in replies[0].json["detail"]
    assert elapsed_s < 30.0
