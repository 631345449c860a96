"""The server as a process: addresses, signals, restarts."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from superpose.api import serve
from superpose.api.server import bind
from superpose.errors import RequestError, StartError, StoreError
from superpose.service import ServiceConfig
from superpose.trust import read_key_file

CODE = """
import sys
from pathlib import Path
from superpose.api import serve
from superpose.service import ServiceConfig
serve(ServiceConfig(data_dir=Path(sys.argv[1]), workers=int(sys.argv[3])), port=int(sys.argv[2]),
      on_ready=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@contextmanager
def process(data_dir: Path, port: int = 0, workers: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CODE, str(data_dir), str(port), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline().strip()
        finally:
            server.kill()


def status(url: str, path: str, key: str | None = None) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_server_cleanly_and_the_next_one_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path / "data") as (server, url):
        key = read_key_file(tmp_path / "data" / "keys" / "admin.key")
        assert status(url, "/v1/version", key) == 200
        server.send_signal(number)
        out, err = server.communicate(timeout=60)
        assert (server.returncode, out, err) == (0, "ended\n", "")
    port = urlsplit(url).port
    with process(tmp_path / "data", port or 0) as (server, again):
        assert again == url
        assert status(url, "/v1/version", key) == 200


def test_a_request_under_way_is_finished(tmp_path: Path) -> None:
    with process(tmp_path / "data") as (server, url):
        key = read_key_file(tmp_path / "data" / "keys" / "admin.key")
        parts = urlsplit(url)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=60)
        body = b'{"name": "a", "builtin": "iris"}'
        head = f"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        head += f"\r\nExpect: 100-continue\r\nAuthorization: Bearer {key}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # it reads the body now
        server.send_signal(signal.SIGTERM)
        until_s = time.monotonic() + 60
        with contextlib.suppress(OSError):
            while time.monotonic() < until_s:  # until it takes no more connections
                socket.create_connection((parts.hostname, parts.port), timeout=60).close()
                time.sleep(0.01)
        assert server.poll() is None
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 201 ")
        connection.close()
        server.communicate(timeout=60)
        assert server.returncode == 0


def test_a_request_that_the_end_cuts_off_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("superpose.api.server._GRACE_S", 1)
    ending, urls = threading.Event(), queue.Queue[str]()
    config = ServiceConfig(data_dir=tmp_path / "data", workers=0)
    server = threading.Thread(target=lambda: serve(config, port=0, on_ready=urls.put, stop=ending))
    server.start()
    parts = urlsplit(urls.get(timeout=60))
    key = read_key_file(tmp_path / "data" / "keys" / "admin.key")
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        head = "POST /v1/datasets HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20"
        connection.sendall(f"{head}\r\nExpect: 100-continue\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        ending.set()  # and the body never comes
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        assert json.loads(answer.read())["code"] == "service.overloaded"
    server.join(timeout=60)


def test_workers_live_as_long_as_their_server(tmp_path: Path) -> None:
    with process(tmp_path / "data", workers=1) as (server, url):
        assert status(url, "/v2/health/ready") == 200
        log = tmp_path / "data" / "logs" / "worker-0.log"
        deadline = time.monotonic() + 120
        while not log.exists() or " begins " not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=90)
        assert server.returncode == 0
        lines = log.read_text().splitlines()
        assert [word in " ".join(lines) for word in (" begins ", " ends")] == [True, True]


def test_a_taken_port_and_an_unknown_host_are_told() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(StartError, match="--port"):
            bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(StartError):
        bind("no.such.host.invalid", 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_machines_may_not_reach_the_server_unless_that_is_wanted(host: str) -> None:
    for no_reason in (None, "", "  "):
        with pytest.raises(RequestError, match="--certificate and --key"):
            bind(host, 0, behind_proxy=no_reason)


def test_a_wanted_address_is_reached_over_loopback(tmp_path: Path) -> None:
    urls: list[str] = []
    stop = threading.Event()

    def on_ready(url: str) -> None:
        assert status(url, "/v2/health/live") == 200
        urls.append(url)
        stop.set()

    config = ServiceConfig(data_dir=tmp_path / "data", workers=0)
    reason = "the test is its own proxy"
    serve(config, host="0.0.0.0", port=0, behind_proxy=reason, on_ready=on_ready, stop=stop)
    assert urls[0].startswith("http://127.0.0.1:")
    assert reason in (config.data_dir / "logs" / "api.jsonl").read_text()


def test_a_caller_that_fails_when_told_ends_the_server(tmp_path: Path) -> None:
    def on_ready(url: str) -> None:
        raise ValueError(url)

    with pytest.raises(ValueError, match="http://127"):
        serve(ServiceConfig(data_dir=tmp_path / "data", workers=0), port=0, on_ready=on_ready)


def test_a_caller_that_is_stuck_when_told_does_not_hold_the_end_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("superpose.api.server._TOLD_S", 0.1)
    stop, let_go = threading.Event(), threading.Event()

    def on_ready(_: str) -> None:
        stop.set()
        let_go.wait(60)

    config = ServiceConfig(data_dir=tmp_path / "data", workers=0)
    server = threading.Thread(target=lambda: serve(config, port=0, on_ready=on_ready, stop=stop))
    server.start()
    try:
        server.join(timeout=30)
        assert not server.is_alive()
    finally:
        let_go.set()
        server.join(timeout=60)
    assert "on_ready has not returned" in (config.data_dir / "logs" / "api.jsonl").read_text()


def test_one_server_per_data_directory(start: Any) -> None:
    with start() as api, pytest.raises(StoreError, match="in use by another server"):
        serve(ServiceConfig(data_dir=api.data_dir, workers=0), port=0)
