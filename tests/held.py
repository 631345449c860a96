"""Jobs that a test holds: they end when it says so, never because the machine is fast, and none is left behind.

- ``ENDLESS`` is a training of days, to be cancelled. Where a server is shared, ``held_training`` sees to that, whatever
  happens in the test.
- ``WAITING_FUNCTION`` is a user's function that ends once a file is there, for tests that need the job's end as well.
- ``caught`` looks every few milliseconds whether something is so, and stops the process then: for kills in the middle
  of work that another process goes on with. That work is long compared with milliseconds, in steps that are stored.
- ``Gate`` holds the trainings of workers in this process after some epochs, until it is opened.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from superpose.client import Client, Job
from superpose.service import JobKind
from superpose.service.work import worker

#: An epoch of it takes milliseconds and is heard of, a training of 100,000 of them minutes, and there are thousands.
ENDLESS: dict[str, Any] = {
    "model": {"n_qubits": 6, "ansatz": {"layers": 3}},
    "training": {"epochs": 100_000, "patience": 100_000, "batch_size": 1},
    "evaluation": {"n_splits": 1_000, "controls": ["frozen"], "baseline": "none"},
}

#: Parameters: ``let_go``, the path of the file that it waits for.
WAITING_FUNCTION = '''
"""A job that runs until it is let go."""
import pathlib
import time

import superpose


@superpose.job(checkpoint=True)
def wait(ctx, let_go):
    while not pathlib.Path(let_go).exists():
        ctx.progress(0.5, "waits")
        time.sleep(0.05)
    return ctx.attempt
'''


@contextmanager
def cancelled_in_the_end(client: Client, job_id: str) -> Iterator[None]:
    """The job has ended when the block has, however that ends: no other test of the server finds it running."""
    try:
        yield
    finally:
        if not client.jobs.get(job_id).finished:
            client.jobs.cancel(job_id)
        client.jobs.wait(job_id, timeout_s=240)


@contextmanager
def held_training(client: Client, dataset: str, **fields: Any) -> Iterator[Job]:
    """A training job that runs, or waits to, until the block ends or it is cancelled."""
    job = client.jobs.train(dataset=dataset, spec=ENDLESS, **fields)
    with cancelled_in_the_end(client, job.id):
        yield job


_LOOK_S = 0.004
"""Pause between two looks at what a process has done."""


def caught(pid: int, condition: Callable[[], Any], timeout_s: float = 240.0) -> Any:
    """What ``condition`` gives once it is true; the process is stopped then, until the test does something with it.

    The condition reads what the process has written, and must not need the process for it.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        if condition():
            stop(pid)
            if found := condition():
                return found
            os.kill(pid, signal.SIGCONT)
        assert time.monotonic() < until_s, "timed out"
        time.sleep(_LOOK_S)


def stop(pid: int) -> None:
    """Stop a process, all threads of it."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    until_s = time.monotonic() + 60.0
    while tasks.is_dir():  # elsewhere than on Linux the signal has to do
        states = {_state(task) for task in tasks.iterdir()}
        assert "Z" not in states, "the process has ended"
        if states <= {"T", "t", ""}:
            return
        assert time.monotonic() < until_s, "the process does not stop"


def _state(task: Path) -> str:
    """What a thread does: ``T`` is stopped; nothing where it has ended since."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@dataclass
class Gate:
    """Trainings of workers in this process come up to it and wait there until it is opened, once.

    A training asks after each epoch whether it shall stop; the one that asks for the ``at``-th time waits for the
    answer. Everything else is as ever: heartbeats go on, checkpoints, cancelling.
    """

    at: int
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    _n_asked: int = 0

    def put(self, monkeypatch: pytest.MonkeyPatch) -> Gate:
        """Set up before the workers that come after."""
        train = worker.RUNS[JobKind.TRAIN]

        def held(job: Any, context: Any) -> Any:
            def should_stop() -> bool:
                self._n_asked += 1
                if self._n_asked == self.at:
                    self.reached.set()
                    assert self.opened.wait(240), "nobody opened the gate"
                return bool(context.should_stop())

            return train(job, replace(context, should_stop=should_stop))

        monkeypatch.setattr(worker, "RUNS", MappingProxyType({**worker.RUNS, JobKind.TRAIN: held}))
        return self

    @contextmanager
    def closed(self) -> Iterator[None]:
        """A training has come up to the gate; it is opened when the block ends, however that ends."""
        try:
            assert self.reached.wait(240), "no training came up to the gate"
            yield
        finally:
            self.opened.set()
