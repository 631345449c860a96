"""What every job store must do, as checks to run on one of your own: ``check_store(open_store)``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from superpose.errors import ConflictError, LeaseLostError, NotFoundError, StoreError, TransitionError
from superpose.service.nouns import Job
from superpose.service.statuses import TRANSITIONS, JobStatus
from superpose.service.store.claims import Claim
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
from superpose.testing.store_waits import WAITING_CHECKS

__all__ = ["STORE_CHECKS", "STORE_RULES", "ManualClock", "OpenStore", "check_store"]

_LEASE_S = STORE_RULES.lease_s


def check_store(open_store: OpenStore) -> None:
    """Run every check of ``STORE_CHECKS``, each on a store of its own.

    Raises:
        AssertionError: the store does not do what it must; the message says which check and what was found.
    """
    for check in STORE_CHECKS:
        check(open_store)


def submitted_job_is_stored_and_found(open_store: OpenStore) -> None:
    """What was submitted is there, queued, with its event; another project does not see it."""
    store = open_store(ManualClock())
    job = store.submit(new_job(payload={"epochs": 3, "rate": 0.1}, priority=2))
    expect(store.get(job.id), job, "job as read back")
    expect((job.status, job.attempt, job.priority), (JobStatus.QUEUED, 0, 2), "fresh job")
    expect(dict(job.payload), {"epochs": 3, "rate": 0.1}, "payload")
    expect(kinds(store, job), ["queued"], "events")
    expect(store.get(job.id, project="lab").id, job.id, "own project")
    expect_error(NotFoundError, lambda: store.get(job.id, project="clinic"), "another project's job")
    expect_error(NotFoundError, lambda: store.events(job.id, project="clinic"), "another project's events")
    expect_error(NotFoundError, lambda: store.cancel(job.id, actor="k", project="clinic"), "cancel from elsewhere")
    expect_error(NotFoundError, lambda: store.get("job_nowhere"), "unknown job")


def one_idempotency_key_gives_one_job(open_store: OpenStore) -> None:
    """Equal submissions under one key are one job; different ones conflict; keys belong to projects."""
    store = open_store(ManualClock())
    first = store.submit(new_job(idempotency_key="a"))
    expect(store.submit(new_job(idempotency_key="a")).id, first.id, "same key, same contents")
    conflicting = new_job(idempotency_key="a", payload={"epochs": 4})
    expect_error(ConflictError, lambda: store.submit(conflicting), "same key, other contents")
    elsewhere = store.submit(new_job(idempotency_key="a", project="clinic"))
    expect(elsewhere.id == first.id, False, "the same key in another project")
    store.fail(claimed(store), "x", "y")
    expect(store.submit(new_job(idempotency_key="a")).id, first.id, "same key after the end")


def refused_submission_leaves_nothing(open_store: OpenStore) -> None:
    """A check that raises inside the transaction leaves no job behind."""
    store = open_store(ManualClock())

    def refuse(_: object) -> None:
        raise ConflictError("no")

    expect_error(ConflictError, lambda: store.submit(new_job(), check=refuse), "refusal")
    expect(store.claim("w1"), None, "queue")


def claims_follow_the_policy(open_store: OpenStore) -> None:
    """Priority first, then the project with fewer running jobs, then age."""
    store = open_store(ManualClock())
    jobs = {
        name: store.submit(new_job(project=project, priority=priority)).id
        for name, project, priority in [
            ("lab old", "lab", 0),
            ("lab new", "lab", 0),
            ("clinic", "clinic", 0),
            ("urgent", "lab", 5),
        ]
    }
    names = {job_id: name for name, job_id in jobs.items()}
    order = [names[claimed(store, f"w{i}").job.id] for i in range(4)]
    expect(order, ["urgent", "clinic", "lab old", "lab new"], "order of claims")
    expect(store.claim("w9"), None, "empty queue")
    expect(store.has_work(), False, "has_work of an empty queue")


def waiting_jobs_gain_rank(open_store: OpenStore) -> None:
    """A job that has waited for hours goes before a younger one of higher priority."""
    clock = ManualClock()
    store = open_store(clock)
    old = store.submit(new_job())
    clock.advance(3 * 3600.0)
    store.submit(new_job(priority=2))
    expect(claimed(store).job.id, old.id, "first claim")


def life_of_a_job_that_succeeds(open_store: OpenStore) -> None:
    """Claim, progress, success: row, times and events."""
    clock = ManualClock()
    store = open_store(clock)
    job = store.submit(new_job())
    clock.advance(1)
    claim = claimed(store)
    expect((claim.job.status, claim.attempt), (JobStatus.RUNNING, 1), "claimed job")
    expect(claim.job.started_at, clock(), "started_at")
    expect(store.append(claim, "progress", {"epoch": 1, "loss": float("nan")}), JobStatus.RUNNING, "status by append")
    store.append(claim, "log", {"text": "half-way"})
    expect(dict(store.get(job.id).progress), {"epoch": 1, "loss": None}, "progress, nan as null")
    clock.advance(1)
    done = store.succeed(claim, {"answer": 42}, publish=lambda _, row: {"model_version": row.attempt})
    expect((done.status, done.model_version, done.finished_at), (JobStatus.SUCCEEDED, 1, clock()), "finished job")
    expect(dict(done.result or {}), {"answer": 42}, "result")
    expect(kinds(store, job), ["queued", "running", "progress", "log", "succeeded"], "events")
    expect([e.seq for e in store.events(job.id, after=3)], [4, 5], "events behind a place")
    expect([e.seq for e in store.events(job.id, limit=2)], [1, 2], "first events")
    for late in (lambda: store.heartbeat(claim), lambda: store.fail(claim, "x", "y"), lambda: store.give_back(claim)):
        expect_error(LeaseLostError, late, "write after the end")


def failed_publication_leaves_the_job_running(open_store: OpenStore) -> None:
    """If publishing raises, nothing of the success stays, and the worker may try again."""
    store = open_store(ManualClock())
    job = store.submit(new_job())
    claim = claimed(store)

    def publish(_: object, __: Job) -> dict[str, object]:
        raise StoreError("disk full")

    expect_error(StoreError, lambda: store.succeed(claim, {}, publish=publish), "publication")
    expect(store.get(job.id).status, JobStatus.RUNNING, "status")
    expect(kinds(store, job), ["queued", "running"], "events")
    expect(store.succeed(claim, {}).status, JobStatus.SUCCEEDED, "second try")


def failure_is_recorded(open_store: OpenStore) -> None:
    """Code and message stand on the job and in its last event."""
    store = open_store(ManualClock())
    job = store.submit(new_job())
    failed = store.fail(claimed(store), "dataset.one_class", "One class only.")
    expect(dict(failed.error or {}), {"code": "dataset.one_class", "message": "One class only."}, "error")
    expect(store.events(job.id)[-1].data["code"], "dataset.one_class", "event")
    expect_error(TransitionError, lambda: store.cancel(job.id, actor="k"), "cancelling what has failed")


def heartbeats_keep_a_lease(open_store: OpenStore) -> None:
    """With heartbeats a job stays with its worker for any time."""
    clock = ManualClock()
    store = open_store(clock)
    store.submit(new_job())
    claim = claimed(store)
    for _ in range(5):
        clock.advance(_LEASE_S * 0.9)
        expect(store.heartbeat(claim), JobStatus.RUNNING, "heartbeat")
    expect(store.expire_leases(), [], "expired leases")
    expect(store.status(claim), JobStatus.RUNNING, "status")


def expired_lease_gives_the_job_back(open_store: OpenStore) -> None:
    """A silent worker loses its job to the next claim, and every write it then tries is refused."""
    clock = ManualClock()
    store = open_store(clock)
    job = store.submit(new_job())
    stale = claimed(store, "w1")
    clock.advance(_LEASE_S)
    expect(store.has_work(), True, "has_work with an expired lease")
    fresh = claimed(store, "w2")
    expect((fresh.job.id, fresh.attempt), (job.id, 2), "second attempt")
    refused: list[Callable[[], object]] = [
        lambda: store.heartbeat(stale),
        lambda: store.status(stale),
        lambda: store.append(stale, "progress", {"epoch": 9}),
        lambda: store.succeed(stale, {}, publish=lambda _, __: {"model_version": 9}),
        lambda: store.fail(stale, "x", "y"),
        lambda: store.give_back(stale),
    ]
    for write in refused:
        expect_error(LeaseLostError, write, "write of a worker that lost its lease")
    again = Claim(stale.job, "w2")  # the right worker with an old attempt number
    expect_error(LeaseLostError, lambda: store.heartbeat(again), "old attempt number")
    expect(kinds(store, job), ["queued", "running", "queued", "running"], "events")
    expect(store.events(job.id)[2].data["reason"], "the lease expired", "reason")
    expect(store.succeed(fresh, {}).status, JobStatus.SUCCEEDED, "end")


def a_lease_taken_back_is_lost_before_the_next_claim(open_store: OpenStore) -> None:
    """Between expiry and the next claim the old worker is refused too."""
    clock = ManualClock()
    store = open_store(clock)
    job = store.submit(new_job())
    stale = claimed(store)
    clock.advance(_LEASE_S + 1)
    expect(store.expire_leases(), [job.id], "expired")
    expect_error(LeaseLostError, lambda: store.succeed(stale, {}), "write between")
    expect(store.get(job.id).status, JobStatus.QUEUED, "status")


def dead_workers_are_released_at_once(open_store: OpenStore) -> None:
    """Jobs of a worker known to be dead are free without waiting for the lease; others' are not touched."""
    store = open_store(ManualClock())
    first, second = store.submit(new_job()), store.submit(new_job())
    claimed(store, "w1")
    other = claimed(store, "w2")
    expect(store.release_worker("w1"), [first.id], "released")
    expect(store.release_worker("w1"), [], "released again")
    expect(store.get(second.id).status, JobStatus.RUNNING, "the other worker's job")
    expect(store.heartbeat(other), JobStatus.RUNNING, "the other worker")


