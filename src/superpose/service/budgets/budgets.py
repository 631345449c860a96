"""Budgets as people set them, and what jobs did cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, insert, select

from superpose.errors import NotFoundError, RequestError
from superpose.service.budgets.charges import PERIODS, start_of, used_micros
from superpose.service.budgets.money import micros_of, usd_of
from superpose.service.nouns import Clock, Page, Principal, Role, iso
from superpose.service.people.project import find_project
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import budgets, charges, jobs, members

__all__ = ["Budget", "Budgets", "Cost", "CostFilter"]


@dataclass(frozen=True)
class Budget:
    """The most that the jobs of a project, or of one of its users, may cost in a period.

    Attributes:
        project: whose.
        user: id of the user whose jobs count; None: all jobs of the project.
        period: ``day``, ``month`` (UTC) or ``total``.
        limit_micros: the most, in millionths of a US dollar.
        used_micros: charged and set aside in the period so far.
    """

    project: str
    user: str | None
    period: str
    limit_micros: int
    used_micros: int

    def to_json(self) -> dict[str, object]:
        """The budget as the API sends it."""
        left = max(0, self.limit_micros - self.used_micros)
        return {
            "project": self.project,
            "user": self.user,
            "period": self.period,
            "limit_usd": usd_of(self.limit_micros),
            "used_usd": usd_of(self.used_micros),
            "left_usd": usd_of(left),
        }


@dataclass(frozen=True)
class Cost:
    """What a job costs: set aside while it has not ended, charged afterwards.

    Attributes:
        job_id: the job.
        kind: its kind.
        project, user: whose money it is.
        backend: where it runs.
        reserved_micros: set aside for it when it was admitted, in millionths of a US dollar.
        charged_micros: what it did cost; None while it has not ended.
        seconds: how long workers held it; None while it has not ended.
        max_seconds: how long they may; None: not limited.
        reserved_at, settled_at: when.
    """

    job_id: str
    kind: str
    project: str
    user: str
    backend: str
    reserved_micros: int
    charged_micros: int | None
    seconds: float | None
    max_seconds: float | None
    reserved_at: datetime
    settled_at: datetime | None

    def to_json(self) -> dict[str, object]:
        """The cost as the API sends it."""
        return {
            "job": self.job_id,
            "kind": self.kind,
            "project": self.project,
            "user": self.user,
            "backend": self.backend,
            "reserved_usd": usd_of(self.reserved_micros),
            "charged_usd": None if self.charged_micros is None else usd_of(self.charged_micros),
            "seconds": self.seconds,
            "max_seconds": self.max_seconds,
            "reserved_at": iso(self.reserved_at),
            "settled_at": iso(self.settled_at),
        }


@dataclass(frozen=True, kw_only=True)
class CostFilter:
    """Which costs are asked for; None does not restrict."""

    user: str | None = None
    backend: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Budgets:
    """Budgets and costs, as users see them.

    Args:
        database: where they are kept.
        clock: what tells the time.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, principal: Principal, project: str | None = None) -> list[Budget]:
        """The budgets of a project, its own first: the caller's, or for an operator any one.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: it is another project, and the caller no operator.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            name = find_project(connection, principal, project or principal.project).name
            query = select(budgets).where(budgets.c.project == name).order_by(*budgets.primary_key)
            return [self._budget(connection, row) for row in connection.execute(query).mappings().all()]

    def set(
        self,
        principal: Principal,
        *,
        period: str,
        limit_usd: float,
        project: str | None = None,
        user: str | None = None,
    ) -> Budget:
        """Set a budget: of a project, which operators do, or of one of its users, which its admins do.

        What is charged and set aside already counts. A limit below that refuses new jobs and stops none.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: no such project in reach, or no such member.
            RequestError: an unknown period, or a limit that is no amount of money.
        """
        limit = micros_of(limit_usd, "limit_usd")
        with self._database.write() as connection:
            key = self._replaced(connection, principal, (project, user, period), limit)
            connection.execute(insert(budgets).values(**key, limit_micros=limit))
            row = {**key, "limit_micros": limit}
            return self._budget(connection, row)

    def lift(self, principal: Principal, *, period: str, project: str | None = None, user: str | None = None) -> None:
        """Lift a budget; nothing happens where there is none.

        Raises:
            ForbiddenError, NotFoundError, RequestError: as for ``set``.
        """
        with self._database.write() as connection:
            self._replaced(connection, principal, (project, user, period), None)

    def cost(self, principal: Principal, job_id: str) -> Cost:
        """What a job of the caller's project costs, long after it has ended too.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: there is no such job in the project, or it was submitted before costs were counted.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            query = _costs().where(charges.c.job_id == job_id, charges.c.project == principal.project)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFoundError(
                f"There is no job {job_id!r} with a cost in this project; jobs of releases before 0.2 have none.",
                kind="job",
                id=job_id,
            )
        return _cost(row)

    def costs(
        self,
        principal: Principal,
        part: Part = Part(),  # noqa: B008  # frozen
        wanted: CostFilter = CostFilter(),  # frozen
        *,
        project: str | None = None,
    ) -> Page[Cost]:
        """Costs of a project's jobs, newest first.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: it is another project, and the caller no operator.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            name = find_project(connection, principal, project or principal.project).name
            query = _costs().where(charges.c.project == name)
            if wanted.user is not None:
                query = query.where(charges.c.user_id == wanted.user)
            if wanted.backend is not None:
                query = query.where(charges.c.backend == wanted.backend)
            if wanted.since is not None:
                query = query.where(charges.c.reserved_at >= wanted.since)
            if wanted.until is not None:
                query = query.where(charges.c.reserved_at < wanted.until)
            return read_page(connection, query, charges.c.number, part, _cost, newest_first=True)

    def _replaced(
        self,
        connection: Connection,
        principal: Principal,
        which: tuple[str | None, str | None, str],
        limit_micros: int | None,
    ) -> dict[str, str]:
        """The key of a budget's row, which is gone and about to be written anew, with the change in the log."""
        project, user, period = which
        principal.require(Role.ADMIN)
        if user is None:
            principal.require_operator()
        if period not in PERIODS:
            raise RequestError(f"period must be one of {', '.join(PERIODS)}, got {period!r}.", field="period")
        name = find_project(connection, principal, project or principal.project).name
        if user is not None:
            _check_member(connection, name, user)
        this = (budgets.c.project == name) & (budgets.c.user_id == (user or "")) & (budgets.c.period == period)
        before = connection.execute(select(budgets.c.limit_micros).where(this)).scalar()
        connection.execute(delete(budgets).where(this))
        append_event(
            connection,
            subject=f"project:{name}",
            project=name,
            at=self._clock(),
            kind="budget_set" if limit_micros is not None else "budget_lifted",
            actor=principal.key_id,
            data={"user": user, "period": period, "before_micros": before, "after_micros": limit_micros},
        )
        return {"project": name, "user_id": user or "", "period": period}

    def _budget(self, connection: Connection, row: Mapping[str, Any] | RowMapping) -> Budget:
        since = start_of(row["period"], self._clock())
        used = used_micros(connection, row["project"], row["user_id"], since)
        return Budget(row["project"], row["user_id"] or None, row["period"], row["limit_micros"], used)


def _costs() -> Select[Any]:
    return select(charges, jobs.c.kind).join(jobs, jobs.c.id == charges.c.job_id)


def _cost(row: RowMapping) -> Cost:
    return Cost(
        job_id=row["job_id"],
        kind=row["kind"],
        project=row["project"],
        user=row["user_id"],
        backend=row["backend"],
        reserved_micros=row["provider_micros"] + row["worker_micros"],
        charged_micros=row["settled_micros"],
        seconds=row["seconds"],
        max_seconds=row["max_seconds"],
        reserved_at=row["reserved_at"],
        settled_at=row["settled_at"],
    )


def _check_member(connection: Connection, project: str, user: str) -> None:
    of_user = (members.c.project == project) & (members.c.user_id == user)
    if connection.execute(select(members.c.user_id).where(of_user)).first() is None:
        raise NotFoundError(f"There is no member {user!r} in project {project!r}.", kind="user", id=user)
