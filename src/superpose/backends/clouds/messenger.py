"""JSON over HTTP to a provider: one request, one answer, and what is known when there is none."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import BuilderError, PyreqwestError

from superpose import __version__
from superpose.backends.clouds.retry import retry_after_s
from superpose.errors import ProviderError

__all__ = ["Answer", "Messenger", "checked_url"]

CONNECT_TIMEOUT_S: Final = 10.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP; 0 where nothing came back.
        document: The body, read as JSON; None where it is none, or was not asked for as JSON.
        retry_after_s: For how long the provider asks us to wait, in seconds.
        failure: What went wrong on the way.
        sent: Whether the request may have arrived.
        content: The body as it came.
    """

    status: int
    document: Any = field(default=None, repr=False)
    retry_after_s: float | None = None
    failure: Exception | None = None
    sent: bool = True
    content: bytes = field(default=b"", repr=False)


class Messenger:
    """Sends JSON to one provider.

    Args:
        provider: Its name, for errors.
        url: Where it is: https, or http on loopback.
        headers: Returns what proves who we are, asked before each request so that a renewed key counts at once. They
            stand in no message, log or repr.
        timeout_s: How long an answer may take, in seconds.

    Raises:
        ProviderError: Another kind of URL.
    """

    def __init__(
        self, provider: str, url: str, headers: Callable[[], Mapping[str, str]], timeout_s: float = 30.0
    ) -> None:
        self._url = checked_url(provider, url)
        self._headers = headers
        self._timeout_s = timeout_s
        self._client: tuple[int, SyncClient] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Messenger({self._url!r})"

    @property
    def on_loopback(self) -> bool:
        """Whether what is asked is on this machine."""
        return _is_loopback(self._url)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        as_json: bool = True,
    ) -> Answer:
        """Return the answer to one request; nothing is tried again.

        Args:
            method: Of HTTP.
            path: Behind the base URL.
            body: Bytes as they are, anything else as JSON.
            query: Names and values.
            headers: Beside those that prove who we are.
            as_json: Whether a good answer is to be JSON; others are read as such where they can be.
        """
        every = {**self._headers(), **(headers or {})}
        if threading.current_thread() is not threading.main_thread():
            return self._sent(method, path, body, query or {}, every, as_json)
        # pyreqwest's calls do not bear Ctrl-C, which only the main thread gets
        lane = ThreadPoolExecutor(1, thread_name_prefix="superpose-provider")
        try:
            return lane.submit(self._sent, method, path, body, query or {}, every, as_json).result()
        finally:
            lane.shutdown(wait=False)

    def _sent(
        self, method: str, path: str, body: Any, query: Mapping[str, str], headers: Mapping[str, str], as_json: bool
    ) -> Answer:
        request = self._http().request(method, self._url + path).timeout(timedelta(seconds=self._timeout_s))
        if query:
            request = request.query(dict(query))
        for name, value in headers.items():
            request = request.header(name, value, is_sensitive=True)
        if isinstance(body, bytes):
            request = request.body_bytes(body)
        elif body is not None:
            request = request.header("Content-Type", "application/json").body_bytes(json.dumps(body).encode())
        try:
            response = request.build().send()
            content = bytes(response.bytes())
        except PyreqwestError as error:
            return Answer(0, failure=error, sent=not _never_sent(error))
        pause_s = retry_after_s(response.get_header("retry-after"), datetime.now(UTC))
        document, failure = None, None
        if content and (as_json or response.status >= 300):
            try:
                document = json.loads(content)
            except ValueError as error:
                failure = error
        return Answer(response.status, document, pause_s, failure, content=content)

    def _http(self) -> SyncClient:
        with self._lock:
            if self._client is None or self._client[0] != os.getpid():  # connections do not bear a fork
                self._client = (os.getpid(), self._connected())
            return self._client[1]

    def _connected(self) -> SyncClient:
        builder = (
            SyncClientBuilder()
            .user_agent(f"superpose-python/{__version__}")
            .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
            .follow_redirects(False)  # a redirect would carry the key to an address nobody named
            .referer(False)
        )
        if _is_loopback(self._url):
            builder = builder.no_proxy()
        return builder.build()


def checked_url(provider: str, url: str) -> str:
    """Return a provider's base URL without a slash at its end.

    Raises:
        ProviderError: It is neither https nor on loopback.

    >>> checked_url("x", "https://example.org/v1/")
    'https://example.org/v1'
    """
    scheme = urlsplit(url).scheme
    if scheme == "https" or (scheme == "http" and _is_loopback(url)):
        return url.rstrip("/")
    raise ProviderError(
        f"{provider} is not asked at this address: it must begin with https://, or be http:// on this machine, so that "
        "no key goes out in the clear. Correct the URL.",
        provider=provider,
        provider_job_id=None,
        retryable=False,
    )


def _is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "") in _LOOPBACK


def _never_sent(error: PyreqwestError) -> bool:
    """Whether no connection came about; pyreqwest's own ConnectError also covers connections that broke later."""
    causes = (getattr(error, "details", None) or {}).get("causes") or []
    return isinstance(error, BuilderError) or any(str(cause["message"]).endswith("(Connect)") for cause in causes)
