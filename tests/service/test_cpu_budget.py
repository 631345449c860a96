"""The CPU budget: never more threads than tokens, nobody starves, nothing is lost with a process that ends."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from superpose.service import ServiceConfig
from superpose.service.work.cpu_budget import CpuBudget, CpuShare

from .conftest import wait_for

#: Takes shares again and again, and writes how many threads it may run into its byte of a file.
HOLDER = """
import mmap, sys, threading, time
from pathlib import Path
from superpose.service.work.cpu_budget import CpuBudget
directory, n_tokens, place, hold_s, silent_s = Path(sys.argv[1]), *map(int, sys.argv[2:4]), *map(float, sys.argv[4:6])
with open(directory / "board", "r+b") as file:
    board = mmap.mmap(file.fileno(), 16)
turn, at_work = threading.Lock(), False
def show(n):
    with turn:
        if at_work:  # a share may still grow while it is about to be released
            board[place] = n
budget = CpuBudget(directory / "cpu", n_tokens, silent_s=silent_s)
while True:
    at_work = True
    share = budget.take(n_tokens, give_up=lambda: False, on_change=show)
    board[8 + place] = min(255, board[8 + place] + 1)
    time.sleep(hold_s)
    with turn:
        at_work, board[place] = False, 0
    share.release()
"""


class Holders:
    """Processes on one budget."""

    def __init__(self, directory: Path, n_tokens: int, silent_s: float = 30.0) -> None:
        self.directory, self.n_tokens, self.silent_s = directory, n_tokens, silent_s
        (directory / "board").write_bytes(bytes(16))
        with (directory / "board").open("r+b") as file:
            self._board = mmap.mmap(file.fileno(), 16)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, hold_s: float) -> subprocess.Popen[bytes]:
        facts = (self.directory, self.n_tokens, len(self.processes), hold_s, self.silent_s)
        self.processes.append(subprocess.Popen([sys.executable, "-c", HOLDER, *map(str, facts)]))
        return self.processes[-1]

    def threads(self, place: int) -> int:
        return self._board[place]

    def turns(self, place: int) -> int:
        return self._board[8 + place]

    def all_threads(self) -> list[int]:
        return list(self._board[: len(self.processes)])

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self._board.close()


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[Holders]:
    made = Holders(tmp_path, 2)
    yield made
    made.end()


def take(budget: CpuBudget, most: int = 2, seen: list[int] | None = None) -> CpuShare:
    share = budget.take(most, give_up=lambda: False, on_change=(seen if seen is not None else []).append)
    assert share is not None
    return share


@pytest.mark.slow
def test_three_processes_never_run_more_threads_than_there_are_tokens_and_all_get_on(holders: Holders) -> None:
    for _ in range(3):
        holders.start(hold_s=0.05)
    wait_for(lambda: all(holders.turns(place) for place in range(3)))
    seen = set[int]()

    def looked_at_long_enough() -> bool:
        for _ in range(20):
            seen.add(sum(holders.all_threads()))
            time.sleep(0.001)
        return 2 in seen and all(holders.turns(place) >= 5 for place in range(3))

    wait_for(looked_at_long_enough)
    assert max(seen) == 2


def test_who_releases_and_takes_again_leaves_those_who_wait_their_turn(tmp_path: Path) -> None:
    budget, had = CpuBudget(tmp_path, 1), threading.Event()

    def wait() -> None:
        with take(CpuBudget(tmp_path, 1)):
            had.set()

    share, waiting = take(budget), threading.Thread(target=wait, daemon=True)
    waiting.start()
    wait_for(budget.somebody_waits)
    for _ in range(100):  # each time one of the two has it, by chance
        share.release()
        share = take(budget)
        if had.is_set():
            break
    assert had.is_set()
    share.release()
    waiting.join(60)


def test_tokens_of_a_killed_process_are_free_at_once(holders: Holders, tmp_path: Path) -> None:
    first = holders.start(hold_s=1_000)
    wait_for(lambda: holders.threads(0) == 2)
    first.kill()
    first.wait()
    with take(CpuBudget(tmp_path / "cpu", 2, silent_s=1e9)) as share:  # by its death, not by its silence
        assert share.n_threads == 2


def test_a_stopped_process_keeps_nobody_waiting_for_ever(holders: Holders, tmp_path: Path) -> None:
    first = holders.start(hold_s=1_000)
    wait_for(lambda: holders.threads(0) == 2)
    os.kill(first.pid, signal.SIGSTOP)
    began_s = time.monotonic()
    with take(CpuBudget(tmp_path / "cpu", 2, silent_s=1.5)) as share:
        assert share.n_threads == 1
        assert time.monotonic() - began_s >= 1.5
        os.kill(first.pid, signal.SIGCONT)


def test_a_share_makes_room_for_another_and_grows_again(tmp_path: Path) -> None:
    budget, seen = CpuBudget(tmp_path, 2), list[int]()
    with take(budget, seen=seen) as first:
        assert (first.n_threads, seen) == (2, [2])
        with take(CpuBudget(tmp_path, 2)) as second:
            assert (first.n_threads, second.n_threads) == (1, 1)
            assert seen == [2, 1]
        wait_for(lambda: first.n_threads == 2)
        assert seen == [2, 1, 2]
    with take(budget, most=1) as small:
        time.sleep(0.2)
        assert small.n_threads == 1  # it has no use for more


def test_who_waits_can_be_told_to_stop(tmp_path: Path) -> None:
    budget, stop = CpuBudget(tmp_path, 1), threading.Event()
    with take(budget):
        threading.Timer(0.2, stop.set).start()
        assert budget.take(1, give_up=stop.is_set) is None
        assert not budget.somebody_waits()


def test_every_library_keeps_to_one_thread_those_loaded_before_and_after() -> None:
    script = """
import numpy
from superpose.service.work.cpu_budget import one_thread_each
one_thread_each()
import sklearn.ensemble, torch, threadpoolctl
found = threadpoolctl.threadpool_info()
assert {"blas", "openmp"} <= {library["user_api"] for library in found}
print({library["num_threads"] for library in found}, torch.get_num_threads())
"""
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=free, check=True)
    assert run.stdout == "{1} 1\n"


def test_settings_of_the_budget(tmp_path: Path) -> None:
    config = ServiceConfig(data_dir=tmp_path)
    assert config.cpu_total == len(os.sched_getaffinity(0)) == config.worker_threads
    config = ServiceConfig(data_dir=tmp_path, cpu_threads=4, threads_per_worker=3, cpu_dir=tmp_path / "shared")
    assert (config.cpu_total, config.worker_threads) == (4, 3)
    assert ServiceConfig.from_json(config.to_json()) == config
