"""A worker: claims jobs one after the other and runs them, under a lease, until it is told to stop.

What it does when something ends early: *told to stop* (SIGTERM, or its parent is gone) it goes on to the next
checkpoint and gives the job back unharmed; *killed*, its lease expires or its supervisor notices, and another worker
goes on from the last checkpoint; *overtaken*, because it was silent for longer than its lease, it writes nothing more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from superpose.errors import CheckpointError, InternalError, LeaseLostError, NotFoundError, StoreError, SuperposeError
from superpose.service.catalogue.models import insert_version
from superpose.service.config import ServiceConfig
from superpose.service.names import new_id
from superpose.service.nouns import Job, utc_now
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.database import Database
from superpose.service.store.datadir import DataDir
from superpose.service.store.job_store import Claim, JobStore
from superpose.service.store.tables import datasets
from superpose.service.traces import trace_of
from superpose.service.work.lease_keeper import LeaseKeeper
from superpose.service.work.runs import RUNS, Outcome, RunContext

__all__ = ["Worker", "run_worker"]

_log = logging.getLogger(__name__)

#: Pause between two looks for work, as a share of the time since there was some.
_PATIENCE = 1 / 60
#: Pauses before a finished job's result is written again after the store refused it.
_RETRY_S = (0.2, 1.0, 5.0)


class Worker:
    """Claims and runs jobs of a data directory.

    Args:
        config: the settings, as the server has them.
        worker_id: who holds the leases; random by default.

    Raises:
        StoreError: the data directory cannot be used.
    """

    def __init__(self, config: ServiceConfig, worker_id: str | None = None) -> None:
        self.config = config
        self.worker_id = worker_id or new_id("worker")
        self._data_dir = DataDir(config.data_dir)
        self._database = Database(self._data_dir.database_path, busy_timeout_s=config.busy_timeout_s)
        self._artifacts = Artifacts(self._data_dir, config.artifact_url)
        self._store = JobStore.opened(self._database, config.job_rules)
        self._stopping = threading.Event()
        self._ready = False

    def run(self) -> None:
        """Claim and run jobs until ``stop`` is called."""
        _log.info("worker %s begins (process %d)", self.worker_id, os.getpid())
        worked_at_s = time.monotonic()
        try:
            while not self._stopping.is_set():
                if self._run_next():
                    worked_at_s = time.monotonic()
                elif not self._get_ready():
                    idle_s = time.monotonic() - worked_at_s
                    self._stopping.wait(min(self.config.poll_max_s, max(self.config.poll_min_s, idle_s * _PATIENCE)))
        finally:
            self._database.close()
            _log.info("worker %s ends", self.worker_id)

    def stop(self) -> None:
        """Have ``run`` return once the job in hand has reached a checkpoint and is given back."""
        self._stopping.set()

    def _run_next(self) -> bool:
        """Run one job; whether there was one."""
        try:
            claim = self._store.claim(self.worker_id) if self._store.has_work() else None
        except StoreError as error:
            _log.warning("looking for work: %s", error.message)
            return False
        if claim is None:
            return False
        _log.info("job %s: attempt %d begins", claim.job.id, claim.attempt)
        with LeaseKeeper(self._store, claim, self.config.heartbeat_period_s) as keeper:
            self._attempt(claim, keeper)
        return True

    def _attempt(self, claim: Claim, keeper: LeaseKeeper) -> None:
        """Run one attempt and write down how it ended. Nothing that goes wrong in it stops the worker."""
        from superpose.learning import Stopped

        try:
            outcome = self._execute(claim, keeper)
            ended = self._publish(claim, outcome, keeper)
        except LeaseLostError as error:
            _log.warning("%s", error.message)
            return
        except Stopped:
            ended = None if keeper.lost else self._write(lambda: self._store.give_back(claim), keeper)
        except StoreError as error:
            # not the job's fault: its lease runs out, and the next attempt goes on from the checkpoint
            _log.error("job %s: %s", claim.job.id, error.message)
            return
        except SuperposeError as error:
            code, message = error.code, error.message
            ended = self._write(lambda: self._store.fail(claim, code, message), keeper)
        except Exception as error:
            _log.error("job %s: %s", claim.job.id, trace_of(error))
            unforeseen = _unforeseen(error, claim)
            ended = self._write(lambda: self._store.fail(claim, InternalError.code, unforeseen), keeper)
        if ended is not None:
            _log.info("job %s: attempt %d ended, the job is %s", ended.id, claim.attempt, ended.status)
            if ended.finished_at is not None:
                self._data_dir.remove_job(ended.id)

    def _execute(self, claim: Claim, keeper: LeaseKeeper) -> Outcome:
        """Run the job; checkpoints that turn out damaged are thrown away and the run begins anew."""
        job = claim.job
        directory = self._data_dir.attempt_directory(job.id, claim.attempt)
        context = RunContext(
            config=self.config,
            artifacts=self._artifacts,
            database=self._database,
            dataset_artifact=self._dataset_artifact(job),
            directory=directory,
            on_event=_Reporter(self._store, claim, keeper, self.config.progress_s),
            should_stop=lambda: self._stopping.is_set() or keeper.cancelling or keeper.lost,
        )
        try:
            return RUNS[job.kind](job, context)
        except CheckpointError as error:
            _log.warning("job %s begins anew: %s", job.id, error.message)
            context.on_event("log", {"message": "A damaged checkpoint was thrown away; the run begins anew."})
            shutil.rmtree(directory)
            directory.mkdir(mode=0o700)
            return RUNS[job.kind](job, context)

    def _publish(self, claim: Claim, outcome: Outcome, keeper: LeaseKeeper) -> Job | None:
        """Write success down: for a model, file, registry and job become visible in one step."""
        version = outcome.version
        if outcome.awaits is not None:
            awaits = outcome.awaits
            return self._write(lambda: self._store.await_children(claim, awaits.children, awaits.seen), keeper)
        if outcome.model_file is None or version is None:
            return self._write(lambda: self._store.succeed(claim, outcome.result), keeper)
        staged = self._artifacts.stage(outcome.model_file)

        def publish(connection: Connection, job: Job) -> Mapping[str, object]:
            self._artifacts.publish(staged)
            values = insert_version(connection, job, version, clock=utc_now)
            return {**values, "result": {"model": job.model, **values, **outcome.result}}

        try:
            return self._write(lambda: self._store.succeed(claim, outcome.result, publish=publish), keeper)
        finally:
            self._artifacts.discard(staged)

    def _write(self, write: Callable[[], Job], keeper: LeaseKeeper) -> Job | None:
        """Write an end down, with patience for a busy store; None if the lease is lost or the store stays shut."""
        keeper.expect_end()
        for pause_s in (*_RETRY_S, None):
            try:
                return write()
            except LeaseLostError as error:
                _log.warning("%s", error.message)
                return None
            except StoreError as error:
                _log.error("%s", error.message)
                if pause_s is not None:
                    time.sleep(pause_s)
        return None

    def _dataset_artifact(self, job: Job) -> str | None:
        if job.dataset_id is None:
            return None
        with self._database.read() as connection:
            row = connection.execute(select(datasets.c.artifact).where(datasets.c.id == job.dataset_id)).first()
        if row is None:
            raise NotFoundError(f"The data set of job {job.id} is gone.", kind="dataset", id=job.dataset_id)
        return str(row.artifact)

    def _get_ready(self) -> bool:
        """In the first idle moment load what jobs need, so that the first one starts fast; whether that was now."""
        if self._ready:
            return False
        self._ready = True
        try:
            import superpose.learning
            from superpose.engine import warm

            superpose.learning.run_experiment  # noqa: B018  # loads the room
            warm(_log.info, ("float32",))  # of training; the server has float64, of predictions, built meanwhile
        except Exception as error:  # the job that needs it will say what is wrong
            _log.error("getting ready: %s", trace_of(error))
        return True


class _Reporter:
    """Stores a run's events; of progress events only as many as somebody can read."""

    def __init__(self, store: JobStore, claim: Claim, keeper: LeaseKeeper, progress_s: float) -> None:
        self._store = store
        self._claim = claim
        self._keeper = keeper
        self._progress_s = progress_s
        self._stored_at_s = float("-inf")

    def __call__(self, kind: str, data: Mapping[str, Any]) -> None:
        """Store an event, unless it is a progress event soon after another and not the last."""
        now_s = time.monotonic()
        if kind == "progress":
            if now_s - self._stored_at_s < self._progress_s and data.get("fraction") != 1.0:
                return
            self._stored_at_s = now_s
        try:
            self._keeper.saw(self._store.append(self._claim, kind, data))
        except LeaseLostError:
            self._keeper.lost = True  # the run stops at its next checkpoint
        except StoreError as error:  # an event less is better than a job less
            _log.warning("job %s: event not stored: %s", self._claim.job.id, error.message)


