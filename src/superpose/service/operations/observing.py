"""What is measured around predictions: batches and cold loads, as metrics and as spans of the requests in them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from superpose.service.operations.measurements import Measurements
from superpose.service.operations.trace_context import TraceContext, current_trace
from superpose.service.operations.tracing import Tracer

__all__ = ["Batched", "Observing"]


@dataclass(frozen=True)
class Batched:
    """An engine call that is over, by the event loop's clock.

    Attributes:
        arrivals: when each request arrived, and its place in a trace.
        n_rows: rows of all requests.
        start_s: when it began.
        end_s: when it was over.
    """

    arrivals: Sequence[tuple[float, TraceContext | None]]
    n_rows: int
    start_s: float
    end_s: float


class Observing:
    """Watches over the predictions of a service.

    Args:
        measurements: where they are counted.
        tracer: where spans go.
    """

    def __init__(self, measurements: Measurements, tracer: Tracer) -> None:
        self._measurements = measurements
        self._tracer = tracer

    def on_batch(self, batched: Batched) -> None:
        """Count a batch, and give each of its requests the spans ``queue`` and ``execute``."""
        first_s = min(arrived_s for arrived_s, _ in batched.arrivals)
        self._measurements.batch(len(batched.arrivals), batched.n_rows, batched.start_s - first_s)
        if not self._tracer.enabled:
            return
        wall_s = time.time() - batched.end_s
        facts = {"superpose.batch_requests": len(batched.arrivals), "superpose.batch_rows": batched.n_rows}
        start_s, end_s = wall_s + batched.start_s, wall_s + batched.end_s
        for arrived_s, parent in batched.arrivals:
            if parent is not None and parent.sampled:
                self._tracer.record("queue", parent.child(), parent, (wall_s + arrived_s, start_s))
                self._tracer.record("execute", parent.child(), parent, (start_s, end_s), facts)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Count and time a model being loaded inside the block."""
        started_s = time.perf_counter()
        with self._tracer.span("load", current_trace.get()):
            yield
        self._measurements.cold_load(time.perf_counter() - started_s)
