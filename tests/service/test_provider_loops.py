"""Loops at a provider: first at its slots, in one session whatever dies, closed at the end; and waits that are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from superpose.backends.estimates import estimate_wait
from superpose.circuits import Circuit, Program, SessionBackend, program_to_json
from superpose.errors import PriceUnknownError, SpecError, UnsupportedProgramError
from superpose.facade import resolve_backend
from superpose.service import Dataset, Job, Principal, Service, ServiceConfig
from superpose.service.people.residency import Confinement
from superpose.service.store.job_store import Claim
from superpose.service.work.calling_off import CallingOff
from superpose.service.work.loops import LoopBackend, LoopBook, QueueIsLongError
from superpose.service.work.provider_runs import ProviderRuns
from superpose.service.work.waits import seen_waits

from .conftest import ended, wait_for, working
from .looping_backend import install

PROGRAM = Program(Circuit(1).h(0), {}, shots=10, seed=1)
ONE = """
import sys
from superpose import Circuit
from superpose.circuits import Program
from superpose.facade import resolve_backend
backend = resolve_backend("looping")
if sys.argv[1] == "submit":
    print(backend.submit(Program(Circuit(1).h(0), {}, shots=10, seed=1), "a-token"))
else:
    print(sorted(backend.fetch(sys.argv[2]).counts[0].items()))