def crashes_are_bounded(open_store: OpenStore) -> None:
    """After three crashed attempts a job fails and says so; attempts given back do not count."""
    clock = ManualClock()
    store = open_store(clock)
    job = store.submit(new_job())
    for _ in range(4):
        expect(store.give_back(claimed(store)).status, JobStatus.QUEUED, "given back")
    for wanted in (JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.FAILED):
        claimed(store, "w1")
        store.release_worker("w1")
        expect(store.get(job.id).status, wanted, "after a crash")
        clock.advance(STORE_RULES.backoff.longest_s)
    ended = store.get(job.id)
    expect((ended.attempt, (ended.error or {})["code"]), (7, "service.job_crashed"), "failed job")
    expect(store.claim("w1"), None, "queue")


def cancelling(open_store: OpenStore) -> None:
    """Queued jobs end at once; running ones through their worker, and ``cancelled`` whatever that does."""
    store = open_store(ManualClock())
    queued = store.submit(new_job())
    expect(store.cancel(queued.id, actor="k").status, JobStatus.CANCELLED, "queued job")
    expect(store.cancel(queued.id, actor="k").status, JobStatus.CANCELLED, "cancelled again")
    expect(store.claim("w"), None, "queue")
    ends: list[Callable[[Claim], object]] = [
        store.give_back,
        lambda claim: store.succeed(claim, {}, publish=lambda _, __: {"model_version": 1}),
        lambda claim: store.fail(claim, "x", "y"),
        lambda claim: store.release_worker(claim.worker_id),
    ]
    for end in ends:
        job = store.submit(new_job())
        claim = claimed(store)
        expect(store.cancel(job.id, actor="k").status, JobStatus.CANCELLING, "running job")
        expect(store.cancel(job.id, actor="k").status, JobStatus.CANCELLING, "asked again")
        expect(store.heartbeat(claim), JobStatus.CANCELLING, "heartbeat")
        end(claim)
        ended = store.get(job.id)
        expect((ended.status, ended.model_version), (JobStatus.CANCELLED, None), "end")
        expect(kinds(store, job), ["queued", "running", "cancelling", "cancelled"], "events")


