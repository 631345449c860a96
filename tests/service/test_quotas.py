"""Quotas: what is used is read from the store, so it is exact under concurrency and after crashes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from superpose.circuits import Circuit, Program, program_to_json
from superpose.errors import (
    ByteQuotaError,
    ForbiddenError,
    JobQuotaError,
    NotFoundError,
    RequestError,
    RequestQuotaError,
    SecondsQuotaError,
)
from superpose.service import Job, Principal, Service, ServiceConfig
from superpose.testing.store import ManualClock
from superpose.trust import read_key_file

PROGRAM = dict(program_to_json(Program(Circuit(1).h(0), {}, shots=10)))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def service(config: ServiceConfig, clock: ManualClock) -> Iterator[Service]:
    with Service.open(config, clock=clock) as opened:
        yield opened


def submit(service: Service, admin: Principal, **options: object) -> Job:
    return service.jobs.submit(admin, "program", PROGRAM, **options)  # type: ignore[arg-type]


def test_jobs_that_have_not_ended_are_counted(service: Service, admin: Principal, stranger: Principal) -> None:
    service.projects.set_quotas(admin, "default", {"jobs": 2})
    first = submit(service, admin, idempotency_key="once")
    second = submit(service, admin)
    claim = service.store.claim("worker_1")
    assert claim is not None  # running ones count as well
    with pytest.raises(JobQuotaError, match="has 2 jobs that have not ended; 2 are allowed") as caught:
        submit(service, admin)
    assert caught.value.details == {"quantity": "jobs", "used": 2, "allowed": 2}
    assert submit(service, admin, idempotency_key="once").id == first.id  # not a new one
    submit(service, stranger)  # another project's affair
    service.store.succeed(claim, {})
    submit(service, admin)
    service.jobs.cancel(admin, second.id)
    submit(service, admin)
    assert service.quotas.usage(admin).used["jobs"] == 2
    service.projects.set_quotas(admin, "default", {})
    submit(service, admin)


def test_no_two_submissions_at_once_get_the_last_place(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    service.projects.set_quotas(admin, "default", {"jobs": 5})
    outcomes: list[str] = []

    def work(opened: Service) -> None:
        for _ in range(4):
            try:
                submit(opened, admin)
                outcomes.append("in")
            except JobQuotaError:
                outcomes.append("out")

    with Service.open(config, exclusive=False) as elsewhere:
        threads = [threading.Thread(target=work, args=(opened,)) for opened in (service, elsewhere) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["in"] * 5 + ["out"] * 19


def test_seconds_of_workers_by_day_and_month(service: Service, admin: Principal, clock: ManualClock) -> None:
    clock.advance(30 * 86_400 + 86_400 - 100)  # 100 s before the end of January 2026
    service.projects.set_quotas(admin, "default", {"seconds_per_day": 250, "seconds_per_month": 300})
    submit(service, admin)
    service.store.claim("worker_1")  # dies, and its lease ends with the next claim
    clock.advance(60)
    assert service.quotas.usage(admin).used["seconds_per_day"] == 60.0
    second = service.store.claim("worker_2")
    assert second is not None
    assert second.attempt == 2
    clock.advance(140)  # 40 s in January, 100 s in February
    used = service.quotas.usage(admin).used
    assert (used["seconds_per_day"], used["seconds_per_month"]) == (100.0, 100.0)
    service.store.succeed(second, {})
    submit(service, admin)
    third = service.store.claim("worker_1")
    assert third is not None
    clock.advance(150)
    with pytest.raises(SecondsQuotaError, match="have run for 250 s this day") as caught:
        submit(service, admin)
    assert caught.value.retry_after_s == 86_400 - 250
    service.store.succeed(third, {})
    clock.advance(86_400)
    submit(service, admin)  # another day
    fourth = service.store.claim("worker_1")
    assert fourth is not None
    clock.advance(50)
    service.store.succeed(fourth, {})
    with pytest.raises(SecondsQuotaError, match=r"this month .* begins at 2026-03-01T00:00:00"):
        submit(service, admin)
    clock.advance(27 * 86_400)
    submit(service, admin)
    assert service.quotas.usage(admin).used["seconds_per_month"] == 0.0


def test_bytes_are_those_of_the_artifacts_that_are_kept(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    service.datasets.add_builtin(admin, "iris", "iris")
    kept = sum(path.stat().st_size for path in Path(config.data_dir / "artifacts").iterdir() if path.is_file())
    assert service.quotas.usage(admin).used["bytes"] == kept > 0
    service.datasets.add_builtin(admin, "again", "iris")  # the same bytes, kept once
    assert service.quotas.usage(admin).used["bytes"] == kept
    service.projects.set_quotas(admin, "default", {"bytes": kept + 10})
    with pytest.raises(ByteQuotaError, match=f"keeps {kept:,} bytes") as caught:
        service.datasets.add_builtin(admin, "wine", "wine")
    assert caught.value.details["allowed"] == kept + 10
    assert [d.name for d in service.datasets.list(admin).items] == ["again", "iris"]
    assert len(list(Path(config.data_dir / "artifacts").iterdir())) == 1
    service.projects.set_quotas(admin, "default", {"bytes": kept - 1})
    with pytest.raises(ByteQuotaError):
        submit(service, admin)
    service.datasets.delete(admin, "iris")
    service.datasets.delete(admin, "again")
    assert service.quotas.usage(admin).used["bytes"] == 0
    submit(service, admin)


def test_requests_per_minute_are_those_of_all_keys_of_the_project(service: Service, admin: Principal) -> None:
    service.projects.create(admin, "busy")
    service.projects.set_quotas(admin, "busy", {"requests_per_minute": 3})
    callers = [service.authenticate(service.keys.create(admin, project="busy", role="viewer")[1]) for _ in range(2)]
    for i in range(3):
        service.quotas.admit_request(callers[i % 2])
    for caller in callers:
        with pytest.raises(RequestQuotaError) as caught:
            service.quotas.admit_request(caller)
        assert 0 < caught.value.retry_after_s <= 20
    for _ in range(100):
        service.quotas.admit_request(admin)
    service.projects.set_quotas(admin, "busy", {"requests_per_minute": 0})
    blocked = service.authenticate(service.keys.create(admin, project="busy", role="viewer")[1])
    with pytest.raises(RequestQuotaError):
        service.quotas.admit_request(blocked)


def test_who_may_see_and_set(service: Service, admin: Principal, stranger: Principal) -> None:
    with pytest.raises(ForbiddenError):
        service.projects.set_quotas(stranger, "elsewhere", {})
    with pytest.raises(NotFoundError):
        service.quotas.usage(stranger, "default")
    assert service.quotas.usage(admin, "elsewhere").project == "elsewhere"
    with pytest.raises(NotFoundError):
        service.projects.set_quotas(admin, "nowhere", {})
    for wanted in ({"cows": 1}, {"jobs": -1}, {"jobs": 1.5}, {"jobs": True}, {"bytes": 2**54}, {"jobs": "3"}):
        with pytest.raises(RequestError):
            service.projects.set_quotas(admin, "elsewhere", wanted)
    assert service.projects.set_quotas(admin, "elsewhere", {"jobs": 0, "bytes": None}).quotas == {"jobs": 0}
    with pytest.raises(JobQuotaError):
        submit(service, stranger)
    document = service.quotas.usage(stranger).to_json()
    assert document["jobs"] == {"used": 0, "allowed": 0}
    assert document["bytes"] == {"used": 0, "allowed": None}


def test_usage_counts_attempts_of_before_the_last_crash(config: ServiceConfig, clock: ManualClock) -> None:
    with Service.open(config, clock=clock) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        submit(service, admin)
        service.store.claim("worker_1")
        clock.advance(10)
        service.store.release_worker("worker_1")
    with Service.open(config, clock=clock) as service:  # nothing was kept in memory
        clock.advance(timedelta(hours=1).total_seconds())
        usage = service.quotas.usage(admin)
        assert (usage.used["seconds_per_day"], usage.used["jobs"]) == (10.0, 1)
