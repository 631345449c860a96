"""Spans sent by OTLP over HTTP (extra ``telemetry``).

Our ids stand in the spans: OpenTelemetry asks its id generator for new ones, and gets those of the place that is being
recorded. Headers for the collector come from OTEL_EXPORTER_OTLP_HEADERS, as OpenTelemetry reads it.
"""

from __future__ import annotations

from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import superpose
from superpose.service.operations.trace_context import TraceContext
from superpose.service.operations.tracing import Attributes, Tracer

__all__ = ["OtlpTracer"]

_TIMEOUT_S = 3.0
_PERIOD_MS = 1_000
_recorded: ContextVar[TraceContext | None] = ContextVar("recorded", default=None)


class _GivenIds(IdGenerator):
    """Gives the ids of the place that is being recorded."""

    def generate_span_id(self) -> int:
        place = _recorded.get() or TraceContext.begin()
        return int(place.span_id, 16)

    def generate_trace_id(self) -> int:
        place = _recorded.get() or TraceContext.begin()
        return int(place.trace_id, 16)


class OtlpTracer(Tracer):
    """Sends spans to a collector, in batches, from a thread; a collector that does not answer delays nobody.

    Args:
        endpoint: the collector's address for traces, such as ``http://127.0.0.1:4318/v1/traces``.
        service: what ``service.name`` says.
    """

    enabled = True

    def __init__(self, endpoint: str, service: str) -> None:
        resource = Resource.create({"service.name": service, "service.version": superpose.__version__})
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not sampled is not recorded in the first place
            resource=resource,
            id_generator=_GivenIds(),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_PERIOD_MS))
        self._tracer = self._provider.get_tracer("superpose", superpose.__version__)

    def record(
        self,
        name: str,
        place: TraceContext,
        parent: TraceContext | None,
        times: tuple[float, float],
        attributes: Attributes | None = None,
        *,
        failed: bool = False,
    ) -> None:
        """Record a span that is over; see `Tracer.record`."""
        if not place.sampled:
            return
        before = _recorded.set(place)
        try:
            span = self._tracer.start_span(
                name,
                context=_context_of(parent),
                kind=SpanKind.SERVER if name.partition(" ")[2] else SpanKind.INTERNAL,
                attributes=attributes,
                start_time=round(times[0] * 1e9),
            )
        finally:
            _recorded.reset(before)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(round(times[1] * 1e9))

    def close(self) -> None:
        """Send what is waiting."""
        self._provider.shutdown()


def _context_of(parent: TraceContext | None) -> Context:
    if parent is None:
        return Context()
    place = SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return trace.set_span_in_context(NonRecordingSpan(place), Context())
