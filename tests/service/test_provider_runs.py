"""Programs in providers' queues: handed over once whatever dies, no worker held, called off with their job."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import superpose
from superpose import Circuit, Observable, Parameter, ProgramGrid, ProgramSet, ProgramSetResult
from superpose.circuits import Program, program_set_to_npz, program_to_json
from superpose.service import AskedSet, CallRequest, FileJob, JobStatus, Principal, Service, ServiceConfig
from superpose.service.program_sets import queued_pieces

from .conftest import ended, wait_for, working

BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'
QUEUE = '''
"""A processor with a queue in a directory: results are there once a file "arrived" is; ids tell nothing of tokens."""
import json, os, pathlib, time
from superpose.backends import LocalBackend
from superpose.circuits import Capabilities, program_from_json, program_to_json
from superpose.errors import ProviderError

class QueueBackend(LocalBackend):
    home = pathlib.Path(os.environ["QUEUE_HOME"])

    @property
    def name(self):
        return "queue"

    def capabilities(self):
        return Capabilities(max_batch=10, exact=True, state_vectors=True, max_qubits=10)

    def batch_limit(self, template, shots):
        return 10

    def submit(self, program, token):
        with (self.home / "submissions").open("a") as file:
            file.write(token + "\\n")
        place = self.home / "programs" / token
        if not place.exists():
            place.write_text(json.dumps(program_to_json(program)))
        stall = self.home / "stall"
        if stall.exists() and token.endswith(stall.read_text()):
            (self.home / "stalled").touch()
            time.sleep(3600)
        return "q:" + token

    def fetch(self, provider_job_id):
        token = provider_job_id.removeprefix("q:")
        broken = self.home / "broken"
        if broken.exists() and token.endswith(broken.read_text()):
            raise ProviderError("The run failed.", provider="queue", provider_job_id=provider_job_id, retryable=False)
        if not (self.home / "arrived").exists():
            return None
        return self.run(program_from_json((self.home / "programs" / token).read_text()))

    def cancel(self, provider_job_id):
        with (self.home / "cancelled").open("a") as file:
            file.write(provider_job_id + "\\n")
        if (self.home / "deaf").exists():
            raise ProviderError("Nobody is there.", provider="queue", provider_job_id=provider_job_id, retryable=True)
'''
WORKER = """
import json, sys
from superpose.service import ServiceConfig, run_worker
run_worker(ServiceConfig.from_json(json.loads(sys.argv[1])))
"""
a = Parameter("a")


@pytest.fixture
def config(tmp_path: Path, kernels: None) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path / "data", max_retries=2, progress_s=0.0, poll_max_s=0.05)


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a backend "queue", which an installed package offers."""
    return installed(QUEUE, tmp_path, monkeypatch)


