"""Running the API: bind first, so that the address is known; uvicorn; a shutdown that finishes what it began."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from superpose.api.access_log import ACCESS_LOGGER, writing_access_lines
from superpose.api.app import create_app
from superpose.api.edge import ERROR_LOGGER
from superpose.api.tls import Tls
from superpose.errors import CertificateError, RequestError, StartError
from superpose.service import Service, ServiceConfig, Supervisor
from superpose.service.operations.json_logs import JsonLines, LogFile
from superpose.service.operations.pauses import short_pauses
from superpose.service.serving.server_share import ServerShare
from superpose.service.work.cpu_budget import one_thread_each
from superpose.service.work.memory import kept_tidy

__all__ = ["bind", "serve"]

_GRACE_S = 10
#: How long a server that has ended waits for ``on_ready`` to return.
_TOLD_S = 2.0
_KEEP_ALIVE_S = 30
_BACKLOG = 512
_LOG_BYTES = 32 * 1024 * 1024
_N_OLD_LOGS = 4


def serve(
    config: ServiceConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    tls: Tls | None = None,
    behind_proxy: str | None = None,
    on_ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Open the service, keep its workers alive, and answer HTTP(S) until SIGTERM or SIGINT, or until ``stop`` is set.

    Then requests under way are finished, event streams are ended so that clients come back to the next server, and
    workers go on to their next checkpoint; a second signal does not wait for these. Access and error lines go to
    ``logs/api.jsonl`` in the data directory. SIGHUP has a renewed certificate read.

    Args:
        config: the service's settings; with ``workers=0`` jobs wait for workers started elsewhere.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        tls: certificate and key; without them only loopback addresses are served.
        behind_proxy: why ``host`` may be other than loopback without ``tls``, such as "nginx in this pod ends TLS".
        on_ready: called with the URL, in a thread, once requests are answered; if it raises, serving ends. A server
            that has ended waits 2 s for it at most.
        stop: ends serving when set; the way to stop a server that runs in a thread.

    Raises:
        RequestError: ``host`` is not loopback and neither ``tls`` nor ``behind_proxy`` is given.
        StartError: the address is taken or unknown.
        StoreError: the data directory cannot be used, or another server owns it.
    """
    one_thread_each()
    with (
        contextlib.closing(bind(host, port, tls=tls, behind_proxy=behind_proxy)) as listening,
        _signals_set(threading.Event() if stop is None else stop) as ending,
        _hangup_reloads(tls),
        Service.open(config) as service,
        _logging_to(config.data_dir / "logs" / "api.jsonl"),
        kept_tidy(),
        Supervisor(config) if config.workers else contextlib.nullcontext() as supervisor,
    ):
        if supervisor is not None:
            service.measurements.worker_pids = lambda: supervisor.worker_pids
        if behind_proxy:
            _log_fact("plaintext allowed", host=host, reason=behind_proxy)
        app = create_app(service)
        with short_pauses(), service.sending(), ServerShare(service.cpu_budget, service.allow_threads):
            asyncio.run(_run(app, listening, tls, on_ready, ending, proxied=bool(behind_proxy)))


