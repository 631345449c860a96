"""Real processes, really killed: the job finishes, and its numbers equal those of a run that nobody disturbed."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.held import caught, stop

from superpose import HybridClassifier
from superpose.datasets import Table
from superpose.learning import TrainingSpec, read_model, run_experiment
from superpose.learning.fine_tuning.parent import Parent
from superpose.learning.fine_tuning.plan import plan_fine_tuning
from superpose.learning.recipe import CircuitRecipe
from superpose.learning.rows import ColumnNames
from superpose.service import Job, JobStatus, Principal, Service, ServiceConfig
from superpose.trust import read_key_file

from .conftest import CSV, ended, wait_for

#: The real server: HTTP, and workers that it keeps alive, until it is told or killed.
SERVER = """
import json, sys
from superpose.api import serve
from superpose.service import ServiceConfig
serve(ServiceConfig.from_json(json.loads(sys.argv[1])), port=0, on_ready=lambda url: print("up", flush=True))
"""

SPEC: dict[str, Any] = {
    "model": {"n_qubits": 3, "ansatz": {"layers": 1}},
    "training": {"epochs": 5_000, "patience": 5_000, "batch_size": 8},  # so that it can be caught in the middle
    "evaluation": {"n_splits": 2, "controls": ["no_entanglement"], "baseline": "none"},
}


@pytest.fixture
def config(tmp_path: Path) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path / "data", progress_s=0.0)


def short_leases(config: ServiceConfig, **fields: Any) -> ServiceConfig:
    """For tests in which a lease runs out. On a machine that stands still for long, others may run out too."""
    return ServiceConfig.from_json({**config.to_json(), "lease_s": 1.5, **fields})


@pytest.fixture
def service(config: ServiceConfig) -> Iterator[Service]:
    """A look into the data directory beside its server."""
    with Service.open(config, exclusive=False) as opened:
        yield opened


@pytest.fixture
def job(service: Service, admin: Principal, kernels: None) -> Job:
    service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
    return service.jobs.submit(admin, "train", SPEC, dataset="trial", model_name="outcome")


@pytest.fixture
def admin(service: Service) -> Principal:
    return service.authenticate(read_key_file(service.admin_key_path))


class Server:
    """A server process and its workers' processes, found through their logs."""

    def __init__(self, config: ServiceConfig) -> None:
        self.config = config
        command = [sys.executable, "-c", SERVER, json.dumps(config.to_json())]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout and self.process.stdout.readline() == "up\n"

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End it, and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def clear_away(self) -> None:
        """Leave nothing behind, however the test ended."""
        if self.process.poll() is None:
            self.kill()
        assert self.process.stdout
        self.process.stdout.close()
        for pid in worker_pids(self.config).values():
            if alive(pid):  # stopped by a test that failed: let go on, it finds that its server is gone, and ends
                os.kill(pid, signal.SIGCONT)
                wait_for(lambda pid=pid: not alive(pid))


Start = Callable[[ServiceConfig], Server]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers."""
    servers: list[Server] = []

    def start_one(config: ServiceConfig) -> Server:
        servers.append(Server(config))
        return servers[-1]

    yield start_one
    for server in servers:
        server.clear_away()


def log_of(config: ServiceConfig, number: int = 0) -> str:
    path = config.data_dir / "logs" / f"worker-{number}.log"
    return path.read_text() if path.exists() else ""


def worker_pids(config: ServiceConfig) -> dict[str, int]:
    """Process of every worker that ever began, by worker id."""
    logs = "".join(log_of(config, number) for number in range(config.workers))
    return {name: int(pid) for name, pid in re.findall(r"worker (\w+) begins \(process (\d+)\)", logs)}


def outcome(service: Service, job: Job, attempt: int) -> str | None:
    """How the attempt ended, as the store has it."""
    with service.store.database.read() as connection:
        return connection.exec_driver_sql(
            "SELECT outcome FROM attempts WHERE job_id = ? AND attempt = ?", (job.id, attempt)
        ).scalar_one()


def holder(service: Service, job: Job, attempt: int) -> str:
    """Id of the worker that has, or had, this attempt, once one has."""

    def look() -> str | None:
        with service.store.database.read() as connection:
            row = connection.exec_driver_sql(
                "SELECT worker_id FROM attempts WHERE job_id = ? AND attempt = ?", (job.id, attempt)
            ).first()
        return row.worker_id if row else None

    return str(wait_for(look))


def held(service: Service, config: ServiceConfig, job: Job, attempt: int) -> tuple[str, int]:
    """The worker that runs this attempt, id and process, stopped somewhere in the middle.

    The attempt has got somewhere, and the process holds no lock of the store: others can go on while it is stopped.
    """
    worker_id = holder(service, job, attempt)
    pid = worker_pids(config)[worker_id]
    caught(pid, lambda: advanced(service, job, attempt))
    while not nobody_writes(config):
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.002)
        stop(pid)
    assert service.store.get(job.id).finished_at is None
    return worker_id, pid


def advanced(service: Service, job: Job, attempt: int) -> bool:
    """Whether the attempt has told of several epochs or of a model."""
    events = service.store.events(job.id)
    mine = [event for event in events if event.kind == "progress" and event.data["attempt"] == attempt]
    return len(mine) >= 2


#: In a process of its own, because whoever closes a file of the store drops all locks of its process on it.
LOOK_FOR_A_WRITER = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], timeout=0.2, isolation_level=None)
try:
    store.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError:
    sys.exit(1)
store.execute("ROLLBACK")
"""


