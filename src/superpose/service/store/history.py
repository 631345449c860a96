"""Append-only histories: what happened to a job, key, data set, model or endpoint, when, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from superpose.service.nouns import Event
from superpose.service.store.tables import events

__all__ = ["append_event", "read_events"]


def append_event(
    connection: Connection,
    *,
    subject: str,
    project: str,
    at: datetime,
    kind: str,
    actor: str,
    data: Mapping[str, object] | None = None,
) -> int:
    """Add an event to the history of ``subject`` within the caller's write transaction; returns its ``seq``."""
    last = connection.execute(select(func.max(events.c.seq)).where(events.c.subject == subject)).scalar()
    seq = (last or 0) + 1
    connection.execute(
        insert(events).values(
            subject=subject, seq=seq, project=project, at=at, kind=kind, actor=actor, data=dict(data or {})
        )
    )
    return seq


def read_events(connection: Connection, subject: str, after: int = 0, limit: int = 1_000) -> list[Event]:
    """Events of ``subject`` with ``seq > after``, oldest first."""
    rows = connection.execute(
        select(events.c.seq, events.c.at, events.c.kind, events.c.data)
        .where(events.c.subject == subject, events.c.seq > after)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [Event(row.seq, row.at, row.kind, row.data) for row in rows]
