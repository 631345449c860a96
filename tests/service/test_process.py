"""Worker processes from start to end: warm before the first claim, polite, drained in time, replaced when used up."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.held import ENDLESS

from superpose.circuits import Circuit, Observable, Parameter, Program, program_to_json
from superpose.service import Dataset, Job, JobStatus, Principal, Service, ServiceConfig, Supervisor

from .conftest import ended, wait_for


def program(n_qubits: int = 2, layers: int = 1, batch: int = 1) -> dict[str, Any]:
    """A program; with many qubits, layers and samples one that runs for minutes without a checkpoint."""
    theta, circuit = Parameter("theta"), Circuit(n_qubits)
    for layer in range(layers):
        for qubit in range(n_qubits):
            circuit.ry(theta, qubit).rx(theta * 0.5, qubit)
            circuit.cx(qubit, (qubit + 1 + layer % (n_qubits - 1)) % n_qubits)
    values = {"theta": np.linspace(0.0, 1.0, batch)}
    return dict(program_to_json(Program(circuit, values, observables=(Observable({"Z" + "I" * (n_qubits - 1): 1.0}),))))


LONG_PROGRAM = program(20, 30, 100)


def log_of(config: ServiceConfig) -> str:
    path = config.data_dir / "logs" / "worker-0.log"
    return path.read_text() if path.exists() else ""


def schedulers(pid: int) -> set[int]:
    """How the threads of a process are scheduled."""
    found = set()
    for path in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            found.add(os.sched_getscheduler(int(path.name)))
    return found


def running(service: Service, job: Job) -> bool:
    return service.store.get(job.id).status is JobStatus.RUNNING


@pytest.fixture
def alone(config: ServiceConfig, service: Service, kernels: None) -> Iterator[Any]:
    """Starts workers that no supervisor looks after, with settings from the environment."""
    started: list[subprocess.Popen[str]] = []

    def start(**settings: object) -> subprocess.Popen[str]:
        variables = {f"SUPERPOSE_{name.upper()}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-m", "superpose", "worker", "--data-dir", str(config.data_dir)]
        log = (config.data_dir / "logs" / "worker-0.log").open("ab")
        with log:
            started.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stderr=log, env={**os.environ, **variables}, text=True
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_worker_is_warm_before_its_first_claim_polite_and_on_one_thread_per_library(
    service: Service, admin: Principal, config: ServiceConfig, kernels: None
) -> None:
    job = service.jobs.submit(admin, "program", program())
    with Supervisor(config) as supervisor:
        (pid,) = supervisor.worker_pids
        assert ended(service, job).status is JobStatus.SUCCEEDED
        log = log_of(config)
        assert 0 < log.index("is ready after") < log.index(f"job {job.id}: attempt 1 begins")
        nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + config.worker_nice)  # 19 is the most polite
        assert os.getpriority(os.PRIO_PROCESS, pid) == nice
        assert os.sched_getscheduler(pid) == os.SCHED_BATCH
        assert schedulers(pid) == {os.SCHED_BATCH}
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert b"OMP_NUM_THREADS=1" in variables and b"OPENBLAS_NUM_THREADS=1" in variables


def test_an_attempt_without_checkpoint_is_given_back_after_the_drain_and_its_end_is_refused(
    service: Service, admin: Principal, config: ServiceConfig, kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("superpose.service.work.supervisor._GRACE_S", 60.0)  # polite workers wait for others
    job = service.jobs.submit(admin, "program", LONG_PROGRAM)
    with Supervisor(replace(config, drain_s=1.0)) as supervisor:
        (pid,) = supervisor.worker_pids
        wait_for(lambda: running(service, job))
        began_s = time.monotonic()
    assert time.monotonic() - began_s >= 1.0
    found = service.store.get(job.id)
    assert (found.status, found.attempt) == (JobStatus.QUEUED, 1)
    assert "did not reach a checkpoint in time" in log_of(config)  # by the worker itself, not by force
    with service.store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT outcome, crashes FROM attempts, jobs").all() == [("given_back", 0)]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.slow
def test_sigterm_hands_over_at_a_checkpoint_and_a_second_one_at_once(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, alone: Any
) -> None:
    job = service.jobs.submit(admin, "train", ENDLESS, dataset="trial")
    worker = alone()
    wait_for(lambda: service.store.get(job.id).progress)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert service.store.get(job.id).status is JobStatus.QUEUED
    assert service.store.events(job.id)[-1].data["reason"] == "the worker stopped"
    service.jobs.cancel(admin, job.id)

    job = service.jobs.submit(admin, "program", LONG_PROGRAM)
    worker = alone()
    wait_for(lambda: running(service, job))
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert worker.poll() is None and running(service, job)  # it has 20 s
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 75
    assert service.store.get(job.id).status is JobStatus.QUEUED


def test_workers_are_replaced_after_a_number_of_jobs(
    service: Service,
    admin: Principal,
    config: ServiceConfig,
    kernels: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs = [service.jobs.submit(admin, "program", program()) for _ in range(3)]
    with Supervisor(replace(config, recycle_jobs=2)):
        assert {(ended(service, job).status, service.store.get(job.id).attempt) for job in jobs} == {
            (JobStatus.SUCCEEDED, 1)
        }
    log = log_of(config)
    assert len(re.findall(r"worker \w+ begins", log)) == 2
    assert len(re.findall(r"is used up after 2 jobs", log)) == 1
    assert "ended with status" not in caplog.text  # no accident
    with service.store.database.read() as connection:
        workers = connection.exec_driver_sql("SELECT worker_id, count(*) FROM attempts GROUP BY worker_id").all()
    assert sorted(row[1] for row in workers) == [1, 2]


@pytest.mark.slow
def test_workers_are_replaced_when_they_have_grown(
    service: Service, admin: Principal, config: ServiceConfig, kernels: None
) -> None:
    jobs = [service.jobs.submit(admin, "program", program(20, 1)) for _ in range(2)]
    with Supervisor(replace(config, recycle_bytes=4_000_000)):  # one state has 16 MB
        for job in jobs:
            assert ended(service, job).attempt == 1
    assert "is used up after 1 jobs" in log_of(config)


@pytest.mark.slow
def test_a_worker_by_itself_becomes_a_fresh_one(
    service: Service, admin: Principal, config: ServiceConfig, alone: Any
) -> None:
    jobs = [service.jobs.submit(admin, "program", program()) for _ in range(2)]
    worker = alone(recycle_jobs=1)
    for job in jobs:
        assert ended(service, job).status is JobStatus.SUCCEEDED
    wait_for(lambda: log_of(config).count(f"begins (process {worker.pid})") == 3)
    assert log_of(config).count("a fresh worker takes over") == 2
    worker.terminate()
    assert worker.wait(60) == 0


def test_settings_reach_the_workers(config: ServiceConfig) -> None:
    changed = replace(config, worker_nice=0, recycle_jobs=0, recycle_bytes=0, cpu_dir=config.data_dir / "cpu")
    assert ServiceConfig.from_json(json.loads(json.dumps(changed.to_json()))) == changed
