"""HTTP under the client: one place for the key, time limits, retries, and Ctrl-C.

pyreqwest is chosen because it negotiates post-quantum TLS. Two of its traits shape this file (0.15.1, both seen): a
blocking call is not interrupted by Ctrl-C, and a KeyboardInterrupt that is pending while the call raises aborts the
whole process. So calls from the main thread, the only one that Python interrupts, are made by a second thread.
"""

from __future__ import annotations

import itertools
import os
import queue
import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.request import SyncRequestBuilder, SyncStreamRequest
from pyreqwest.response import BaseResponse

from superpose import __version__
from superpose.client.problems import raise_for_problem
from superpose.errors import ClientError, UnreachableError

__all__ = ["Call", "Reply", "Transport"]

MAX_ATTEMPTS: Final = 5
MAX_RETRY_AFTER_S: Final = 10.0
FIRST_BACKOFF_S: Final = 0.1
MAX_BACKOFF_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 5.0
_LOOK_S: Final = 0.25
_IDEMPOTENT_METHODS: Final = frozenset({"GET", "DELETE"})
_BUSY_STATUSES: Final = frozenset({429, 503})
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
_PIECE_BYTES: Final = 256 * 1024
_JITTER = random.SystemRandom()
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Call:
    """One request.

    The body is given as bytes or as a file (from ``body_from`` on), which is sent in pieces. ``repeatable`` says that
    sending it twice does no harm; GET and DELETE always are. Statuses in ``accepted`` are answers, whatever they mean
    elsewhere.
    """

    method: str
    path: str
    query: Mapping[str, str | int | float] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    body_file: Path | None = None
    body_from: int = 0
    content_type: str = "application/json"
    repeatable: bool = False
    timeout_s: float | None = None
    accepted: tuple[int, ...] = ()

    @property
    def retry_allowed(self) -> bool:
        """Whether the request may be sent again after a failure of unknown extent."""
        return self.repeatable or self.method in _IDEMPOTENT_METHODS


