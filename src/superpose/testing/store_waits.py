"""Checks of jobs that wait: for the pause before a retry, for other jobs, and of clocks that somebody sets."""

from __future__ import annotations

import threading
from collections.abc import Callable

from superpose.errors import JobDependencyError, LeaseLostError, NotFoundError, RequestError
from superpose.service.nouns import Job
from superpose.service.statuses import JobStatus
from superpose.service.store.claims import MAX_AFTER, Claim
from superpose.service.work.job_store_port import JobStorePort
from superpose.testing.store_cases import (
    STORE_RULES,
    ManualClock,
    OpenStore,
    claimed,
    expect,
    expect_error,
    kinds,
    new_job,
)

__all__ = ["WAITING_CHECKS"]


def expect_a_pause(store: JobStorePort, clock: ManualClock, longest_s: float, what: str) -> None:
    """Demand that nothing can be claimed for half the pause, and something after the whole."""
    clock.advance(longest_s / 2 - 0.001)
    expect((store.has_work(), store.claim("w_early")), (False, None), f"work before {what} is over")
    clock.advance(longest_s / 2 + 0.001)
    expect(store.has_work(), True, f"work after {what}")


def passing_errors_are_tried_again_after_ever_longer_pauses(open_store: OpenStore) -> None:
    """Two retries with pauses of 4 s and 8 s, less up to a half by chance; then the error stands."""
    clock = ManualClock()
    store = open_store(clock)
    job = store.submit(new_job())
    for longest_s in (4.0, 8.0):
        again = store.retry(claimed(store), "backend.provider", "The provider is away.")
        expect((again.status, again.error), (JobStatus.QUEUED, None), "job after a passing error")
        expect(again.not_before_at is not None, True, "not_before_at is told")
        event = store.events(job.id)[-1]
        told = (event.kind, event.data["reason"], event.data["error"])
        error = {"code": "backend.provider", "message": "The provider is away."}
        expect(told, ("queued", "the error may pass", error), "event of a retry")
        expect_a_pause(store, clock, longest_s, f"a pause of {longest_s:g} s")
    last = claimed(store)
    expect((last.attempt, last.job.not_before_at), (3, None), "third attempt")
    failed = store.retry(last, "backend.provider", "Still away.")
    expect((failed.status, (failed.error or {})["message"]), (JobStatus.FAILED, "Still away."), "after all retries")
    expect_error(LeaseLostError, lambda: store.retry(last, "x", "y"), "retry after the end")


def retries_and_crashes_are_counted_apart(open_store: OpenStore) -> None:
    """Two retries and two crashes leave a job alive: each has its own bound of two and three."""
    clock = ManualClock()
    store = open_store(clock)
    job = store.submit(new_job())
    for _ in range(2):
        store.retry(claimed(store), "x", "y")
        clock.advance(STORE_RULES.backoff.longest_s)
        claimed(store, "w2")
        store.release_worker("w2")
        clock.advance(STORE_RULES.backoff.longest_s)
    expect(store.get(job.id).status, JobStatus.QUEUED, "status")
    expect(store.succeed(claimed(store), {}).attempt, 5, "attempt that succeeds")


def the_first_crash_costs_no_pause_and_later_ones_do(open_store: OpenStore) -> None:
    """A job whose worker was killed goes on at once; one that kills worker after worker gives others time."""
    clock = ManualClock()
    store = open_store(clock)
    store.submit(new_job())
    claimed(store, "w1")
    store.release_worker("w1")
    claimed(store, "w2")
    store.release_worker("w2")
    expect_a_pause(store, clock, 4.0, "the pause after a second crash")
    claimed(store, "w3")


def a_job_that_pauses_holds_up_no_other(open_store: OpenStore) -> None:
    """Behind a job that waits for its retry a younger one of its project begins."""
    clock = ManualClock()
    store = open_store(clock)
    first, second = store.submit(new_job()), store.submit(new_job())
    store.retry(claimed(store), "x", "y")
    expect(claimed(store, "w2").job.id, second.id, "claim during the pause")
    clock.advance(4.0)
    expect(claimed(store).job.id, first.id, "claim after the pause")


def a_cancelled_retry_is_cancelled(open_store: OpenStore) -> None:
    """An attempt that meets a passing error while it is being cancelled ends the job; one in its pause ends at once."""
    store = open_store(ManualClock())
    running = store.submit(new_job())
    claim = claimed(store)
    store.cancel(running.id, actor="k")
    expect(store.retry(claim, "x", "y").status, JobStatus.CANCELLED, "retry of a cancelling job")
    pausing = store.submit(new_job())
    store.retry(claimed(store), "x", "y")
    cancelled = store.cancel(pausing.id, actor="k")
    expect((cancelled.status, cancelled.not_before_at), (JobStatus.CANCELLED, None), "cancelled in its pause")