def every_change_is_in_the_table(open_store: OpenStore) -> None:
    """The events of all these lives show only changes that the table lists."""
    clock = ManualClock()
    store = open_store(clock)
    for end in ("succeed", "fail", "cancel", "crash", "give back"):
        job = store.submit(new_job())
        claim = claimed(store)
        if end == "succeed":
            store.succeed(claim, {})
        elif end == "fail":
            store.fail(claim, "x", "y")
        elif end == "give back":
            store.give_back(claim)
        elif end == "cancel":
            store.cancel(job.id, actor="k")
            store.give_back(claim)
        else:
            clock.advance(_LEASE_S + 1)
            store.expire_leases()
            store.succeed(claimed(store), {})
        statuses = [JobStatus(kind) for kind in kinds(store, job)]
        for before, after in pairwise(statuses):
            expect(after in TRANSITIONS[before], True, f"{before} -> {after} is in the table")


def concurrent_claims_share_out_the_queue(open_store: OpenStore) -> None:
    """Many workers at once: every job goes to exactly one."""
    store = open_store(ManualClock())
    n_jobs, n_workers = 24, 6
    ids = {store.submit(new_job()).id for _ in range(n_jobs)}
    taken: list[str] = []
    errors: list[BaseException] = []

    def work(worker_id: str) -> None:
        try:
            while (claim := store.claim(worker_id)) is not None:
                taken.append(claim.job.id)
                store.append(claim, "progress", {"by": worker_id})
                store.succeed(claim, {})
        except BaseException as error:  # shown by the thread that asked
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(n_workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(errors, [], "errors")
    expect(Counter(taken), Counter(ids), "claims")


#: Every check; each takes a function that opens a store.
STORE_CHECKS: tuple[Callable[[OpenStore], None], ...] = (
    submitted_job_is_stored_and_found,
    one_idempotency_key_gives_one_job,
    refused_submission_leaves_nothing,
    claims_follow_the_policy,
    waiting_jobs_gain_rank,
    life_of_a_job_that_succeeds,
    failed_publication_leaves_the_job_running,
    failure_is_recorded,
    heartbeats_keep_a_lease,
    expired_lease_gives_the_job_back,
    a_lease_taken_back_is_lost_before_the_next_claim,
    dead_workers_are_released_at_once,
    crashes_are_bounded,
    cancelling,
    every_change_is_in_the_table,
    concurrent_claims_share_out_the_queue,
    *WAITING_CHECKS,
)