"""


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install(tmp_path, monkeypatch)


@pytest.fixture
def config(tmp_path: Path, kernels: None) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path / "data", poll_max_s=0.05, provider_slots=2, lease_s=900.0)


def submit(service: Service, who: Principal) -> Job:
    return service.jobs.submit(who, "program", dict(program_to_json(PROGRAM)), backend="looping")


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def claimed(service: Service, who: Principal) -> Claim:
    """A job of one's own in a worker's hand, which here is ours."""
    submit(service, who)
    claim = service.store.claim("worker_ours")
    assert claim is not None
    return claim


def loop_of(service: Service, claim: Claim, *, slots: int | None = None, session: bool = True) -> LoopBackend:
    backend = resolve_backend("looping")
    runs = ProviderRuns(service.store, claim, slots=slots).at("looping")
    return LoopBackend(backend, runs, LoopBook(service.store, claim), session=session, patience_s=0.0)  # type: ignore[arg-type]


def rows(service: Service, table: str) -> list[tuple[object, ...]]:
    with service.store.database.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]


def test_a_provider_holds_no_more_than_its_slots_and_every_job_comes_through(
    service: Service, admin: Principal, config: ServiceConfig, processor: Path
) -> None:
    jobs = [submit(service, admin) for _ in range(3)]
    with working(config):
        wait_for(lambda: all(service.store.get(job.id).attempt >= 2 for job in jobs))
        assert len(lines(processor / "submissions")) == 2
        (processor / "arrived").touch()
        assert {ended(service, job).status for job in jobs} == {"succeeded"}
    assert sorted(line.split()[0] for line in lines(processor / "submissions")) == sorted(job.id for job in jobs)


def test_a_slot_is_left_for_a_running_loop(
    service: Service, admin: Principal, config: ServiceConfig, processor: Path
) -> None:
    claim = claimed(service, admin)
    loop = loop_of(service, claim, slots=2)
    others = [submit(service, admin) for _ in range(3)]
    with working(config):
        wait_for(lambda: all(service.store.get(job.id).attempt >= 2 for job in others))
        assert len(lines(processor / "submissions")) == 1  # not two, for the loop computes
        provider_job_id = loop.submit(PROGRAM, "step-1")
        assert lines(processor / "submissions")[1].startswith("step-1 ")
        assert loop.fetch(provider_job_id) is None
        with pytest.raises(QueueIsLongError):
            loop.submit(PROGRAM, "step-2")  # loops have no more slots than there are
        with pytest.raises(QueueIsLongError) as left:
            loop_of(service, claim, slots=2).leave_if_still_queued()  # as the next attempt would begin
        assert left.value.provider_job_id is None
        (processor / "arrived").touch()
        assert loop.fetch(provider_job_id) is not None
        wait_for(lambda: loop_may(loop))
        loop.end()
        assert {ended(service, job).status for job in others} == {"succeeded"}


def loop_may(loop: LoopBackend) -> bool:
    try:
        return bool(loop.submit(PROGRAM, "step-2"))
    except QueueIsLongError:
        return False


def test_a_session_is_kept_from_attempt_to_attempt_and_closed_when_the_job_ends(
    service: Service, admin: Principal, processor: Path
) -> None:
    claim = claimed(service, admin)
    first = loop_of(service, claim)
    first.submit(PROGRAM, "step-1")
    first.submit(PROGRAM, "step-1")  # the same again
    service.store.release_worker("worker_ours")  # as if it had been killed
    again = service.store.claim("worker_ours")
    assert again is not None
    second = loop_of(service, again)
    assert second.submit(PROGRAM, "step-1") == "q:step-1"
    second.submit(PROGRAM, "step-2")
    assert lines(processor / "submissions") == ["step-1 s0", "step-2 s0"]
    (processor / "sessions" / "s0").write_text("closed")  # the provider ends it: the loop goes on in another one
    second.submit(PROGRAM, "step-3")
    assert rows(service, "provider_loops") == [(claim.job.id, "looping", "s1", 0)]
    service.store.fail(again, "backend.provider", "It failed.")
    calling_off = CallingOff(service.store.database, look_s=0.01)
    (processor / "deaf").touch()
    calling_off.look()
    assert sorted(lines(processor / "cancelled")) == ["q:step-1", "q:step-2", "q:step-3"]
    assert (processor / "sessions" / "s1").read_text() == "open"
    (processor / "deaf").unlink()

    def closed() -> bool:
        calling_off.look()
        return (processor / "sessions" / "s1").read_text() == "closed"

    wait_for(closed)
    assert not rows(service, "provider_loops") + rows(service, "provider_runs")


def test_a_loop_leaves_a_long_queue_and_a_backend_without_sessions_says_so(
    service: Service, admin: Principal, processor: Path
) -> None:
    claim = claimed(service, admin)
    loop = loop_of(service, claim, session=False)
    provider_job_id = loop.submit(PROGRAM, "step-1")
    with pytest.raises(QueueIsLongError) as left:
        loop.leave_if_long(provider_job_id)
    assert left.value.provider_job_id == provider_job_id
    with pytest.raises(QueueIsLongError):
        loop.leave_if_still_queued()
    (processor / "arrived").touch()
    loop.leave_if_still_queued()
    assert not list((processor / "sessions").iterdir())
    assert isinstance(resolve_backend("looping"), SessionBackend)
    runs = ProviderRuns(service.store, claim)
    with pytest.raises(UnsupportedProgramError, match="no sessions"):
        LoopBackend(resolve_backend("local"), runs, LoopBook(service.store, claim), session=True, patience_s=1.0)  # type: ignore[arg-type]


TRAINING = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 2, "batch_size": 64},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
    "backend": {"name": "looping", "shots": 20, "gradient": "spsa", "n_directions": 1, "mode": "session"},
}


def test_a_training_leaves_its_worker_while_the_queue_is_long_and_goes_on_in_its_session(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, processor: Path
) -> None:
    quick = replace(config, provider_patience_s=0.05)
    job = service.jobs.submit(admin, "train", TRAINING, dataset=dataset.id)
    with working(quick):
        wait_for(lambda: service.store.get(job.id).status == "waiting")
        other = service.jobs.submit(admin, "program", dict(program_to_json(PROGRAM)))
        assert ended(service, other).status == "succeeded"  # there is one worker only
        assert len(lines(processor / "submissions")) == 1
    with working(quick):  # another worker
        wait_for(lambda: service.store.get(job.id).attempt >= 2)
        (processor / "arrived").touch()
        assert ended(service, job).status == "succeeded"
    handed_over = lines(processor / "submissions")
    assert len(handed_over) >= 4  # a program for each mini-batch of each split
    assert {line.split()[1] for line in handed_over} == {"s0"}
    assert len({line.split()[0] for line in handed_over}) == len(handed_over)
    assert [path.read_text() for path in (processor / "sessions").iterdir()] == ["closed"]
    assert not rows(service, "provider_loops") + rows(service, "provider_runs")
    assert len(seen_waits(service.store.database)) == len(handed_over)
    version = service.models.version(admin, dataset.name)
    assert version.manifest["provenance"]["measured"]["backend"] == "looping"


WORKER = """
import json, sys
from superpose.service import ServiceConfig, run_worker
run_worker(ServiceConfig.from_json(json.loads(sys.argv[1])))
"""


@pytest.mark.slow
def test_a_training_whose_worker_is_killed_goes_on_in_its_session_and_hands_nothing_over_twice(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, processor: Path
) -> None:
    job = service.jobs.submit(admin, "train", TRAINING, dataset=dataset.id)
    patient = replace(config, provider_patience_s=3_600.0)  # it waits in its worker
    process = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(patient.to_json())])
    try:
        wait_for(lambda: lines(processor / "submissions") and rows(service, "provider_runs"))
    finally:
        process.kill()
        process.wait()
    with service.store.database.read() as connection:
        worker_id = connection.exec_driver_sql("SELECT worker_id FROM jobs WHERE status = 'running'").scalar_one()
    service.store.release_worker(worker_id)  # what its supervisor does
    with working(patient):
        wait_for(lambda: service.store.get(job.id).attempt == 2)
        (processor / "arrived").touch()
        assert ended(service, job).status == "succeeded"
    handed_over = [line.split() for line in lines(processor / "submissions")]
    assert {session for _, session in handed_over} == {"s0"}
    assert len({token for token, _ in handed_over}) == len(handed_over)
    assert [path.read_text() for path in (processor / "sessions").iterdir()] == ["closed"]


def test_a_cancelled_training_leaves_neither_program_nor_session(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, processor: Path
) -> None:
    job = service.jobs.submit(admin, "train", TRAINING, dataset=dataset.id)
    with working(replace(config, provider_patience_s=0.05)):
        wait_for(lambda: service.store.get(job.id).status == "waiting")
        service.jobs.cancel(admin, job.id)
        wait_for(lambda: not rows(service, "provider_loops"))
    assert len(lines(processor / "cancelled")) == 1
    assert [path.read_text() for path in (processor / "sessions").iterdir()] == ["closed"]


def test_a_training_whose_price_nobody_knows_is_refused_under_a_budget(
    service: Service, admin: Principal, dataset: Dataset, processor: Path
) -> None:
    service.budgets.set(admin, period="total", limit_usd=5.0)
    with pytest.raises(PriceUnknownError):
        service.jobs.submit(admin, "train", TRAINING, dataset=dataset.id)
    here = {**TRAINING, "backend": {"name": "local", "shots": 20}}
    assert service.jobs.submit(admin, "train", here, dataset=dataset.id).status == "queued"


def test_a_session_is_wanted_of_backends_that_have_them(service: Service, admin: Principal, dataset: Dataset) -> None:
    with pytest.raises(SpecError, match="has no sessions"):
        spec = {**TRAINING, "backend": {"name": "local", "mode": "session"}}
        service.jobs.submit(admin, "train", spec, dataset=dataset.id)


def test_waits_are_kept_and_the_choice_of_a_backend_knows_them(
    service: Service, admin: Principal, config: ServiceConfig, processor: Path
) -> None:
    jobs = [submit(service, admin) for _ in range(2)]
    with working(config):
        wait_for(lambda: len(lines(processor / "submissions")) == 2)
        (processor / "running").touch()
        wait_for(lambda: all(row[6] for row in rows(service, "provider_runs")))  # when each began is known
        began = {row[0]: (row[6] - row[5]) / 1e6 for row in rows(service, "provider_runs")}  # type: ignore[operator]
        (processor / "arrived").touch()
        assert {ended(service, job).status for job in jobs} == {"succeeded"}
    database = service.store.database
    seen = seen_waits(database)
    assert {wait.backend for wait in seen} == {"looping"}
    assert sorted(wait.wait_s for wait in seen) == pytest.approx(sorted(began.values()))  # until it ran, not longer
    assert len(seen_waits(database, project=admin.project)) == 2
    assert not seen_waits(database, project="elsewhere")
    chooser = Confinement(database, admin.project).backend("auto")
    assert list(chooser.selection.knowledge.waits) == seen  # type: ignore[attr-defined]
    assert estimate_wait([*seen, seen[0]]).model == "log-normal"  # type: ignore[union-attr]


def test_a_program_is_handed_over_by_one_process_and_fetched_by_another(processor: Path) -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", ONE, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout.strip()

    provider_job_id = run("submit")
    (processor / "arrived").touch()
    assert run("fetch", provider_job_id).startswith("[('0', ")
