"""The nouns of webhooks: the webhook, a message on its way to it, a try to deliver that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import RowMapping

from superpose.service.nouns import iso
from superpose.service.statuses import FINAL, JobStatus

__all__ = ["DEFAULT_EVENTS", "EVENTS", "TEST_EVENT", "Delivery", "DeliveryStatus", "Try", "Webhook", "webhook_from_row"]

#: What a webhook may listen to: a job's status has become this, or an endpoint's alarm was raised or cleared.
EVENTS: Final = (*(f"job.{status}" for status in JobStatus), "endpoint.alarm_raised", "endpoint.alarm_cleared")
DEFAULT_EVENTS: Final = tuple(f"job.{status}" for status in JobStatus if status in FINAL)
#: What `superpose webhooks test` sends.
TEST_EVENT: Final = "webhook.test"


class DeliveryStatus(StrEnum):
    """Where a message stands: to be sent (again), received with a 2xx, or not tried any more."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class Webhook:
    """An address to which a project's job events are pushed.

    Attributes:
        id: its id.
        project: whose jobs.
        url: where messages are posted; may hold a token of the receiver's, so only admins see it.
        label: what it is for.
        events: what it listens to, of `EVENTS`.
        kinds: kinds of jobs it listens to; None: all.
        created_at: when it was made.
        previous_until: until when messages carry a second signature, by the secret before the last rotation.
        failing_since: the first failure since the last success; None while it works.
        disabled_at, disabled_why: since when nothing is sent, and for what reason.
    """

    id: str
    project: str
    url: str = field(repr=False)
    label: str
    events: tuple[str, ...]
    kinds: tuple[str, ...] | None
    created_at: datetime
    previous_until: datetime | None = None
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_why: str | None = None

    def to_json(self) -> dict[str, object]:
        """The webhook as the API sends it, without its secret."""
        return {
            "id": self.id,
            "project": self.project,
            "url": self.url,
            "label": self.label,
            "events": list(self.events),
            "kinds": None if self.kinds is None else list(self.kinds),
            "created_at": iso(self.created_at),
            "previous_until": iso(self.previous_until),
            "failing_since": iso(self.failing_since),
            "disabled_at": iso(self.disabled_at),
            "disabled_why": self.disabled_why,
        }


@dataclass(frozen=True)
class Try:
    """One try to deliver a message: when, for how long, and the status or the error that came of it."""

    at: datetime
    seconds: float
    http_status: int | None
    error: str | None

    def to_json(self) -> dict[str, object]:
        """The try as the API sends it."""
        return {
            "at": iso(self.at),
            "seconds": round(self.seconds, 3),
            "http_status": self.http_status,
            "error": self.error,
        }


@dataclass(frozen=True)
class Delivery:
    """A message for one webhook, and how far it got.

    Attributes:
        id: the message's id, the same at every try: the header ``webhook-id``.
        type: what it tells, of `EVENTS` or `TEST_EVENT`.
        job: id of the job; None for a test and for alarms.
        status: where it stands.
        created_at: when what it tells happened.
        next_at: when it is tried (again); None once it has ended.
        ended_at: when it was delivered or given up.
        tries: all tries so far, oldest first.
    """

    id: str
    type: str
    job: str | None
    status: DeliveryStatus
    created_at: datetime
    next_at: datetime | None
    ended_at: datetime | None
    tries: tuple[Try, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The delivery as the API sends it."""
        return {
            "id": self.id,
            "type": self.type,
            "job": self.job,
            "status": str(self.status),
            "created_at": iso(self.created_at),
            "next_at": iso(self.next_at),
            "ended_at": iso(self.ended_at),
            "tries": [one.to_json() for one in self.tries],
        }


def webhook_from_row(row: RowMapping) -> Webhook:
    """The noun of a row of ``webhooks``."""
    kinds = row["kinds"]
    same = {name: row[name] for name in Webhook.__dataclass_fields__ if name not in {"events", "kinds"}}
    return Webhook(**same, events=tuple(row["events"]), kinds=None if kinds is None else tuple(kinds))
