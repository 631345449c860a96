"""A job remembers the trace of the request that submitted it, so that its worker goes on with it."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["TRACES"]

TRACES = Migration(
    summary="the trace that a job belongs to",
    up=("ALTER TABLE jobs ADD COLUMN traceparent TEXT",),
    down=("ALTER TABLE jobs DROP COLUMN traceparent",),
)
