"""How long programs have waited at providers: written down when results arrive, read by what estimates waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from superpose.service.nouns import Clock, Page, Principal, Role, iso, utc_now
from superpose.service.store.database import Database
from superpose.service.store.tables import provider_runs, provider_waits

if TYPE_CHECKING:
    from superpose.backends.estimates import Knowledge, SeenWait, WaitEstimate

__all__ = ["BackendWaits", "Waits", "keep_waits", "knowledge_of", "seen_waits"]

_KEPT: Final = timedelta(days=90)
_COUNTED: Final = timedelta(days=14)


@dataclass(frozen=True)
class BackendWaits:
    """Waits that were seen at a backend in the last 14 days, and what they let one expect.

    Attributes:
        backend: its name.
        estimate: from these waits; None where they are too few.
        seen: oldest first.
    """

    backend: str
    estimate: WaitEstimate | None
    seen: tuple[SeenWait, ...]

    def to_json(self) -> dict[str, object]:
        """The waits as the API sends them."""
        estimate = self.estimate
        return {
            "backend": self.backend,
            "n_seen": len(self.seen),
            "median_s": None if estimate is None else estimate.median_s,
            "p90_s": None if estimate is None else estimate.p90_s,
            "model": None if estimate is None else estimate.model,
            "seen": [{"at": iso(wait.at), "wait_s": wait.wait_s} for wait in self.seen],
        }


class Waits:
    """Waits in providers' queues as users see them.

    Args:
        database: where they are kept.
        clock: what tells the time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, principal: Principal) -> Page[BackendWaits]:
        """How long programs of the caller's project waited, by backend; operators see those of all projects.

        Raises:
            ForbiddenError: the caller is no viewer.
        """
        from superpose.backends.estimates import estimate_wait

        principal.require(Role.VIEWER)
        project = None if principal.operator else principal.project
        found: dict[str, list[SeenWait]] = {}
        for wait in seen_waits(self._database, project=project, now=self._clock()):
            found.setdefault(wait.backend, []).append(wait)
        return Page(tuple(BackendWaits(name, estimate_wait(seen), tuple(seen)) for name, seen in sorted(found.items())))


def keep_waits(connection: Connection, which: ColumnElement[bool], *, project: str, now: datetime) -> None:
    """Keep how long programs waited whose results have arrived.

    Args:
        connection: the transaction that forgets them.
        which: rows of ``provider_runs``.
        project: whose they are.
        now: when the results were found; the end of the wait where the backend did not tell when a program began.
    """
    columns = (provider_runs.c.backend, provider_runs.c.submitted_at, provider_runs.c.started_at)
    rows = connection.execute(select(*columns).where(which, provider_runs.c.submitted_at.is_not(None))).all()
    for row in rows:
        wait_s = max(0.0, ((row.started_at or now) - row.submitted_at).total_seconds())
        values: dict[str, Any] = {"project": project, "backend": row.backend, "at": row.submitted_at, "wait_s": wait_s}
        connection.execute(insert(provider_waits).values(**values))
    if rows:
        connection.execute(delete(provider_waits).where(provider_waits.c.at < now - _KEPT))


def seen_waits(database: Database, *, project: str | None = None, now: datetime | None = None) -> list[SeenWait]:
    """Waits of the last 14 days, oldest first.

    Args:
        database: the store.
        project: only those of its programs; by default all.
        now: the present.
    """
    from superpose.backends.estimates import SeenWait

    query = select(provider_waits).where(provider_waits.c.at >= (now or utc_now()) - _COUNTED)
    if project is not None:
        query = query.where(provider_waits.c.project == project)
    with database.read() as connection:
        rows = connection.execute(query.order_by(provider_waits.c.number)).all()
    return [SeenWait(backend=row.backend, at=row.at, wait_s=row.wait_s) for row in rows]


def knowledge_of(database: Database) -> Knowledge:
    """What estimates of this service rest on beside the backends: the waits that it has seen."""
    from superpose.backends.estimates import Knowledge

    now = utc_now()
    return Knowledge(waits=tuple(seen_waits(database, now=now)), now=now)
