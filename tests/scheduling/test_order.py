"""The order of the queue, as a pure function."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.scheduling import QueuedJob, RunningJob, order, order_jobs
from superpose.scheduling.order import AGING_S

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def queued(name: str, project: str = "a", priority: int = 0, age_s: float = 0.0) -> QueuedJob:
    return QueuedJob(name, project, priority, NOW - timedelta(seconds=age_s))


@pytest.mark.parametrize(
    ("jobs", "running", "wanted"),
    [
        ([], [], []),
        ([queued("young", age_s=1), queued("old", age_s=2)], [], ["old", "young"]),
        ([queued("low", age_s=9), queued("high", priority=1)], [], ["high", "low"]),
        ([queued("a1", age_s=9), queued("b1", "b")], [RunningJob("r", "a")], ["b1", "a1"]),
        # one project floods the queue: the other still gets every second place
        (
            [
                *(queued(f"a{i}", age_s=100 - i) for i in range(4)),
                queued("b0", "b", age_s=2),
                queued("b1", "b", age_s=1),
            ],
            [],
            ["a0", "b0", "a1", "b1", "a2", "a3"],
        ),
        # places taken at a higher rank count too
        ([queued("a0", priority=3), queued("a1", age_s=9), queued("b0", "b")], [], ["a0", "b0", "a1"]),
        # two levels of waiting beat one of priority
        ([queued("old", age_s=2 * AGING_S), queued("high", priority=1)], [], ["old", "high"]),
        ([queued("x"), queued("b"), queued("m")], [], ["b", "m", "x"]),
    ],
)
def test_order(jobs: list[QueuedJob], running: list[RunningJob], wanted: list[str]) -> None:
    assert order_jobs(jobs, running, NOW) == wanted


def test_the_example_in_the_documentation() -> None:
    found = doctest.testmod(order)
    assert found.attempted and not found.failed


jobs = st.lists(
    st.builds(
        queued,
        st.uuids().map(str),
        st.sampled_from("abc"),
        st.integers(-10, 10),
        st.floats(0, 10 * AGING_S),
    ),
    max_size=30,
    unique_by=lambda job: job.id,  # the same may be drawn twice, however many there are
)


@given(jobs, st.randoms(use_true_random=False))
def test_every_job_is_placed_once_whatever_the_order_of_the_input(queue: list[QueuedJob], random) -> None:
    found = order_jobs(queue, [], NOW)
    assert sorted(found) == sorted(job.id for job in queue)
    shuffled = list(queue)
    random.shuffle(shuffled)
    assert order_jobs(shuffled, [], NOW) == found


@given(jobs)
def test_within_a_project_and_priority_the_older_goes_first(queue: list[QueuedJob]) -> None:
    place = {job_id: i for i, job_id in enumerate(order_jobs(queue, [], NOW))}
    for one in queue:
        for other in queue:
            if (one.project, one.priority) == (other.project, other.priority) and one.queued_at < other.queued_at:
                assert place[one.id] < place[other.id]


@given(jobs, st.lists(st.sampled_from("abc").map(lambda project: RunningJob("r", project)), max_size=5))
def test_the_first_job_is_the_head_of_some_project_and_priority(queue, running) -> None:
    """What lets a store ask for the heads only."""
    heads: dict[tuple[str, int], QueuedJob] = {}
    for job in queue:
        known = heads.get((job.project, job.priority))
        if known is None or (job.queued_at, job.id) < (known.queued_at, known.id):
            heads[job.project, job.priority] = job
    assert order_jobs(queue, running, NOW)[:1] == order_jobs(list(heads.values()), running, NOW)[:1]


def test_a_job_from_the_future_is_merely_young() -> None:
    """Clocks of machines differ."""
    assert order_jobs([queued("later", age_s=-5.0), queued("now")], [], NOW) == ["now", "later"]
