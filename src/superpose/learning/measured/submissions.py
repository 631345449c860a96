"""Programs of a training run on their way to a backend: each once, whatever dies, under a token of run, step and try.

A result that has arrived is kept in the run's directory until a checkpoint holds what was made of it, so that a run
which was killed in between asks nobody for it again. A backend with a queue is handed each program under a token, which
it runs once; a run that ends in an error is handed over again, under the token of the next try.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import Backend, Program, ProgramResult, QueueingBackend
from superpose.errors import CheckpointError, ProviderError
from superpose.learning.canonical import digest_json
from superpose.learning.checkpoint import Stopped, read_sealed_json, write_sealed_json

__all__ = ["Answer", "Journal", "RunWatch", "Submissions"]

T = TypeVar("T")

_LONGEST_PAUSE_S = 30.0
_MAX_RUNS = 3
"""How often a program is handed over whose runs end in errors."""
_MAX_CALLS = 8
"""How often a call is made that fails for a time."""


@dataclass(frozen=True)
class RunWatch:
    """What a training run does while it waits.

    Attributes:
        should_stop: asked between two questions for a result; yes raises `Stopped`, and the run can be gone on with.
        on_submit: called before a program is handed over; may raise to prevent it.
        on_queued: called with the provider's id of a program whose result is not there yet, before a pause. It may
            raise, so that nobody waits in this process; the same call of training goes on later, with the same program.
        on_retry: called with what failed, before it is tried again.
        sleep: pauses, in seconds.
    """

    should_stop: Callable[[], bool] = lambda: False
    on_submit: Callable[[], None] = lambda: None
    on_queued: Callable[[str], None] = lambda provider_job_id: None
    on_retry: Callable[[str], None] = lambda message: None
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, eq=False)
class Answer:
    """A program's result as training needs it.

    Attributes:
        expectations: float64 ``(batch, n_observables)``.
        n_shots: shots of all circuits that were measured.
        n_circuits: circuits that were measured.
        cost_usd: what the backend says that it did cost; None where it does not.
    """

    expectations: NDArray[np.float64]
    n_shots: int
    n_circuits: int
    cost_usd: float | None


class Journal:
    """What is known of a run's programs that no checkpoint holds yet.

    Without a directory, nothing of it outlives the process.

    Args:
        directory: the run's own, beside its checkpoint.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self.run_id = secrets.token_hex(16)
        if directory is None:
            return
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "run.json"
        known = read_sealed_json(path)
        if known is None:
            write_sealed_json(path, {"run_id": self.run_id})
        else:
            self.run_id = str(known["run_id"])

    def answer(self, key: str) -> Answer | None:
        """What a program gave; None where that is not known, or its file is damaged."""
        if self._directory is None:
            return None
        try:
            found = read_sealed_json(self._directory / f"{key}.answer.json")
        except CheckpointError:  # the backend is asked under the same token
            return None
        if found is None:
            return None
        return Answer(np.array(found["expectations"]), found["n_shots"], found["n_circuits"], found["cost_usd"])

    def keep(self, key: str, answer: Answer) -> None:
        """Write down what a program gave."""
        if self._directory is not None:
            values = {**vars(answer), "expectations": answer.expectations.tolist()}  # floats come back exactly
            write_sealed_json(self._directory / f"{key}.answer.json", values)

    def n_failed(self, key: str) -> int:
        """How many runs of a program have ended in errors."""
        found = None if self._directory is None else read_sealed_json(self._directory / f"{key}.tries.json")
        return 0 if found is None else int(found["n_failed"])

    def failed(self, key: str, n_failed: int) -> None:
        """Write that down."""
        if self._directory is not None:
            write_sealed_json(self._directory / f"{key}.tries.json", {"n_failed": n_failed})

    def clear(self) -> None:
        """Forget all programs: a checkpoint holds what was made of them."""
        if self._directory is not None:
            for pattern in ("*.answer.json", "*.tries.json"):
                for path in self._directory.glob(pattern):
                    path.unlink(missing_ok=True)