def bind(host: str, port: int, *, tls: Tls | None = None, behind_proxy: str | None = None) -> socket.socket:
    """A socket bound to the address.

    Raises:
        RequestError: ``host`` is not loopback and neither ``tls`` nor a reason to go without is given.
        StartError: the address is taken or unknown.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartError(f"Host {host!r} is not an address of this machine: {error.strerror}.", host=host) from error
    if tls is None and not (behind_proxy or "").strip() and not _is_loopback(str(address[0])):
        raise RequestError(
            f"Host {host!r} can be reached from other machines, and no certificate is given: keys and data would "
            "travel readable. Give --certificate and --key, listen on 127.0.0.1, or, where a proxy on this host ends "
            'TLS, say so: --behind-proxy "which proxy".',
            host=host,
        )
    listening = socket.socket(family, kind, protocol)  # asyncio sets TCP_NODELAY only where the protocol is stated
    try:
        if os.name == "posix":  # elsewhere this would let a second server steal the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise StartError(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose another --port, or 0 for a free one.",
            host=host,
            port=port,
        ) from error
    return listening


def url_of(listening: socket.socket, tls: Tls | None = None) -> str:
    """The URL under which a bound socket is reached from this machine."""
    scheme = "http" if tls is None else "https"
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_unspecified:
        host = "::1" if address.version == 6 else "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if address.version == 6 else f"{scheme}://{host}:{port}"


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


async def _run(
    app: FastAPI,
    listening: socket.socket,
    tls: Tls | None,
    on_ready: Callable[[str], None] | None,
    ending: threading.Event,
    *,
    proxied: bool,
) -> None:
    """Serve until told to stop, passing the word on to open streams."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,  # the edge logs what happens, without what a foreign message may hold
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            proxy_headers=proxied,  # who else says where a request comes from would choose what the audit log says
            ssl_context_factory=None if tls is None else lambda *_: tls.context,
        )
    )
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    while not serving.done() and not server.started:
        await asyncio.sleep(0.005)
    told = _tell(on_ready or _say_nothing, url_of(listening, tls))
    while not serving.done():
        refused = told.done() and told.exception() is not None
        if ending.is_set() or refused:
            server.should_exit = True
        if server.should_exit:
            app.state.draining.set()
        await asyncio.wait({serving}, timeout=0.05)
    await serving
    try:
        told.result(_TOLD_S)
    except TimeoutError:
        if told.done():
            raise
        _log_fact("on_ready has not returned", waited_s=_TOLD_S)


def _tell(on_ready: Callable[[str], None], url: str) -> Future[None]:
    """Call it in a thread: it may well ask the server something before it returns, and may never return."""
    told: Future[None] = Future()

    def call() -> None:
        try:
            on_ready(url)
        except BaseException as error:
            told.set_exception(error)
        else:
            told.set_result(None)

    threading.Thread(target=call, name="superpose-ready", daemon=True).start()  # a daemon: the process can end
    return told


def _say_nothing(_: str) -> None:
    """What is called if nobody wants to know that the server is ready."""


@contextlib.contextmanager
def _signals_set(ending: threading.Event) -> Iterator[threading.Event]:
    """Let SIGTERM and SIGINT set ``ending``; one that comes after it is set interrupts.

    While uvicorn serves it has handlers of its own, and raises what it caught again when it has shut down.
    """
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    caught: list[int] = []

    def handle(number: int, _: object) -> None:
        caught.append(number)
        ending.set()
        if len(caught) > 1:
            raise KeyboardInterrupt

    before = {name: signal.signal(name, handle) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ending
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextlib.contextmanager
def _hangup_reloads(tls: Tls | None) -> Iterator[None]:
    """Let SIGHUP have a renewed certificate read; without TLS it ends the server, as it ends other programs."""
    if tls is None or threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGHUP"):
        yield
        return

    def reload(_: int, __: object) -> None:
        try:
            tls.reload()
        except CertificateError as error:
            _log_fact("certificate not reloaded", error=error.message)
        else:
            _log_fact("certificate reloaded", certificate=str(tls.certificate))

    before = signal.signal(signal.SIGHUP, reload)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _log_fact(event: str, **facts: object) -> None:
    """A line about the server itself in its log."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    logging.getLogger(ERROR_LOGGER).warning(json.dumps({"at": at, "event": event, **facts}))


class _ServerLines(JsonLines):
    """Lines of the edge as they are, JSON already; those of others made JSON."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if record.name in (ACCESS_LOGGER, ERROR_LOGGER) else super().format(record)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write the lines of the edge, and what the service's rooms say, to a file that only the owner reads."""
    path.touch(0o600)
    handler = LogFile(path, maxBytes=_LOG_BYTES, backupCount=_N_OLD_LOGS, encoding="utf-8")
    handler.setFormatter(_ServerLines())
    loggers = [logging.getLogger(name) for name in (ACCESS_LOGGER, ERROR_LOGGER, "superpose")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = logger.name == "superpose"
    try:
        with writing_access_lines():
            yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()
