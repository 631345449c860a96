"""Append-only histories: what happened to a job, key, data set, model or endpoint, when, and by whom.

What a user changed also goes into the audit log, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from superpose.service.nouns import Event
from superpose.service.store.audit_log import append_entry
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
    """Add an event to the history of ``subject`` within the caller's write transaction; returns its ``seq``.

    It is an entry of the audit log too, unless it is a step of a job that no user took. So ``data`` holds facts and
    digests (of a change: what was before and after), nothing secret and nothing personal.

    Args:
        connection: the transaction that makes the change.
        subject: id of what is changed; its prefix names the noun.
        project: whose it is.
        at: when.
        kind: what happened, a verb in the past tense.
        actor: the id of the caller's key, of the worker, or what else did it.
        data: facts of the change.
    """
    last = connection.execute(select(func.max(events.c.seq)).where(events.c.subject == subject)).scalar()
    seq = (last or 0) + 1
    connection.execute(
        insert(events).values(
            subject=subject, seq=seq, project=project, at=at, kind=kind, actor=actor, data=dict(data or {})
        )
    )
    if actor.startswith("key_") or not subject.startswith("job_"):
        append_entry(connection, subject=subject, project=project, at=at, kind=kind, actor=actor, data=dict(data or {}))
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
