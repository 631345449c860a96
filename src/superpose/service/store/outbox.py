"""The outbox: what webhooks are to be told, written in the transaction of the change that they are told of.

So a message is there exactly if the change is, whatever is killed when. ``webhooks/sending.py`` takes it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select

from superpose.service.names import new_id
from superpose.service.nouns import Job, iso
from superpose.service.store.database import json_text
from superpose.service.store.tables import webhook_deliveries, webhooks

__all__ = ["message_of", "post_change", "post_message", "post_notice"]

# built once: every change of a job's status runs it
_LISTENING = select(webhooks.c.id, webhooks.c.events, webhooks.c.kinds).where(
    webhooks.c.project == bindparam("project"), webhooks.c.disabled_at.is_(None)
)
_INSERT = insert(webhook_deliveries)


def post_change(connection: Connection, job: Job, *, at: datetime, due_at: datetime) -> None:
    """Leave a message that a job's status has changed, for each webhook of its project that listens.

    It says which job, of which kind, and how it is now; no data, no result.

    Args:
        connection: the transaction that changes the status.
        job: the job as it is now.
        at: when, by the time of day.
        due_at: the same by the store's steady clock.
    """
    listening = connection.execute(_LISTENING, {"project": job.project}).all()
    if not listening:
        return
    kind = f"job.{job.status}"
    data = {
        "job": job.id,
        "kind": str(job.kind),
        "status": str(job.status),
        "project": job.project,
        "at": iso(at),
        "parent": job.parent_id,
    }
    message_id, body = new_id("msg"), message_of(kind, at, data)
    for row in listening:
        if kind in row.events and (row.kinds is None or str(job.kind) in row.kinds):
            post_message(connection, row.id, message_id, kind=kind, body=body, at=at, due_at=due_at, job_id=job.id)


def post_notice(
    connection: Connection, project: str, kind: str, data: Mapping[str, object], *, at: datetime, due_at: datetime
) -> None:
    """Leave a message that is about no job for each webhook of a project that listens to its kind.

    Args:
        connection: the transaction of what is told.
        project: whose webhooks.
        kind: such as ``endpoint.alarm_raised``.
        data: what the message says; nothing personal.
        at: when, by the time of day.
        due_at: the same by the store's steady clock.
    """
    heard = [row.id for row in connection.execute(_LISTENING, {"project": project}) if kind in row.events]
    message_id, body = new_id("msg"), message_of(kind, at, data)
    for webhook_id in heard:
        post_message(connection, webhook_id, message_id, kind=kind, body=body, at=at, due_at=due_at)


def post_message(  # noqa: PLR0913  # the columns of a row
    connection: Connection,
    webhook_id: str,
    message_id: str,
    *,
    kind: str,
    body: str,
    at: datetime,
    due_at: datetime,
    job_id: str | None = None,
) -> None:
    """Leave a message for one webhook."""
    connection.execute(
        _INSERT,
        {
            "message_id": message_id,
            "webhook_id": webhook_id,
            "type": kind,
            "job_id": job_id,
            "body": body,
            "status": "waiting",
            "created_at": at,
            "next_at": due_at,
            "n_attempts": 0,
        },
    )


def message_of(kind: str, at: datetime, data: Mapping[str, object]) -> str:
    """The body of a message, as Standard Webhooks recommends it: type, timestamp and data."""
    return json_text({"type": kind, "timestamp": iso(at), "data": data})
