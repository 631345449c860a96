"""What the clouds of the tests have in common: HTTP on loopback, what was asked of them, and faults to come."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeService:
    """A service that counts requests by their kind, and has faults put in, one request at a time.

    Faults that `Handler.answer` knows: "drop before" and "drop after" break the connection before and after the work,
    "hang after" does not answer until the test has ended, "cut" sends half an answer.
    """

    def __init__(self) -> None:
        self.requests = Counter[str]()
        self.faults: defaultdict[str, deque[str]] = defaultdict(deque)
        self.released = threading.Event()

    def asked(self, kind: str) -> str:
        """Count a request and return its fault, or nothing."""
        self.requests[kind] += 1
        return self.faults[kind].popleft() if self.faults[kind] else ""


class Handler(BaseHTTPRequestHandler):
    """Reads requests and writes answers in JSON."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer in one packet, or the other side waits 40 ms before it acknowledges

    def body(self) -> str:
        """What was sent, as text."""
        return self.content().decode()

    def content(self) -> bytes:
        """What was sent, as it came."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, service: FakeService, fault: str, work: Callable[[], tuple[int, Any]]) -> None:
        """Work and answer, as far as the fault lets it."""
        if fault == "drop before":
            self.drop()
            return
        status, document = work()
        if fault == "hang after":
            service.released.wait(60)
        if fault.endswith("after"):
            self.drop()
        else:
            self.reply(status, document, share=0.5 if fault == "cut" else 1.0)

    def reply(self, status: int, document: Any, headers: Mapping[str, str] | None = None, share: float = 1.0) -> None:
        """Answer with a document, or with text or bytes as they are; or with the first part of it alone."""
        if not isinstance(document, str | bytes):
            document = json.dumps(document, default=lambda at: at.isoformat())
        content = document.encode() if isinstance(document, str) else document
        content = content[: int(len(content) * share)]
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def drop(self) -> None:
        """Break the connection."""
        self.close_connection = True
        self.connection.shutdown(2)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening(handler: type[Handler], service: FakeService | None = None) -> Iterator[int]:
    """The port on which ``handler`` serves."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        if service is not None:
            service.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
