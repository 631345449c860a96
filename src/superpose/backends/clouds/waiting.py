"""A program handed over and waited for, in one call."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from superpose.circuits import Program, ProgramResult, ReportingBackend
from superpose.errors import ProviderError

__all__ = ["Patience"]

_GROWTH: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How a result is waited for.

    Attributes:
        first_pause_s: Before the second question, in seconds; later pauses grow by a half each.
        max_pause_s: Longest pause, in seconds.
        max_failures: How many questions in a row may fail, each with its own tries, before the error goes on. The run
            itself is not touched: it can be fetched later by the id that the error holds.
        sleep: What waits so many seconds.
    """

    first_pause_s: float = 0.25
    max_pause_s: float = 15.0
    max_failures: int = 20
    sleep: Callable[[float], None] = time.sleep

    def run(self, backend: ReportingBackend, program: Program) -> ProgramResult:
        """Hand ``program`` over and return its result.

        Raises:
            ProviderError: It was not taken, has failed, was called off, or cannot be asked about any more.
        """
        return self.result(backend, backend.submit(program, secrets.token_hex(16)))

    def result(self, backend: ReportingBackend, provider_job_id: str) -> ProgramResult:
        """Return the result of a run, when it is there.

        Raises:
            ProviderError: See `run`.
        """
        pause_s, n_failures = self.first_pause_s, 0
        while True:
            try:
                ended = backend.status(provider_job_id).is_final
                n_failures = 0
            except ProviderError as error:  # of the question, not of the run
                n_failures += 1
                if not error.retryable or n_failures > self.max_failures:
                    raise
                ended = False
            if ended:
                found = backend.fetch(provider_job_id)
                if found is not None:
                    return found
            self.sleep(pause_s)
            pause_s = min(self.max_pause_s, pause_s * _GROWTH)
