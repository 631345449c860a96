"""A worker: claims jobs one after the other and runs them, under a lease, until it is told to stop.

What it does when something ends early: *told to stop* it goes on to the next checkpoint and gives the job back
unharmed, or after ``drain_s`` without one; *killed*, its lease expires or its supervisor notices, and another worker
goes on from the last checkpoint; *overtaken*, because it was silent for longer than its lease, it writes nothing more;
*in trouble that may pass*, such as a full disk, it leaves the job to be tried again after a pause.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

from superpose.datasets.domains import GENERAL
from superpose.errors import (
    CheckpointError,
    FunctionFailedError,
    InternalError,
    JobTimeError,
    LeaseLostError,
    NotFoundError,
    ProviderError,
    StoreError,
    SuperposeError,
)
from superpose.service.budgets.charges import Charges, seconds_left
from superpose.service.catalogue.datasets import units_of
from superpose.service.catalogue.models import insert_version
from superpose.service.config import ServiceConfig
from superpose.service.names import new_id
from superpose.service.nouns import Job, utc_now
from superpose.service.operations.attempt_trace import attempt_traced
from superpose.service.operations.trace_context import TraceContext
from superpose.service.operations.tracing import span_here, tracer_for
from superpose.service.people.quotas import Quotas
from superpose.service.people.residency import Confinement
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.database import Database
from superpose.service.store.datadir import DataDir
from superpose.service.store.disk_errors import disk_error, passes
from superpose.service.store.job_store import Claim, JobStore
from superpose.service.store.tables import datasets, file_jobs, jobs
from superpose.service.traces import trace_of
from superpose.service.work.calling_off import CallingOff
from superpose.service.work.cpu_budget import CpuBudget
from superpose.service.work.how_far import TRAINED
from superpose.service.work.lease_keeper import LeaseKeeper
from superpose.service.work.loops import LoopBook
from superpose.service.work.memory import resident_bytes
from superpose.service.work.outputs import Ledger
from superpose.service.work.provider_runs import ProviderRuns
from superpose.service.work.runs import RUNS, Outcome, RunContext

__all__ = ["Worker"]

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
        on_threads: called with the number of threads that may run now, whenever the CPU budget changes it.

    Raises:
        StoreError: the data directory cannot be used.
    """

    def __init__(
        self,
        config: ServiceConfig,
        worker_id: str | None = None,
        *,
        on_threads: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.config = config
        self.worker_id = worker_id or new_id("worker")
        self._data_dir = DataDir(config.data_dir)
        self._database = Database(self._data_dir.database_path, busy_timeout_s=config.busy_timeout_s)
        self._artifacts = Artifacts(self._data_dir, config.artifact_url)
        self._quotas = Quotas(self._database, size_of=self._artifacts.size, clock=utc_now)
        charges = Charges(
            utc_now,
            worker_second_usd=config.worker_second_usd,
            job_seconds=config.job_seconds,
            worker_threads=config.worker_threads,
        )
        self._store = JobStore.opened(self._database, config.job_rules, quotas=self._quotas, charges=charges)
        self._budget = CpuBudget(config.cpu_dir or self._data_dir.cpu, config.cpu_total, silent_s=config.lease_s)
        self._on_threads = on_threads
        self._tracer = tracer_for(config, "superpose-worker")
        self._stopping = threading.Event()
        self._is_ready = False
        self._claim: Claim | None = None
        self._n_jobs = self._ready_bytes = 0

    def log_facts(self) -> dict[str, object]:
        """What every line of the worker's log says beside its message: who, and for which attempt in which trace."""
        claim = self._claim
        if claim is None:
            return {"worker_id": self.worker_id}
        place = TraceContext.parse(claim.job.traceparent)
        trace_id = None if place is None else place.trace_id
        job = {"job_id": claim.job.id, "attempt": claim.attempt, "project": claim.job.project}
        return {"worker_id": self.worker_id, **job, "trace_id": trace_id}

    @property
    def used_up(self) -> bool:
        """Whether a fresh worker should take over: after many jobs, or where memory has grown much."""
        config, growth = self.config, resident_bytes() - self._ready_bytes
        return bool(
            (config.recycle_jobs and self._n_jobs >= config.recycle_jobs)
            or (config.recycle_bytes and self._ready_bytes and growth > config.recycle_bytes)
        )

    def run(self) -> None:
        """Get ready, then claim and run jobs until ``stop`` is called or the worker is ``used_up``."""
        _log.info("worker %s begins (process %d)", self.worker_id, os.getpid())
        try:
            self._get_ready()
            self._is_ready = True  # from here on it looks whether it is told to stop before each claim
            with CallingOff(self._database):
                self._work()
        finally:
            self._database.close()
            self._tracer.close()
            _log.info("worker %s ends", self.worker_id)

    def _work(self) -> None:
        worked_at_s = time.monotonic()
        while not self._stopping.is_set():
            if self._run_next():
                worked_at_s = time.monotonic()
                if self.used_up:
                    _log.info("worker %s is used up after %d jobs", self.worker_id, self._n_jobs)
                    break
            else:
                idle_s = time.monotonic() - worked_at_s
                self._stopping.wait(min(self.config.poll_max_s, max(self.config.poll_min_s, idle_s * _PATIENCE)))

    def stop(self) -> bool:
        """Have ``run`` return once the job in hand has reached a checkpoint and is given back.

        Returns:
            Whether there may be a job in hand. Where not, the worker is still getting ready, which takes seconds, and
            will claim none: its process may end at once.
        """
        self._stopping.set()
        return self._is_ready

    def abandon(self) -> None:
        """Give the job in hand back at once, although its run goes on: whatever that still writes is refused.

        For a worker whose time to reach a checkpoint is over and whose process ends now.
        """
        self._stopping.set()
        claim = self._claim
        if claim is not None:
            with contextlib.suppress(LeaseLostError, StoreError):  # ended just now, or the lease will run out
                self._store.give_back(claim)
                _log.warning("job %s: attempt %d did not reach a checkpoint in time", claim.job.id, claim.attempt)

    def _run_next(self) -> bool:
        """Run one job, once there is a CPU for it; whether there was one."""
        try:
            if not self._store.has_work():
                return False
            share = self._budget.take(
                self.config.worker_threads,
                give_up=lambda: self._stopping.is_set() or not self._store.has_work(),
                on_change=self._on_threads,
            )
            if share is None:
                return False
            with share:
                return self._claim_and_run()
        except (StoreError, OSError) as error:
            _log.warning("looking for work: %s", error)
            return False

    def _claim_and_run(self) -> bool:
        claim = self._claim = self._store.claim(self.worker_id)
        if claim is None:
            return False
        self._n_jobs += 1
        keeping = LeaseKeeper(self._store, claim, self.config.heartbeat_period_s)
        with attempt_traced(self._tracer, claim.job), keeping as keeper:
            _log.info("job %s: attempt %d begins", claim.job.id, claim.attempt)
            self._attempt(claim, keeper)
        self._claim = None
        return True

    def _attempt(self, claim: Claim, keeper: LeaseKeeper) -> None:
        """Run one attempt and write down how it ended. Nothing that goes wrong in it stops the worker."""
        from superpose.learning import Stopped

        timer = _Timer(self._seconds_left(claim))
        try:
            with span_here("execute"):
                outcome = self._execute(claim, keeper, timer)
            with span_here("post"):
                ended = self._publish(claim, outcome, keeper)
        except LeaseLostError as error:
            _log.warning("%s", error.message)
            return
        except Stopped:
            ended = None if keeper.lost else self._leave(claim, keeper, timer)
        except Exception as error:
            ended = self._give_up(claim, error, keeper)
        if ended is not None:
            _log.info("job %s: attempt %d ended, the job is %s", ended.id, claim.attempt, ended.status)
            if ended.finished_at is not None:
                self._data_dir.remove_job(ended.id)

    def _leave(self, claim: Claim, keeper: LeaseKeeper, timer: _Timer) -> Job | None:
        """Write down that a run has stopped at a checkpoint: for now, or because its time is over."""
        if timer.is_over and not (self._stopping.is_set() or keeper.cancelling):
            error = JobTimeError(
                f"The job was stopped: workers have held it for the {_seconds(timer.allowed_s)} s that it may take. "
                "Submit it with a longer limit, or smaller.",
                allowed_s=timer.allowed_s,
            )
            return self._write(lambda: self._store.fail(claim, error.code, error.message), keeper)
        return self._write(lambda: self._store.give_back(claim), keeper)

    def _seconds_left(self, claim: Claim) -> tuple[float, float] | None:
        with self._database.read() as connection:
            return seconds_left(connection, claim.job.id)

    def _give_up(self, claim: Claim, error: Exception, keeper: LeaseKeeper) -> Job | None:
        """Write down why an attempt failed: to be tried again where the cause may pass."""
        code, message = _told(error, claim)
        if _may_pass(error):
            place = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
            _log.error("job %s: %s%s", claim.job.id, message, place)
            return self._write(lambda: self._store.retry(claim, code, message), keeper)
        if not isinstance(error, SuperposeError):
            _log.error("job %s: %s", claim.job.id, trace_of(error))
        return self._write(lambda: self._store.fail(claim, code, message), keeper)

    def _execute(self, claim: Claim, keeper: LeaseKeeper, timer: _Timer) -> Outcome:
        """Run the job; checkpoints that turn out damaged are thrown away and the run begins anew."""
        job = claim.job
        with self._database.read() as connection:  # its results would have no room
            self._quotas.admit_bytes(connection, job.project, 0)
        directory = self._data_dir.attempt_directory(job.id, claim.attempt)
        artifact, units, domain = self._dataset(job)
        context = RunContext(
            config=self.config,
            artifacts=self._artifacts,
            database=self._database,
            provider_runs=ProviderRuns(self._store, claim, slots=self.config.provider_slots),
            confinement=Confinement(self._database, job.project),
            loop_book=LoopBook(self._store, claim),
            dataset_artifact=artifact,
            dataset_units=units,
            dataset_domain=domain,
            directory=directory,
            on_event=_Reporter(self._store, claim, keeper, self.config.progress_s),
            should_stop=lambda: self._stopping.is_set() or keeper.cancelling or keeper.lost or timer.is_over,
            cancelling=lambda: keeper.cancelling,
            time_over=lambda: timer.is_over,
            n_retries=self._n_retries(job),
            ledger=Ledger(self._store, self._artifacts, claim, self._quotas, utc_now),
        )
        try:
            return RUNS[job.kind](job, context)
        except CheckpointError as error:
            _log.warning("job %s begins anew: %s", job.id, error.message)
            told = (
                "An earlier attempt's files are damaged or another release's and were thrown away; the run begins anew."
            )
            context.on_event("log", {"message": told})
            from superpose.learning.checkpoint import start_over

            start_over(directory)
            return RUNS[job.kind](job, context)

    def _publish(self, claim: Claim, outcome: Outcome, keeper: LeaseKeeper) -> Job | None:
        """Write success down: for a model, file, registry and job become visible in one step."""
        version = outcome.version
        if outcome.awaits is not None:
            awaits = outcome.awaits
            return self._write(lambda: self._store.await_children(claim, awaits.children, awaits.seen), keeper)
        if outcome.asks is not None:
            asks = outcome.asks
            return self._write(lambda: self._store.await_provider(claim, asks.provider_job_id, asks.pause_s), keeper)
        if outcome.output is not None:
            return self._publish_file(claim, outcome, outcome.output, keeper)
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

    def _publish_file(self, claim: Claim, outcome: Outcome, output: Path, keeper: LeaseKeeper) -> Job | None:
        """Write success down together with a file that the run has made."""
        staged = self._artifacts.stage_file(output)

        def publish(connection: Connection, job: Job) -> Mapping[str, object]:
            self._quotas.admit_bytes(connection, job.project, staged.n_bytes)
            self._artifacts.publish(staged)
            kept = update(file_jobs).where(file_jobs.c.job_id == job.id).values(output_artifact=staged.digest)
            connection.execute(kept)
            return {"result": {**outcome.result, "digest": staged.digest, "n_bytes": staged.n_bytes}}

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

    def _n_retries(self, job: Job) -> int:
        with self._database.read() as connection:
            return int(connection.execute(select(jobs.c.retries).where(jobs.c.id == job.id)).scalar_one())

    def _dataset(self, job: Job) -> tuple[str | None, dict[str, str | None], str]:
        """The artifact of the job's data set, the units of its columns, and its domain."""
        if job.dataset_id is None:
            return None, {}, GENERAL
        query = select(datasets.c.artifact, datasets.c.columns, datasets.c.domain).where(
            datasets.c.id == job.dataset_id
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError(f"The data set of job {job.id} is gone.", kind="dataset", id=job.dataset_id)
        return str(row.artifact), units_of(row.columns), str(row.domain)

    def _get_ready(self) -> None:
        """Load what jobs need before the first claim, so that no job waits for it while its lease runs."""
        began_s = time.monotonic()
        try:
            import superpose.learning
            from superpose.engine import warm

            superpose.learning.run_experiment  # noqa: B018  # loads the room
            warm(_log.info, ("float32",))  # of training; the server has float64, of predictions, built meanwhile
        except Exception as error:  # the job that needs it will say what is wrong
            _log.error("getting ready: %s", trace_of(error))
        self._ready_bytes = resident_bytes()
        _log.info("worker %s is ready after %.1f s", self.worker_id, time.monotonic() - began_s)


class _Timer:
    """How long a job may still be held; ``left`` is (seconds allowed in all, seconds left), or None without a limit."""

    def __init__(self, left: tuple[float, float] | None) -> None:
        self.allowed_s = math.inf if left is None else left[0]
        self._over_at_s = math.inf if left is None else time.monotonic() + left[1]

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._over_at_s


class _Reporter:
    """Stores a run's events; of progress events only as many as somebody can read."""

    def __init__(self, store: JobStore, claim: Claim, keeper: LeaseKeeper, progress_s: float) -> None:
        self._store = store
        self._claim = claim
        self._keeper = keeper
        self._progress_s = progress_s
        self._stored_at_s = float("-inf")

    def __call__(self, kind: str, data: Mapping[str, Any]) -> None:
        """Store an event, unless it is a progress event soon after another and not of the last hundredth."""
        now_s = time.monotonic()
        if kind == "progress":
            if now_s - self._stored_at_s < self._progress_s and data.get("fraction", 0.0) < TRAINED:
                return
            self._stored_at_s = now_s
        try:
            self._keeper.saw(self._store.append(self._claim, kind, data))
        except LeaseLostError:
            self._keeper.lost = True  # the run stops at its next checkpoint
        except StoreError as error:  # an event less is better than a job less
            _log.warning("job %s: event not stored: %s", self._claim.job.id, error.message)


def _may_pass(error: Exception) -> bool:
    """Whether the same attempt may go through later."""
    if isinstance(error, OSError):
        return passes(error)
    if isinstance(error, FunctionFailedError):
        return error.again
    return isinstance(error, StoreError) or (isinstance(error, ProviderError) and error.retryable)


def _told(error: Exception, claim: Claim) -> tuple[str, str]:
    """Code and message of an error, without what a foreign message may hold."""
    if isinstance(error, SuperposeError):
        return error.code, error.message
    if isinstance(error, OSError) and passes(error):
        told = disk_error(error, "A file of the job cannot be read or written")
        return told.code, told.message
    if isinstance(error, MemoryError):
        return InternalError.code, ("The worker ran out of memory. Use fewer qubits, a smaller batch or fewer columns.")
    return InternalError.code, (
        f"The attempt ended with an unforeseen {type(error).__name__}. The log of worker {claim.worker_id} has the "
        "place in the code; please report it."
    )


def _seconds(limit: float) -> str:
    """A limit as a user would write it."""
    return f"{limit:,.0f}" if limit >= 10 else f"{limit:g}"
