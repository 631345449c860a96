"""The order of the queue: priority, then running loops, then fairness between projects, then age.

Waiting raises a job's rank by one priority level per ``AGING_S``, so a stream of urgent jobs delays the others but
never starves them. A loop that runs at a provider, such as a training whose circuits are measured there, goes before
what has not begun: its processor may be kept for it, and its next step is short here.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

__all__ = ["AGING_S", "QueuedJob", "RunningJob", "order_jobs"]

#: Seconds of waiting that count as much as one level of priority.
AGING_S = 3_600.0


@dataclass(frozen=True)
class QueuedJob:
    """A job that waits for a worker; a higher ``priority`` goes first.

    ``in_loop`` says that it goes on with a loop at a provider, where its last result may have arrived.
    """

    id: str
    project: str
    priority: int
    queued_at: datetime
    in_loop: bool = False


@dataclass(frozen=True)
class RunningJob:
    """A job that a worker holds."""

    id: str
    project: str


def order_jobs(queued: Sequence[QueuedJob], running: Sequence[RunningJob], now: datetime) -> list[str]:
    """Ids of ``queued`` in the order in which free workers should take them.

    Of the jobs of highest rank those in a loop go first, the oldest of them at once; of the others the project with the
    fewest running jobs, counting those already placed ahead in this very order; within a project the oldest. Equal
    inputs give equal orders: ties fall to the id.

    Cost: O(n log n) for n queued jobs.

    >>> from datetime import UTC, datetime, timedelta
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> ages_s = {"a1": 9, "a2": 8, "b1": 7}
    >>> jobs = [QueuedJob(name, name[0], 0, now - timedelta(seconds=age_s)) for name, age_s in ages_s.items()]
    >>> order_jobs(jobs, [], now)
    ['a1', 'b1', 'a2']
    """
    ranks: dict[int, dict[str, list[QueuedJob]]] = defaultdict(lambda: defaultdict(list))
    loops: dict[int, list[QueuedJob]] = defaultdict(list)
    for job in queued:
        rank = job.priority + _levels_gained(job, now)
        (loops[rank] if job.in_loop else ranks[rank][job.project]).append(job)
    load = Counter(job.project for job in running)
    order: list[str] = []
    for rank in sorted({*ranks, *loops}, reverse=True):
        for job in sorted(loops[rank], key=_age):
            order.append(job.id)
            load[job.project] += 1
        order += _take_turns(ranks[rank], load)
    return order


def _levels_gained(job: QueuedJob, now: datetime) -> int:
    """Priority levels gained by waiting."""
    return max(0, int((now - job.queued_at).total_seconds() / AGING_S))


def _take_turns(projects: dict[str, list[QueuedJob]], load: Counter[str]) -> list[str]:
    """Jobs of one rank, the least loaded project first; ``load`` counts on."""
    lines = {name: sorted(jobs, key=_age, reverse=True) for name, jobs in projects.items()}  # oldest last, to pop
    heap = [(load[name], _age(line[-1]), name) for name, line in lines.items()]
    heapq.heapify(heap)
    order: list[str] = []
    while heap:
        name = heap[0][2]
        order.append(lines[name].pop().id)
        load[name] += 1
        if lines[name]:
            heapq.heapreplace(heap, (load[name], _age(lines[name][-1]), name))
        else:
            heapq.heappop(heap)
    return order


def _age(job: QueuedJob) -> tuple[datetime, str]:
    """Sort key: oldest first, ties by id."""
    return job.queued_at, job.id
