"""A server that answers from a script over real sockets, for what a healthy service does not do on demand."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def http(
    status: int, document: Any = None, *, headers: dict[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """A whole HTTP answer."""
    content = body if body is not None else json.dumps(document).encode()
    kind = "application/problem+json" if status >= 400 else "application/json"
    lines = {"Content-Type": kind, "Content-Length": str(len(content)), "Connection": "close", **(headers or {})}
    head = f"HTTP/1.1 {status} Scripted\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + content


def problem(status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **details: Any) -> bytes:
    """An RFC 9457 answer."""
    return http(status, {"code": code, "detail": detail, "status": status, "title": "x", **details}, headers=headers)


def stream(*chunks: str, end: bool = True) -> bytes:
    """An event stream; without an end the connection breaks off in the middle."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    parts = [chunk.encode() for chunk in chunks]
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return head + body + (b"0\r\n\r\n" if end else b"")


Answer = bytes | Callable[[Asked, socket.socket], None]


@dataclass
class ScriptedServer:
    """Gives the scripted answers one after another, each on its own connection; keeps what was asked."""

    listener: socket.socket
    script: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):  # a client that has gone hears nothing
                self.answer(connection)

    def answer(self, connection: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            part = connection.recv(65536)
            if not part:
                return
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            body += connection.recv(65536)
        asked = Asked(method, target, headers, body)
        self.asked.append(asked)
        answer = self.script.pop(0) if self.script else problem(500, "test.script_ended", "no more answers")
        if callable(answer):
            answer(asked, connection)
        elif answer:
            connection.sendall(answer)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A scripted server on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ScriptedServer(listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own configuration reaches the client."""
    for name in ("SUPERPOSE_URL", "SUPERPOSE_KEY", "SUPERPOSE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
