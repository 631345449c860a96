"""Which trace the running code belongs to: made at the edge, stored with the job, found again by its worker.

The ids are those of W3C Trace Context (https://www.w3.org/TR/trace-context/, version 00). They exist whether or not
traces are exported, so that the lines of all logs about one request can be found by one id.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["TraceContext", "current_trace", "current_traceparent"]

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SHARE_BASE = 1 << 64


@dataclass(frozen=True)
class TraceContext:
    """A place in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        sampled: whether spans of this trace are exported.
    """

    trace_id: str
    span_id: str
    sampled: bool

    @classmethod
    def begin(cls, share: float = 1.0) -> TraceContext:
        """A new trace; a ``share`` of all is sampled, told by the trace's id, so everybody decides alike."""
        trace_id = secrets.token_hex(16)
        return cls(trace_id, trace_id[:16], int(trace_id[16:], 16) < share * _SHARE_BASE)

    @classmethod
    def parse(cls, text: str | None) -> TraceContext | None:
        """The place that a ``traceparent`` names; None where it is none."""
        found = _TRACEPARENT.fullmatch(text or "")
        if found is None or not int(found[1], 16) or not int(found[2], 16) or (text or "").startswith("ff"):
            return None
        return cls(found[1], found[2], bool(int(found[3], 16) & 1))

    def child(self) -> TraceContext:
        """A new place below this one."""
        return TraceContext(self.trace_id, secrets.token_hex(8), self.sampled)

    @property
    def traceparent(self) -> str:
        """The place as a ``traceparent`` header."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


#: The place in a trace of what runs now; None outside of requests and jobs.
current_trace: ContextVar[TraceContext | None] = ContextVar("current_trace", default=None)


def current_traceparent() -> str | None:
    """The ``traceparent`` of what runs now."""
    found = current_trace.get()
    return None if found is None else found.traceparent
