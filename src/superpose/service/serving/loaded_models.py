"""Models in memory: loaded when first asked for, let go when idle, each answering in micro-batches."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from superpose.errors import SuperposeError
from superpose.service.config import ServiceConfig
from superpose.service.operations.observing import Observing
from superpose.service.operations.pauses import set_modules_aside
from superpose.service.serving.batching import BatchLimits, BatchStats, MicroBatcher
from superpose.service.serving.deployment import Limits
from superpose.service.serving.turns import Turns

if TYPE_CHECKING:
    from superpose.learning.calibration.asking import Asked, Details
    from superpose.learning.predictor import Predictor

__all__ = ["Answer", "LoadedModels", "Rows", "ServedModel"]

Rows = Sequence[Any] | NDArray[Any]
_Encoded = tuple[NDArray[np.float64], Mapping[str, int]]
"""Rows as the model's numbers, and by column how many categories it does not know."""

_INLINE_S = 0.0007  # a batch that takes less is computed in the event loop, which would otherwise wait for a thread


@dataclass(frozen=True)
class Answer:
    """One request's rows: ``probabilities`` (n_rows, n_classes) and the place of the most probable class of each.

    ``unknown`` counts, by column, the categories that the model does not know. Of a model without classes there are
    ``numbers`` (n_rows,) instead.
    """

    probabilities: list[list[float]]
    best: list[int]
    unknown: Mapping[str, int]
    numbers: list[float] = field(default_factory=list)


class ServedModel:
    """A loaded model and the requests that wait for it.

    Args:
        predictor: the model.
        executor: where predictions are computed.
        limits: bounds of batch and queue, all of them stated.
        observing: who counts batches; None for nobody.
    """

    def __init__(
        self, predictor: Predictor, executor: Executor, limits: Limits, observing: Observing | None = None
    ) -> None:
        self.predictor = predictor
        self.classes = tuple(map(str, predictor.classes))
        self.target = predictor.target
        self.interval = predictor.interval
        self.notice = predictor.notice
        self.used_at_s = time.monotonic()
        self._batcher: MicroBatcher[Rows, Answer] = MicroBatcher(
            self._compute,
            executor,
            _batch_limits(limits),
            inline_s=_INLINE_S,
            on_batch=None if observing is None else observing.on_batch,
        )

    @property
    def stats(self) -> BatchStats:
        """How requests were batched since the model was loaded."""
        return self._batcher.stats

    def adjust(self, limits: Limits) -> None:
        """Go on with other bounds of batch and queue, all of them stated."""
        self._batcher.limits = _batch_limits(limits)

    async def predict(self, rows: Rows, n_rows: int) -> Answer:
        """Probabilities of one request's rows, or their numbers."""
        self.used_at_s = time.monotonic()
        try:
            return await self._batcher.submit(rows, n_rows)
        finally:
            self.used_at_s = time.monotonic()

    def details(self, rows: Rows, answer: Answer, asked: Asked) -> Details:
        """What a request asked for beside its answer.

        Raises:
            SafeguardAbsentError: the model has nothing that gives it.
            ModelPredictsNumbersError: it has no classes, of which it is asked.
        """
        from superpose.learning.calibration.asking import detailed

        probabilities = np.array(answer.probabilities, dtype=np.float64)
        encoded = self.predictor.encode(rows) if asked.novelty else None
        return detailed(self.predictor.safeguards, asked, probabilities, self.classes, encoded)

    def _compute(self, requests: Sequence[Rows]) -> Sequence[Answer | Exception]:
        """Encode and predict all together; where some rows are bad, so that these are their sender's problem only."""
        encoded = self._encode_together(requests)
        good = [part[0] for part in encoded if not isinstance(part, Exception)]
        if not good:
            return cast("list[Exception]", encoded)
        answer_of = self._predicted(good[0] if len(good) == 1 else np.concatenate(good))
        answers: list[Answer | Exception] = []
        start = 0
        for part in encoded:
            if isinstance(part, Exception):
                answers.append(part)
                continue
            end = start + len(part[0])
            answers.append(answer_of(slice(start, end), part[1]))
            start = end
        return answers

    def _predicted(self, encoded: NDArray[np.float64]) -> Callable[[slice, Mapping[str, int]], Answer]:
        """Predict all rows; what comes back gives the answer to some of them."""
        if self.target is not None:
            numbers = self.predictor.numbers_encoded(encoded).tolist()
            return lambda part, unknown: Answer([], [], unknown, numbers[part])
        probabilities = self.predictor.predict_encoded(encoded)
        rows, best = probabilities.tolist(), probabilities.argmax(axis=1).tolist()
        return lambda part, unknown: Answer(rows[part], best[part], unknown)

    def _encode_together(self, requests: Sequence[Rows]) -> Sequence[_Encoded | SuperposeError]:
        """Each request's encoded rows, or what is wrong with them.

        Requests of one form are read in one go, which costs little more than reading one; a row is checked by itself
        in any case, so what can be read together can be read alone. Where it is to be told which of them holds a
        category that the model does not know, each is read by itself.
        """
        if len(requests) > 1 and len({_form(rows) for rows in requests}) == 1:
            try:
                joined, unknown = self.predictor.encode_counting(
                    np.concatenate(requests)
                    if isinstance(requests[0], np.ndarray)
                    else [row for rows in requests for row in rows]
                )
            except (SuperposeError, ValueError):  # some rows are bad, or arrays differ in width
                return [self._encode(rows) for rows in requests]
            if not unknown:
                ends = list(accumulate(map(len, requests)))
                return [(joined[end - len(rows) : end], unknown) for rows, end in zip(requests, ends, strict=True)]
        return [self._encode(rows) for rows in requests]

    def _encode(self, rows: Rows) -> _Encoded | SuperposeError:
        try:
            return self.predictor.encode_counting(rows)
        except SuperposeError as error:
            return error


