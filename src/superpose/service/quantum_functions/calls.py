"""Calls of functions: answered at once where they are short, by a durable job where not or where asked for."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from superpose.errors import NotFoundError, OverloadedError, PayloadTooLargeError, SuperposeError
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Job, JobKind, Principal, Role, utc_now
from superpose.service.people.residency import Residencies
from superpose.service.quantum_functions.failures import error_of
from superpose.service.quantum_functions.function import CallAnswer, FunctionVersion
from superpose.service.quantum_functions.functions import QuantumFunctions
from superpose.service.quantum_functions.loaded import LoadedFunction, LoadedFunctions
from superpose.service.quantum_functions.logs import FunctionLogs
from superpose.service.quantum_functions.steps import CallRequest, Prepared, PythonRunner, finish, prepare
from superpose.service.statuses import FINAL, JobStatus
from superpose.service.store.claims import NewJob
from superpose.service.store.database import json_text
from superpose.service.store.job_store import JobStore

__all__ = ["Calls", "PythonPool"]

DIRECT_COST = 2.0**27
"""Amplitudes that a call answered in the server may touch; some tenths of a second. Longer ones become jobs."""

_LOOK_S = 0.01
_LOOK_MAX_S = 0.5

T = TypeVar("T")


class PythonPool(PythonRunner, Protocol):
    """Processes that run users' Python, started when needed."""

    def reap(self) -> int:
        """End those that are idle; how many are left."""
        ...

    def close(self) -> None:
        """End all."""
        ...


@dataclass(frozen=True)
class _Ready:
    """A function that is loaded, for one call."""

    name: str
    version: FunctionVersion
    loaded: LoadedFunction
    cold: bool


