"""Ranges of items that several threads work on, each with a Python function that calls compiled kernels.

The caller works too and takes whatever no thread has taken, so a call never waits for threads busy with another call.
Threads start when first needed, are daemons, and start anew in a forked child. Which thread runs a range does not
change any result. Where calls are short, `superpose.engine.pool` does the same without Python.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

__all__ = ["run_ranges"]


class _Job:
    """Ranges of tiles that several threads take from."""

    def __init__(self, work: Callable[[int, int], None], ranges: list[tuple[int, int]]) -> None:
        self.work = work
        self.todo = ranges[::-1]
        self.left = len(ranges)
        self.lock = threading.Lock()
        self.done = threading.Event()
        self.error: BaseException | None = None

    def help(self) -> None:
        """Work until nothing is left to take."""
        while True:
            try:
                first, last = self.todo.pop()
            except IndexError:
                return
            try:
                if self.error is None:
                    self.work(first, last)
            except BaseException as error:
                self.error = error
            with self.lock:
                self.left -= 1
                if self.left == 0:
                    self.done.set()


class _Crew:
    """The threads of one process."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self.size = 0
        self.lock = threading.Lock()

    def grow(self, size: int) -> None:
        with self.lock:
            while self.size < size:
                self.size += 1
                threading.Thread(target=self._serve, name=f"superpose-ranges-{self.size}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            self.jobs.get().help()


_crew = _Crew()


def run_ranges(work: Callable[[int, int], None], n_tiles: int, n_threads: int) -> None:
    """Call ``work(first, last)`` on ranges that cover ``0 .. n_tiles`` once, on up to ``n_threads`` threads."""
    crew = _crew
    n_threads = min(n_threads, n_tiles)
    step = max(1, n_tiles // (4 * n_threads))
    job = _Job(work, [(first, min(first + step, n_tiles)) for first in range(0, n_tiles, step)])
    crew.grow(n_threads - 1)
    for _ in range(n_threads - 1):
        crew.jobs.put(job)
    job.help()
    job.done.wait()
    if job.error is not None:
        raise job.error


def _after_fork() -> None:
    """A forked child has none of its parent's threads."""
    global _crew
    _crew = _Crew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
