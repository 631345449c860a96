"""What a worker does for a call: ``pre``, the circuit as a child job, during which nothing is held, ``post``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select

from superpose.circuits import Program, program_to_json, result_from_json
from superpose.errors import PayloadTooLargeError
from superpose.service.budgets.quoting import price_of_program
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Job, JobKind
from superpose.service.quantum_functions.content import Content
from superpose.service.quantum_functions.failures import error_of
from superpose.service.quantum_functions.loaded import LoadedFunction
from superpose.service.quantum_functions.python import sandboxes_of
from superpose.service.quantum_functions.steps import CallRequest, Prepared, PythonRunner, finish, prepare
from superpose.service.statuses import FINAL, JobStatus
from superpose.service.store.claims import NewJob
from superpose.service.store.database import json_text
from superpose.service.store.job_lives import job_from_row
from superpose.service.store.tables import jobs
from superpose.service.work.runs import Awaits, Outcome, RunContext

__all__ = ["step"]


def step(job: Job, context: RunContext) -> Outcome:
    """Take a call one step on; what to do follows from the store alone.

    Raises:
        SuperposeError: what went wrong in the function's own code, or in the job of its circuit.
    """
    payload: Mapping[str, Any] = job.payload
    artifact = str(payload["artifact"])
    child = _child_of(job, context)
    if child is not None and JobStatus(child.status) not in FINAL:
        return Outcome({}, awaits=Awaits((), frozenset()))
    content = Content.from_bytes(context.artifacts.read(artifact))
    loaded = LoadedFunction(content)
    with _python(context.config) as python:
        if child is None:
            return _begun(job, loaded, artifact, python, context)
        return _ended(job, child, loaded, artifact, python, context)


def _begun(job: Job, loaded: LoadedFunction, artifact: str, python: PythonRunner, context: RunContext) -> Outcome:
    """Run ``pre``, unless the server has, and begin the circuit's job."""
    payload: Mapping[str, Any] = job.payload
    known = payload["prepared"]
    if known is None:
        asked = CallRequest(payload["input"], shots=payload["shots"], seed=payload["seed"])
        prepared = prepare(loaded, artifact, asked, python)
    else:
        prepared = Prepared(known["params"], 0, known["shots"], known["seed"], known["logs"])
    content = loaded.content
    program = Program(content.circuit, prepared.params, content.observables, prepared.shots, prepared.seed)
    child = NewJob(
        project=job.project,
        kind=JobKind.PROGRAM,
        payload={**program_to_json(program), "of_call": {"backend": content.backend, "logs": prepared.logs}},
        created_by=job.id,
        priority=job.priority,
        price=price_of_program(program, context.confinement.admitted(content.backend)),
    )
    context.on_event("progress", {"stage": f"circuit on {content.backend}", "fraction": 0.5})
    return Outcome({}, awaits=Awaits((child,), frozenset()))


def _ended(  # a call's parts
    job: Job, child: Job, loaded: LoadedFunction, artifact: str, python: PythonRunner, context: RunContext
) -> Outcome:
    """Run ``post`` on the result of the circuit's job."""
    if child.status is not JobStatus.SUCCEEDED:
        raise error_of(child)
    payload: Mapping[str, Any] = job.payload
    program: Mapping[str, Any] = child.payload
    result = result_from_json(dict(child.result or {}))
    prepared = Prepared(program.get("params", {}), 0, program.get("shots"), program.get("seed"))
    finished = finish(loaded, artifact, payload["input"], prepared, result, python)
    of_call: Any = program["of_call"]
    outcome = {
        "output": finished.output,
        "logs": str(of_call["logs"]) + finished.logs,
        "provenance": {**result.provenance, "job_id": child.id},
    }
    n_bytes = len(json_text(outcome))
    if n_bytes > context.config.max_result_bytes:
        raise PayloadTooLargeError(
            f"The output has {n_bytes:,} bytes as JSON; at most {context.config.max_result_bytes:,} are kept.",
            max_bytes=context.config.max_result_bytes,
        )
    context.on_event("progress", {"stage": f"circuit on {loaded.content.backend}", "fraction": 1.0})
    return Outcome(outcome)


def _child_of(job: Job, context: RunContext) -> Job | None:
    with context.database.read() as connection:
        row = connection.execute(select(jobs).where(jobs.c.parent_id == job.id)).mappings().first()
    return None if row is None else job_from_row(row)


@contextmanager
def _python(config: ServiceConfig) -> Iterator[PythonRunner]:
    """What runs the function's own code, for one step: no process of it is left when the step ends."""
    sandboxes = sandboxes_of(config)
    try:
        yield sandboxes
    finally:
        sandboxes.close()