class Calls:
    """Calls quantum functions.

    Args:
        functions: the registry.
        store: the queue, for calls that take long.
        residencies: where projects' circuits may go.
        python: what runs users' Python.
        config: limits.
    """

    def __init__(
        self,
        functions: QuantumFunctions,
        store: JobStore,
        residencies: Residencies,
        python: PythonPool,
        config: ServiceConfig,
    ) -> None:
        self._functions = functions
        self._store = store
        self._residencies = residencies
        self._python = python
        self._config = config
        self._loaded = LoadedFunctions(config)
        n_threads = config.predict_threads or os.cpu_count() or 1
        self._circuits = ThreadPoolExecutor(n_threads, thread_name_prefix="superpose-call")
        self._pythons = ThreadPoolExecutor(config.sandbox_processes, thread_name_prefix="superpose-python")
        self._waiting = threading.Semaphore(config.max_concurrency)
        self._python_waiting = threading.Semaphore(16 * config.sandbox_processes)
        self._logs = FunctionLogs(store.database, utc_now)
        self._timer: asyncio.TimerHandle | None = None

    async def call(
        self, principal: Principal, name: str, asked: CallRequest, *, wait_s: float, idempotency_key: str | None = None
    ) -> CallAnswer:
        """Call a function; after ``wait_s`` the answer names the job that goes on with it.

        Args:
            principal: the caller; any role.
            name: the function.
            asked: input and options.
            wait_s: how long to wait for a job; 0 makes a job in any case and does not wait.
            idempotency_key: one job per key, where a job is made.

        Raises:
            NotFoundError: there is no such function or version in the caller's project.
            FunctionInputError: the input does not fit.
            ResidencyError: the project's rules do not allow the function's backend.
            OverloadedError: too many calls are under way.
            SuperposeError: what went wrong in the function, in the call or in the job that ran it.
        """
        principal.require(Role.PREDICTOR)
        began_s = time.perf_counter()
        self._reap_later()
        with _place(self._waiting):
            ready = await _in(self._circuits, self._make_ready, principal, name, asked)
            prepared = None
            if wait_s > 0 and ready.loaded.content.backend == "local":
                answer, prepared = await self._answered(ready, asked)
                if answer is not None:
                    return replace(answer, elapsed_ms=1000 * (time.perf_counter() - began_s))
            if idempotency_key is not None:  # two calls under one key must make the same job, whatever pre did
                prepared = None
            job = await asyncio.to_thread(self._submit, principal, ready, asked, prepared, idempotency_key)
        if wait_s > 0:
            job = await self._wait(job, wait_s)
            if job.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
                raise error_of(job)
        return _answer_of(job)

    def get(self, principal: Principal, name: str, job_id: str) -> CallAnswer:
        """How far the job of a call is, with its output once it has ended.

        Raises:
            NotFoundError: there is no such call of this function in the caller's project.
        """
        principal.require(Role.PREDICTOR)
        job = self._store.get(job_id, project=principal.project)
        if job.kind is not JobKind.CALL or job.payload["function"] != name:
            raise NotFoundError(f"There is no call {job_id!r} of function {name!r}.", kind="call", id=job_id)
        return _answer_of(job)

    def logs(self, principal: Principal, name: str) -> list[dict[str, object]]:
        """What a function's own Python printed in its last calls, and the errors that it raised, newest first.

        The last 50 calls that this server answered at once; those that became jobs have theirs in their results.

        Raises:
            NotFoundError: there is no such function in the caller's project.
        """
        principal.require(Role.VIEWER)
        found = self._functions.get(principal, name)
        return self._logs.latest(found.id)

    @property
    def n_loaded(self) -> int:
        """Functions in memory."""
        return len(self._loaded)

    def unload(self) -> None:
        """Let go of everything that is loaded, as idle time would: the next call of each function is a cold one."""
        self._loaded.clear()

    def close(self) -> None:
        """Wait for calls under way, and let go of everything."""
        self._circuits.shutdown(wait=True)
        self._pythons.shutdown(wait=True)
        self._python.close()
        self._logs.close()
        self._loaded.clear()

    def _make_ready(self, principal: Principal, name: str, asked: CallRequest) -> _Ready:
        version = self._functions.version(principal, name, asked.version)
        artifact = version.artifact
        loaded, cold = self._loaded.get(artifact, lambda: self._functions.content(artifact))
        loaded.check_input(asked.input)
        return _Ready(name, version, loaded, cold)

    async def _answered(self, ready: _Ready, asked: CallRequest) -> tuple[CallAnswer | None, Prepared | None]:
        """The answer, if the call is short; else what the job is to go on with."""
        if not ready.loaded.content.has_python:
            return await _in(self._circuits, self._answer, ready, asked)
        with _place(self._python_waiting):
            return await _in(self._pythons, self._answer, ready, asked)

    def _answer(self, ready: _Ready, asked: CallRequest) -> tuple[CallAnswer | None, Prepared | None]:
        loaded, artifact = ready.loaded, ready.version.artifact
        logs: list[str] = []
        try:
            prepared = prepare(loaded, artifact, asked, self._python)
            logs.append(prepared.logs)
            if loaded.cost(prepared.batch, prepared.shots) > DIRECT_COST:
                return None, prepared
            result = loaded.run(prepared.params, prepared.shots, prepared.seed)
            finished = finish(loaded, artifact, asked.input, prepared, result, self._python)
            logs.append(finished.logs)
        except SuperposeError as error:
            self._log(ready, "".join(logs) + str(error.details.pop("logs", "")), error)
            raise
        self._log(ready, "".join(logs), None)
        answer = CallAnswer(
            ready.name,
            ready.version.number,
            "succeeded",
            output=finished.output,
            logs="".join(logs),
            cold=ready.cold or prepared.cold or finished.cold,
            provenance=result.provenance,
        )
        return answer, None

    def _log(self, ready: _Ready, logs: str, error: SuperposeError | None) -> None:
        if not logs and error is None:
            return
        told = None if error is None else {"code": error.code, "message": error.message}
        self._logs.add(ready.version.function_id, ready.version.number, logs, told)

    def _submit(
        self, principal: Principal, ready: _Ready, asked: CallRequest, prepared: Prepared | None, key: str | None
    ) -> Job:
        backend = ready.loaded.content.backend
        if backend != "local":
            self._residencies.confinement(principal.project).admitted(backend)
        payload = {
            "function": ready.name,
            "function_id": ready.version.function_id,
            "version": ready.version.number,
            "artifact": ready.version.artifact,
            "input": asked.input,
            "shots": asked.shots,
            "seed": asked.seed,
            "prepared": None if prepared is None else prepared.to_json(),
        }
        n_bytes = len(json_text(payload))
        if n_bytes > self._config.max_result_bytes:
            raise PayloadTooLargeError(
                f"The call has {n_bytes:,} bytes as a job; at most {self._config.max_result_bytes:,} are accepted.",
                max_bytes=self._config.max_result_bytes,
            )
        new = NewJob(
            project=principal.project,
            kind=JobKind.CALL,
            payload=payload,
            created_by=principal.key_id,
            priority=0,
            idempotency_key=key,
        )
        return self._store.submit(new)

    async def _wait(self, job: Job, wait_s: float) -> Job:
        until, pause = time.monotonic() + wait_s, _LOOK_S
        while job.status not in FINAL and time.monotonic() < until:
            await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(_LOOK_MAX_S, pause * 1.5)
            job = await asyncio.to_thread(self._store.get, job.id)
        return job

    def _reap_later(self) -> None:
        """Have the running event loop let go of what is idle, until nothing is left."""
        loop = asyncio.get_running_loop()
        period_s = max(0.05, min(self._config.idle_unload_s, self._config.sandbox_idle_s) / 4)
        if self._timer is None or self._timer.cancelled() or self._timer.when() < loop.time() - 1.0:
            self._timer = loop.call_later(period_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._loaded.unload_idle()
        if self._python.reap() or len(self._loaded):
            self._reap_later()


class _place:  # reads as a statement
    """A place among so many calls, or the word that there is none."""

    def __init__(self, places: threading.Semaphore) -> None:
        self._places = places

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            raise OverloadedError(
                "As many calls are under way as this service takes at once. Call again in a second, or with wait_s=0 "
                "for a job.",
                retry_after_s=1.0,
            )

    def __exit__(self, *_: object) -> None:
        self._places.release()


async def _in(executor: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work, *arguments)


def _answer_of(job: Job) -> CallAnswer:
    payload: Mapping[str, Any] = job.payload
    result: Mapping[str, Any] = job.result or {}
    return CallAnswer(
        str(payload["function"]),
        int(payload["version"]),
        str(job.status),
        output=result.get("output"),
        job_id=job.id,
        error=job.error,
        logs=str(result.get("logs", "")),
        provenance=result.get("provenance", {}),
    )
