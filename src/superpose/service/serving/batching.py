"""Micro-batching without waiting: a request that finds its endpoint idle runs at once; those that arrive while a batch
is being computed form the next one. So an unloaded endpoint adds no delay, and a loaded one finds its own batch size.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from superpose.errors import InternalError, OverloadedError
from superpose.service.traces import trace_of

__all__ = ["BatchStats", "MicroBatcher"]

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class BatchStats:
    """What a batcher has done so far: requests answered, rows, batches, the largest batch, requests refused."""

    n_requests: int = 0
    n_rows: int = 0
    n_batches: int = 0
    max_batch_requests: int = 0
    n_refused: int = 0


@dataclass(frozen=True)
class _Waiting(Generic[T, R]):
    item: T
    n_rows: int
    answer: asyncio.Future[R]


@dataclass(eq=False)
class _Line(Generic[T, R]):
    """The requests of one event loop that wait."""

    waiting: deque[_Waiting[T, R]] = field(default_factory=deque)
    n_rows: int = 0
    running: asyncio.Future[None] | None = None

    def take(self, max_rows: int) -> list[_Waiting[T, R]]:
        """The next batch: those who waited longest, as many as fit; callers who have gone are left out."""
        batch: list[_Waiting[T, R]] = []
        n_rows = 0
        while self.waiting and (not batch or n_rows + self.waiting[0].n_rows <= max_rows):
            waiting = self.waiting.popleft()
            self.n_rows -= waiting.n_rows
            if not waiting.answer.done():
                batch.append(waiting)
                n_rows += waiting.n_rows
        return batch


class MicroBatcher(Generic[T, R]):
    """Collects requests and has them computed together in a thread. A server has one event loop; should there be
    several (in threads of their own, or one after the other), each has a line of its own.

    Args:
        compute: answers a batch, in order; for a request that cannot be answered, the exception to raise for it.
            It runs in ``executor``, one batch of a loop at a time.
        executor: where batches are computed.
        max_batch_rows: rows of a batch; a larger request runs alone.
        max_queue_rows: rows that may wait.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[T]], Sequence[R | Exception]],
        executor: Executor,
        *,
        max_batch_rows: int,
        max_queue_rows: int,
    ) -> None:
        self._compute = compute
        self._executor = executor
        self._max_batch_rows = max_batch_rows
        self._max_queue_rows = max_queue_rows
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line[T, R]] = WeakKeyDictionary()
        self._changing = threading.Lock()
        self._rows_per_s = 0.0
        self.stats = BatchStats()

    async def submit(self, item: T, n_rows: int) -> R:
        """The answer to one request.

        Raises:
            OverloadedError: too many rows wait already.
        """
        loop = asyncio.get_running_loop()
        with self._changing:
            line = self._lines.setdefault(loop, _Line())
        if line.n_rows and line.n_rows + n_rows > self._max_queue_rows:
            self.stats.n_refused += 1
            rate = self._rows_per_s or float(self._max_batch_rows)
            raise OverloadedError(
                f"{line.n_rows:,} rows wait at this endpoint; at most {self._max_queue_rows:,} may. Try again later.",
                retry_after_s=round(min(60.0, max(0.1, line.n_rows / rate)), 3),
                max_queue_rows=self._max_queue_rows,
            )
        waiting: _Waiting[T, R] = _Waiting(item, n_rows, loop.create_future())
        line.waiting.append(waiting)
        line.n_rows += n_rows
        if line.running is None:
            line.running = asyncio.ensure_future(self._run(line))
        return await waiting.answer

    async def _run(self, line: _Line[T, R]) -> None:
        """Compute batches until nobody waits."""
        loop = asyncio.get_running_loop()
        try:
            while line.waiting:
                batch = line.take(self._max_batch_rows)
                if not batch:
                    continue
                start = loop.time()
                try:
                    answers = await loop.run_in_executor(self._executor, self._compute, [w.item for w in batch])
                except Exception as error:  # the computation as a whole: each caller learns of it
                    _log.error("a batch of %d requests failed: %s", len(batch), trace_of(error))
                    answers = [_unforeseen(error) for _ in batch]
                self._count(batch, loop.time() - start)
                for waiting, answer in zip(batch, answers, strict=True):
                    _give(waiting.answer, answer)
        finally:
            line.running = None

    def _count(self, batch: Sequence[_Waiting[T, R]], elapsed_s: float) -> None:
        n_rows = sum(waiting.n_rows for waiting in batch)
        with self._changing:
            self._rows_per_s = n_rows / max(elapsed_s, 1e-6)
            self.stats.n_requests += len(batch)
            self.stats.n_rows += n_rows
            self.stats.n_batches += 1
            self.stats.max_batch_requests = max(self.stats.max_batch_requests, len(batch))


def _unforeseen(error: Exception) -> InternalError:
    """An error of the caller's own: one exception object must not be raised in several places."""
    unforeseen = InternalError(f"The prediction failed with an unforeseen {type(error).__name__}; the log has it.")
    unforeseen.__cause__ = error
    return unforeseen


def _give(future: asyncio.Future[R], answer: R | Exception) -> None:
    if future.done():  # the caller has gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
