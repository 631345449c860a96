"""The server's share of the CPU budget: endpoints are not starved, and the machine is not given more than it has."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from superpose.service.serving.server_share import ServerShare
from superpose.service.serving.turns import Turns
from superpose.service.work.cpu_budget import CpuBudget, CpuShare

from .conftest import wait_for


class Work:
    """CPU time as a server would use it: all the time, or none."""

    def __init__(self) -> None:
        self.busy = False
        self._used_s, self._at_s = 0.0, time.monotonic()

    def used_s(self) -> float:
        now_s = time.monotonic()
        if self.busy:
            self._used_s += now_s - self._at_s
        self._at_s = now_s
        return self._used_s


def share_of(directory: Path, work: Work, seen: list[int], n_tokens: int = 2) -> ServerShare:
    budget = CpuBudget(directory, n_tokens)
    return ServerShare(budget, seen.append, look_s=0.02, quiet_s=0.1, used_s=work.used_s)


def take(budget: CpuBudget, most: int, seen: list[int] | None = None) -> CpuShare:
    share = budget.take(most, give_up=lambda: False, on_change=([] if seen is None else seen).append)
    assert share is not None
    return share


def test_a_job_makes_room_for_a_server_that_works_and_gets_it_back_when_that_is_quiet(tmp_path: Path) -> None:
    work, threads, of_job = Work(), list[int](), list[int]()
    with take(CpuBudget(tmp_path, 2), 2, of_job) as job, share_of(tmp_path, work, threads) as server:
        wait_for(lambda: threads)
        assert (server.n_tokens, job.n_threads, threads[-1]) == (0, 2, 1)
        work.busy = True
        most, until_s = 0, time.monotonic() + 1.0
        while time.monotonic() < until_s:
            most = max(most, server.n_tokens + job.n_tokens)
            time.sleep(0.001)
        wait_for(lambda: (server.n_tokens, job.n_threads, threads[-1]) == (1, 1, 1))
        assert most <= 2
        work.busy = False
        wait_for(lambda: job.n_threads == 2)
        wait_for(lambda: server.n_tokens == 0)
    assert of_job == [2, 1, 2]


def test_a_server_alone_uses_all_and_makes_room_for_a_job(tmp_path: Path) -> None:
    work, threads = Work(), list[int]()
    with share_of(tmp_path, work, threads) as server:
        wait_for(lambda: threads)
        assert threads[-1] == 2  # nobody else wants them
        work.busy = True
        wait_for(lambda: server.n_tokens == 2)
        with take(CpuBudget(tmp_path, 2), 2) as job:
            wait_for(lambda: (server.n_tokens, job.n_threads, threads[-1]) == (1, 1, 1))
        wait_for(lambda: server.n_tokens == 2)


def test_the_next_free_token_is_the_servers_and_meanwhile_nobody_is_stopped(tmp_path: Path) -> None:
    work, threads, budget = Work(), list[int](), CpuBudget(tmp_path, 2)
    first, second = take(budget, 1), take(budget, 1)
    with ThreadPoolExecutor(1) as pool, share_of(tmp_path, work, threads) as server:
        wait_for(lambda: threads)
        work.busy = True
        wait_for(budget.somebody_waits)
        third = pool.submit(take, CpuBudget(tmp_path, 2), 1)
        time.sleep(0.3)
        assert (server.n_tokens, third.done(), threads[-1]) == (0, False, 1)  # one thread, without a token
        first.release()
        wait_for(lambda: server.n_tokens == 1)
        time.sleep(0.3)
        assert not third.done()
        second.release()
        third.result(60).release()


def test_one_token_is_shared_by_priority(tmp_path: Path) -> None:
    work, threads = Work(), list[int]()
    work.busy = True
    with share_of(tmp_path, work, threads, n_tokens=1) as server:
        with take(CpuBudget(tmp_path, 1), 1) as job:
            assert job.n_threads == 1
        assert server.n_tokens == 0
    assert set(threads) == {1}


def test_cpu_time_of_the_process_is_what_counts(tmp_path: Path) -> None:
    with ServerShare(CpuBudget(tmp_path, 2), lambda _: None, look_s=0.05, quiet_s=0.2) as server:
        until_s, held = time.monotonic() + 60.0, 0
        while not held and time.monotonic() < until_s:
            sum(range(10_000))
            held = server.n_tokens
        assert held
        wait_for(lambda: not server.n_tokens)


def test_predictions_take_turns_where_fewer_threads_are_allowed() -> None:
    turns, now, most = Turns(4), [0], [0]
    counting = threading.Condition()

    def compute(together: int) -> None:
        with counting:
            now[0] += 1
            most[0] = max(most[0], now[0])
            counting.notify_all()
            counting.wait_for(lambda: most[0] >= together, timeout=60)  # nobody ends before so many have met
        time.sleep(0.02)  # one more would come in now
        with counting:
            now[0] -= 1

    def peak(together: int) -> int:
        most[0] = 0
        for computing in [turns.submit(compute, together) for _ in range(8)]:
            computing.result(120)
        return most[0]

    assert peak(4) == 4
    turns.allow(1)
    assert peak(1) == 1
    turns.allow(3)
    assert peak(3) == 3
    turns.shutdown()
