"""Long work for a client that waits: few at once, projects in fair turn, and ended when the client has gone."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Receive

__all__ = ["AT_ONCE", "Turns", "while_it_waits"]

T = TypeVar("T")

AT_ONCE: Final = 4
"""Explanations that are computed at a time; the server's other answers share a pool of 40 threads with them."""


class Turns:
    """Who may work when: at most so many at once, of one project one fewer, so that others need not wait for its end.

    A place that becomes free goes to the project that has the fewest, of equals to who has waited longest. To be used
    in one event loop.

    Args:
        n: how many at once.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._at_work: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def of(self, project: str) -> AsyncIterator[None]:
        """A turn of a project, waited for and given back."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waits = (project, mine)
        self._waiting.append(waits)
        self._hand_out()
        try:
            await mine
            yield
        finally:
            if waits in self._waiting:
                self._waiting.remove(waits)
            else:
                self._at_work -= Counter((project,))  # which forgets projects that have none
            self._hand_out()

    def _hand_out(self) -> None:
        most = max(1, self._n - 1)
        while self._at_work.total() < self._n:
            ready = [(self._at_work[project], place) for place, (project, _) in enumerate(self._waiting)]
            ready = [one for one in ready if one[0] < most]
            if not ready:
                return
            project, mine = self._waiting.pop(min(ready)[1])
            self._at_work[project] += 1
            if not mine.done():  # a task that was cancelled gives its turn back as any other
                mine.set_result(None)


async def while_it_waits(
    receive: Receive, turn: AbstractAsyncContextManager[None], work: Callable[[Callable[[], None]], T]
) -> T:
    """What ``work`` gives, computed in a thread in its turn.

    Args:
        receive: of the request, whose body has been read.
        turn: of whom it is, of `Turns`.
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
        async with turn:
            return await run_in_threadpool(begin)
    finally:
        gone.set()  # also where the server gives up at its end: the thread is to stop
        watching.cancel()
