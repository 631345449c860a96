"""Explanations for clients that wait: few at once, ended when the client has gone, and others are not blocked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from superpose.api.patience import AT_ONCE, while_it_waits
from superpose.service.serving.endpoints import Endpoints

from .conftest import Api


class _Client:
    """What a server hears of a client: nothing, until it goes."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


def test_work_is_given_and_no_more_than_its_turns_at_once() -> None:
    running, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(2)

    def work(look: Callable[[], None]) -> int:
        nonlocal running, most
        look()
        with lock:
            running += 1
            most = max(most, running)
        both.wait(60)  # two are there together
        with lock:
            running -= 1
        return 7

    async def all_of_them() -> list[int]:
        turns, client = asyncio.Semaphore(2), _Client()
        return await asyncio.gather(*(while_it_waits(client.receive, turns, work) for _ in range(6)))

    assert asyncio.run(all_of_them()) == [7] * 6
    assert most == 2


def test_work_whose_client_has_gone_ends_and_what_waits_for_it_never_begins() -> None:
    begun, over, n_begun = threading.Event(), threading.Event(), []

    def endless(look: Callable[[], None]) -> None:
        n_begun.append(1)
        begun.set()
        while not over.wait(0.001):
            look()

    async def told() -> list[Any]:
        turns, first, second = asyncio.Semaphore(1), _Client(), _Client()
        asked = [asyncio.ensure_future(while_it_waits(one.receive, turns, endless)) for one in (first, second)]
        await asyncio.to_thread(begun.wait, 60)
        second.gone.set()  # it still waits for its turn
        first.gone.set()
        return list(await asyncio.gather(*asked, return_exceptions=True))

    try:
        found = asyncio.run(asyncio.wait_for(told(), 60))
    finally:
        over.set()
    assert [type(one) for one in found] == [ClientDisconnect, ClientDisconnect]
    assert len(n_begun) == 1


def test_clients_that_go_leave_nothing_behind_and_those_that_stay_are_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended, over = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def explain(self: Endpoints, principal: Any, name: str, rows: Any, wanted: Any, look: Callable[[], None]) -> Any:
        if name == "quick":
            return {"rows": len(rows)}
        begun.release()
        try:
            while not over.wait(0.001):
                look()
        finally:
            ended.release()

    monkeypatch.setattr(Endpoints, "explain", explain)
    body = json.dumps({"rows": [[1.0]]}).encode()
    headers = {"Authorization": f"Bearer {api.admin_key}", "Content-Type": "application/json"}
    waiting = [api.connect() for _ in range(AT_ONCE)]
    try:
        for one in waiting:
            one.request("POST", "/v1/endpoints/slow/explain", body, headers)
        assert all(begun.acquire(timeout=60) for _ in waiting)
        assert api.call("GET", "/v1/endpoints").status == 200  # the other routes go on
        for one in waiting:
            one.close()
        assert all(ended.acquire(timeout=60) for _ in waiting)
        assert api.call("POST", "/v1/endpoints/quick/explain", {"rows": [[1.0]]}).json == {"rows": 1}
    finally:
        over.set()
