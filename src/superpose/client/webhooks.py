"""Webhooks over their routes, and the check of what they bring."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from superpose.client.json_fields import Fields
from superpose.client.nouns import Listing, Noun
from superpose.client.resources import Resource, items, segment
from superpose.errors import ProtocolError, SignatureError
from superpose.trust import is_signed_by, write_key_file

__all__ = ["Delivery", "NewWebhook", "Try", "Webhook", "Webhooks", "verify_webhook"]

_TOLERANCE_S = 300.0


@dataclass(frozen=True)
class Webhook(Noun):
    """An address to which a project's job events are pushed.

    Attributes:
        id: its id.
        project: whose jobs.
        url: where messages are posted.
        label: what it is for.
        events: what it listens to, such as ``job.failed``.
        kinds: kinds of jobs it listens to; None: all.
        created_at: when it was made.
        previous_until: until when messages are signed with the secret before the last rotation too.
        failing_since: the first failure since the last success; None while it works.
        disabled_at, disabled_why: since when nothing is sent, and for what reason.
    """

    id: str
    project: str
    url: str
    label: str
    events: tuple[str, ...]
    kinds: tuple[str, ...] | None
    created_at: datetime
    previous_until: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_why: str | None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A webhook from the service's JSON."""
        f = Fields.of("webhook", document)
        kinds = None if f.members.get("kinds") is None else tuple(str(kind) for kind in f.array("kinds"))
        return cls(
            id=f.text("id"),
            project=f.text("project"),
            url=f.text("url"),
            label=f.text("label"),
            events=tuple(str(event) for event in f.array("events")),
            kinds=kinds,
            created_at=f.time("created_at"),
            previous_until=f.maybe_time("previous_until"),
            failing_since=f.maybe_time("failing_since"),
            disabled_at=f.maybe_time("disabled_at"),
            disabled_why=f.maybe_text("disabled_why"),
        )


@dataclass(frozen=True)
class NewWebhook(Noun):
    """A webhook with a new secret, which the service tells this once only; keep it with ``write``."""

    webhook: Webhook
    secret: str = field(repr=False)

    def write(self, path: str | Path) -> Path:
        """Write the secret to a new file that only its owner can read (mode 0600).

        Raises:
            KeyFileError: the file exists already or cannot be written.
        """
        target = Path(path).expanduser()
        write_key_file(target, self.secret)
        return target


@dataclass(frozen=True)
class Try(Noun):
    """One try to deliver a message: when, for how long, and the HTTP status or the error that came of it."""

    at: datetime
    seconds: float
    http_status: int | None
    error: str | None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A try from the service's JSON."""
        f = Fields.of("try", document)
        return cls(f.time("at"), f.number("seconds"), f.maybe_whole("http_status"), f.maybe_text("error"))


@dataclass(frozen=True)
class Delivery(Noun):
    """A message for a webhook.

    Attributes:
        id: the message's id, which its receiver sees in the header ``webhook-id``, the same at every try.
        type: what it tells.
        job: id of the job; None for a test.
        status: ``waiting``, ``delivered`` or ``given_up``.
        created_at: when what it tells happened.
        next_at: when it is tried (again); None once it has ended.
        ended_at: when it was delivered or given up.
        tries: all tries so far, oldest first.
    """

    id: str
    type: str
    job: str | None
    status: str
    created_at: datetime
    next_at: datetime | None
    ended_at: datetime | None
    tries: tuple[Try, ...]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A delivery from the service's JSON."""
        f = Fields.of("delivery", document)
        return cls(
            id=f.text("id"),
            type=f.text("type"),
            job=f.maybe_text("job"),
            status=f.text("status"),
            created_at=f.time("created_at"),
            next_at=f.maybe_time("next_at"),
            ended_at=f.maybe_time("ended_at"),
            tries=tuple(Try.from_json(one) for one in f.array("tries")),
        )


