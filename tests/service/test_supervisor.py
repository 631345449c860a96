"""Worker processes: spawned, replaced when they die, drained when they are told to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.held import ENDLESS

from superpose.service import Dataset, JobStatus, Principal, Service, ServiceConfig, Supervisor

from .conftest import wait_for


def test_stopping_drains(service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig) -> None:
    job = service.jobs.submit(admin, "train", ENDLESS, dataset="trial")
    with Supervisor(config) as supervisor:
        (pid,) = supervisor.worker_pids
        wait_for(lambda: service.store.get(job.id).progress)
    given_back = service.store.get(job.id)
    assert (given_back.status, given_back.attempt) == (JobStatus.QUEUED, 1)
    with service.store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT outcome, crashes FROM attempts, jobs").all() == [("given_back", 0)]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert supervisor.worker_pids == ()
    log = config.data_dir / "logs" / "worker-0.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert "attempt 1 ended, the job is queued" in log.read_text()


def test_workers_that_die_young_are_replaced_ever_more_slowly(config: ServiceConfig) -> None:
    pauses_s = []
    with Supervisor(config) as supervisor:
        for _ in range(3):
            (pid,) = supervisor.worker_pids
            killed_at_s = time.monotonic()  # before, so that a busy machine makes the pause longer only
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda dead=pid: supervisor.worker_pids not in {(), (dead,)})
            pauses_s.append(time.monotonic() - killed_at_s)
    assert [pause >= least for pause, least in zip(pauses_s, (0.2, 0.4, 0.8), strict=True)] == [True] * 3


@pytest.mark.slow
def test_a_workers_log_is_rotated_while_it_works(config: ServiceConfig) -> None:
    with Supervisor(config, log_bytes=2_000) as supervisor:
        (pid,) = supervisor.worker_pids
        log, old = (config.data_dir / "logs" / name for name in ("worker-0.log", "worker-0.log.1"))
        wait_for(lambda: "is ready" in log.read_text())
        with log.open("a") as file:  # as if the worker had had much to say
            file.write("first\n" + "x" * 2_000 + "\n")
        wait_for(lambda: old.exists() and not log.stat().st_size)
        with log.open("a") as file:
            file.write("second\n")
        assert supervisor.worker_pids == (pid,)
    assert "first" in old.read_text() and old.stat().st_mode & 0o777 == 0o600
    assert log.read_text().startswith("second")
    assert "ends" in log.read_text()  # what the same worker said later went on into the same file


@pytest.mark.usefixtures("service")
def test_a_worker_by_itself_ends_on_sigterm(config: ServiceConfig) -> None:
    command = [sys.executable, "-m", "superpose.service.work.process"]
    worker = subprocess.Popen(
        [*command, "--data-dir", str(config.data_dir)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert worker.stderr
    assert "begins" in worker.stderr.readline()
    worker.terminate()
    assert worker.wait(60) == 0
    assert "ends" in worker.stderr.read()
    worker.stderr.close()
    wrong = subprocess.run(command, capture_output=True, text=True)
    assert wrong.returncode == 2 and "--data-dir is needed" in wrong.stderr


LOADING = """
import json, sys, time
from superpose.service import ServiceConfig, Worker, run_worker
Worker._get_ready = lambda self: (print("loads", flush=True), time.sleep(600))
run_worker(ServiceConfig.from_json(json.loads(sys.argv[1])))
"""


@pytest.mark.usefixtures("service")
def test_a_worker_that_is_still_loading_what_jobs_need_ends_at_once(config: ServiceConfig) -> None:
    command = [sys.executable, "-c", LOADING, json.dumps({**config.to_json(), "drain_s": 600.0})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stdout and worker.stderr
        assert worker.stdout.readline() == "loads\n"
        worker.terminate()
        try:
            assert worker.wait(60) == 0
        finally:
            worker.kill()
        assert "ends before it was ready" in worker.stderr.read()
