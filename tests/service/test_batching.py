"""Micro-batches: no delay when idle, one batch after the other under load, nobody harmed by a neighbour."""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from superpose.errors import InternalError, OverloadedError
from superpose.service.serving.batching import BatchLimits, MicroBatcher

R = TypeVar("R")


class OwnTime(asyncio.SelectorEventLoop):
    """An event loop whose clock goes on only when nothing is left to do but to wait, or as it is told."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
                found = super().select(None if timeout is None else 0)
                if not found and timeout:
                    loop.now_s += timeout
                return found

        super().__init__(Selector())

    def time(self) -> float:
        return self.now_s


def run_in_own_time(loop: OwnTime, main: Coroutine[object, object, R]) -> R:
    """As ``asyncio.run``, in this loop."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


class Doubler:
    """Doubles numbers, as slowly as the test wants, and remembers the batches."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.batches: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.go.wait(60)
        self.batches.append(list(items))
        if 666 in items:
            raise RuntimeError("the whole batch")
        return [ValueError("odd one") if item < 0 else 2 * item for item in items]


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


@pytest.fixture
def batcher(doubler: Doubler):
    with ThreadPoolExecutor(2) as executor:
        yield MicroBatcher(doubler, executor, BatchLimits(max_batch_rows=8, max_queue_rows=20))


def test_an_idle_batcher_answers_at_once(batcher: MicroBatcher, doubler: Doubler) -> None:
    async def ask() -> list[int]:
        return [await batcher.submit(i, 1) for i in range(3)]

    assert asyncio.run(ask()) == [0, 2, 4]
    assert doubler.batches == [[0], [1], [2]]


def test_requests_that_arrive_meanwhile_form_the_next_batches(batcher: MicroBatcher, doubler: Doubler) -> None:
    async def ask() -> list[int]:
        doubler.go.clear()
        first = asyncio.create_task(batcher.submit(100, 1))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(batcher.submit(i, 1)) for i in range(12)]
        await asyncio.sleep(0.05)
        doubler.go.set()
        return await asyncio.gather(first, *rest)

    assert asyncio.run(ask()) == [200, *range(0, 24, 2)]
    assert doubler.batches == [[100], list(range(8)), list(range(8, 12))]
    stats = batcher.stats
    assert (stats.n_requests, stats.n_rows, stats.n_batches, stats.max_batch_requests) == (13, 13, 3, 8)


def test_a_request_larger_than_a_batch_runs_alone(batcher: MicroBatcher, doubler: Doubler) -> None:
    async def ask() -> list[int]:
        doubler.go.clear()
        asks = [asyncio.create_task(batcher.submit(i, rows)) for i, rows in enumerate([1, 5, 9, 2])]
        await asyncio.sleep(0.05)
        doubler.go.set()
        return await asyncio.gather(*asks)

    assert asyncio.run(ask()) == [0, 2, 4, 6]
    assert doubler.batches == [[0, 1], [2], [3]]


def test_a_full_queue_refuses_and_says_when_to_come_back(batcher: MicroBatcher, doubler: Doubler) -> None:
    async def ask() -> tuple[list[int], OverloadedError]:
        doubler.go.clear()
        running = asyncio.create_task(batcher.submit(1, 1))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(batcher.submit(i, 5)) for i in range(4)]
        await asyncio.sleep(0.05)
        with pytest.raises(OverloadedError) as caught:
            await batcher.submit(9, 1)
        doubler.go.set()
        return await asyncio.gather(running, *waiting), caught.value

    answers, error = asyncio.run(ask())
    assert answers == [2, 0, 2, 4, 6]
    assert 0.1 <= error.retry_after_s <= 60.0
    assert batcher.stats.n_refused == 1


def test_one_bad_request_does_not_touch_its_neighbours(batcher: MicroBatcher, doubler: Doubler) -> None:
    async def ask() -> list[object]:
        doubler.go.clear()
        asks = [asyncio.create_task(batcher.submit(i, 1)) for i in (1, -1, 3)]
        await asyncio.sleep(0.05)
        doubler.go.set()
        return await asyncio.gather(*asks, return_exceptions=True)

    one, bad, three = asyncio.run(ask())
    assert (one, three) == (2, 6) and isinstance(bad, ValueError)
    assert doubler.batches == [[1, -1, 3]]


def test_a_failing_computation_is_told_to_all_and_the_batcher_lives_on(batcher: MicroBatcher) -> None:
    async def ask() -> list[object]:
        found = await asyncio.gather(batcher.submit(666, 1), batcher.submit(1, 1), return_exceptions=True)
        return [*found, await batcher.submit(5, 1)]

    first, second, after = asyncio.run(ask())
    assert isinstance(first, InternalError) and isinstance(second, InternalError)
    assert isinstance(first.__cause__, RuntimeError)
    assert first is not second  # each caller raises one of its own
    assert after == 10


def test_callers_who_have_gone_are_left_out(batcher: MicroBatcher, doubler: Doubler) -> None:
    async def ask() -> list[int]:
        doubler.go.clear()
        first = asyncio.create_task(batcher.submit(1, 1))
        await asyncio.sleep(0.05)
        gone, stays = asyncio.create_task(batcher.submit(2, 1)), asyncio.create_task(batcher.submit(3, 1))
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.sleep(0)
        doubler.go.set()
        return [await first, await stays]

    assert asyncio.run(ask()) == [2, 6]
    assert doubler.batches == [[1], [3]]


def test_a_loop_that_ended_in_the_middle_does_not_block_the_next(batcher: MicroBatcher, doubler: Doubler) -> None:
    async def leave() -> None:
        doubler.go.clear()
        abandoned = asyncio.create_task(batcher.submit(1, 1))
        await asyncio.sleep(0.05)
        abandoned.cancel()

    asyncio.run(leave())
    doubler.go.set()
    assert asyncio.run(batcher.submit(4, 1)) == 8


def test_small_batches_are_computed_in_the_loop_and_large_ones_beside_it() -> None:
    names: list[str] = []

    def compute(items: Sequence[int]) -> Sequence[int]:
        names.append(threading.current_thread().name)
        until_s = time.thread_time() + (0.02 if len(items) > 4 else 0)
        while time.thread_time() < until_s:
            pass
        return items

    async def ask() -> None:
        for n in (1, 1, 1, 8, 8, 1):
            await asyncio.gather(*(batcher.submit(i, 1) for i in range(n)))

    with ThreadPoolExecutor(1, "beside") as executor:
        batcher: MicroBatcher[int, int] = MicroBatcher(compute, executor, BatchLimits(100, 100), inline_s=0.005)
        asyncio.run(ask())
    assert [name.startswith("beside") for name in names] == [True, False, False, True, True, False]


def test_under_load_a_batch_waits_for_company_but_not_for_long() -> None:
    """Callers come in twos, a moment apart: after two together, one waits for the other; alone, it is not held up."""
    batches: list[int] = []

    def compute(items: Sequence[int]) -> Sequence[int]:
        batches.append(len(items))
        return items

    async def pair(gap_s: float) -> None:
        first = asyncio.create_task(batcher.submit(1, 1))
        await asyncio.sleep(gap_s)
        await asyncio.gather(first, batcher.submit(2, 1))

    async def ask() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        await asyncio.gather(batcher.submit(1, 1), batcher.submit(2, 1), batcher.submit(3, 1))
        await pair(0.01)
        await pair(0.01)
        start_s = loop.time()
        await batcher.submit(1, 1)  # nobody comes: waits its 0.2 s
        alone_s = loop.time() - start_s
        await asyncio.sleep(0.3)  # idle: company is no longer expected
        start_s = loop.time()
        await batcher.submit(1, 1)
        return alone_s, loop.time() - start_s

    with ThreadPoolExecutor(1) as executor:
        limits = BatchLimits(100, 100, max_delay_s=0.2)
        batcher: MicroBatcher[int, int] = MicroBatcher(compute, executor, limits)
        alone_s, idle_s = run_in_own_time(OwnTime(), ask())
    assert batches == [3, 2, 2, 1, 1]
    assert alone_s == pytest.approx(0.2)
    assert idle_s == 0.0


def test_too_many_under_way_are_refused_with_the_time_that_those_before_will_take() -> None:
    """At 10 ms a row, 20 that wait take 0.2 s."""
    loop = OwnTime()

    def compute(items: Sequence[int]) -> Sequence[int]:
        loop.now_s += 0.01 * len(items)
        return items

    async def ask() -> list[object]:
        for _ in range(3):
            await asyncio.gather(*(batcher.submit(i, 1) for i in range(5)))
        return await asyncio.gather(*(batcher.submit(i, 1) for i in range(30)), return_exceptions=True)

    with ThreadPoolExecutor(1) as executor:
        batcher: MicroBatcher[int, int] = MicroBatcher(compute, executor, BatchLimits(100, 100, max_concurrency=20))
        answers = run_in_own_time(loop, ask())
    refused = [answer for answer in answers if isinstance(answer, OverloadedError)]
    assert len(refused) == 10 and answers[:20] == list(range(20))
    assert {error.retry_after_s for error in refused} == {0.2}
