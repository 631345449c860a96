"""Jobs that a test holds: they end when it says so, never because the machine is fast, and none is left behind.

- ``ENDLESS`` is a training of days, to be cancelled. Where a server is shared, ``held_training`` sees to that, whatever
  happens in the test.
- ``WAITING_FUNCTION`` is a user's function that ends once a file is there, for tests that need the job's end as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from superpose.client import Client, Job

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