def nobody_writes(config: ServiceConfig) -> bool:
    """Whether the store can be written to now."""
    command = [sys.executable, "-I", "-S", "-c", LOOK_FOR_A_WRITER, str(config.data_dir / "superpose.sqlite")]
    return subprocess.run(command, check=False).returncode == 0


def undisturbed(service: Service, job: Job, directory: Path) -> tuple[str, dict[str, Any], bytes]:
    """Digest, evaluation and file of the same experiment, run without any service."""
    admin = Principal("key_x", "default", service.authenticate(read_key_file(service.admin_key_path)).role)
    table: Table = service.datasets.table(service.datasets.get(admin, "trial"))
    spec = TrainingSpec.from_dict(dict(job.payload))
    found = run_experiment(spec, table, directory, on_event=lambda *_: None, should_stop=lambda: False)
    return found.model_digest, found.evaluation, found.model_path.read_bytes()


def check_equal(service: Service, admin: Principal, job: Job, directory: Path) -> None:
    """Arrays, metrics and model digest equal an undisturbed run's, bit for bit; there is one version."""
    digest, evaluation, content = undisturbed(service, job, directory)
    version = service.models.version(admin, "outcome")
    assert service.models.get(admin, "outcome").latest == 1
    assert version.digest == digest
    assert version.evaluation == evaluation
    assert service.models.content(service.models.version(admin, "outcome")) == content


def test_kill_9_of_the_worker_then_of_the_server(
    service: Service, admin: Principal, config: ServiceConfig, job: Job, tmp_path: Path, start: Start
) -> None:
    server = start(config)
    first, pid = held(service, config, job, 1)
    os.kill(pid, signal.SIGKILL)

    second, pid = held(service, config, job, 2)  # the supervisor noticed, and another worker goes on
    assert second != first
    before = service.store.get(job.id).progress["fraction"]
    server.kill()
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not alive(pid))  # the worker notices that its parent is gone
    assert service.store.get(job.id).status in {JobStatus.QUEUED, JobStatus.RUNNING}

    server = start(config)
    done = ended(service, job)
    assert server.kill(signal.SIGTERM) == 0
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 3)
    third = [e for e in service.store.events(job.id) if e.kind == "progress" and e.data["attempt"] == 3]
    assert third[0].data["fraction"] >= before  # checkpoints were used
    reasons = [e.data["reason"] for e in service.store.events(job.id) if e.kind == "queued" and "reason" in e.data]
    assert reasons == ["the worker died", "the worker stopped"]
    check_equal(service, admin, job, tmp_path / "undisturbed")


