"""Quotas of a project and what it uses of them.

Use is never counted along: it is read from the jobs, attempts and artifacts that there are, inside the transaction that
admits something. So it is exact whatever happens at the same time, and no crash can make it wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Integer, case, func, select, type_coerce, union

from superpose.errors import (
    ByteQuotaError,
    JobQuotaError,
    ProjectArchivedError,
    RequestError,
    RequestQuotaError,
    SecondsQuotaError,
)
from superpose.service.nouns import Clock, Principal, Role, iso
from superpose.service.people.buckets import Buckets
from superpose.service.people.project import find_project, quotas_of
from superpose.service.statuses import FINAL, JobStatus
from superpose.service.store.database import Database
from superpose.service.store.referred import STORED
from superpose.service.store.tables import attempts, jobs, projects, quotas

__all__ = ["QUANTITIES", "Quotas", "Usage", "check_quotas"]

#: quantity -> what it is.
QUANTITIES = {
    "jobs": "jobs that have not ended",
    "bytes": "bytes of data sets, modules and model files",
    "seconds_per_day": "seconds of workers since midnight UTC",
    "seconds_per_month": "seconds of workers since the month began, UTC",
    "requests_per_minute": "requests per minute",
}

_LARGEST = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_ENDED = tuple(str(status) for status in JobStatus if status not in FINAL)


@dataclass(frozen=True)
class Usage:
    """What a project uses, and of what how much it may: quantity -> number; None is not limited, or not counted."""

    project: str
    at: datetime
    used: Mapping[str, float | None]
    allowed: Mapping[str, int]

    def to_json(self) -> dict[str, object]:
        """The usage as the API sends it."""
        rows = {name: {"used": self.used.get(name), "allowed": self.allowed.get(name)} for name in QUANTITIES}
        return {"project": self.project, "at": iso(self.at), **rows}


class Quotas:
    """Admits what a project's quotas allow, and tells what they are.

    Args:
        database: where jobs and quotas are.
        size_of: bytes of an artifact, by its digest.
        clock: what tells the time.
    """

    def __init__(self, database: Database, *, size_of: Callable[[str], int], clock: Clock) -> None:
        self._database = database
        self._size_of = size_of
        self._clock = clock
        self._requests = Buckets()

    def usage(self, principal: Principal, project: str | None = None) -> Usage:
        """What a project uses now: the caller's, or for an operator any one.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: it is another project, and the caller no operator.

        Cost: reads the project's attempts of this month and its artifacts' sizes; some ms for thousands.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            found = find_project(connection, principal, project or principal.project)
            now = self._clock()
            used: dict[str, float | None] = {
                "jobs": _n_jobs(connection, found.name),
                "bytes": self._n_bytes(connection, found.name),
                "seconds_per_day": _seconds(connection, found.name, _day_of(now), now),
                "seconds_per_month": _seconds(connection, found.name, _month_of(now), now),
                "requests_per_minute": None,
            }
            return Usage(found.name, now, used, found.quotas)

    def admit_job(self, connection: Connection, project: str) -> None:
        """Refuse one more job where a quota is used up, within the transaction that submits it.

        Raises:
            ProjectArchivedError: the project was archived just now.
            JobQuotaError: too many jobs have not ended.
            SecondsQuotaError: the day's or month's seconds are used; ``retry_after_s`` says when the next begins.
            ByteQuotaError: more is stored already than is allowed, so a job's results have no room.
        """
        archived = select(projects.c.archived_at).where(projects.c.name == project)
        if connection.execute(archived).scalar() is not None:
            raise ProjectArchivedError(f"Project {project!r} is archived; it takes no jobs.", project=project)
        allowed = quotas_of(connection, project)
        if "jobs" in allowed and (n_jobs := _n_jobs(connection, project)) >= allowed["jobs"]:
            raise JobQuotaError(
                f"Project {project!r} has {n_jobs} jobs that have not ended; {allowed['jobs']} are allowed. Wait for "
                "one to end, cancel one, or ask the operator for a larger quota.",
                quantity="jobs",
                used=n_jobs,
                allowed=allowed["jobs"],
            )
        self._admit_all_seconds(connection, project, allowed)
        if "bytes" in allowed:
            self.admit_bytes(connection, project, 0)

    def over_seconds(self, connection: Connection, among: Collection[str]) -> dict[str, SecondsQuotaError]:
        """Of these projects those whose seconds are used up, with what is to be said: their queued jobs wait.

        Cost: reads this month's attempts of each of them that has a quota of seconds; some ms for thousands.
        """
        limited = select(quotas.c.project).where(
            quotas.c.project.in_(among), quotas.c.quantity.in_(["seconds_per_day", "seconds_per_month"])
        )
        found = {}
        for project in connection.execute(limited.distinct()).scalars():
            try:
                self._admit_all_seconds(connection, project, quotas_of(connection, project))
            except SecondsQuotaError as error:
                found[project] = error
        return found

    def admit_bytes(self, connection: Connection, project: str, n_bytes: int) -> None:
        """Refuse a new artifact that a project has no room for, within the transaction that publishes it.

        Raises:
            ByteQuotaError: with it, more would be stored than is allowed.
        """
        allowed = quotas_of(connection, project).get("bytes")
        if allowed is None:
            return
        used = self._n_bytes(connection, project)
        if used + n_bytes > allowed:
            raise ByteQuotaError(
                f"Project {project!r} keeps {used:,} bytes of data sets and model files, and this needs {n_bytes:,} "
                f"more; {allowed:,} are allowed. Delete data sets that are no longer needed, or ask the operator for a "
                "larger quota.",
                quantity="bytes",
                used=used,
                requested=n_bytes,
                allowed=allowed,
            )

    def admit_request(self, principal: Principal) -> None:
        """Refuse a request beyond the project's quota per minute. Counted in this process's memory.

        Raises:
            RequestQuotaError: ``retry_after_s`` says when one more is allowed.
        """
        per_minute = principal.requests_per_minute
        if per_minute is None:
            return
        wait_s = self._requests.take(principal.project, per_minute) if per_minute else 60.0
        if wait_s is not None:
            raise RequestQuotaError(
                f"Project {principal.project!r} may send {per_minute} requests per minute, all its keys together. Wait "
                f"{wait_s:.1f} s, or ask the operator for a larger quota.",
                retry_after_s=wait_s,
                quantity="requests_per_minute",
                allowed=per_minute,
            )

    def _admit_all_seconds(self, connection: Connection, project: str, allowed: Mapping[str, int]) -> None:
        now = self._clock()
        self._admit_seconds(connection, project, allowed, "seconds_per_month", _month_of(now))
        self._admit_seconds(connection, project, allowed, "seconds_per_day", _day_of(now))

    def _admit_seconds(
        self, connection: Connection, project: str, allowed: Mapping[str, int], quantity: str, since: datetime
    ) -> None:
        if quantity not in allowed:
            return
        now = self._clock()
        used = _seconds(connection, project, since, now)
        if used < allowed[quantity]:
            return
        period = quantity.rpartition("_")[2]
        following = since + timedelta(days=1) if period == "day" else _month_of(since + timedelta(days=32))
        raise SecondsQuotaError(
            f"The jobs of project {project!r} have run for {used:,.0f} s this {period} (UTC); {allowed[quantity]:,} s "
            f"are allowed. The next {period} begins at {iso(following)}; or ask the operator for a larger quota.",
            retry_after_s=(following - now).total_seconds(),
            until=iso(following),
            quantity=quantity,
            used=used,
            allowed=allowed[quantity],
        )

    def _n_bytes(self, connection: Connection, project: str) -> int:
        kept = union(*(query.where(query.selected_columns.project == project) for query in STORED)).subquery()
        return sum(self._size_of(digest) for digest in connection.execute(select(kept.c.artifact)).scalars())