def _form(rows: Rows) -> str:
    """Whether rows are an array, objects or lists."""
    return f"array of {rows.dtype.kind}" if isinstance(rows, np.ndarray) else type(rows[0]).__name__


def _batch_limits(limits: Limits) -> BatchLimits:
    return BatchLimits(
        max_batch_rows=cast("int", limits.max_batch_rows),
        max_queue_rows=cast("int", limits.max_queue_rows),
        max_concurrency=cast("int", limits.max_concurrency),
        max_delay_s=cast("float", limits.max_delay_ms) / 1000,
    )


class LoadedModels:
    """The models in memory, at most ``max_loaded_models``, each under a key that names endpoint and model version.

    Args:
        config: limits.
        observing: who counts batches and loads; None for nobody.
    """

    def __init__(self, config: ServiceConfig, observing: Observing | None = None) -> None:
        self._config = config
        self._observing = observing
        self._executor = Turns(config.predict_threads or os.cpu_count() or 1)
        self._served: dict[str, ServedModel] = {}
        self._loading: dict[str, threading.Lock] = {}
        self._changing = threading.Lock()
        self._timer: asyncio.TimerHandle | None = None

    def allow_threads(self, n: int) -> None:
        """Compute predictions in at most ``n`` threads at once."""
        self._executor.allow(n)

    def peek(self, key: str) -> ServedModel | None:
        """The model if it is in memory."""
        return self._served.get(key)

    def get(self, key: str, limits: Limits, read: Callable[[], Predictor]) -> ServedModel:
        """The model; ``read`` loads it if it is not in memory, once for all who ask meanwhile.

        Args:
            key: the model's.
            limits: the endpoint's; where they are None, the service's settings hold.
            read: loads the model.
        """
        with self._changing:
            turn = self._loading.setdefault(key, threading.Lock())
        with turn:
            served = self._served.get(key)
            if served is None:
                with nullcontext() if self._observing is None else self._observing.loading():
                    predictor = read()
                set_modules_aside()
                served = ServedModel(predictor, self._executor, limits.within(self._config), self._observing)
                with self._changing:
                    self._served[key] = served
                    while len(self._served) > self._config.max_loaded_models:
                        oldest = min(self._served, key=lambda name: self._served[name].used_at_s)
                        self._served.pop(oldest)
        with self._changing:
            self._loading.pop(key, None)
        return served

    def adjust(self, key: str, limits: Limits) -> None:
        """Give a loaded model other limits."""
        served = self._served.get(key)
        if served is not None:
            served.adjust(limits.within(self._config))

    def unload(self, key: str) -> None:
        """Let go of a model; predictions under way still finish."""
        with self._changing:
            self._served.pop(key, None)

    def unload_idle(self) -> int:
        """Let go of models that nobody used for ``idle_unload_s``; returns how many."""
        before = time.monotonic() - self._config.idle_unload_s
        with self._changing:
            idle = [name for name, served in self._served.items() if served.used_at_s <= before]
            for name in idle:
                self._served.pop(name)
        return len(idle)

    def unload_idle_later(self) -> None:
        """Have the running event loop call ``unload_idle`` until nothing is loaded any more."""
        loop = asyncio.get_running_loop()
        if self._timer is None or self._timer.cancelled() or self._timer.when() < loop.time() - 1.0:
            self._timer = loop.call_later(max(0.05, self._config.idle_unload_s / 4), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.unload_idle()
        if self._served:
            self.unload_idle_later()

    def close(self) -> None:
        """Let go of everything; waits for predictions under way."""
        with self._changing:
            self._served.clear()
        self._executor.shutdown(wait=True)
