"""Explanations for clients that wait: few at once, ended when the client has gone, and others are not blocked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from superpose.api.patience import AT_ONCE, Turns, while_it_waits
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
        turns, client = Turns(2), _Client()
        projects = ["one", "two"] * 3
        return await asyncio.gather(*(while_it_waits(client.receive, turns.of(name), work) for name in projects))

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
        turns, first, second = Turns(1), _Client(), _Client()
        asked = [asyncio.ensure_future(while_it_waits(one.receive, turns.of("a"), endless)) for one in (first, second)]
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


async def _settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


class _Worker:
    """A task that takes a turn and keeps it until told."""

    def __init__(self, turns: Turns, project: str) -> None:
        self.at_work, self._done = False, asyncio.Event()
        self.running = asyncio.ensure_future(self._work(turns, project))

    async def _work(self, turns: Turns, project: str) -> None:
        async with turns.of(project):
            self.at_work = True
            await self._done.wait()
            self.at_work = False

    async def ends(self) -> None:
        self._done.set()
        await self.running
        await _settle()


def test_a_project_leaves_one_place_to_others_and_free_places_go_to_who_has_fewest() -> None:
    async def told() -> None:
        turns = Turns(4)
        many = [_Worker(turns, "many") for _ in range(6)]
        await _settle()
        assert [one.at_work for one in many] == [True] * 3 + [False] * 3
        other = _Worker(turns, "other")
        await _settle()
        assert other.at_work  # at once, though it came last
        third, again = _Worker(turns, "third"), _Worker(turns, "other")
        await _settle()
        assert not third.at_work and not again.at_work
        await many[0].ends()
        assert third.at_work and not again.at_work and not many[3].at_work
        await many[1].ends()
        assert many[3].at_work and not again.at_work  # both projects have one, and it has waited longer
        await third.ends()
        assert again.at_work and not many[4].at_work
        for one in (other, again, *many[2:]):
            await one.ends()
        last = [_Worker(turns, "many") for _ in range(3)]
        await _settle()
        assert all(one.at_work for one in last)
        for one in last:
            await one.ends()

    asyncio.run(told())


def test_who_is_cancelled_while_it_waits_or_works_gives_back_what_it_had() -> None:
    async def told() -> None:
        turns = Turns(1)
        first, second, third = (_Worker(turns, "a") for _ in range(3))
        await _settle()
        second.running.cancel()
        await _settle()
        assert first.at_work and not third.at_work
        first.running.cancel()
        third.running.cancel()  # as its turn comes
        await _settle()
        fourth = _Worker(turns, "b")
        await _settle()
        assert fourth.at_work
        await fourth.ends()

    asyncio.run(told())


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
    waiting = [api.connect() for _ in range(AT_ONCE - 1)]
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
