"""Quantum programs run by the service."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from superpose.client.jobs import Jobs
from superpose.client.nouns import Job
from superpose.client.problems import job_failed
from superpose.client.resources import json_call, read_json
from superpose.client.transport import Transport
from superpose.errors import WaitTimeoutError

if TYPE_CHECKING:
    from superpose.circuits import Program, ProgramResult

__all__ = ["run_program"]

WAIT_S: Final = 10.0


def run_program(
    transport: Transport, jobs: Jobs, program: Program, timeout_s: float | None, asked: Mapping[str, Any]
) -> ProgramResult:
    """Submit a program, wait for its job, read its result; short programs come back with the first answer.

    Raises:
        ApiError: the service refuses the program.
        JobFailedError: the job did not succeed.
        WaitTimeoutError: ``timeout_s`` has passed.
    """
    from superpose.circuits import program_to_json, result_from_json

    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    wait_s = WAIT_S if timeout_s is None else min(WAIT_S, max(timeout_s, 0.0))
    call = json_call(
        "POST",
        "/v1/programs",
        program_to_json(program),
        query={"wait_s": wait_s, **{name: _text(value) for name, value in asked.items() if value is not None}},
        headers={"Idempotency-Key": str(uuid.uuid4())},
        repeatable=True,
        timeout_s=wait_s + transport.timeout_s,
    )
    job = Job.from_json(read_json(transport.send(call)))
    if not job.finished:
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise WaitTimeoutError(
                f"Program {job.id} has not finished within {timeout_s:g} s; it goes on.", job_id=job.id
            )
        job = jobs.wait(job.id, timeout_s=left_s)
    if not job.succeeded:
        raise job_failed(f"Program {job.id}", job.id, job.status, job.error)
    return result_from_json(dict(job.result or {}))


def _text(value: object) -> object:
    """A value as a query has it."""
    return "true" if value is True else value
