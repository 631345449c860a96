"""Threads that predictions are computed in, of which only so many work at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

__all__ = ["Turns"]


class Turns(Executor):
    """Threads of which only so many work at once.

    Args:
        n_threads: how many there are; that is also how many may work until ``allow`` says otherwise.
    """

    def __init__(self, n_threads: int) -> None:
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="superpose-predict")
        self._changing = threading.Condition()
        self._n_allowed, self._n_working = n_threads, 0

    def allow(self, n: int) -> None:
        """Let ``n`` threads work at once from now on, at least one."""
        with self._changing:
            self._n_allowed = max(1, n)
            self._changing.notify_all()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a thread call ``fn`` when it is its turn."""
        return self._threads.submit(self._in_turn, fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def _in_turn(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        with self._changing:
            self._changing.wait_for(lambda: self._n_working < self._n_allowed)
            self._n_working += 1
        try:
            return fn(*args, **kwargs)
        finally:
            with self._changing:
                self._n_working -= 1
                self._changing.notify()
