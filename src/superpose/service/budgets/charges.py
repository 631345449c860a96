"""What is set aside for a job when it is admitted, and what it did cost when it has ended.

Both happen inside the transactions that admit and end the job, so that a budget holds however many submissions race,
and no crash leaves money set aside for nothing. A job costs what its backend charges, and the time of its workers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from superpose.errors import BudgetError, PriceUnknownError
from superpose.service.budgets.money import shown_usd, usd_of
from superpose.service.nouns import Clock, Job, JobKind
from superpose.service.statuses import JobStatus
from superpose.service.store.claims import NewJob, Price
from superpose.service.store.tables import attempts, budgets, charges, keys

__all__ = ["MAY_RUN_OUT", "PERIODS", "Charges", "Quote", "seconds_left", "start_of", "used_micros"]

MAY_RUN_OUT = "sweep.may_run_out"

#: What a budget is counted over, UTC.
PERIODS = ("day", "month", "total")
#: Kinds of jobs that whoever submits them may give a shorter time.
_TIMED = frozenset(
    {JobKind.TRAIN, JobKind.PROGRAM, JobKind.TRAIN_MODULE, JobKind.FUNCTION, JobKind.TRAIN_TEMPLATE},
)


@dataclass(frozen=True)
class Quote:
    """What would be set aside for a submission, and what it is expected to take.

    Attributes:
        kind: the job's.
        backend: where it would run.
        provider_micros: its backend's part, in millionths of a US dollar; None where nobody says.
        worker_micros: its workers' time, for the longest that they may hold it.
        max_seconds: how long that is; None: not limited.
        estimate: what it is expected to take (``cpu_s``, ``parts``); None where nobody estimates.
        remarks: what is to be said about that, each with ``code`` and ``message``.
    """

    kind: str
    backend: str
    provider_micros: int | None
    worker_micros: int
    max_seconds: float | None
    estimate: Mapping[str, object] | None
    remarks: tuple[Mapping[str, object], ...] = ()

    def to_json(self) -> dict[str, object]:
        """The quote as the API sends it."""
        whole = None if self.provider_micros is None else usd_of(self.provider_micros + self.worker_micros)
        return {
            "kind": self.kind,
            "backend": self.backend,
            "provider_usd": None if self.provider_micros is None else usd_of(self.provider_micros),
            "worker_usd": usd_of(self.worker_micros),
            "reserved_usd": whole,
            "max_seconds": self.max_seconds,
            "estimate": None if self.estimate is None else dict(self.estimate),
            "remarks": [dict(remark) for remark in self.remarks],
        }


@dataclass(frozen=True)
class _Room:
    """What one limit leaves."""

    what: str
    limit: int
    used: int
    is_own: bool = False

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


class Charges:
    """Money set aside for jobs and charged for them, each within the caller's write transaction.

    Args:
        clock: what tells the time.
        worker_second_usd: what a second of a worker costs.
        job_seconds: how long workers may hold a job, all attempts together, where it says nothing itself.
        worker_threads: processors of a worker, for what a sweep is expected to cost.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        worker_second_usd: float = 0.0,
        job_seconds: float | None = None,
        worker_threads: int = 1,
    ) -> None:
        self._worker_threads = worker_threads
        self._clock = clock
        self._second_micros = worker_second_usd * 1e6
        self._job_seconds = job_seconds

    def admit(self, connection: Connection, new: NewJob) -> NewJob:
        """The submission, with fewer shots where it asks for that and money is short; refused if there is not enough.

        A sweep is refused too where nothing is left beside it for one of its trials at a time, and gets a remark
        (`MAY_RUN_OUT`) where all that its trials are expected to take is more than is left.

        Raises:
            BudgetError: it would cost more than a budget of the project or of the user, or its own limit, leaves.
            PriceUnknownError: nobody says what it costs, and a budget or limit of its own applies.
        """
        rooms = list(self._rooms(connection, new))
        if not rooms:
            return new
        price = new.price
        if price.micros is None:
            raise PriceUnknownError(
                f"Nobody says what this costs on {price.backend!r}; {rooms[0].what} is {shown_usd(rooms[0].limit)}, so "
                "take a backend whose price is known, or have the budget lifted.",
                backend=price.backend,
            )
        tightest = min(rooms, key=lambda room: room.left)
        needed = price.micros + self._worker_micros(new) + self._child_micros(new)
        if needed <= tightest.left:
            return self._with_remark(new, needed, tightest)
        scaled = self._scaled(new, tightest.left - self._worker_micros(new))
        if scaled is not None:
            return scaled
        raise BudgetError(
            f"{self._needs(new, needed)}; {tightest.what} is {shown_usd(tightest.limit)}, of which "
            f"{shown_usd(tightest.left)} are left. {self._cures(new, tightest)}.",
            needed_usd=usd_of(needed),
            limit_usd=usd_of(tightest.limit),
            used_usd=usd_of(tightest.used),
            limit=tightest.what,
            backend=price.backend,
        )

    def quote(self, new: NewJob) -> Quote:
        """What would be set aside for a submission; budgets are not looked at."""
        price = new.price
        return Quote(
            kind=str(new.kind),
            backend=price.backend,
            provider_micros=price.micros,
            worker_micros=self._worker_micros(new),
            max_seconds=self._seconds(new),
            estimate=new.estimate,
            remarks=new.remarks,
        )

    def reserve(self, connection: Connection, job: Job, new: NewJob) -> None:
        """Set aside what the new job may cost."""
        connection.execute(
            insert(charges).values(
                job_id=job.id,
                number=job.number,
                project=job.project,
                user_id=_user_of(connection, new.created_by),
                backend=new.price.backend,
                provider_micros=new.price.micros or 0,
                worker_micros=self._worker_micros(new),
                max_seconds=self._seconds(new),
                reserved_at=self._clock(),
            )
        )

    def settle(self, connection: Connection, job: Job) -> None:
        """Charge a job that has ended, and let go of the rest of what was set aside.

        The backend's part is what the result says it did cost, else what was set aside: also of a job that failed or
        was cancelled after it had begun, for the backend may charge it. Workers' time counts up to what was set aside.
        """
        row = connection.execute(select(charges).where(charges.c.job_id == job.id)).mappings().first()
        if row is None or row["settled_at"] is not None:
            return
        seconds = _seconds_held(connection, job.id)
        worker = min(row["worker_micros"], math.ceil(seconds * self._second_micros))
        connection.execute(
            update(charges)
            .where(charges.c.job_id == job.id)
            .values(
                seconds=seconds,
                settled_micros=worker + _charged_by_backend(job, row["provider_micros"]),
                settled_at=self._clock(),
            )
        )

    def _needs(self, new: NewJob, needed: int) -> str:
        one = self._child_micros(new)
        if not one:
            return f"This may cost {shown_usd(needed)} on {new.price.backend!r}"
        return (
            f"This needs {shown_usd(needed)}: {shown_usd(needed - one)} are set aside for the sweep until it ends, and "
            f"{shown_usd(one)} beside that for each trial, or the final training, while that runs"
        )

    def _child_micros(self, new: NewJob) -> int:
        """What must be left beside a sweep, for one of its jobs at a time."""
        return self._worker_micros(new) if new.kind is JobKind.SWEEP else 0

    def _with_remark(self, new: NewJob, needed: int, room: _Room) -> NewJob:
        """A sweep with the remark that money may run out under it, where its estimate says so."""
        parts = (new.estimate or {}).get("parts")
        if new.kind is not JobKind.SWEEP or not isinstance(parts, Mapping):
            return new
        expected = needed + math.ceil(parts["trials"] / self._worker_threads * self._second_micros)
        if expected <= room.left:
            return new
        message = (
            f"By its estimate this sweep needs {shown_usd(expected)} until its best spec is trained, if nothing stops "
            f"early and no trial is pruned: {shown_usd(expected - needed)} for the trials, and {shown_usd(needed)} "
            f"that are set aside meanwhile; {room.what} leaves {shown_usd(room.left)}. It is not refused for that, and "
            "ends with quota.budget where money does; take fewer trials, epochs or folds, or have the budget raised."
        )
        told = {"code": MAY_RUN_OUT, "message": message, "needed_usd": usd_of(expected), "left_usd": usd_of(room.left)}
        return replace(new, remarks=(*new.remarks, told))

    def _cures(self, new: NewJob, room: _Room) -> str:
        """What its submitter can do about a job that costs too much."""
        found = []
        if new.price.micros:
            found += ["ask for fewer shots or a cheaper backend", "let the shots be scaled down"]
        if self._worker_micros(new) and new.kind in _TIMED and new.parent_id is None:
            seconds = f"{self._seconds(new):g}"
            found.append(f"give a max_seconds below {seconds} (so long may workers hold it, and that is set aside)")
        found.append("raise that limit" if room.is_own else "have the budget raised")
        cures = ", ".join(found[:-1]) + (", or " if found[1:] else "") + found[-1]
        return cures[:1].upper() + cures[1:]

    def _worker_micros(self, new: NewJob) -> int:
        seconds = self._seconds(new)
        return 0 if seconds is None else math.ceil(seconds * self._second_micros)

    def _seconds(self, new: NewJob) -> float | None:
        own = new.spending.max_seconds
        known = [limit for limit in (own, self._job_seconds) if limit is not None]
        return min(known, default=None)

    def _rooms(self, connection: Connection, new: NewJob) -> Iterator[_Room]:
        """Every limit that applies, and what it leaves."""
        if new.spending.max_cost_micros is not None:
            yield _Room("its own limit", new.spending.max_cost_micros, 0, is_own=True)
        user, now = _user_of(connection, new.created_by), self._clock()
        applying = budgets.c.project == new.project, budgets.c.user_id.in_(["", user])
        for row in connection.execute(select(budgets).where(*applying).order_by(*budgets.primary_key)).mappings().all():
            used = used_micros(connection, new.project, row["user_id"], start_of(row["period"], now))
            whose = (
                f"the budget of user {row['user_id']}" if row["user_id"] else f"the budget of project {new.project!r}"
            )
            when = {"day": " for this day (UTC)", "month": " for this month (UTC)"}.get(row["period"], "")
            yield _Room(whose + when, row["limit_micros"], used)

    def _scaled(self, new: NewJob, left_micros: int) -> NewJob | None:
        """The submission with as many shots as the money is enough for; None where that cannot be."""
        price, shots = new.price, new.payload.get("shots")
        if (
            not new.spending.scale_shots
            or not price.per_shot_micros
            or price.micros is None
            or not isinstance(shots, int)
        ):
            return None
        fixed = price.micros - price.per_shot_micros * shots
        affordable = math.floor((left_micros - fixed) / price.per_shot_micros)
        micros = math.ceil(fixed + price.per_shot_micros * affordable)
        if micros > left_micros:  # rounded up to a whole millionth
            affordable -= 1
            micros = math.ceil(fixed + price.per_shot_micros * affordable)
        if not 1 <= affordable < shots:
            return None
        payload = {**new.payload, "shots": affordable, "scaled_from": shots}
        cheaper = Price(backend=price.backend, micros=micros, per_shot_micros=price.per_shot_micros)
        return replace(new, payload=payload, price=cheaper, request=new.payload if new.request is None else new.request)