def a_job_begins_after_those_that_it_waits_for(open_store: OpenStore) -> None:
    """It waits until the last of them has succeeded, however high its priority."""
    store = open_store(ManualClock())
    done = store.submit(new_job())
    store.succeed(claimed(store), {})
    first, second = store.submit(new_job()), store.submit(new_job())
    last = store.submit(new_job(after=(first.id, done.id, second.id, first.id), priority=10))
    expect(last.after, (first.id, done.id, second.id), "what the job comes after, each once")
    expect(store.get(last.id).after, last.after, "the same, read back")
    expect(list(store.events(last.id)[0].data["after"]), list(last.after), "the same in its event")  # type: ignore[call-overload]  # a list
    claims = [claimed(store, "w1"), claimed(store, "w2")]
    expect([claim.job.id for claim in claims], [first.id, second.id], "claims before")
    expect((store.has_work(), store.claim("w3")), (False, None), "nothing else may begin")
    store.succeed(claims[1], {})
    expect(store.claim("w3"), None, "with one still running")
    store.succeed(claims[0], {})
    expect(store.has_work(), True, "has_work")
    expect(claimed(store).job.id, last.id, "claim after the last success")


def a_retry_or_crash_of_the_first_does_not_let_the_second_begin(open_store: OpenStore) -> None:
    """Only success opens the way."""
    clock = ManualClock()
    store = open_store(clock)
    first = store.submit(new_job())
    store.submit(new_job(after=(first.id,)))
    ends: list[Callable[[Claim], object]] = [
        lambda claim: store.release_worker(claim.worker_id),
        store.give_back,
        lambda claim: store.retry(claim, "x", "y"),
    ]
    for end in ends:
        claim = claimed(store)
        expect(claim.job.id, first.id, "claim")
        end(claim)
        clock.advance(STORE_RULES.backoff.longest_s)
    store.succeed(claimed(store), {})
    expect(claimed(store).job.after, (first.id,), "the second job")


def a_job_fails_with_what_it_waits_for(open_store: OpenStore) -> None:
    """Failure and cancellation end all that waits, through any number of steps, with the cause in the error."""
    clock = ManualClock()
    store = open_store(clock)

    def crash_for_good() -> None:
        for _ in range(STORE_RULES.max_attempts):
            clock.advance(STORE_RULES.backoff.longest_s)
            claimed(store, "w1")
            store.release_worker("w1")

    ends: dict[str, Callable[[Job], object]] = {
        "failed": lambda _: store.fail(claimed(store), "x", "y"),
        "cancelled": lambda job: store.cancel(job.id, actor="k"),
        "failed by crashes": lambda _: crash_for_good(),
    }
    for how, end in ends.items():
        first = store.submit(new_job())
        second = store.submit(new_job(after=(first.id,)))
        third = store.submit(new_job(after=(first.id, second.id)))
        fourth = store.submit(new_job(after=(third.id,)))
        end(first)
        for job, cause in ((second, first), (fourth, third)):
            found = store.get(job.id)
            error = found.error or {}
            expect((found.status, error.get("code")), (JobStatus.FAILED, "service.job_dependency"), f"after {how}")
            expect(cause.id in str(error["message"]), True, "the message names the cause")
            expect(found.finished_at is not None, True, "finished_at")
            expect((kinds(store, job), found.attempt), (["queued", "failed"], 0), "events")
            expect(store.events(job.id)[-1].data["code"], "service.job_dependency", "event")
        expect(store.get(third.id).status, JobStatus.FAILED, "third job")
        expect((store.has_work(), store.claim("w9")), (False, None), f"queue after {how}")


def cancelling_a_waiting_job_leaves_the_others(open_store: OpenStore) -> None:
    """Who waits may be cancelled; what it waited for and its siblings go on."""
    store = open_store(ManualClock())
    first = store.submit(new_job())
    second, third = store.submit(new_job(after=(first.id,))), store.submit(new_job(after=(first.id,)))
    expect(store.cancel(second.id, actor="k").status, JobStatus.CANCELLED, "waiting job")
    store.succeed(claimed(store), {})
    expect(claimed(store).job.id, third.id, "the sibling")
    expect(store.get(second.id).status, JobStatus.CANCELLED, "the cancelled one")


