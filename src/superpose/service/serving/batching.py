"""Micro-batching that adapts: a request that finds its endpoint idle runs at once; those that arrive together, or while
a batch is being computed, form the next one.

Under load a batch may wait, for at most ``max_delay_s``, until about as many requests are there as came together
before: callers who have just been answered are about to ask again. An endpoint without company waits for nobody.
Small batches are computed in the event loop itself, where a thread's hand-over would cost more than they do; whether a
batch is small is known from what batches of its size have taken.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from superpose.errors import InternalError, OverloadedError
from superpose.service.operations.observing import Batched
from superpose.service.operations.trace_context import TraceContext, current_trace
from superpose.service.traces import trace_of

__all__ = ["BatchLimits", "BatchStats", "MicroBatcher"]

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_FRESH = 0.2  # weight of the newest batch in running means
_UNKNOWN_RETRY_S = 1.0


@dataclass
class BatchStats:
    """What a batcher has done so far: requests answered, rows, batches, the largest batch, requests refused."""

    n_requests: int = 0
    n_rows: int = 0
    n_batches: int = 0
    max_batch_requests: int = 0
    n_refused: int = 0


@dataclass(frozen=True)
class BatchLimits:
    """What bounds batches and queue.

    Attributes:
        max_batch_rows: rows of a batch; a larger request runs alone.
        max_queue_rows: rows that may wait.
        max_concurrency: requests that may be under way, waiting or in a batch.
        max_delay_s: longest time that a request waits on purpose for others.
    """

    max_batch_rows: int
    max_queue_rows: int
    max_concurrency: int = 1_000_000
    max_delay_s: float = 0.0


@dataclass(frozen=True)
class _Waiting(Generic[T, R]):
    item: T
    n_rows: int
    arrived_s: float
    answer: asyncio.Future[R]
    trace: TraceContext | None


@dataclass(eq=False)
class _Line(Generic[T, R]):
    """The requests of one event loop that wait, and how many came together lately."""

    waiting: deque[_Waiting[T, R]] = field(default_factory=deque)
    n_rows: int = 0
    n_under_way: int = 0
    busy: bool = False
    patience: asyncio.TimerHandle | None = None
    together: float = 1.0
    ended_s: float = 0.0

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
    """Collects requests and has them computed together. A server has one event loop; should there be several (in
    threads of their own, or one after the other), each has a line of its own.

    Args:
        compute: answers a batch, in order; for a request that cannot be answered, the exception to raise for it.
            It runs in ``executor`` or in the event loop's own thread, one batch of a loop at a time.
        executor: where batches are computed.
        limits: bounds of batches and queue; may be replaced at any time.
        inline_s: batches that are known to take less are computed in the event loop; 0 for none.
        on_batch: told of every batch once its callers have their answers.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[T]], Sequence[R | Exception]],
        executor: Executor,
        limits: BatchLimits,
        *,
        inline_s: float = 0.0,
        on_batch: Callable[[Batched], None] | None = None,
    ) -> None:
        self._compute = compute
        self._executor = executor
        self.limits = limits
        self._inline_s = inline_s
        self._on_batch = on_batch
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line[T, R]] = WeakKeyDictionary()
        self._changing = threading.Lock()
        self._rows_per_s = 0.0
        self._taken_s: dict[int, float] = {}  # by binary size of a batch: how long its like have taken
        self.stats = BatchStats()

    async def submit(self, item: T, n_rows: int) -> R:
        """The answer to one request.

        Raises:
            OverloadedError: too many rows wait already, or too many requests are under way. ``retry_after_s`` is the
                time that those before it will take at the rate of late.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            with self._changing:
                line = self._lines.setdefault(loop, _Line())
        limits = self.limits
        if line.n_rows and line.n_rows + n_rows > limits.max_queue_rows:
            raise self._refusal(line, f"{line.n_rows:,} rows wait", f"{limits.max_queue_rows:,} rows")
        if line.n_under_way >= limits.max_concurrency:
            raise self._refusal(
                line, f"{line.n_under_way:,} requests are under way", f"{limits.max_concurrency:,} requests"
            )
        waiting: _Waiting[T, R] = _Waiting(item, n_rows, loop.time(), loop.create_future(), current_trace.get())
        line.waiting.append(waiting)
        line.n_rows += n_rows
        line.n_under_way += 1
        if not line.busy:
            line.busy = True
            loop.call_soon(self._turn, loop, line)  # behind all that arrived in this turn of the loop
        elif line.patience is not None and self._patience_s(line, loop.time()) <= 0:
            line.patience.cancel()
            line.patience = None
            loop.call_soon(self._turn, loop, line)
        try:
            return await waiting.answer
        finally:
            line.n_under_way -= 1

    def _turn(self, loop: asyncio.AbstractEventLoop, line: _Line[T, R]) -> None:
        """Compute the next batch, or wait a little for company."""
        line.patience = None
        patience_s = self._patience_s(line, loop.time())
        if patience_s > 0:
            line.patience = loop.call_later(patience_s, self._turn, loop, line)
            return
        batch: list[_Waiting[T, R]] = []
        while line.waiting and not batch:
            batch = line.take(self.limits.max_batch_rows)
        if not batch:
            line.busy = False
            return
        n_rows = sum(waiting.n_rows for waiting in batch)
        start_s = loop.time()
        if self._taken_s.get(n_rows.bit_length(), self._inline_s) < self._inline_s:
            try:
                answers = self._timed(n_rows, [waiting.item for waiting in batch])
            except Exception as error:  # the computation as a whole: each caller learns of it
                answers = _failed(batch, error)
            self._deliver(loop, line, batch, answers, start_s)
        else:
            computing = loop.run_in_executor(self._executor, self._timed, n_rows, [w.item for w in batch])
            computing.add_done_callback(partial(self._computed, loop, line, batch, start_s))

    def _patience_s(self, line: _Line[T, R], now_s: float) -> float:
        """How much longer the waiting requests should wait for others; 0 or less for not at all."""
        limits = self.limits
        if limits.max_delay_s <= 0 or line.together < 1.5 or not line.waiting:
            return 0.0
        if len(line.waiting) + 0.5 > line.together or line.n_rows >= limits.max_batch_rows:
            return 0.0
        if now_s - line.ended_s > limits.max_delay_s:
            return 0.0  # idle since then: company is not to be expected
        return line.waiting[0].arrived_s + limits.max_delay_s - now_s

    def _timed(self, n_rows: int, items: Sequence[T]) -> Sequence[R | Exception]:
        """Compute, and remember what a batch of this size takes: CPU time, as a thread also waits for its turn."""
        start_s = time.thread_time()
        answers = self._compute(items)
        elapsed_s, size = time.thread_time() - start_s, n_rows.bit_length()
        before_s = self._taken_s.get(size, elapsed_s)
        self._taken_s[size] = before_s + _FRESH * (elapsed_s - before_s)
        return answers

    def _computed(
        self,
        loop: asyncio.AbstractEventLoop,
        line: _Line[T, R],
        batch: list[_Waiting[T, R]],
        start_s: float,
        computing: asyncio.Future[Sequence[R | Exception]],
    ) -> None:
        """What follows when the executor is done."""
        error = None if computing.cancelled() else computing.exception()
        if computing.cancelled():
            answers: Sequence[R | Exception] = _failed(batch, RuntimeError("the computation was cancelled"))
        elif error is not None:
            answers = _failed(batch, error)
        else:
            answers = computing.result()
        self._deliver(loop, line, batch, answers, start_s)

    def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        line: _Line[T, R],
        batch: list[_Waiting[T, R]],
        answers: Sequence[R | Exception],
        start_s: float,
    ) -> None:
        """Answer a batch's callers and go on to the next batch."""
        for waiting, answer in zip(batch, answers, strict=True):
            _give(waiting.answer, answer)
        now_s = loop.time()
        self._count(batch, now_s - start_s)
        if self._on_batch is not None and batch:
            arrivals = [(waiting.arrived_s, waiting.trace) for waiting in batch]
            self._on_batch(Batched(arrivals, sum(waiting.n_rows for waiting in batch), start_s, now_s))
        line.together += 0.5 * (len(batch) - line.together)
        line.ended_s = now_s
        if line.waiting:
            loop.call_soon(self._turn, loop, line)
        else:
            line.busy = False

    def _count(self, batch: Sequence[_Waiting[T, R]], elapsed_s: float) -> None:
        n_rows = sum(waiting.n_rows for waiting in batch)
        rate = n_rows / max(elapsed_s, 1e-6)
        with self._changing:
            self._rows_per_s += (_FRESH if self._rows_per_s else 1.0) * (rate - self._rows_per_s)
            self.stats.n_requests += len(batch)
            self.stats.n_rows += n_rows
            self.stats.n_batches += 1
            self.stats.max_batch_requests = max(self.stats.max_batch_requests, len(batch))

    def _refusal(self, line: _Line[T, R], found: str, allowed: str) -> OverloadedError:
        with self._changing:
            self.stats.n_refused += 1
            rate = self._rows_per_s
        n_rows = max(line.n_rows, line.n_under_way)
        retry_after_s = round(min(60.0, max(0.1, n_rows / rate if rate else _UNKNOWN_RETRY_S)), 3)
        return OverloadedError(
            f"{found} at this endpoint; at most {allowed} may. Try again in {retry_after_s:g} s, when those before "
            "will have been answered at the present rate.",
            retry_after_s=retry_after_s,
            max_queue_rows=self.limits.max_queue_rows,
            max_concurrency=self.limits.max_concurrency,
        )


def _failed(batch: Sequence[object], error: BaseException) -> list[Exception]:
    """An error of his own for each caller: one exception object must not be raised in several places."""
    _log.error("a batch of %d requests failed: %s", len(batch), trace_of(error))
    return [_unforeseen(error) for _ in batch]


def _unforeseen(error: BaseException) -> InternalError:
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