@dataclass(frozen=True)
class Reply:
    """Status, headers (lower-case names) and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport:
    """Sends calls to one service. The key stands in no ``repr``, message or URL."""

    def __init__(self, url: str, key: str | None, timeout_s: float, ca_file: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self.timeout_s = timeout_s
        self._roots = None if ca_file is None else read_ca_file(ca_file)
        self._shared = _connections(self.url, self._roots)
        self._lane: _Lane | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Transport({self.url!r})"

    def close(self) -> None:
        """Give the connections back; later calls raise."""
        self._closed = True
        self._drop_lane()
        self._shared.close()

    def send(self, call: Call) -> Reply:
        """The service's answer to ``call``.

        A connection that could not be made is tried again for every call; a connection that broke, and the statuses
        429 and 503 (after their Retry-After), only where sending twice does no harm. At most 5 attempts, with pauses
        of 0.1 s doubling to at most 2 s.

        Raises:
            UnreachableError: no answer.
            ApiError: the service refused.
            ProtocolError: what answers is not a superpose service.
        """
        for attempt in itertools.count(1):
            try:
                reply = self._send_once(call)
            except PyreqwestError as error:
                harmless = call.retry_allowed or _never_sent(error)
                if attempt < MAX_ATTEMPTS and harmless and not isinstance(error, RequestTimeoutError):
                    time.sleep(_backoff_s(attempt))
                    continue
                raise self._unreachable(error, call) from None
            if reply.status < 400 or reply.status in call.accepted:
                return reply
            if reply.status == 404 and call.method == "DELETE" and attempt > 1:
                return reply  # an earlier attempt did it, only its answer was lost
            pause_s = _retry_after_s(reply, attempt)
            if reply.status in _BUSY_STATUSES and call.retry_allowed and attempt < MAX_ATTEMPTS and pause_s is not None:
                time.sleep(pause_s)
                continue
            raise_for_problem(reply.status, reply.headers, reply.body, self.url)
        raise ClientError("unreachable")  # itertools.count does not end; this line tells the type checker so

    @contextmanager
    def stream(self, call: Call) -> Iterator[Iterator[bytes]]:
        """The answer's body in chunks as they arrive; one attempt, the caller reconnects.

        Raises:
            UnreachableError, ApiError: as for ``open``.
        """
        with self.open(call) as (_, chunks):
            yield chunks

    @contextmanager
    def open(self, call: Call) -> Iterator[tuple[Reply, Iterator[bytes]]]:
        """Status and headers of the answer, and its body in chunks as they arrive; one attempt.

        Raises:
            UnreachableError: no connection, or it broke on the way.
            ApiError: the service refused.
        """
        builder_timeout_s = call.timeout_s or self.timeout_s
        try:
            request = self._call(
                lambda http: self._builder(http, call, builder_timeout_s).streamed_read_buffer_limit(0).build_streamed()
            )
            response = self._call(lambda _: request.__enter__())
        except PyreqwestError as error:
            raise self._unreachable(error, call) from None
        try:
            if response.status >= 400:
                body = bytes(self._call(lambda _: response.bytes()))
                raise_for_problem(response.status, _headers(response), body, self.url)
            head = Reply(response.status, _headers(response), b"")
            yield head, self._chunks(response.body_reader.read_chunk, call)
        except (KeyboardInterrupt, SystemExit):
            raise  # a thread may still be reading; it gives the connection back when it ends
        except BaseException:
            self._end(request)
            raise
        self._end(request)

    def _chunks(self, read_chunk: Callable[[], Any], call: Call) -> Iterator[bytes]:
        while True:
            try:
                chunk = self._call(lambda _: read_chunk())
            except PyreqwestError as error:
                raise self._unreachable(error, call) from None
            if chunk is None:
                return
            yield bytes(chunk)

    def _end(self, request: SyncStreamRequest) -> None:
        with suppress(PyreqwestError, ClientError):
            self._call(lambda _: request.__exit__(None, None, None))

    def _send_once(self, call: Call) -> Reply:
        def blocking(http: SyncClient) -> Reply:
            response = self._builder(http, call, call.timeout_s or self.timeout_s).build().send()
            return Reply(response.status, _headers(response), bytes(response.bytes()))

        return self._call(blocking)

    def _builder(self, http: SyncClient, call: Call, timeout_s: float) -> SyncRequestBuilder:
        builder = http.request(call.method, self.url + call.path).timeout(timedelta(seconds=timeout_s))
        if call.query:
            builder = builder.query(dict(call.query))
        if self._key is not None:
            builder = builder.header("Authorization", f"Bearer {self._key}", is_sensitive=True)
        for name, value in call.headers.items():
            builder = builder.header(name, value)
        if call.body_file is not None:
            n_bytes = str(call.body_file.stat().st_size - call.body_from)
            builder = builder.header("Content-Type", call.content_type).header("Content-Length", n_bytes)
            builder = builder.body_stream(_pieces(call.body_file, call.body_from))
        elif call.body is not None:
            builder = builder.header("Content-Type", call.content_type).body_bytes(call.body)
        return builder

    def _call(self, blocking: Callable[[SyncClient], ResultT]) -> ResultT:
        """Run a blocking call: here, or, on the main thread, in the lane where Ctrl-C cannot hurt it."""
        if self._closed:
            raise ClientError(f"This client of {self.url} is closed; make a new one.")
        if threading.current_thread() is not threading.main_thread():
            return blocking(self._shared)
        lane = self._lane
        if lane is None or lane.pid != os.getpid():
            lane = self._lane = _Lane(_connections(self.url, self._roots))
        try:
            return lane.run(blocking)
        except (KeyboardInterrupt, SystemExit):
            self._drop_lane()
            raise

    def _drop_lane(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.drop()

    def _unreachable(self, error: PyreqwestError, call: Call) -> UnreachableError:
        if isinstance(error, RequestTimeoutError) and not _never_sent(error):
            limit_s = call.timeout_s or self.timeout_s
            return UnreachableError(
                f"The service at {self.url} did not answer {call.method} {call.path} within {limit_s:g} s. It may be "
                "busy or starting; try again, or give the client a longer timeout_s.",
                url=self.url,
                timeout_s=limit_s,
            )
        return UnreachableError(
            f"No superpose service answers at {self.url} ({_cause(error)}). Start one with `superpose serve`, or say "
            "where it runs: Client(url=...), --url or SUPERPOSE_URL.",
            url=self.url,
        )


class _Lane:
    """A thread with its own connections that makes the main thread's blocking calls one after another."""

    def __init__(self, http: SyncClient) -> None:
        self.pid = os.getpid()
        self._http = http
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self._calls,), name="superpose-client", daemon=True).start()
        self._end = weakref.finalize(self, self._calls.put, None)

    def run(self, blocking: Callable[[SyncClient], ResultT]) -> ResultT:
        """The call's result or exception; Ctrl-C ends the waiting at once."""
        outcome: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        http = self._http

        def call() -> None:
            try:
                outcome.put((True, blocking(http)))
            except BaseException as error:
                outcome.put((False, error))

        self._calls.put(call)
        while True:
            # Python does not see a signal that comes in the moment before a wait begins until that wait ends.
            with suppress(queue.Empty):
                succeeded, result = outcome.get(timeout=_LOOK_S)
                break
        if succeeded:
            return result  # type: ignore[no-any-return]  # put there by `call`
        raise result

    def drop(self) -> None:
        """Let the thread end after its current call, which closing the connections cuts short."""
        self._end()
        self._http.close()


