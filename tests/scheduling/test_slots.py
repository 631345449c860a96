"""Slots at a provider: loops first, none kept in vain, none waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from superpose.scheduling import QueuedJob, RunningJob, SlotUse, may_hand_over, order_jobs
from superpose.scheduling.order import AGING_S

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USES = st.builds(
    lambda held, loops, at, refused: SlotUse(held, loops, min(at, loops, held), min(refused, loops)),
    *(st.integers(0, 6) for _ in range(4)),
)


@given(st.integers(1, 5), USES)
def test_never_more_than_there_are_and_loops_never_behind_others(slots: int, use: SlotUse) -> None:
    loop = may_hand_over(slots, use, in_loop=True)
    other = may_hand_over(slots, use, in_loop=False)
    assert loop == (use.n_held < slots)
    assert loop or not other
    assert may_hand_over(slots, use, in_loop=False, waited_s=AGING_S) == loop
    assert may_hand_over(None, use, in_loop=False)


@given(st.integers(1, 5), st.integers(0, 5))
def test_an_empty_provider_takes_anybody_unless_a_loop_was_refused(slots: int, loops: int) -> None:
    assert may_hand_over(slots, SlotUse(0, loops), in_loop=False)
    assert may_hand_over(1, SlotUse(0, 1, 0, 1), in_loop=False) is False


def test_a_loop_goes_before_what_has_not_begun_but_not_before_higher_rank() -> None:
    def job(name: str, project: str, priority: int = 0, *, age_s: float = 0.0, in_loop: bool = False) -> QueuedJob:
        return QueuedJob(name, project, priority, NOW - timedelta(seconds=age_s), in_loop)

    queued = [job("old", "a", age_s=100), job("loop", "b", in_loop=True), job("urgent", "a", 1), job("mine", "b")]
    assert order_jobs(queued, [RunningJob("r", "b")], NOW) == ["urgent", "loop", "old", "mine"]
