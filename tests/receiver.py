"""A receiver of webhooks on a loopback port: a real HTTP server that checks signatures by the text of the standard."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Message:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def signers(self, *secrets: str) -> list[int]:
        """Which of the secrets made a signature, as the standard says: ``v1,`` base64 HMAC-SHA256 of id.time.body."""
        content = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        given = self.headers["webhook-signature"].split(" ")
        found = []
        for number, secret in enumerate(secrets):
            prefix, key = secret[:6], base64.b64decode(secret[6:])
            assert prefix == "whsec_"
            assert 24 <= len(key) <= 64
            made = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
            if made in given:
                found.append(number)
        assert len(given) >= len(found)
        return found


@dataclass
class Receiver:
    """What has arrived, in order; ``answer`` says with which status and headers each is answered."""

    url: str = ""
    port: int = 0
    messages: list[Message] = field(default_factory=list)
    answer: Callable[[Message], tuple[int, dict[str, str]] | None] = lambda _: (204, {})
    wire: Callable[[Any], None] | None = None

    def of(self, path: str) -> list[Message]:
        return [message for message in self.messages if message.path == path]


@contextmanager
def receiving(certificate: Path | None = None, key: Path | None = None) -> Iterator[Receiver]:
    """A receiver until the block ends; with a certificate it speaks TLS."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = Message(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.messages.append(message)
            if receiver.wire is not None:
                receiver.wire(self.wfile)
                return
            told = receiver.answer(message)
            if told is None:  # as a receiver that died
                self.close_connection = True
                return
            self.send_response(told[0])
            for name, value in told[1].items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a sender that went away

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    receiver.url = f"http{'s' if certificate else ''}://127.0.0.1:{receiver.port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
