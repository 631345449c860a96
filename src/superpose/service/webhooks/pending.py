"""The outbox as its sender sees it: what is due, and writing down what came of a try."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select, update

from superpose.service.nouns import Clock
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.tables import webhook_attempts, webhook_deliveries, webhooks
from superpose.service.webhooks.posting import Answer
from superpose.service.webhooks.rules import WebhookRules
from superpose.service.webhooks.webhook import DeliveryStatus

__all__ = ["Due", "Pending", "give_up_all"]

_GONE: Final = 410


@dataclass(frozen=True)
class Due:
    """A message that is to be sent now: where to, and what the signatures are made with."""

    number: int
    message_id: str
    webhook_id: str
    body: str = field(repr=False)
    url: str = field(repr=False)
    generations: tuple[int, ...]
    secret_digest: str = field(repr=False)


class Pending:
    """Messages that wait to be sent.

    Args:
        database: where they are.
        rules: how often they are tried, and for how long.
        clock: the time of day.
        steady: the time for pauses.
        chance: a random number from 0 to 1, for the pauses.
    """

    def __init__(
        self,
        database: Database,
        rules: WebhookRules,
        *,
        clock: Clock,
        steady: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock
        self._steady = steady
        self._chance = chance

    def due(self, under_way: Mapping[str, Collection[int]], per_webhook: int) -> list[Due]:
        """What is to be sent now, for each webhook as many as it may have under way, those that waited longest first.

        Args:
            under_way: numbers of the messages that are being sent, by webhook.
            per_webhook: how many a webhook may have under way; one that fails may have one.
        """
        now, found = self._clock(), []
        with self._database.read() as connection:
            for row in connection.execute(select(webhooks).where(webhooks.c.disabled_at.is_(None))).mappings():
                busy = under_way.get(row["id"], ())
                room = (per_webhook if row["failing_since"] is None else 1) - len(busy)
                if room > 0:
                    found += [_due(row, message, now) for message in self._messages(connection, row["id"], busy, room)]
        return found

    def _messages(self, connection: Connection, webhook_id: str, busy: Collection[int], room: int) -> list[RowMapping]:
        mine = webhook_deliveries.c
        query = (
            select(mine.number, mine.message_id, mine.body)
            .where(mine.webhook_id == webhook_id, mine.next_at <= self._steady(), mine.number.not_in([*busy]))
            .order_by(mine.next_at, mine.number)
            .limit(room)
        )
        return list(connection.execute(query).mappings().all())

    def tried(self, due: Due, answer: Answer, at: datetime, seconds: float) -> None:
        """Write down what came of a try: the message is delivered, waits for the next try, or is given up.

        Where message or webhook are gone meanwhile, nothing is written.
        """
        with self._database.write() as connection:
            row = self._row(connection, due.number)
            if row is None:
                return
            n_attempts = row["n_attempts"] + 1
            connection.execute(
                insert(webhook_attempts).values(
                    delivery=due.number,
                    attempt=n_attempts,
                    at=at,
                    seconds=seconds,
                    http_status=answer.status,
                    error=answer.error,
                )
            )
            ends = answer.error is None or row["next_at"] is None
            values = self._ended(answer) if ends else self._again(row, answer, n_attempts)
            self._set(connection, due.number, {**values, "n_attempts": n_attempts})
            self._judge(connection, row, answer, at)

    def _row(self, connection: Connection, number: int) -> RowMapping | None:
        mine = webhook_deliveries.c
        query = (
            select(mine.n_attempts, mine.created_at, mine.next_at, mine.webhook_id)
            .add_columns(webhooks.c.project, webhooks.c.failing_since, webhooks.c.disabled_at)
            .join(webhooks, webhooks.c.id == mine.webhook_id)
            .where(mine.number == number)
        )
        return connection.execute(query).mappings().first()

    def _ended(self, answer: Answer) -> dict[str, Any]:
        status = DeliveryStatus.GIVEN_UP if answer.error else DeliveryStatus.DELIVERED
        return {"status": str(status), "next_at": None, "ended_at": self._clock()}

    def _again(self, row: RowMapping, answer: Answer, n_attempts: int) -> dict[str, Any]:
        """When a message is tried again, or that it is not."""
        backoff = self._rules.backoff
        pause_s = backoff.pause_s(n_attempts, self._chance())
        pause_s = max(pause_s, min(answer.retry_after_s or 0.0, backoff.longest_s))
        if (self._clock() - row["created_at"]).total_seconds() + pause_s > self._rules.retry_s:
            return self._ended(answer)
        return {"next_at": self._steady() + timedelta(seconds=pause_s)}

    def _set(self, connection: Connection, number: int, values: Mapping[str, Any]) -> None:
        connection.execute(update(webhook_deliveries).where(webhook_deliveries.c.number == number).values(**values))

    def _judge(self, connection: Connection, row: RowMapping, answer: Answer, at: datetime) -> None:
        """Write down whether the webhook works, and disable one that has failed for long or says that it is gone."""
        mine = webhooks.c.id == row["webhook_id"]
        if answer.error is None:
            if row["failing_since"] is not None:
                connection.execute(update(webhooks).where(mine).values(failing_since=None))
            return
        since = row["failing_since"] or at
        if row["failing_since"] is None:
            connection.execute(update(webhooks).where(mine).values(failing_since=at))
        failing_s, why = (at - since).total_seconds(), None
        if answer.status == _GONE:
            why = "the receiver answered 410: gone"
        elif failing_s >= self._rules.disable_s:
            why = f"every try has failed for {failing_s / 3600:.0f} h; the last: {answer.error}"
        if why is not None and row["disabled_at"] is None:
            connection.execute(update(webhooks).where(mine).values(disabled_at=at, disabled_why=why))
            give_up_all(connection, row["webhook_id"], at)
            append_event(
                connection,
                subject=row["webhook_id"],
                project=row["project"],
                at=at,
                kind="disabled",
                actor="webhooks",
                data={"why": why},
            )


def give_up_all(connection: Connection, webhook_id: str, at: datetime) -> None:
    """Give up whatever still waits for a webhook."""
    waiting = (webhook_deliveries.c.webhook_id == webhook_id) & (webhook_deliveries.c.ended_at.is_(None))
    values = {"status": str(DeliveryStatus.GIVEN_UP), "next_at": None, "ended_at": at}
    connection.execute(update(webhook_deliveries).where(waiting).values(**values))


def _due(webhook: RowMapping, message: RowMapping, now: datetime) -> Due:
    old = webhook["previous_generation"]
    counts = old is not None and webhook["previous_until"] is not None and webhook["previous_until"] > now
    return Due(
        number=message["number"],
        message_id=message["message_id"],
        webhook_id=webhook["id"],
        body=message["body"],
        url=webhook["url"],
        generations=(webhook["generation"], old) if counts else (webhook["generation"],),
        secret_digest=webhook["secret_digest"],
    )