class Webhooks(Resource):
    """Webhooks of the key's project; all of it needs the role admin."""

    def create(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        label: str = "",
    ) -> NewWebhook:
        """A new webhook with its secret, told this once only.

        Args:
            url: where messages are posted; https.
            events: what it listens to: ``job.`` and a status; the ends of jobs where it is left out.
            kinds: kinds of jobs it listens to; all where it is left out.
            label: what it is for.

        Raises:
            ApiError: ``service.request`` for an address that is not allowed, or an unknown event.
        """
        document: dict[str, Any] = {"url": url, "label": label}
        document["events"] = None if events is None else list(events)
        document["kinds"] = None if kinds is None else list(kinds)
        return _with_secret(self._post("/v1/webhooks", document))

    def list(self) -> Listing[Webhook]:
        """All webhooks, oldest first."""
        return items(self._transport, "/v1/webhooks", Webhook.from_json, {}, None)

    def get(self, webhook_id: str) -> Webhook:
        """One webhook."""
        return Webhook.from_json(self._get(_path(webhook_id)))

    def rotate(self, webhook_id: str, *, grace_s: float = 86_400.0) -> NewWebhook:
        """A new secret, told this once only.

        Args:
            webhook_id: the webhook.
            grace_s: how long messages are signed with the old one too, 0 s to 30 days.
        """
        return _with_secret(self._post(_path(webhook_id, "/rotate"), {"grace_s": grace_s}))

    def test(self, webhook_id: str) -> Delivery:
        """Have a test message sent; `deliveries` tells what became of it."""
        return Delivery.from_json(self._post(_path(webhook_id, "/test"), {}))

    def enable(self, webhook_id: str) -> Webhook:
        """Send to a disabled webhook again, from the next event on."""
        return Webhook.from_json(self._post(_path(webhook_id, "/enable"), {}))

    def disable(self, webhook_id: str) -> Webhook:
        """Send nothing more until it is enabled; what waits is given up."""
        return Webhook.from_json(self._post(_path(webhook_id, "/disable"), {}))

    def delete(self, webhook_id: str) -> None:
        """Remove a webhook, and what waits for it."""
        self._delete(_path(webhook_id))

    def deliveries(self, webhook_id: str, *, status: str | None = None, limit: int | None = None) -> Listing[Delivery]:
        """What was and is to be sent, newest first.

        Args:
            webhook_id: the webhook.
            status: only those that are ``waiting``, ``delivered`` or ``given_up``.
            limit: at most so many.
        """
        query = {} if status is None else {"status": status}
        return items(self._transport, _path(webhook_id, "/deliveries"), Delivery.from_json, query, limit)


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    now_s: float | None = None,
    tolerance_s: float = _TOLERANCE_S,
) -> dict[str, Any]:
    """What a message says, once its signature has been checked; for whoever receives webhooks in Python.

    A message may come more than once: drop those whose ``webhook-id`` you have seen.

    Args:
        body: the request's body, byte for byte.
        headers: the request's headers; upper and lower case are the same.
        secret: the webhook's secret, ``whsec_...``.
        now_s: the time in seconds since 1970 UTC; by default now.
        tolerance_s: how far the message's time may be from it.

    Raises:
        SignatureError: a header is missing, the time is too far off, or no signature was made with the secret.
    """
    told = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, stamp, signatures = (told[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        timestamp = int(stamp)
    except KeyError as error:
        raise SignatureError(
            f"The request has no header {error.args[0]}, so no webhook of superpose sent it."
        ) from None
    except ValueError:
        raise SignatureError("The header webhook-timestamp is not a whole number of seconds.") from None
    off_s = abs((time.time() if now_s is None else now_s) - timestamp)
    if off_s > tolerance_s:
        raise SignatureError(
            f"The message's time is {off_s:,.0f} s off, at most {tolerance_s:g} s are allowed: an old message sent "
            "again, or a clock that is wrong."
        )
    if not is_signed_by(secret, signatures.split(" "), message_id, timestamp, body):
        raise SignatureError("None of the message's signatures was made with this secret; do not believe it.")
    try:
        message = json.loads(body)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise SignatureError("The message is signed, but no JSON object.")
    return message


def _path(webhook_id: str, rest: str = "") -> str:
    return f"/v1/webhooks/{segment(webhook_id)}{rest}"


def _with_secret(answer: Any) -> NewWebhook:
    secret = answer.get("secret") if isinstance(answer, dict) else None
    if not isinstance(secret, str):
        raise ProtocolError("The service's answer to a new webhook holds no secret.")
    return NewWebhook(Webhook.from_json(answer), secret)
