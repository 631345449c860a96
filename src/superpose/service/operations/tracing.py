"""Spans: how long each part of a request or a job took. Recorded only where somebody collects them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from superpose.errors import SettingError
from superpose.service.operations.trace_context import TraceContext, current_trace

if TYPE_CHECKING:
    from superpose.service.config import ServiceConfig

__all__ = ["Attributes", "Tracer", "current_tracer", "span_here", "tracer_for"]

Attributes = Mapping[str, str | int | float | bool]


class Tracer:
    """Records spans; this one records none, and costs next to nothing.

    Attributes:
        enabled: whether spans go anywhere.
    """

    enabled = False

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
        """Record a span that is over.

        Args:
            name: what was done, such as ``queue`` or ``POST /v1/jobs``.
            place: the span's own ids.
            parent: what it belongs to; None for the root of a trace.
            times: when it began and ended, in seconds since 1970.
            attributes: facts; nothing secret or personal.
            failed: whether it went wrong.
        """

    @contextmanager
    def span(self, name: str, parent: TraceContext | None, attributes: Attributes | None = None) -> Iterator[None]:
        """Record what happens inside the block."""
        if not self.enabled or parent is None:
            yield
            return
        started_s, failed = time.time(), True
        try:
            yield
            failed = False
        finally:
            self.record(name, parent.child(), parent, (started_s, time.time()), attributes, failed=failed)

    def close(self) -> None:
        """Send what is waiting."""


#: Where the spans of what runs now go.
current_tracer: ContextVar[Tracer] = ContextVar("current_tracer", default=Tracer())  # noqa: B039  # has no state


@contextmanager
def span_here(name: str) -> Iterator[None]:
    """Record the block as a span of what runs now; outside of a traced job nothing is recorded."""
    with current_tracer.get().span(name, current_trace.get()):
        yield


def tracer_for(config: ServiceConfig, service: str) -> Tracer:
    """The tracer that the settings ask for; ``service`` is the process's role, such as ``superpose-worker``.

    Raises:
        SettingError: ``otlp_endpoint`` is set and OpenTelemetry is not installed.
    """
    if config.otlp_endpoint is None:
        return Tracer()
    try:
        from superpose.service.operations.telemetry import OtlpTracer
    except ImportError as error:
        raise SettingError(
            f"otlp_endpoint needs OpenTelemetry, which is not installed ({error.name}): "
            "pip install 'superpose[telemetry]'",
            field="otlp_endpoint",
        ) from error
    return OtlpTracer(config.otlp_endpoint, service)
