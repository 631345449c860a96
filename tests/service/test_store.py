"""The job store: the published suite on memory and on a file, and what only a file can show."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from superpose.errors import LeaseLostError, StoreError, TransitionError
from superpose.service import TRANSITIONS, JobKind, JobStatus
from superpose.service.nouns import Clock, utc_now
from superpose.service.statuses import FINAL, check_transition
from superpose.service.store.database import Database
from superpose.service.store.job_store import JobStore, NewJob
from superpose.service.store.tables import projects
from superpose.testing.store import STORE_CHECKS, STORE_RULES, ManualClock, OpenStore, check_store


def store_at(path: Path | None, clock: Clock | ManualClock = utc_now) -> JobStore:
    database = Database(path, clock=clock)
    with database.write() as connection:
        if not connection.execute(text("SELECT count(*) FROM projects")).scalar_one():
            connection.execute(insert(projects), [{"name": n, "created_at": clock()} for n in ("lab", "clinic")])
    steady = clock.steady if isinstance(clock, ManualClock) else None
    return JobStore(database, STORE_RULES, clock=clock, steady=steady)


@pytest.fixture(params=["memory", "file"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path):
    opened: list[JobStore] = []

    def open_one(clock: ManualClock) -> JobStore:
        path = tmp_path / f"store{len(opened)}.sqlite" if request.param == "file" else None
        opened.append(store_at(path, clock))
        return opened[-1]

    yield open_one
    for store in opened:
        store.database.close()


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda c: c.__name__)
def test_store_conforms(check: Callable[[OpenStore], None], open_store: OpenStore) -> None:
    check(open_store)


def test_check_store_finds_a_store_that_does_not_fence(tmp_path: Path) -> None:
    def open_unfenced(clock: ManualClock) -> JobStore:
        fenced = store_at(None, clock)
        lives = fenced._lives
        lives.held = lambda connection, claim: lives.get(connection, claim.job.id)  # type: ignore[method-assign]
        return fenced

    with pytest.raises(AssertionError, match="LeaseLostError"):
        check_store(open_unfenced)


NEW = NewJob(project="lab", kind=JobKind.TRAIN, payload={"epochs": 1}, created_by="key_test", model="m")


def test_stale_writes_through_another_connection_are_refused(tmp_path: Path) -> None:
    clock = ManualClock()
    first, second = (store_at(tmp_path / "s.sqlite", clock) for _ in range(2))
    job = first.submit(NEW)
    stale = first.claim("w1")
    clock.advance(31)
    fresh = second.claim("w2")
    assert stale and fresh and (stale.attempt, fresh.attempt) == (1, 2)
    with pytest.raises(LeaseLostError, match=rf"attempt 1 of job {job.id}, which is now running, attempt 2"):
        first.succeed(stale, {})
    assert second.succeed(fresh, {}).status is JobStatus.SUCCEEDED
    for store in (first, second):
        store.database.close()


def drain_queue(path: Path, worker_id: str, answers) -> None:
    store = store_at(path)
    taken = []
    while (claim := store.claim(worker_id)) is not None:
        store.append(claim, "progress", {"by": worker_id})
        store.succeed(claim, {"by": worker_id})
        taken.append(claim.job.id)
    answers.put(taken)


def test_processes_share_out_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = store_at(path)
    submitted = sorted(store.submit(NEW).id for _ in range(30))
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [context.Process(target=drain_queue, args=(path, f"w{i}", answers)) for i in range(2)]
    for worker in workers:
        worker.start()
    taken = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert sorted(job_id for ids in taken for job_id in ids) == submitted
    store.database.close()


def test_events_cannot_be_changed_or_deleted(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = store_at(path)
    store.submit(NEW)
    for statement in ("UPDATE events SET kind = 'x'", "DELETE FROM events"):
        with pytest.raises(StoreError, match="append-only"), store.database.write() as connection:
            connection.exec_driver_sql(statement)
    store.database.close()


def test_settings_of_every_connection(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite", busy_timeout_s=3.0)
    with database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 3000}
    assert (tmp_path / "s.sqlite").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "s.sqlite-wal").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="FOREIGN KEY"), database.write() as connection:
        connection.exec_driver_sql("INSERT INTO models (project, name, created_at) VALUES ('nowhere', 'm', 0)")
    database.close()


def test_a_write_waits_for_another_and_then_gives_up_with_a_clear_error(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite", busy_timeout_s=0.1)
    other = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with database.read() as connection:  # readers do not wait
        connection.exec_driver_sql("SELECT count(*) FROM jobs")
    with pytest.raises(StoreError, match=r"cannot be written: database is locked") as caught, database.write():
        pass
    assert caught.value.code == "service.store"
    other.execute("ROLLBACK")
    other.close()
    with database.write():
        pass
    database.close()


def add_a_job(path: Path) -> None:
    store = store_at(path)
    store.submit(NEW)
    store.database.close()


def test_a_process_that_leaves_takes_no_log_from_those_that_stay(tmp_path: Path) -> None:
    """Opening the store once more must not end the locks of the first connection (POSIX locks end with any close)."""
    path = tmp_path / "s.sqlite"
    first = store_at(path)
    job = first.submit(NEW)
    second = store_at(path)
    log = path.with_name("s.sqlite-wal").stat().st_ino
    leaving = multiprocessing.get_context("spawn").Process(target=add_a_job, args=(path,))
    leaving.start()
    leaving.join(60)
    assert leaving.exitcode == 0
    assert path.with_name("s.sqlite-wal").stat().st_ino == log
    assert (claim := first.claim("w")) and claim.job.id == job.id
    assert first.claim("w"), "the other process's job is seen"
    for store in (first, second):
        store.database.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM jobs WHERE status = 'running'").fetchone() == (2,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Database(path)


def test_transition_table_is_closed_and_its_ends_are_final() -> None:
    assert set(TRANSITIONS) == set(JobStatus)
    assert {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED} == FINAL
    for before in JobStatus:
        for after in JobStatus:
            if after in TRANSITIONS[before]:
                check_transition("job_x", before, after)
            else:
                with pytest.raises(TransitionError, match=f"is {before}; it cannot become {after}"):
                    check_transition("job_x", before, after)
