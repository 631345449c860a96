"""The server's share of the CPU budget: endpoints go first, and what they use, jobs do not.

A server that works takes a token before any job gets another one, and as many as are free. Jobs that run more than one
thread give theirs up at once. Where every job is down to its last thread, nobody is stopped: predictions go on without
a token, on one thread and at normal priority, which jobs make way for, and the next token that comes free is theirs.
A server that does little leaves all tokens to the jobs.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from superpose.service.work.cpu_budget import CpuBudget, CpuShare

__all__ = ["ServerShare"]

#: Share of one CPU from which on a server counts as working.
_WORKING: Final = 0.1


class ServerShare:
    """Takes and returns tokens as the server's use of CPU time asks for. Use it in a ``with``.

    Args:
        budget: the machine's. If it has one token only, jobs and predictions share that CPU by their priorities.
        on_threads: called with the number of threads on which predictions may be computed.
        look_s: how often the use of CPU time is looked at.
        quiet_s: how long a server must have done little before its tokens go back.
        used_s: CPU time of this process so far.
    """

    def __init__(
        self,
        budget: CpuBudget,
        on_threads: Callable[[int], None],
        *,
        look_s: float = 0.2,
        quiet_s: float = 2.0,
        used_s: Callable[[], float] = time.process_time,
    ) -> None:
        self._budget = budget
        self._on_threads = on_threads
        self._look_s, self._quiet_s, self._used_s = look_s, quiet_s, used_s
        self._over = threading.Event()
        self._looked = (time.monotonic(), used_s())
        self._worked_at_s = float("-inf")
        self._share: CpuShare | None = None
        self._thread = threading.Thread(target=self._run, name="superpose-server-share", daemon=True)

    @property
    def n_tokens(self) -> int:
        """Tokens held now."""
        share = self._share
        return 0 if share is None else share.n_tokens

    def __enter__(self) -> Self:
        if self._budget.n_tokens > 1:
            self._thread.start()
        else:
            self._on_threads(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._on_threads(self._budget.n_tokens)

    def _run(self) -> None:
        while not self._over.wait(self._look_s):
            with contextlib.suppress(OSError):  # out of descriptors, say: then things stay as they are
                if self._works():
                    self._hold()
                self._on_threads(max(1, self._budget.n_free()))  # a large request may come before the next look

    def _hold(self) -> None:
        """Wait for a token, and hold what there is as long as the server works."""
        self._on_threads(1)  # until there is one
        self._share = self._budget.take(
            self._budget.n_tokens,
            give_up=lambda: self._over.is_set() or not self._works(),
            on_change=self._on_threads,
            first=True,
        )
        if self._share is None:
            return
        while self._works() and not self._over.wait(self._look_s):
            pass
        self._share.release()
        self._share = None

    def _works(self) -> bool:
        """Whether the server has worked of late."""
        now_s, used_s = time.monotonic(), self._used_s()
        before_s, used_before_s = self._looked
        if now_s - before_s >= self._look_s / 2:
            self._looked = (now_s, used_s)
            if used_s - used_before_s >= _WORKING * (now_s - before_s):
                self._worked_at_s = now_s
        return now_s - self._worked_at_s < self._quiet_s
