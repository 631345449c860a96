"""What the client does when things go wrong between it and the service."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from superpose import Client
from superpose.client import Event
from superpose.client import client as client_module
from superpose.errors import (
    ApiError,
    ClientError,
    KeyFileError,
    KeyInvalidError,
    KeyMissingError,
    ProtocolError,
    UnreachableError,
    WaitTimeoutError,
)
from superpose.trust import mint_key, write_key_file

SECRET = mint_key()[1]


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest) -> Any:
    """The makers of scripted answers beside this file."""
    plugins = request.config.pluginmanager.get_plugins()
    return next(p for p in plugins if Path(getattr(p, "__file__", None) or "").parent == Path(__file__).parent)


def endpoint(name: str = "e") -> dict[str, Any]:
    at = "2026-03-01T10:00:00Z"
    return {"name": name, "model": "m", "version": 1, "state": "loaded", "created_at": at, "url": "/"}


def test_key_and_path_travel_as_they_should(scripted: Any, answers: Any) -> None:
    scripted.script = [answers.http(200, endpoint("a/b ?"))]
    with Client(scripted.url + "/", SECRET) as client:
        assert client.endpoints.get("a/b ?").name == "a/b ?"
        assert SECRET not in repr(client)
    asked = scripted.asked[0]
    assert asked.target == "/v1/endpoints/a%2Fb%20%3F"
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.headers["user-agent"].startswith("superpose-python/")


def test_problem_documents_become_api_errors(scripted: Any, answers: Any) -> None:
    scripted.script = [
        answers.problem(
            422,
            "spec.invalid",
            "model.layers: must be 1 .. 64",
            headers={"X-Request-Id": "req_1"},
            field="model.layers",
        )
    ]
    with Client(scripted.url, SECRET) as client, pytest.raises(ApiError, match="must be 1") as caught:
        client.jobs.train(dataset="d", model="m", spec={})
    error = caught.value
    assert (error.problem_code, error.status) == ("spec.invalid", 422)
    assert error.details == {"field": "model.layers", "request_id": "req_1"}
    assert SECRET not in repr(error) + str(error)


def test_what_is_no_problem_document_is_named(scripted: Any, answers: Any) -> None:
    scripted.script = [answers.http(404, body=b"<html>"), answers.http(200, body=b"<html>"), answers.http(200, ["x"])]
    with Client(scripted.url, SECRET) as client:
        with pytest.raises(ProtocolError, match="without a problem document"):
            client.endpoints.get("e")
        with pytest.raises(ProtocolError, match="not JSON"):
            client.endpoints.get("e")
        with pytest.raises(ProtocolError, match="did not answer with a list"):
            client.endpoints.list()


def test_busy_services_are_asked_again_where_that_does_no_harm(scripted: Any, answers: Any) -> None:
    busy = answers.problem(503, "service.overloaded", "full", headers={"Retry-After": "0"})
    scripted.script = [busy, answers.problem(429, "service.overloaded", "full"), answers.http(200, endpoint())]
    with Client(scripted.url, SECRET) as client:
        assert client.endpoints.get("e").name == "e"
        scripted.script = [busy, answers.http(201, endpoint())]
        with pytest.raises(ApiError, match="full"):
            client.endpoints.create("e", model="m")
        scripted.script = [answers.problem(503, "service.overloaded", "long", headers={"Retry-After": "3600"})]
        scripted.asked.clear()
        with pytest.raises(ApiError, match="long"):
            client.endpoints.get("e")
        assert len(scripted.asked) == 1  # nobody waits an hour, nor asks before


def test_a_broken_connection_is_mended_where_that_does_no_harm(scripted: Any, answers: Any) -> None:
    with Client(scripted.url, SECRET) as client:
        scripted.script = [b"", answers.http(200, endpoint())]
        assert client.endpoints.get("e").name == "e"
        scripted.script = [b"", answers.problem(404, "service.not_found", "gone")]
        client.endpoints.delete("e")
        scripted.script = [b"", answers.http(201, endpoint())]
        with pytest.raises(UnreachableError):
            client.endpoints.create("e", model="m")
        scripted.asked.clear()
        scripted.script = [b"", answers.problem(409, "service.conflict", "no")]
        with pytest.raises(ApiError):
            client.jobs.train(dataset="d", model="m")
        first, second = scripted.asked
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
        assert json.loads(first.body) == {"kind": "train", "dataset": "d", "model": "m", "spec": {}, "priority": 0}


def test_nobody_there_and_too_slow_say_what_to_do(scripted: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", SECRET) as client, pytest.raises(UnreachableError) as caught:
        client.ready()
    assert f"No superpose service answers at http://127.0.0.1:{port} (connection refused)" in str(caught.value)
    assert "superpose serve" in str(caught.value)
    over = threading.Event()
    scripted.script = [lambda asked, connection: over.wait(60)]
    with Client(scripted.url, SECRET, timeout_s=0.2) as client, pytest.raises(UnreachableError, match=r"within 0\.2 s"):
        client.endpoints.get("e")
    over.set()


def test_explanations_have_a_limit_of_their_own_and_say_how_to_lengthen_it(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "EXPLAIN_TIMEOUT_S", 0.3)
    over = threading.Event()
    scripted.script = [lambda asked, connection: over.wait(60)] * 2
    with Client(scripted.url, SECRET, timeout_s=0.2) as client:
        with pytest.raises(UnreachableError, match=r"e did not explain 2 rows within 0\.3 s.*--timeout SECONDS"):
            client.explain("e", [[1.0], [2.0]])
        over.set()
        over.clear()
        with pytest.raises(UnreachableError, match=r"e did not explain 1 row within 0\.1 s.*timeout_s="):
            client.explain("e", [[1.0]], timeout_s=0.1)
    over.set()


def test_redirects_are_not_followed_with_the_key(scripted: Any, answers: Any) -> None:
    scripted.script = [answers.http(302, body=b"", headers={"Location": "http://127.0.0.1:1/elsewhere"})]
    with Client(scripted.url, SECRET) as client, pytest.raises(ProtocolError):
        client.endpoints.get("e")
    assert len(scripted.asked) == 1


def test_lists_follow_the_cursor(scripted: Any, answers: Any) -> None:
    scripted.script = [
        answers.http(200, {"items": [endpoint("a"), endpoint("b")], "next": "c=1"}),
        answers.http(200, {"items": [endpoint("c")], "next": None}),
    ]
    with Client(scripted.url, SECRET) as client:
        assert [e.name for e in client.endpoints.list()] == ["a", "b", "c"]
    assert "cursor=c%3D1" in scripted.asked[1].target


def test_a_closed_client_says_so(scripted: Any) -> None:
    client = Client(scripted.url, SECRET)
    client.close()
    with pytest.raises(ClientError, match="is closed"):
        client.endpoints.list()


def test_one_client_serves_many_threads(scripted: Any, answers: Any) -> None:
    scripted.script = [answers.http(200, endpoint()) for _ in range(8)]
    names: list[str] = []
    with Client(scripted.url, SECRET) as client:
        threads = [threading.Thread(target=lambda: names.append(client.endpoints.get("e").name)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert names == ["e"] * 8


def event(seq: int, kind: str = "progress", **data: Any) -> str:
    text = json.dumps({"seq": seq, "at": "2026-03-01T10:00:00Z", "kind": kind, "data": data})
    return f"id: {seq}\nevent: {kind}\ndata: {text}\n\n"


JOB = {"id": "job_a", "kind": "train", "status": "succeeded", "created_at": "2026-03-01T10:00:00Z"}


def test_events_survive_a_restart_of_the_service(scripted: Any, answers: Any) -> None:
    scripted.script = [
        answers.stream(event(1), ": keep-alive\n\n", event(2, epoch=1), "id: 3\ndata: {", end=False),
        b"",
        answers.problem(503, "service.draining", "restarting"),
        answers.stream(event(2, epoch=1), event(3), end=True),
        answers.stream(event(4, "succeeded"), end=True),
        answers.http(200, JOB),
    ]
    seen: list[Event] = []
    with Client(scripted.url, SECRET) as client:
        job = client.jobs.wait("job_a", seen.append)
    assert job.succeeded
    assert [e.seq for e in seen] == [1, 2, 3, 4]
    streams = [a.headers["last-event-id"] for a in scripted.asked if a.target.endswith("/events")]
    assert streams == ["0", "2", "2", "2", "3"]


def test_events_start_where_asked_and_end_for_a_job_finished_before(scripted: Any, answers: Any) -> None:
    scripted.script = [answers.stream(end=True), answers.http(200, JOB)]
    with Client(scripted.url, SECRET) as client:
        assert list(client.jobs.events("job_a", after=9)) == []
    assert scripted.asked[0].headers["last-event-id"] == "9"


def test_waiting_ends_after_the_time_given(scripted: Any, answers: Any) -> None:
    def hold(asked: Any, connection: socket.socket) -> None:
        connection.sendall(answers.stream(event(1), end=False))
        over.wait(60)

    over = threading.Event()
    scripted.script = [hold]
    start = time.monotonic()
    with Client(scripted.url, SECRET) as client, pytest.raises(WaitTimeoutError, match="it goes on"):
        client.jobs.wait("job_a", timeout_s=0.4)
    assert 0.3 < time.monotonic() - start < 30  # the stream stays open for a minute
    over.set()


def test_another_projects_job_ends_the_events(scripted: Any, answers: Any) -> None:
    scripted.script = [answers.problem(404, "service.not_found", "No job job_b.")]
    with Client(scripted.url, SECRET) as client, pytest.raises(ApiError, match="No job"):
        list(client.jobs.events("job_b"))


INTERRUPTED = """
import sys
from superpose import Client
client = Client(sys.argv[1], "sp_key_aaaaaaaaaaaa_" + "x" * 43, timeout_s=250)
print("ready", flush=True)
for call in (lambda: client.endpoints.get("e"), lambda: list(client.jobs.events("job_a"))):
    try:
        call()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
