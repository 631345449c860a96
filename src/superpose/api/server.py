"""Running the API: bind first, so that the address is known; uvicorn; a shutdown that finishes what it began."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import logging.handlers
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from superpose.api.app import create_app
from superpose.api.edge import ACCESS_LOGGER, ERROR_LOGGER
from superpose.errors import RequestError, StartError
from superpose.service import Service, ServiceConfig, Supervisor

__all__ = ["bind", "serve"]

_GRACE_S = 10
_KEEP_ALIVE_S = 30
_BACKLOG = 512
_LOG_BYTES = 32 * 1024 * 1024
_N_OLD_LOGS = 4


def serve(
    config: ServiceConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_remote: bool = False,
    on_ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Open the service, keep its workers alive, and answer HTTP until SIGTERM or SIGINT, or until ``stop`` is set.

    Then requests under way are finished, event streams are ended so that clients come back to the next server, and
    workers go on to their next checkpoint; a second signal does not wait for these. Access and error lines go to
    ``logs/api.jsonl`` in the data directory.

    Args:
        config: the service's settings; with ``workers=0`` jobs wait for workers started elsewhere.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        allow_remote: whether ``host`` may be other than loopback. There is no TLS: put a proxy that has it in front.
        on_ready: called with the URL, in a thread, once requests are answered; if it raises, serving ends.
        stop: ends serving when set; the way to stop a server that runs in a thread.

    Raises:
        RequestError: ``host`` is not loopback and ``allow_remote`` is not given.
        StartError: the address is taken or unknown.
        StoreError: the data directory cannot be used, or another server owns it.
    """
    with (
        contextlib.closing(bind(host, port, allow_remote=allow_remote)) as listening,
        _signals_set(threading.Event() if stop is None else stop) as ending,
        Service.open(config) as service,
        _logging_to(config.data_dir / "logs" / "api.jsonl"),
        Supervisor(config) if config.workers else contextlib.nullcontext(),
    ):
        asyncio.run(_run(create_app(service), listening, on_ready, ending))


def bind(host: str, port: int, *, allow_remote: bool = False) -> socket.socket:
    """A socket bound to the address.

    Raises:
        RequestError: ``host`` is not loopback and ``allow_remote`` is not given.
        StartError: the address is taken or unknown.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartError(f"Host {host!r} is not an address of this machine: {error.strerror}.", host=host) from error
    if not allow_remote and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise RequestError(
            f"Host {host!r} can be reached from other machines, and this server has no TLS yet: keys and data would "
            "travel readable. Listen on 127.0.0.1 behind a proxy with TLS, or allow it explicitly (--allow-remote).",
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


def url_of(listening: socket.socket) -> str:
    """The URL under which a bound socket is reached from this machine."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_unspecified:
        host = "::1" if address.version == 6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"


async def _run(
    app: FastAPI, listening: socket.socket, on_ready: Callable[[str], None] | None, ending: threading.Event
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
        )
    )
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    while not serving.done() and not server.started:
        await asyncio.sleep(0.005)
    # In a thread: whoever is told may well ask the server something before it returns.
    telling = asyncio.ensure_future(asyncio.to_thread(on_ready or _say_nothing, url_of(listening)))
    while not serving.done():
        refused = telling.done() and telling.exception() is not None
        if ending.is_set() or refused:
            server.should_exit = True
        if server.should_exit:
            app.state.draining.set()
        await asyncio.wait({serving}, timeout=0.05)
    await asyncio.gather(serving, telling)


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
def _logging_to(path: Path) -> Iterator[None]:
    """Write the access and error lines of the edge to a file that only the owner reads."""
    path.touch(0o600)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_N_OLD_LOGS, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    loggers = [logging.getLogger(name) for name in (ACCESS_LOGGER, ERROR_LOGGER)]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()
