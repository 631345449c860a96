"""The part of a trace that a worker adds: how long a job queued, and what its attempt spent its time on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from superpose.service.nouns import Job
from superpose.service.operations.trace_context import TraceContext, current_trace
from superpose.service.operations.tracing import Tracer, current_tracer

__all__ = ["attempt_traced"]


@contextmanager
def attempt_traced(tracer: Tracer, job: Job) -> Iterator[TraceContext]:
    """Make the block an attempt of the job's trace: its logs have the trace's id, its spans hang below one of its own.

    ``queue`` lasts from the submission (for later attempts too) to now; ``attempt`` is the block, and every lowering
    of a circuit inside is a span ``compile``.
    """
    parent = TraceContext.parse(job.traceparent)
    place = TraceContext.begin(0.0) if parent is None else parent.child()
    before, tracer_before, started_s = current_trace.set(place), current_tracer.set(tracer), time.time()
    facts: dict[str, str | int | float | bool] = {
        "superpose.job_id": job.id,
        "superpose.job_kind": str(job.kind),
        "superpose.attempt": job.attempt,
    }
    failed = True
    try:
        if tracer.enabled and parent is not None:
            tracer.record("queue", parent.child(), parent, (job.created_at.timestamp(), started_s), facts)
            with _compiles_recorded(tracer, place):
                yield place
        else:
            yield place
        failed = False
    finally:
        current_trace.reset(before)
        current_tracer.reset(tracer_before)
        if tracer.enabled and parent is not None:
            tracer.record("attempt", place, parent, (started_s, time.time()), facts, failed=failed)


@contextmanager
def _compiles_recorded(tracer: Tracer, place: TraceContext) -> Iterator[None]:
    from superpose.engine import compiles_told

    def told(started_s: float, ended_s: float) -> None:
        tracer.record("compile", place.child(), place, (started_s, ended_s))

    with compiles_told(told):
        yield
