"""Webhooks as admins see them: made, shown, rotated, tried out, enabled again, removed; and what was delivered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from superpose.errors import ConflictError, NotFoundError, RequestError
from superpose.service.names import new_id
from superpose.service.nouns import Clock, JobKind, Page, Principal, Role, iso
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.outbox import message_of, post_message
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import webhook_attempts, webhook_deliveries, webhooks
from superpose.service.webhooks.addresses import read_target
from superpose.service.webhooks.pending import give_up_all
from superpose.service.webhooks.rules import WebhookRules
from superpose.service.webhooks.webhook import (
    DEFAULT_EVENTS,
    EVENTS,
    TEST_EVENT,
    Delivery,
    DeliveryStatus,
    Try,
    Webhook,
    webhook_from_row,
)
from superpose.trust import root_from, secret_digest, webhook_secret

__all__ = ["DEFAULT_GRACE_S", "MAX_GRACE_S", "Webhooks"]

#: How long messages carry the old signature too after a rotation, by default and at most.
DEFAULT_GRACE_S: Final = 86_400.0
MAX_GRACE_S: Final = 30 * 86_400.0

_MAX_WEBHOOKS: Final = 20
_MAX_LABEL: Final = 200


class Webhooks:
    """The webhooks of a service; all of it needs the role admin, for addresses may hold receivers' tokens.

    Args:
        database: where they are kept.
        root_path: the file with the root of their secrets; made with the first webhook.
        rules: which addresses are allowed.
        clock: the time of day.
        steady: the time for pauses.
    """

    def __init__(
        self, database: Database, root_path: Path, rules: WebhookRules, *, clock: Clock, steady: Clock
    ) -> None:
        self._database = database
        self._root_path = root_path
        self._rules = rules
        self._clock = clock
        self._steady = steady

    def create(
        self,
        principal: Principal,
        *,
        url: str,
        events: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        label: str = "",
    ) -> tuple[Webhook, str]:
        """A new webhook of the caller's project, and its secret, which is shown this once.

        Args:
            principal: the caller.
            url: where messages are posted; https.
            events: what it listens to, such as ``job.failed``; by default the ends of jobs.
            kinds: kinds of jobs it listens to; by default all.
            label: what it is for.

        Raises:
            ForbiddenError: the caller is no admin.
            RequestError: an unusable URL, event, kind or label.
            ConflictError: the project has as many webhooks as it may.
        """
        principal.require(Role.ADMIN)
        read_target(url, self._rules.networks)
        heard = _some(events, EVENTS, "events") or DEFAULT_EVENTS
        of_kinds = _some(kinds, [str(kind) for kind in JobKind], "kinds")
        if not isinstance(label, str) or len(label) > _MAX_LABEL:
            raise RequestError(f"label must be a text of at most {_MAX_LABEL} characters.", field="label")
        webhook_id, now = new_id("webhook"), self._clock()
        secret = webhook_secret(root_from(self._root_path), webhook_id, 1)
        with self._database.write() as connection:
            mine = select(func.count()).select_from(webhooks).where(webhooks.c.project == principal.project)
            if connection.execute(mine).scalar_one() >= _MAX_WEBHOOKS:
                raise ConflictError(
                    f"Project {principal.project!r} has {_MAX_WEBHOOKS} webhooks, the most there may be."
                )
            connection.execute(
                insert(webhooks).values(
                    id=webhook_id,
                    project=principal.project,
                    url=url,
                    label=label,
                    events=list(heard),
                    kinds=None if of_kinds is None else list(of_kinds),
                    created_at=now,
                    created_by=principal.key_id,
                    generation=1,
                    secret_digest=secret_digest(secret),
                )
            )
            made = self._find(connection, principal, webhook_id)
            data = {"label": label, "events": list(heard), "kinds": made.to_json()["kinds"]}
            self._record(connection, made, "created", principal, data)
        return made, secret

    def list(self, principal: Principal, part: Part = Part()) -> Page[Webhook]:  # noqa: B008  # frozen
        """Webhooks of the caller's project, oldest first.

        Raises:
            ForbiddenError: the caller is no admin.
        """
        principal.require(Role.ADMIN)
        query = select(webhooks).where(webhooks.c.project == principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, webhooks.c.number, part, webhook_from_row)

    def get(self, principal: Principal, webhook_id: str) -> Webhook:
        """One webhook.

        Raises:
            ForbiddenError: the caller is no admin.
            NotFoundError: there is none of this id in the project.
        """
        principal.require(Role.ADMIN)
        with self._database.read() as connection:
            return self._find(connection, principal, webhook_id)

    def rotate(self, principal: Principal, webhook_id: str, *, grace_s: float = DEFAULT_GRACE_S) -> tuple[Webhook, str]:
        """A new secret, shown this once; for ``grace_s`` more, messages are signed with the old one too.

        Raises:
            ForbiddenError, NotFoundError: as for `get`.
            RequestError: ``grace_s`` is not 0 s to 30 days.
        """
        principal.require(Role.ADMIN)
        if isinstance(grace_s, bool) or not isinstance(grace_s, int | float) or not 0 <= grace_s <= MAX_GRACE_S:
            raise RequestError(
                f"grace_s must be 0 to {MAX_GRACE_S:,.0f} seconds (30 days), got {grace_s!r}.", field="grace_s"
            )
        root, now = root_from(self._root_path), self._clock()
        with self._database.write() as connection:
            self._find(connection, principal, webhook_id)
            mine = webhooks.c.id == webhook_id
            old = int(connection.execute(select(webhooks.c.generation).where(mine)).scalar_one())
            secret, until = webhook_secret(root, webhook_id, old + 1), now + timedelta(seconds=grace_s)
            values: dict[str, Any] = {"generation": old + 1, "secret_digest": secret_digest(secret)}
            values |= {"previous_generation": old, "previous_until": until if grace_s else None}
            connection.execute(update(webhooks).where(mine).values(**values))
            made = self._find(connection, principal, webhook_id)
            self._record(connection, made, "rotated", principal, {"previous_until": iso(made.previous_until)})
        return made, secret

    def test(self, principal: Principal, webhook_id: str) -> Delivery:
        """Leave a test message for a webhook; look at its deliveries for what becomes of it.

        Raises:
            ForbiddenError, NotFoundError: as for `get`.
            ConflictError: the webhook is disabled.
        """
        principal.require(Role.ADMIN)
        with self._database.write() as connection:
            found, now, message_id = self._find(connection, principal, webhook_id), self._clock(), new_id("msg")
            if found.disabled_at is not None:
                raise ConflictError(
                    f"Webhook {webhook_id} is disabled ({found.disabled_why}); enable it first: "
                    f"superpose webhooks enable {webhook_id}"
                )
            body = message_of(TEST_EVENT, now, {"webhook": webhook_id, "project": found.project})
            post_message(connection, webhook_id, message_id, kind=TEST_EVENT, body=body, at=now, due_at=self._steady())
            self._record(connection, found, "tested", principal, {"message": message_id})
        return Delivery(message_id, TEST_EVENT, None, DeliveryStatus.WAITING, now, now, None)

    def enable(self, principal: Principal, webhook_id: str) -> Webhook:
        """Send to a disabled webhook again, from the next event on; for one that is not disabled nothing changes.

        Raises:
            ForbiddenError, NotFoundError: as for `get`.
        """
        principal.require(Role.ADMIN)
        with self._database.write() as connection:
            found = self._find(connection, principal, webhook_id)
            values = {"disabled_at": None, "disabled_why": None, "failing_since": None}
            connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))
            self._record(connection, found, "enabled", principal, {"before": found.disabled_why})
            return self._find(connection, principal, webhook_id)

    def disable(self, principal: Principal, webhook_id: str) -> Webhook:
        """Send nothing more to a webhook until it is enabled again; what waits for it is given up.

        Raises:
            ForbiddenError, NotFoundError: as for `get`.
        """
        principal.require(Role.ADMIN)
        with self._database.write() as connection:
            found, now = self._find(connection, principal, webhook_id), self._clock()
            if found.disabled_at is None:
                values = {"disabled_at": now, "disabled_why": "by an admin"}
                connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))
                give_up_all(connection, webhook_id, now)
            self._record(connection, found, "disabled", principal, {"why": "by an admin"})
            return self._find(connection, principal, webhook_id)

    def delete(self, principal: Principal, webhook_id: str) -> None:
        """Remove a webhook, and what waits for it; the audit log keeps that it was there.

        Raises:
            ForbiddenError, NotFoundError: as for `get`.
        """
        principal.require(Role.ADMIN)
        with self._database.write() as connection:
            found = self._find(connection, principal, webhook_id)
            mine = select(webhook_deliveries.c.number).where(webhook_deliveries.c.webhook_id == webhook_id)
            connection.execute(delete(webhook_attempts).where(webhook_attempts.c.delivery.in_(mine)))
            connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id))
            connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
            self._record(connection, found, "deleted", principal, {"label": found.label})

    def deliveries(
        self,
        principal: Principal,
        webhook_id: str,
        part: Part = Part(),  # noqa: B008  # frozen
        *,
        status: str | None = None,
    ) -> Page[Delivery]:
        """What was and is to be sent to a webhook, newest first, with all tries.

        Args:
            principal: the caller.
            webhook_id: the webhook.
            part: which part of the list.
            status: only those that are ``waiting``, ``delivered`` or ``given_up``.

        Raises:
            ForbiddenError, NotFoundError: as for `get`.
            RequestError: no such status.
        """
        principal.require(Role.ADMIN)
        mine = webhook_deliveries.c
        query = select(webhook_deliveries).where(mine.webhook_id == webhook_id)
        if status is not None:
            if status not in [*map(str, DeliveryStatus)]:
                allowed = ", ".join(DeliveryStatus)
                raise RequestError(f"status must be one of {allowed}; got {status!r}.", field="status")
            query = query.where(mine.status == status)
        with self._database.read() as connection:
            self._find(connection, principal, webhook_id)

            def make(row: RowMapping) -> Delivery:
                return _delivery(connection, row)

            return read_page(connection, query, mine.number, part, make, newest_first=True)

    def _find(self, connection: Connection, principal: Principal, webhook_id: str) -> Webhook:
        mine = (webhooks.c.id == webhook_id) & (webhooks.c.project == principal.project)
        row = connection.execute(select(webhooks).where(mine)).mappings().first()
        if row is None:
            raise NotFoundError(f"There is no webhook {webhook_id!r} in this project.", kind="webhook", id=webhook_id)
        return webhook_from_row(row)

    def _record(
        self, connection: Connection, webhook: Webhook, kind: str, principal: Principal, data: dict[str, Any]
    ) -> None:
        append_event(
            connection,
            subject=webhook.id,
            project=webhook.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data=data,
        )


def _delivery(connection: Connection, row: RowMapping) -> Delivery:
    tries = connection.execute(
        select(webhook_attempts)
        .where(webhook_attempts.c.delivery == row["number"])
        .order_by(webhook_attempts.c.attempt)
    )
    return Delivery(
        id=row["message_id"],
        type=row["type"],
        job=row["job_id"],
        status=DeliveryStatus(row["status"]),
        created_at=row["created_at"],
        next_at=row["next_at"],
        ended_at=row["ended_at"],
        tries=tuple(Try(one.at, one.seconds, one.http_status, one.error) for one in tries),
    )


def _some(given: Sequence[str] | None, allowed: Collection[str], field: str) -> tuple[str, ...] | None:
    """Words out of those allowed, each once and in their order; None where none were given."""
    if given is None:
        return None
    words = given if isinstance(given, list | tuple) else []
    wrong = [word for word in words if word not in allowed]
    if not words or wrong:
        got = repr(wrong[0])[:80] if wrong else "none"
        raise RequestError(
            f"{field} must be a list of one or more of {', '.join(allowed)}; got {got}. Leave it out for the usual "
            "ones.",
            field=field,
            allowed=list(allowed),
        )
    return tuple(word for word in allowed if word in words)