def check_quotas(wanted: Mapping[str, object]) -> dict[str, int]:
    """Quotas to be set, without those that do not limit.

    Raises:
        RequestError: an unknown quantity, or a number that is not whole or out of range.
    """
    unknown = sorted(set(wanted) - set(QUANTITIES))
    if unknown:
        raise RequestError(
            f"There is no quota {unknown[0][:80]!r}; there are {', '.join(QUANTITIES)}.", field=unknown[0][:80]
        )
    for name, n in wanted.items():
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= _LARGEST):
            raise RequestError(f"{name} must be a whole number of at least 0, or null for no limit.", field=name)
    return {name: n for name, n in wanted.items() if isinstance(n, int)}


def _n_jobs(connection: Connection, project: str) -> int:
    alive = jobs.c.status.in_(_NOT_ENDED)
    return int(connection.execute(select(func.count()).where(alive, jobs.c.project == project)).scalar_one())


def _seconds(connection: Connection, project: str, since: datetime, now: datetime) -> float:
    """Seconds for which workers have held the project's jobs since then; attempts under way count until now."""
    since_us, now_us = _us(since), _us(now)
    started, ended = type_coerce(attempts.c.started_at, Integer), type_coerce(attempts.c.ended_at, Integer)
    start = case((started < since_us, since_us), else_=started)
    total_us = (
        select(func.coalesce(func.sum(func.coalesce(ended, now_us) - start), 0))
        .select_from(attempts)
        .join(jobs, attempts.c.job_id == jobs.c.id)
        .where(jobs.c.project == project, ended.is_(None) | (ended > since_us))
    )
    return int(connection.execute(total_us).scalar_one()) / 1e6


def _us(at: datetime) -> int:
    """Microseconds since 1970, as times are stored."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _day_of(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _month_of(at: datetime) -> datetime:
    return _day_of(at).replace(day=1)
