"""Keeps worker processes alive: spawns them, restarts those that die, and frees the jobs of the dead at once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from superpose.errors import StoreError
from superpose.service.config import ServiceConfig
from superpose.service.names import new_id
from superpose.service.store.database import Database
from superpose.service.store.datadir import DataDir
from superpose.service.store.job_store import JobStore
from superpose.service.work.cpu_budget import ONE_THREAD_EACH

__all__ = ["Supervisor"]

_log = logging.getLogger(__name__)

_LOOK_S = 0.1
#: Time for a worker that was not drained in time to give its job back, before it is killed.
_GRACE_S = 3.0
_LOG_BYTES = 5_000_000
#: First and longest pause before a dead worker is replaced; it doubles while workers die young.
_BACKOFF_S = (0.1, 30.0)
#: A worker that lived this long did not die young.
_OLD_S = 10.0


@dataclass
class _Slot:
    """A place for one worker process."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    worker_id: str = ""
    started_at_s: float = 0.0
    n_early_deaths: int = 0
    start_again_at_s: float = 0.0
    to_release: list[str] = field(default_factory=list)


class Supervisor:
    """``config.workers`` worker processes on a data directory. Use it in a ``with``, or ``start`` and ``stop`` it.

    Args:
        config: the settings, which workers get too.
        log_bytes: how long a worker's log may grow before it is moved to ``worker-N.log.1``.

    Raises:
        StoreError: the data directory cannot be used.
    """

    def __init__(self, config: ServiceConfig, *, log_bytes: int = _LOG_BYTES) -> None:
        self.config = config
        self._log_bytes = log_bytes
        self._data_dir = DataDir(config.data_dir)
        self._database = Database(self._data_dir.database_path, busy_timeout_s=config.busy_timeout_s)
        self._store = JobStore.opened(self._database, config.job_rules)
        self._slots = [_Slot(number) for number in range(config.workers)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="superpose-supervisor", daemon=True)

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers that are alive."""
        processes = [slot.process for slot in self._slots]
        return tuple(process.pid for process in processes if process is not None and process.returncode is None)

    def start(self) -> None:
        """Spawn the workers and watch over them in a thread."""
        for slot in self._slots:
            self._spawn(slot)
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """Have every worker reach a checkpoint and give its job back; kill those that do not within ``timeout_s``.

        Args:
            timeout_s: patience in seconds; by default a little more than the settings' ``drain_s``, after which
                workers give their jobs back by themselves.
        """
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        alive = [slot for slot in self._slots if slot.process is not None]
        for slot in alive:
            if slot.process is not None and slot.process.poll() is None:
                slot.process.terminate()
        until_s = time.monotonic() + (self.config.drain_s + _GRACE_S if timeout_s is None else timeout_s)
        for slot in alive:
            self._reap(slot, until_s)
            self._release(slot)
        self._database.close()

    def __enter__(self) -> Supervisor:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        """Look after the workers until ``stop``."""
        expiry_at_s = 0.0
        while not self._stopping.wait(_LOOK_S):
            for slot in self._slots:
                self._look_after(slot)
                self._rotate(slot.number)
            if time.monotonic() >= expiry_at_s:
                expiry_at_s = time.monotonic() + self.config.lease_s / 2
                with contextlib.suppress(StoreError):  # the next claim does it too
                    self._store.expire_leases()

    def _look_after(self, slot: _Slot) -> None:
        now_s = time.monotonic()
        if slot.process is not None:
            status = slot.process.poll()
            if status is None:
                return
            if status == 0:  # used up, which is no accident
                slot.started_at_s = float("-inf")
            else:
                _log.warning("worker %s ended with status %d", slot.worker_id, status)
            slot.n_early_deaths = slot.n_early_deaths + 1 if now_s - slot.started_at_s < _OLD_S else 0
            first_s, longest_s = _BACKOFF_S
            slot.start_again_at_s = now_s + min(longest_s, first_s * 2.0 ** min(slot.n_early_deaths, 20))
            self._bury(slot)
        self._release(slot)
        if now_s >= slot.start_again_at_s:
            self._spawn(slot)

    def _spawn(self, slot: _Slot) -> None:
        """Start a worker process. Its settings and later our silence reach it through its standard input."""
        slot.worker_id, slot.started_at_s = new_id("worker"), time.monotonic()
        with self._open_log(slot.number) as log:
            slot.process = subprocess.Popen(
                [sys.executable, "-m", "superpose.service.work.process", "--supervised"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C in a terminal is for the server, which then stops its workers
            )
        document = {"worker_id": slot.worker_id, "config": self.config.to_json()}
        if slot.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it died already; the next look finds that
                slot.process.stdin.write(json.dumps(document).encode() + b"\n")
                slot.process.stdin.flush()

    def _reap(self, slot: _Slot, until_s: float) -> None:
        """Wait for a worker's end; after ``until_s`` kill it."""
        if slot.process is None:
            return
        try:
            slot.process.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.warning("worker %s did not drain in time and is killed", slot.worker_id)
            slot.process.kill()
            slot.process.wait()
        self._bury(slot)

    def _bury(self, slot: _Slot) -> None:
        if slot.process is not None and slot.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                slot.process.stdin.close()
        slot.process = None
        slot.to_release.append(slot.worker_id)

    def _release(self, slot: _Slot) -> None:
        """Free the jobs of dead workers; what the store refuses now is tried again at the next look."""
        while slot.to_release:
            try:
                freed = self._store.release_worker(slot.to_release[0])
            except StoreError as error:
                _log.warning("releasing jobs of worker %s: %s", slot.to_release[0], error.message)
                return
            if freed:
                _log.warning("jobs %s go back to the queue", ", ".join(freed))
            slot.to_release.pop(0)

    def _rotate(self, number: int) -> None:
        """Move what a worker has logged so far away once it is much; the worker goes on in the same, empty file.

        A line that is written in the instant between copy and cut is lost; workers say little.
        """
        path = self._log_path(number)
        with contextlib.suppress(OSError):  # a full disk, perhaps; the next look tries again
            if path.stat().st_size > self._log_bytes:
                old = path.with_suffix(".log.1")
                unfinished = path.with_suffix(".log.part")
                descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with path.open("rb") as source, os.fdopen(descriptor, "wb") as target:
                    shutil.copyfileobj(source, target)
                unfinished.replace(old)
                os.truncate(path, 0)  # workers append

    def _log_path(self, number: int) -> Path:
        return self._data_dir.logs / f"worker-{number}.log"

    @contextlib.contextmanager
    def _open_log(self, number: int) -> Iterator[int]:
        """A descriptor of the worker's log file, readable by its owner only."""
        path = self._log_path(number)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _environment() -> dict[str, str]:
    """The worker's environment: ours without API keys, with libraries that keep to one thread each."""
    kept = {name: value for name, value in os.environ.items() if name != "SUPERPOSE_KEY"}
    return {**kept, **ONE_THREAD_EACH, "PYTHONUNBUFFERED": "1"}