print(client.endpoints.get("e").name)
client.close()
"""


def test_ctrl_c_ends_a_call_at_once_and_the_client_goes_on(scripted: Any, answers: Any) -> None:
    held: list[socket.socket] = []

    def hold(asked: Any, connection: socket.socket) -> None:
        """Leave the call unanswered for ever, and interrupt it."""
        held.append(connection.dup())
        caller.send_signal(signal.SIGINT)

    def hold_stream(asked: Any, connection: socket.socket) -> None:
        connection.sendall(answers.stream(event(1), end=False))
        hold(asked, connection)

    scripted.script = [hold, hold_stream, answers.http(200, endpoint("alive"))]
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, scripted.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    ) as caller:
        try:
            out, err = caller.communicate(timeout=100)  # a call by itself gives up after 250 s
        finally:
            caller.kill()
    for connection in held:
        connection.close()
    assert out.split() == ["ready", "interrupted", "interrupted", "alive"], err
    assert (caller.returncode, err) == (0, "")


def test_discovery_prefers_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local_key, other_key = tmp_path / "local.key", tmp_path / "other.key"
    write_key_file(local_key, SECRET)
    write_key_file(other_key, mint_key()[1])
    home = tmp_path / "data-home" / "superpose"
    home.mkdir(parents=True)
    facts = {"url": "http://127.0.0.1:9", "key_file": str(local_key), "pid": os.getpid()}
    (home / "service.json").write_text(json.dumps(facts))

    assert repr(Client()) == f"Client('http://127.0.0.1:9', key from {local_key})"
    # the running service's key goes to the running service only
    assert repr(Client("http://192.0.2.1:9")) == "Client('http://192.0.2.1:9', key from nowhere)"
    monkeypatch.setenv("SUPERPOSE_URL", "http://192.0.2.2:9")
    assert "key from nowhere" in repr(Client())
    monkeypatch.setenv("SUPERPOSE_KEY_FILE", str(other_key))
    assert repr(Client()) == f"Client('http://192.0.2.2:9', key from {other_key})"
    assert (
        repr(Client("http://192.0.2.3:9", key_file=local_key)) == f"Client('http://192.0.2.3:9', key from {local_key})"
    )
    with pytest.raises(KeyMissingError, match="both given"):
        Client(key="x", key_file=local_key)
    other_key.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Client()

    monkeypatch.delenv("SUPERPOSE_URL")
    monkeypatch.delenv("SUPERPOSE_KEY_FILE")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (home / "service.json").write_text(json.dumps({**facts, "pid": ended.pid}))
    assert repr(Client()) == "Client('http://127.0.0.1:8000', key from nowhere)"
    (home / "service.json").write_text("{")
    assert repr(Client()) == "Client('http://127.0.0.1:8000', key from nowhere)"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://host:port", "nothing", ""])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(UnreachableError, match="not the address of a service") as caught:
        Client(url or " ", SECRET)
    assert SECRET not in str(caught.value)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UnreachableError) as caught:
        Client("http://user:hidden@127.0.0.1:8000", SECRET)
    assert "hidden" not in str(caught.value) + repr(caught.value.details)


def test_keys_from_the_environment_lose_their_line_end(
    scripted: Any, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERPOSE_URL", scripted.url)
    monkeypatch.setenv("SUPERPOSE_KEY", SECRET + "\n")
    scripted.script = [answers.http(200, endpoint())]
    with Client() as client:
        client.endpoints.get("e")
    assert scripted.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    monkeypatch.setenv("SUPERPOSE_KEY", "clé secrète")
    with pytest.raises(KeyInvalidError, match="from SUPERPOSE_KEY") as caught:
        Client()
    assert "secr" not in str(caught.value)
