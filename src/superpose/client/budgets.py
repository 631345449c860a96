"""Budgets and costs over their routes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from superpose.client.json_fields import Fields
from superpose.client.nouns import Job, Listing, Noun
from superpose.client.resources import Resource, items, segment
from superpose.client.transport import Call

__all__ = ["Budget", "Budgets", "Cost"]


@dataclass(frozen=True)
class Budget(Noun):
    """The most that jobs may cost in a period, in US dollars.

    Attributes:
        project: whose.
        user: id of the user whose jobs count; None: all jobs of the project.
        period: day, month (UTC) or total.
        limit_usd: the most.
        used_usd: charged and set aside so far.
        left_usd: what new jobs may cost.
    """

    project: str
    user: str | None
    period: str
    limit_usd: float
    used_usd: float
    left_usd: float

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A budget from the service's JSON."""
        f = Fields.of("budget", document)
        amounts = {name: f.number(name) for name in ("limit_usd", "used_usd", "left_usd")}
        return cls(f.text("project"), f.maybe_text("user"), f.text("period"), **amounts)


@dataclass(frozen=True)
class Cost(Noun):
    """What a job costs, in US dollars.

    Attributes:
        job: its id.
        kind: its kind.
        project, user: whose money it is.
        backend: where it runs.
        reserved_usd: set aside when it was submitted.
        charged_usd: what it did cost; None while it has not ended.
        seconds: how long workers held it; None while it has not ended.
        max_seconds: how long they may; None: not limited.
        reserved_at, settled_at: when.
    """

    job: str
    kind: str
    project: str
    user: str
    backend: str
    reserved_usd: float
    charged_usd: float | None
    seconds: float | None
    max_seconds: float | None
    reserved_at: datetime
    settled_at: datetime | None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A cost from the service's JSON."""
        f = Fields.of("cost", document)
        return cls(
            job=f.text("job"),
            kind=f.text("kind"),
            project=f.text("project"),
            user=f.text("user"),
            backend=f.text("backend"),
            reserved_usd=f.number("reserved_usd"),
            charged_usd=_maybe(f, "charged_usd"),
            seconds=_maybe(f, "seconds"),
            max_seconds=_maybe(f, "max_seconds"),
            reserved_at=f.time("reserved_at"),
            settled_at=f.maybe_time("settled_at"),
        )


class Budgets(Resource):
    """What jobs may cost, and what they did."""

    def list(self, project: str | None = None) -> Listing[Budget]:
        """Budgets of a project and of its users; the caller's where it is left out."""
        query = {} if project is None else {"project": project}
        return items(self._transport, "/v1/budgets", Budget.from_json, query, None)

    def set(self, period: str, limit_usd: float, *, project: str | None = None, user: str | None = None) -> Budget:
        """Set a budget: of a project, for operators; of one of its users, for its admins.

        Args:
            period: day, month (UTC) or total.
            limit_usd: the most that the jobs may cost, in US dollars.
            project: the caller's where it is left out.
            user: id of the user whose jobs count; all jobs of the project where it is left out.
        """
        document = {"period": period, "limit_usd": limit_usd, "project": project, "user": user}
        return Budget.from_json(self._change("PUT", "/v1/budgets", document))

    def lift(self, period: str, *, project: str | None = None, user: str | None = None) -> None:
        """Lift a budget; see `set`."""
        query = {"period": period, "project": project, "user": user}
        named = {name: value for name, value in query.items() if value is not None}
        self._transport.send(Call("DELETE", "/v1/budgets", query=named, repeatable=True))

    def cost(self, job: Job | str) -> Cost:
        """What a job costs, long after it has ended too."""
        job_id = job.id if isinstance(job, Job) else job
        return Cost.from_json(self._read(Call("GET", f"/v1/jobs/{segment(job_id)}/cost")))

    def costs(
        self,
        *,
        project: str | None = None,
        user: str | None = None,
        backend: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Listing[Cost]:
        """What jobs cost, newest first.

        Args:
            project: the caller's where it is left out.
            user: only jobs of this user.
            backend: only jobs on this backend.
            since, until: submitted in this time, aware.
            limit: at most so many.
        """
        wanted: dict[str, Any] = {"project": project, "user": user, "backend": backend}
        wanted |= {"since": since and since.isoformat(), "until": until and until.isoformat()}
        query = {name: value for name, value in wanted.items() if value is not None}
        return items(self._transport, "/v1/costs", Cost.from_json, query, limit)


def _maybe(f: Fields, name: str) -> float | None:
    return None if f.members.get(name) is None else f.number(name)