def start_of(period: str, now: datetime) -> datetime | None:
    """When the period began in which ``now`` lies, UTC; None for ever."""
    if period == "total":
        return None
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return day if period == "day" else day.replace(day=1)


def seconds_left(connection: Connection, job_id: str) -> tuple[float, float] | None:
    """How long workers may hold a job in all, and how much of that is left before an attempt that begins now.

    None where it is not limited.
    """
    allowed = connection.execute(select(charges.c.max_seconds).where(charges.c.job_id == job_id)).scalar()
    return None if allowed is None else (float(allowed), allowed - _seconds_held(connection, job_id))


def used_micros(connection: Connection, project: str, user_id: str, since: datetime | None) -> int:
    """What was charged and is set aside, for jobs that were admitted since then; of one user, or of all ('')."""
    which: list[ColumnElement[bool]] = [charges.c.project == project]
    if user_id:
        which.append(charges.c.user_id == user_id)
    if since is not None:
        which.append(charges.c.reserved_at >= since)
    reserved = charges.c.provider_micros + charges.c.worker_micros
    total = select(func.coalesce(func.sum(func.coalesce(charges.c.settled_micros, reserved)), 0)).where(*which)
    return int(connection.execute(total).scalar_one())


def _user_of(connection: Connection, created_by: str) -> str:
    """The user behind a submission: the key's, or of a job that another one began, that one's."""
    column = charges.c.user_id if created_by.startswith("job_") else keys.c.user_id
    known = charges.c.job_id if created_by.startswith("job_") else keys.c.id
    return str(connection.execute(select(column).where(known == created_by)).scalar() or "")


def _seconds_held(connection: Connection, job_id: str) -> float:
    """How long workers held a job, all attempts together."""
    rows = connection.execute(select(attempts.c.started_at, attempts.c.ended_at).where(attempts.c.job_id == job_id))
    held = (max(timedelta(0), row.ended_at - row.started_at) for row in rows if row.ended_at is not None)
    return sum(held, timedelta(0)).total_seconds()


def _charged_by_backend(job: Job, reserved: int) -> int:
    if job.status is JobStatus.SUCCEEDED:
        provenance = (job.result or {}).get("provenance")
        stated = provenance.get("cost_usd") if isinstance(provenance, Mapping) else None
        if isinstance(stated, int | float) and not isinstance(stated, bool) and 0 <= stated < math.inf:
            return math.ceil(round(stated * 1e6, 3))
        return reserved
    return reserved if job.attempt else 0