class Submissions:
    """The programs of one training run.

    Args:
        backend: where they go.
        journal: what outlives the process.

    Attributes:
        n_round_trips: programs that this process has handed over.
    """

    def __init__(self, backend: Backend, journal: Journal) -> None:
        self.backend, self.journal = backend, journal
        self.watch = RunWatch()
        self.n_round_trips = 0

    def answer(self, label: str, program: Program) -> Answer:
        """What a program gives, waited for.

        Args:
            label: place in the run, such as "step-17"; equal ones have equal programs.
            program: with observables.

        Raises:
            ProviderError: the backend has failed for good; the same call of training goes on from here.
            Stopped: on request.
        """
        # Of the program too, so that a token never stands for two programs.
        key = hashlib.sha256(f"{self.journal.run_id}/{label}/{program.digest}".encode()).hexdigest()[:32]
        kept = self.journal.answer(key)
        if kept is not None:
            return kept
        found = self._read(self._run(key, program), program)
        self.journal.keep(key, found)
        return found

    def _run(self, key: str, program: Program) -> ProgramResult:
        """The result of a program, handed over again where a run of it ends in an error."""
        n_failed = self.journal.n_failed(key)
        while True:
            token = digest_json([key, n_failed])[:32]
            self.watch.on_submit()
            try:
                if isinstance(self.backend, QueueingBackend):
                    provider_job_id = self._called(lambda token=token: self.backend.submit(program, token))  # type: ignore[misc]  # bound now
                    self.n_round_trips += 1
                    return self._fetched(provider_job_id)
                self.n_round_trips += 1
                return self._called(lambda: self.backend.run(program))
            except _RunFailedError as failure:
                n_failed += 1
                self.journal.failed(key, n_failed)
                if n_failed % _MAX_RUNS == 0:  # one who calls again may try as often again
                    raise failure.error from None
                self.watch.on_retry(failure.error.message)

    def _fetched(self, provider_job_id: str) -> ProgramResult:
        backend, n_asked = self.backend, 0
        if not isinstance(backend, QueueingBackend):
            raise TypeError(f"{backend.name} has no queue")
        while True:
            try:
                found = self._called(lambda: backend.fetch(provider_job_id))
            except ProviderError as error:
                raise (error if error.retryable else _RunFailedError(error)) from error
            if found is not None:
                return found
            self.watch.on_queued(provider_job_id)
            self._pause(n_asked)
            n_asked += 1

    def _called(self, call: Callable[[], T]) -> T:
        """A call, made again while it fails for a time."""
        for n_failed in range(_MAX_CALLS):
            try:
                return call()
            except ProviderError as error:
                if not error.retryable or n_failed + 1 == _MAX_CALLS:
                    raise
                self.watch.on_retry(error.message)
                self._pause(n_failed, error.retry_after_s)
        raise AssertionError("unreachable")  # pragma: no cover

    def _pause(self, n_before: int, asked_s: float | None = None) -> None:
        if self.watch.should_stop():
            raise Stopped(f"stopped on request while {self.backend.name} was asked")
        grown_s = 0.05 * 1.5 ** min(n_before, 40)
        self.watch.sleep(min(_LONGEST_PAUSE_S, grown_s if asked_s is None else max(asked_s, grown_s)))

    def _read(self, result: ProgramResult, program: Program) -> Answer:
        found, shape = result.expectations, (program.batch, len(program.observables))
        if found is None or found.shape != shape or not np.isfinite(found).all():
            raise ProviderError(
                f"{self.backend.name} gave no finite expectations of shape {shape}; nothing of it is used.",
                provider=self.backend.name,
                provider_job_id=None,
                retryable=False,
            )
        told = result.provenance.get("cost_usd")
        bases = result.provenance.get("measured_bases")
        n_circuits = program.batch * (len(bases) if isinstance(bases, list | tuple) and bases else 1)
        return Answer(
            expectations=np.array(found, dtype=np.float64),
            n_shots=(program.shots or 0) * n_circuits,
            n_circuits=n_circuits,
            cost_usd=float(told) if isinstance(told, int | float) else None,
        )


class _RunFailedError(Exception):
    """A run has ended in an error, which another one may not."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(error.message)
        self.error = error