def _work(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
        del call  # a waiting thread keeps nothing of the last answer alive


def read_ca_file(path: Path) -> bytes:
    """The PEM certificates that shall be trusted beside the system's.

    Raises:
        ClientError: the file cannot be read or holds no certificate.
    """
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise ClientError(f"CA file {path} cannot be read: {error.strerror}.", path=str(path)) from error
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ClientError(f"CA file {path} holds no certificate in PEM form.", path=str(path))
    return content


def _connections(url: str, roots: bytes | None = None) -> SyncClient:
    builder = (
        SyncClientBuilder()
        .user_agent(f"superpose-python/{__version__}")
        .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
        .follow_redirects(False)  # a redirect would carry the key to an address nobody named
        .referer(False)
    )
    if (urlsplit(url).hostname or "") in _LOOPBACK:
        builder = builder.no_proxy()
    for certificate in _CERTIFICATE.findall(roots or b""):
        builder = builder.add_root_certificate_pem(certificate)
    try:
        return builder.build()
    except PyreqwestError as error:
        raise ClientError(f"The CA file's certificates cannot be used: {error.message}.") from error


def _pieces(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _headers(response: BaseResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _backoff_s(attempt: int) -> float:
    return min(MAX_BACKOFF_S, FIRST_BACKOFF_S * float(2 ** (attempt - 1))) * _JITTER.uniform(0.75, 1.25)


def _retry_after_s(reply: Reply, attempt: int) -> float | None:
    """Seconds to wait before the next attempt; None where the service asks for more patience than we have."""
    text = reply.headers.get("retry-after", "").strip()
    try:
        asked_s = float(text)
    except ValueError:
        return _backoff_s(attempt)
    return None if asked_s > MAX_RETRY_AFTER_S else max(asked_s, 0.0) + _backoff_s(1)


def _never_sent(error: PyreqwestError) -> bool:
    """Whether no connection came about; pyreqwest's ConnectError also covers connections that broke later."""
    return any(message.endswith("(Connect)") for message in _causes(error))


def _causes(error: PyreqwestError) -> list[str]:
    causes = (getattr(error, "details", None) or {}).get("causes") or []
    return [str(cause["message"]) for cause in causes]


def _cause(error: PyreqwestError) -> str:
    """The innermost cause in pyreqwest's chain, without the URL that the outer ones repeat."""
    causes = _causes(error)
    text = causes[-1] if causes else str(error.message)
    return text.partition(" (os error")[0].lower()