@pytest.mark.slow
def test_kill_9_of_a_worker_that_carries_a_model_on(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path, kernels: None, start: Start
) -> None:
    rows = pd.read_csv(io.BytesIO(CSV))
    parent = HybridClassifier(n_qubits=3, layers=1, epochs=5, random_state=0)
    digest = parent.fit(rows.drop(columns="outcome"), rows["outcome"]).save(tmp_path / "parent.superpose")
    service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
    server = start(config)
    imported = service.imports.submit(admin, "parent", (tmp_path / "parent.superpose").read_bytes())
    assert ended(service, imported).status == "succeeded"
    section = {"parent": "parent:1", "freeze": ["circuit"], "learning_rates": {"head": 0.002}}
    training = {**SPEC["training"], "epochs": 100}  # of blocks with rates of their own torch does the steps, slower
    evaluation = {**SPEC["evaluation"], "controls": []}
    document = {"evaluation": evaluation, "training": training, "fine_tune": section}
    job = service.jobs.submit(admin, "train", document, dataset="trial", model_name="outcome")
    os.kill(worker_pids(config)[holder(service, job, 1)], signal.SIGKILL)
    done = ended(service, job)
    server.kill(signal.SIGTERM)
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 2)
    spec, table = (
        TrainingSpec.from_dict(dict(job.payload)),
        service.datasets.table(service.datasets.get(admin, "trial")),
    )
    began = Parent.from_file(read_model(tmp_path / "parent.superpose"), "parent:1")
    columns = ColumnNames(table.feature_names, tuple(column.kind for column in table.columns))
    plan = plan_fine_tuning(spec, began, columns, table.classes, table)
    whole = run_experiment(spec, table, tmp_path / "undisturbed", recipe=CircuitRecipe(spec, fine_tuning=plan))
    version = service.models.version(admin, "outcome")
    assert version.digest == whole.model_digest
    assert version.manifest["provenance"]["fine_tuned_from"]["digest"] == digest


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and that nobody waited for does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    command = ["ps", "-o", "stat=,args=", "-p", str(pid)]
    state, _, told = subprocess.run(command, capture_output=True, text=True).stdout.strip().partition(" ")
    return "superpose" in told and not state.startswith("Z")


@pytest.mark.slow
def test_kill_9_of_server_and_worker_at_once(
    service: Service, admin: Principal, config: ServiceConfig, job: Job, tmp_path: Path, start: Start
) -> None:
    """A power cut: nobody is left to tell, so the lease has to run out."""
    config = short_leases(config)
    server = start(config)
    _, pid = held(service, config, job, 1)  # so that it cannot react to the server's end
    server.kill()
    os.kill(pid, signal.SIGKILL)
    assert service.store.get(job.id).status is JobStatus.RUNNING
    server = start(config)
    done = ended(service, job)
    server.kill(signal.SIGTERM)
    assert done.status is JobStatus.SUCCEEDED and done.attempt >= 2
    check_equal(service, admin, job, tmp_path / "undisturbed")


@pytest.mark.slow  # waits for a lease to run out
def test_a_worker_that_was_stopped_for_longer_than_its_lease_writes_nothing_more(
    service: Service, admin: Principal, config: ServiceConfig, job: Job, tmp_path: Path, start: Start
) -> None:
    config = short_leases(config, workers=2)
    server = start(config)
    try:
        first, pid = held(service, config, job, 1)
        second = holder(service, job, 2)
        assert second != first
        assert outcome(service, job, 1) == "expired"
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: f"Worker {first} lost attempt 1 of job {job.id}" in log_of(config) + log_of(config, 1))
        done = ended(service, job)
        assert done.status is JobStatus.SUCCEEDED and done.attempt >= 2
        events = service.store.events(job.id)
        overtaken = next(e.seq for e in events if e.kind == "running" and e.data["attempt"] == 2)
        assert {e.data["attempt"] for e in events if e.seq >= overtaken} == set(range(2, done.attempt + 1))
        assert alive(pid)  # it lives on, for the next job
    finally:
        server.kill(signal.SIGTERM)
    check_equal(service, admin, job, tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_job_that_kills_its_workers_is_given_up(
    service: Service, admin: Principal, config: ServiceConfig, start: Start
) -> None:
    """Each attempt's worker is killed; after ``max_attempts`` the job fails instead of going round for ever."""
    config = ServiceConfig.from_json({**config.to_json(), "max_attempts": 2})
    service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
    job = service.jobs.submit(admin, "train", SPEC, dataset="trial")
    server = start(config)
    for attempt in (1, 2):
        _, pid = held(service, config, job, attempt)
        os.kill(pid, signal.SIGKILL)
    done = ended(service, job)
    server.kill(signal.SIGTERM)
    assert done.status is JobStatus.FAILED
    assert done.error and done.error["code"] == "service.job_crashed"
    assert "2 attempts ended without a word" in str(done.error["message"])
