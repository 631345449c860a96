"""Threads of the engine: they run compiled kernels, which do not hold the interpreter's lock, over ranges of tiles.

The caller works too and takes whatever no thread has taken, so a call never waits for threads busy with another call.
Threads start when first needed, are daemons, and start anew in a forked child. Which thread runs a range does not
change any result.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

__all__ = ["call_others", "get_threads", "run_ranges", "set_threads"]

_MAX_THREADS = 256


def _default_threads() -> int:
    given = os.environ.get("SUPERPOSE_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return min(int(given), _MAX_THREADS)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MAX_THREADS)
    return os.cpu_count() or 1


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
        self.jobs: queue.SimpleQueue[_Job | _Help] = queue.SimpleQueue()
        self.size = 0
        self.lock = threading.Lock()

    def grow(self, size: int) -> None:
        with self.lock:
            while self.size < size:
                self.size += 1
                threading.Thread(target=self._serve, name=f"superpose-engine-{self.size}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            self.jobs.get().help()


_threads = _default_threads()
_crew = _Crew()


def set_threads(n_threads: int) -> None:
    """Set how many threads one call may use, the caller's included. Results do not depend on it.

    Raises:
        ValueError: Not in 1 .. 256.
    """
    global _threads
    if not 1 <= n_threads <= _MAX_THREADS:
        raise ValueError(f"n_threads must be in 1 .. {_MAX_THREADS}, got {n_threads}.")
    _threads = int(n_threads)


def get_threads() -> int:
    """Return how many threads one call may use: SUPERPOSE_THREADS, else the processors this process may run on."""
    return _threads


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


class _Help:
    """Something that threads of the crew may do while the caller is at work."""

    def __init__(self, help_out: Callable[[], None]) -> None:
        self.help = help_out


def call_others(help_out: Callable[[], None], n_others: int) -> None:
    """Have up to ``n_others`` threads call ``help_out``, some time or other; do not wait for them.

    ``help_out`` must see for itself whether there is still anything to do, and raise nothing.
    """
    crew = _crew
    crew.grow(n_others)
    job = _Help(help_out)
    for _ in range(n_others):
        crew.jobs.put(job)


def _after_fork() -> None:
    """A forked child has none of its parent's threads."""
    global _crew
    _crew = _Crew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