def only_jobs_of_the_project_can_be_waited_for(open_store: OpenStore) -> None:
    """Unknown and foreign jobs are not found, dead ones refused, too many too; nothing stays in the queue."""
    store = open_store(ManualClock())
    foreign = store.submit(new_job(project="clinic"))
    dead = store.submit(new_job())
    store.cancel(dead.id, actor="k")
    expect_error(NotFoundError, lambda: store.submit(new_job(after=("job_nowhere",))), "after an unknown job")
    expect_error(NotFoundError, lambda: store.submit(new_job(after=(foreign.id,))), "after another project's job")
    expect_error(JobDependencyError, lambda: store.submit(new_job(after=(dead.id,))), "after a cancelled job")
    many = tuple(f"job_{i}" for i in range(MAX_AFTER + 1))
    expect_error(RequestError, lambda: store.submit(new_job(after=many)), "after too many jobs")
    expect(claimed(store).job.id, foreign.id, "the only job in the queue")
    expect(store.claim("w2"), None, "queue")


def what_a_job_comes_after_is_part_of_its_submission(open_store: OpenStore) -> None:
    """Under one idempotency key the same dependencies give the same job, even once they could no longer be named."""
    store = open_store(ManualClock())
    first, other = store.submit(new_job()), store.submit(new_job())
    second = store.submit(new_job(after=(first.id, other.id), idempotency_key="a"))
    expect(store.submit(new_job(after=(other.id, first.id), idempotency_key="a")).id, second.id, "same, in any order")
    store.cancel(first.id, actor="k")
    again = store.submit(new_job(after=(first.id, other.id), idempotency_key="a"))
    expect((again.id, again.status), (second.id, JobStatus.FAILED), "submitted again after the failure")


def long_chains_are_followed(open_store: OpenStore) -> None:
    """A hundred jobs in a row, each after the one before: a success moves one on, a failure ends all the rest."""
    store = open_store(ManualClock())
    chain = [store.submit(new_job())]
    for _ in range(99):
        chain.append(store.submit(new_job(after=(chain[-1].id,))))
    for job in chain[:3]:
        claim = claimed(store)
        expect(claim.job.id, job.id, "next in the chain")
        expect(store.claim("w2"), None, "the rest waits")
        store.succeed(claim, {})
    store.fail(claimed(store), "x", "y")
    expect({store.get(job.id).status for job in chain[3:]}, {JobStatus.FAILED}, "the rest")


def setting_the_clock_moves_no_lease(open_store: OpenStore) -> None:
    """A clock set a day forward or back ends no lease too soon and keeps none too long, nor any pause."""
    for jump_s in (86_400.0, -86_400.0):
        clock = ManualClock()
        store = open_store(clock)
        job = store.submit(new_job())
        claim = claimed(store)
        clock.jump(jump_s)
        expect((store.has_work(), store.expire_leases()), (False, []), f"leases after a jump of {jump_s:g} s")
        expect(store.heartbeat(claim), JobStatus.RUNNING, "heartbeat after a jump")
        clock.advance(STORE_RULES.lease_s - 1)
        expect(store.expire_leases(), [], "just before the lease ends")
        clock.advance(1)
        expect(store.expire_leases(), [job.id], "a silent worker after its lease")
        store.retry(claimed(store), "x", "y")
        clock.jump(-jump_s)
        expect_a_pause(store, clock, 4.0, "a pause with a jump in it")
        done = store.succeed(claimed(store), {})
        expect([e.seq for e in store.events(done.id)], list(range(1, 8)), "events in order")


def dependencies_open_once_under_concurrent_ends(open_store: OpenStore) -> None:
    """Workers that end several jobs at once let what waits for all of them begin exactly once."""
    store = open_store(ManualClock())
    firsts = [store.submit(new_job()) for _ in range(8)]
    last = store.submit(new_job(after=tuple(job.id for job in firsts)))
    taken: list[str] = []
    errors: list[BaseException] = []

    def work(worker_id: str) -> None:
        try:
            while (claim := store.claim(worker_id)) is not None:
                store.succeed(claim, {})
                taken.append(claim.job.id)
        except BaseException as error:  # shown by the thread that asked
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(errors, [], "errors")
    expect(sorted(taken), sorted([last.id, *(job.id for job in firsts)]), "claims")
    expect(store.get(last.id).attempt, 1, "attempts of the last job")


#: The checks of this file; ``STORE_CHECKS`` has them too.
WAITING_CHECKS: tuple[Callable[[OpenStore], None], ...] = (
    passing_errors_are_tried_again_after_ever_longer_pauses,
    retries_and_crashes_are_counted_apart,
    the_first_crash_costs_no_pause_and_later_ones_do,
    a_job_that_pauses_holds_up_no_other,
    a_cancelled_retry_is_cancelled,
    a_job_begins_after_those_that_it_waits_for,
    a_retry_or_crash_of_the_first_does_not_let_the_second_begin,
    a_job_fails_with_what_it_waits_for,
    cancelling_a_waiting_job_leaves_the_others,
    only_jobs_of_the_project_can_be_waited_for,
    what_a_job_comes_after_is_part_of_its_submission,
    long_chains_are_followed,
    setting_the_clock_moves_no_lease,
    dependencies_open_once_under_concurrent_ends,
)