def installed(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a backend "queue", after a package with this source has been put where Python finds it."""
    home, package = tmp_path / "queue", tmp_path / "package"
    facts = package / "queue_backend-1.0.dist-info"
    for directory in (home / "programs", facts):
        directory.mkdir(parents=True)
    name = f"queue_backend_{tmp_path.name.replace('-', '_')}"  # the home is read when the module is imported
    (package / f"{name}.py").write_text(source)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: queue-backend\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[superpose.backends]\nqueue = {name}:QueueBackend\n")
    monkeypatch.setenv("QUEUE_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.syspath_prepend(str(package))
    return home


def a_set() -> ProgramSet:
    """Five pieces of expectations, one of counts, and one piece whose observables are measured each at its place."""
    circuit = Circuit(2).ry(a, 0).cx(0, 1)
    zipped = ProgramGrid(
        circuit, {"a": np.array([[0.1, 0.2]])}, [Observable("ZI"), Observable("XX")], observe="zip", name="zipped"
    )
    grids = [ProgramGrid(circuit, {"a": np.arange(50) / 10}, Observable("ZI"), name="e"), ProgramGrid(BELL_, shots=20)]
    return ProgramSet([*grids, zipped], seed=5)


BELL_ = Circuit(2).h(0).cx(0, 1)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def submitted(service: Service, admin: Principal) -> FileJob:
    return service.program_sets.submit(admin, program_set_to_npz(a_set()), AskedSet(backend="queue"))


def waits(service: Service, job_id: str) -> bool:
    """Whether a job waits, held by nobody."""
    with service.store.database.read() as connection:
        row = connection.exec_driver_sql("SELECT status, worker_id FROM jobs WHERE id = ?", (job_id,)).one()
    return tuple(row) == ("waiting", None)


def held(service: Service) -> list[str]:
    """What is written down as handed over."""
    with service.store.database.read() as connection:
        return list(connection.exec_driver_sql("SELECT token FROM provider_runs ORDER BY token").scalars())


def checked(service: Service, admin: Principal, made: FileJob, tmp_path: Path) -> None:
    """The results are those of a run here."""
    _, stored = service.program_sets.file(admin, made.job.id)
    (tmp_path / "out.zip").write_bytes(b"".join(stored.chunks(0, stored.n_bytes)))
    there, here = ProgramSetResult.open(tmp_path / "out.zip"), superpose.run(a_set())
    assert there.complete
    for name in ("e", "zipped"):
        np.testing.assert_allclose(np.asarray(there[name].expectations), np.asarray(here[name].expectations))
    assert there[1].counts[()] == here[1].counts[()]  # type: ignore[index]


def test_pieces_in_a_queue_hold_no_worker_and_are_handed_over_once(
    service: Service, admin: Principal, config: ServiceConfig, queue: Path, tmp_path: Path
) -> None:
    made = submitted(service, admin)
    job_id = made.job.id
    tokens = {*(f"{job_id}-{number}" for number in range(6)), f"{job_id}-6-0", f"{job_id}-6-1"}
    with working(config):
        wait_for(lambda: waits(service, job_id))
        assert set(held(service)) == tokens
        assert service.program_sets.get(admin, job_id).job.progress["n_queued"] == 8
        other = service.jobs.submit(admin, "program", dict(program_to_json(Program(Circuit(1).h(0), {}, shots=10))))
        assert ended(service, other).status is JobStatus.SUCCEEDED  # by the one worker
        attempt = service.store.get(job_id).attempt
        wait_for(lambda: service.store.get(job_id).attempt > attempt)  # asked for again
        (queue / "arrived").touch()
        found = ended(service, made.job)
    assert found.status is JobStatus.SUCCEEDED, found.error
    assert Counter(lines(queue / "submissions")) == dict.fromkeys(tokens, 1)
    assert held(service) == []
    checked(service, admin, made, tmp_path)


def test_a_run_that_fails_is_a_piece_that_failed_and_the_queue_is_filled_as_results_arrive(
    service: Service,
    admin: Principal,
    config: ServiceConfig,
    queue: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queued_pieces, "MAX_QUEUED", 3)
    (queue / "broken").write_text("-6-1")
    made = submitted(service, admin)
    with working(config):
        wait_for(lambda: waits(service, made.job.id))
        assert len(held(service)) == len(lines(queue / "submissions")) == 3
        (queue / "arrived").touch()
        assert ended(service, made.job).status is JobStatus.SUCCEEDED
    result: Any = service.program_sets.get(admin, made.job.id).to_json()["result"]
    [failure] = result["failures"]
    assert (failure["piece"], failure["code"], failure["n_tries"]) == (6, "backend.provider", 1)
    assert set(Counter(lines(queue / "submissions")).values()) == {1}
    assert lines(queue / "cancelled") == [f"q:{made.job.id}-6-0"]  # nobody needs the other half


def test_cancelling_calls_off_what_the_backend_holds(
    service: Service, admin: Principal, config: ServiceConfig, queue: Path
) -> None:
    """A set, a call of a quantum function by its circuit's job; a provider that is away for a time is asked again."""
    service.functions.deploy(admin, "bell", "bell.qasm", BELL, superpose.service.FunctionAsked(backend="queue"))
    (queue / "deaf").touch()
    with working(config):
        made = submitted(service, admin)
        wait_for(lambda: waits(service, made.job.id))
        asked = CallRequest(input={})
        call = asyncio.run(service.calls.call(admin, "bell", asked, wait_s=0.0))
        circuit = wait_for(lambda: next(iter(service.jobs.list(admin, parent=call.job_id).items), None))
        wait_for(lambda: waits(service, circuit.id))
        tokens = held(service)
        assert len(tokens) == 9
        for job_id in (made.job.id, str(call.job_id)):
            service.jobs.cancel(admin, job_id)
        wait_for(lambda: set(lines(queue / "cancelled")) == {f"q:{token}" for token in tokens})
        assert held(service) == tokens  # nothing is let go before the provider has heard of it
        (queue / "deaf").unlink()
        wait_for(lambda: held(service) == [])
    for job_id in (made.job.id, str(call.job_id), circuit.id):
        assert service.store.get(job_id).status is JobStatus.CANCELLED


@pytest.mark.slow
def test_kill_9_between_handing_over_and_writing_down_runs_nothing_twice(
    service: Service, admin: Principal, config: ServiceConfig, queue: Path, tmp_path: Path
) -> None:
    made = submitted(service, admin)
    (queue / "stall").write_text("-3")
    short = ServiceConfig.from_json({**config.to_json(), "lease_s": 1.0})
    process = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(short.to_json())])
    try:
        wait_for((queue / "stalled").exists, 120.0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    (queue / "stall").unlink()
    job_id = made.job.id
    assert held(service) == [f"{job_id}-{number}" for number in range(3)]  # of the fourth the backend knows
    wait_for(lambda: service.store.expire_leases())
    with working(config):
        wait_for(lambda: waits(service, job_id))
        (queue / "arrived").touch()
        assert ended(service, made.job).status is JobStatus.SUCCEEDED
    counts = Counter(lines(queue / "submissions"))
    assert {token for token, n in counts.items() if n > 1} == {f"{job_id}-3"}  # under the same token: one run
    assert len(list((queue / "programs").iterdir())) == len(counts) == 8
    checked(service, admin, made, tmp_path)
