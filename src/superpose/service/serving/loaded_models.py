"""Models in memory: loaded when first asked for, let go when idle, each answering in micro-batches."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import SuperposeError
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Endpoint
from superpose.service.serving.batching import BatchStats, MicroBatcher

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["LoadedModels", "ServedModel"]

Probabilities = NDArray[np.float64]


class ServedModel:
    """A loaded model and the requests that wait for it.

    Args:
        predictor: the model.
        executor: where predictions are computed.
        config: limits of batch and queue.
    """

    def __init__(self, predictor: Predictor, executor: Executor, config: ServiceConfig) -> None:
        self.predictor = predictor
        self.classes = tuple(map(str, predictor.classes))
        self.used_at_s = time.monotonic()
        self._batcher: MicroBatcher[Sequence[Any], Probabilities] = MicroBatcher(
            self._compute, executor, max_batch_rows=config.max_batch_rows, max_queue_rows=config.max_queue_rows
        )

    @property
    def stats(self) -> BatchStats:
        """How requests were batched since the model was loaded."""
        return self._batcher.stats

    async def predict(self, rows: Sequence[Any], n_rows: int) -> Probabilities:
        """Probabilities (n_rows, n_classes) of one request's rows."""
        self.used_at_s = time.monotonic()
        try:
            return await self._batcher.submit(rows, n_rows)
        finally:
            self.used_at_s = time.monotonic()

    def _compute(self, requests: Sequence[Sequence[Any]]) -> Sequence[Probabilities | Exception]:
        """Encode each request by itself, so that bad rows are their sender's problem, and predict all together."""
        encoded = [self._encode(rows) for rows in requests]
        good = [part for part in encoded if not isinstance(part, Exception)]
        if not good:
            return encoded
        joined = self.predictor.predict_encoded(np.concatenate(good))  # (rows of all requests, n_classes)
        answers = iter(np.split(joined, np.cumsum([len(part) for part in good[:-1]])))
        return [part if isinstance(part, Exception) else next(answers) for part in encoded]

    def _encode(self, rows: Sequence[Any]) -> NDArray[np.float64] | SuperposeError:
        try:
            return self.predictor.encode(rows)
        except SuperposeError as error:
            return error


class LoadedModels:
    """The models in memory, at most ``max_loaded_models``, by endpoint id.

    Args:
        config: limits.
    """

    def __init__(self, config: ServiceConfig) -> None:
        self._config = config
        self._executor = ThreadPoolExecutor(
            config.predict_threads or os.cpu_count() or 1, thread_name_prefix="superpose-predict"
        )
        self._served: dict[str, ServedModel] = {}
        self._loading: dict[str, threading.Lock] = {}
        self._changing = threading.Lock()
        self._timer: asyncio.TimerHandle | None = None

    def peek(self, endpoint_id: str) -> ServedModel | None:
        """The endpoint's model if it is in memory."""
        return self._served.get(endpoint_id)

    def get(self, endpoint: Endpoint, read: Callable[[], Predictor]) -> ServedModel:
        """The endpoint's model; ``read`` loads it if it is not in memory, once for all who ask meanwhile."""
        with self._changing:
            turn = self._loading.setdefault(endpoint.id, threading.Lock())
        with turn:
            served = self._served.get(endpoint.id)
            if served is None:
                served = ServedModel(read(), self._executor, self._config)
                with self._changing:
                    self._served[endpoint.id] = served
                    while len(self._served) > self._config.max_loaded_models:
                        oldest = min(self._served, key=lambda name: self._served[name].used_at_s)
                        self._served.pop(oldest)
        with self._changing:
            self._loading.pop(endpoint.id, None)
        return served

    def unload(self, endpoint_id: str) -> None:
        """Let go of an endpoint's model; predictions under way still finish."""
        with self._changing:
            self._served.pop(endpoint_id, None)

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
