"""Alarms of endpoints: raised and cleared with patience, kept in the store, told in the endpoint's history."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from superpose.service.names import new_id
from superpose.service.nouns import Clock, iso
from superpose.service.serving.deployment import Endpoint
from superpose.service.serving.watching import Finding
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.outbox import post_notice
from superpose.service.store.tables import endpoint_alarms, endpoint_canaries, endpoints

__all__ = ["MAX_ALARMS", "Alarm", "Alarms", "Patience"]

MAX_ALARMS = 200
"""Alarms of an endpoint that are listed, the newest."""

_IN_A_ROW = {"bad": 2, "good": 3, "blind": 1}
"""Windows in a row that must be bad to raise an alarm, and good to clear it; one that tells nothing is enough."""


@dataclass(frozen=True)
class Alarm:
    """That an endpoint's rows are not what its model was trained on.

    Attributes:
        id: of the alarm.
        kind: "drift" or "novelty".
        model, version: which version noticed it.
        message: in a sentence.
        facts: figures of the window that raised it; no rows.
        raised_at: when.
        cleared_at: when it was over; None while it is not.
    """

    id: str
    kind: str
    model: str
    version: int
    message: str
    facts: dict[str, Any] = field(repr=False)
    raised_at: datetime
    cleared_at: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """The alarm as the API sends it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "model": self.model,
            "version": self.version,
            "message": self.message,
            "facts": dict(self.facts),
            "raised_at": iso(self.raised_at),
            "cleared_at": None if self.cleared_at is None else iso(self.cleared_at),
        }


class Patience:
    """How often in a row windows must say the same before an alarm is raised or cleared: two bad ones, three good."""

    def __init__(self) -> None:
        self._streaks: dict[Hashable, tuple[str, int]] = {}
        self._changing = threading.Lock()

    def is_due(self, key: Hashable, verdict: str) -> bool:
        """Whether a verdict has come often enough in a row; it goes on being due while it lasts.

        Args:
            key: what is watched.
            verdict: of its newest window: "bad", "good", "blind", or another word, which is never due.
        """
        with self._changing:
            before, n_times = self._streaks.get(key, ("", 0))
            n_times = n_times + 1 if verdict == before else 1
            self._streaks[key] = (verdict, n_times)
        return n_times >= _IN_A_ROW.get(verdict, n_times + 1)


class Alarms:
    """The alarms of all endpoints, at most one open of a kind at each.

    It is cleared by good windows of the version that raised it, or of another once that one no longer answers: beside a
    canary that was trained on newer rows the older version's alarm stays. Another that has nothing to tell by clears it
    then too, for nobody else ever might.

    Args:
        database: where they are kept.
        clock: what tells the time.
        steady: the store's clock for pauses, by which messages to webhooks are due.
    """

    def __init__(self, database: Database, clock: Clock, steady: Clock) -> None:
        self._database = database
        self._clock = clock
        self._steady = steady

    def of(self, endpoint: Endpoint) -> list[Alarm]:
        """The newest alarms of an endpoint, newest first."""
        query = (
            select(endpoint_alarms)
            .where(endpoint_alarms.c.endpoint_id == endpoint.id)
            .order_by(endpoint_alarms.c.raised_at.desc(), endpoint_alarms.c.id)
            .limit(MAX_ALARMS)
        )
        with self._database.read() as connection:
            return [_alarm_of(row) for row in connection.execute(query).mappings()]

    def watcher(self, endpoint: Endpoint, model: str, version: int) -> Callable[[Sequence[Finding]], None]:
        """What a side's watch tells its windows to: raises or clears alarms where enough in a row say so.

        The patience is the watcher's own and goes with it.
        """
        patience = Patience()

        def judge(findings: Sequence[Finding]) -> None:
            for finding in findings:
                if patience.is_due(finding.kind, finding.verdict):
                    self._set(endpoint, model, version, finding)

        return judge

    def _set(self, endpoint: Endpoint, model: str, version: int, finding: Finding) -> None:
        own = (
            (endpoint_alarms.c.endpoint_id == endpoint.id)
            & (endpoint_alarms.c.kind == finding.kind)
            & endpoint_alarms.c.cleared_at.is_(None)
        )
        query = select(endpoint_alarms).where(own)
        with self._database.read() as connection:
            if not _changes(connection, connection.execute(query).mappings().first(), (model, version), finding):
                return
        at = self._clock()
        with self._database.write() as connection:
            still = connection.execute(select(endpoints.c.id).where(endpoints.c.id == endpoint.id)).first()
            found = connection.execute(query).mappings().first()
            if still is None or not _changes(connection, found, (model, version), finding):
                return
            if found is None:
                made = Alarm(new_id("alarm"), finding.kind, model, version, finding.message, finding.facts, at)
                _add(connection, endpoint, made)
            else:
                made = _alarm_of(found)
                cleared = update(endpoint_alarms).where(endpoint_alarms.c.id == made.id).values(cleared_at=at)
                connection.execute(cleared)
            self._tell(connection, endpoint, "alarm_raised" if found is None else "alarm_cleared", made, finding)

    def _tell(self, connection: Connection, endpoint: Endpoint, what: str, alarm: Alarm, finding: Finding) -> None:
        """Add to the endpoint's history, and leave a message for webhooks."""
        at = self._clock()
        data = {
            "name": endpoint.name,
            "alarm": alarm.id,
            "kind": alarm.kind,
            "model": alarm.model,
            "version": alarm.version,
            "message": finding.message,
        }
        append_event(
            connection,
            subject=endpoint.id,
            project=endpoint.project,
            at=at,
            kind=what,
            actor="server",
            data={**data, **finding.facts},
        )
        told = {"endpoint": endpoint.name, "project": endpoint.project, **data}
        del told["name"]
        post_notice(connection, endpoint.project, f"endpoint.{what}", told, at=at, due_at=self._steady())


def _changes(connection: Connection, found: RowMapping | None, side: tuple[str, int], finding: Finding) -> bool:
    """Whether what a side has found raises an alarm, or clears the open one."""
    if found is None or finding.verdict == "bad":
        return found is None and finding.verdict == "bad"
    raiser = (found["model"], found["version"])
    answers = (
        (endpoints, endpoints.c.id),
        (endpoint_canaries, endpoint_canaries.c.endpoint_id),
    )
    return raiser == side or not any(
        connection.execute(
            select(of).where(of == found["endpoint_id"], table.c.model == raiser[0], table.c.version == raiser[1])
        ).first()
        for table, of in answers
    )


def _add(connection: Connection, endpoint: Endpoint, made: Alarm) -> None:
    connection.execute(
        insert(endpoint_alarms).values(
            id=made.id,
            endpoint_id=endpoint.id,
            kind=made.kind,
            model=made.model,
            version=made.version,
            message=made.message,
            facts=made.facts,
            raised_at=made.raised_at,
        )
    )


def _alarm_of(row: RowMapping) -> Alarm:
    names = ("id", "kind", "model", "version", "message", "facts", "raised_at", "cleared_at")
    return Alarm(**{name: row[name] for name in names})