def _unforeseen(error: BaseException, claim: Claim) -> str:
    if isinstance(error, MemoryError):
        return "The worker ran out of memory. Use fewer qubits, a smaller batch or fewer columns."
    return (
        f"The attempt ended with an unforeseen {type(error).__name__}. The log of worker {claim.worker_id} has the "
        "place in the code; please report it."
    )


def run_worker(
    config: ServiceConfig,
    *,
    worker_id: str | None = None,
    supervised: bool = False,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Run a worker in this process until SIGTERM or SIGINT; supervised, also until standard input ends.

    Args:
        config: the settings, as the server has them.
        worker_id: who holds the leases; random by default.
        supervised: standard input is a pipe from the parent, whose end means that the parent is gone.
        on_ready: called once the data directory has been found usable.

    Raises:
        StoreError: the data directory cannot be used, or no service has begun one there.
    """
    if not config.data_dir.is_dir() or not any(config.data_dir.iterdir()):
        raise StoreError(
            f"No service keeps its data in {config.data_dir}. Name the directory of one that runs, or start it first: "
            f"superpose serve --data-dir {config.data_dir}",
            path=str(config.data_dir),
        )
    os.umask(0o077)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    _share_cpu(config.worker_threads)
    worker = Worker(config, worker_id)
    on_ready()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    if supervised:
        threading.Thread(target=_watch_parent, args=(worker,), name="superpose-parent", daemon=True).start()
    worker.run()


def _watch_parent(worker: Worker) -> None:
    """Stop when the parent is gone: then the pipe that it holds the other end of gives end-of-file."""
    while os.read(0, 4096):
        pass
    _log.warning("the supervisor is gone")
    worker.stop()
    time.sleep(worker.config.drain_s)
    os._exit(75)  # not drained in time: the checkpoint of before will do


def _share_cpu(n_threads: int) -> None:
    """Keep to this worker's share of the CPUs, and let predictions go before training."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(n_threads))
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(5)
    from superpose.engine import set_threads

    set_threads(n_threads)


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m superpose.service.work.worker``: a worker by itself, or ``--supervised``: one of a supervisor's."""
    parser = argparse.ArgumentParser(prog="python -m superpose.service.work.worker", description=main.__doc__)
    parser.add_argument("--data-dir", type=Path, help="the service's data directory")
    parser.add_argument("--supervised", action="store_true", help="read settings as JSON from standard input")
    given = parser.parse_args(arguments)
    if given.supervised:
        document = json.loads(_read_line())
        run_worker(ServiceConfig.from_json(document["config"]), worker_id=str(document["worker_id"]), supervised=True)
    elif given.data_dir is None:
        parser.error("--data-dir is needed")
    else:
        run_worker(ServiceConfig(data_dir=given.data_dir))


def _read_line() -> bytes:
    """The first line of standard input, without reading ahead."""
    line = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


if __name__ == "__main__":
    main()
