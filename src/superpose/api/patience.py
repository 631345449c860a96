"""Long work for a client that waits: few at once, and ended when the client has gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Receive

__all__ = ["AT_ONCE", "while_it_waits"]

T = TypeVar("T")

AT_ONCE: Final = 4
"""Explanations that are computed at a time; the server's other answers share a pool of 40 threads with them."""


async def while_it_waits(receive: Receive, turns: asyncio.Semaphore, work: Callable[[Callable[[], None]], T]) -> T:
    """What ``work`` gives, computed in a thread in its turn.

    Args:
        receive: of the request, whose body has been read.
        turns: how many may be computed at once.
        work: gets what it must call again and again, which raises `ClientDisconnect` once the client has gone.

    Raises:
        ClientDisconnect: the client has gone; of work whose turn has not come nothing is begun.
    """
    gone = threading.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    def look() -> None:
        if gone.is_set():
            raise ClientDisconnect

    def begin() -> T:
        look()
        return work(look)

    watching = asyncio.ensure_future(watch())
    try:
        async with turns:
            return await run_in_threadpool(begin)
    finally:
        gone.set()  # also where the server gives up at its end: the thread is to stop
        watching.cancel()
