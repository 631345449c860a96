"""A backend with a queue that keeps how long its programs wait, so that later estimates know it."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from superpose.backends.estimates.waiting import SeenWait, write_wait
from superpose.circuits import (
    Backend,
    Capabilities,
    Program,
    ProgramResult,
    QueueingBackend,
    ReportingBackend,
    RunStatus,
)

__all__ = ["WaitRecorder", "recording_waits"]

LONGEST_PAUSE_S = 30.0
_log = logging.getLogger(__name__)


class WaitRecorder:
    """Runs programs on a backend with a queue and appends each program's wait to a file of JSON lines.

    A wait ends when the backend says that the program runs, if it says that, else when its result is there. Of programs
    that another process handed over nothing is kept, for nobody here knows when that was. Where the file cannot be
    written, that is logged, and results are given all the same.

    Args:
        inner: The backend.
        path: The file, as `superpose.backends.estimates.read_waits` reads it; it is made when needed.
        now: Tells the time, aware.
        sleep: Pauses, in seconds.
    """

    def __init__(
        self,
        inner: QueueingBackend,
        path: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner, self._path, self._now, self._sleep = inner, path, now, sleep
        self._submitted: dict[str, datetime] = {}
        self._started: dict[str, datetime] = {}

    @property
    def name(self) -> str:
        """That of the backend."""
        return self._inner.name

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend."""
        return (self._inner,)

    def capabilities(self) -> Capabilities:
        """Those of the backend."""
        return self._inner.capabilities()

    def submit(self, program: Program, token: str) -> str:
        """Hand a program over; see `QueueingBackend`."""
        at = self._now()
        provider_job_id = self._inner.submit(program, token)
        self._submitted.setdefault(provider_job_id, at)
        return provider_job_id

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        """Return the result, None while there is none; see `QueueingBackend`."""
        found = self._inner.fetch(provider_job_id)
        if found is None:
            self._note_start(provider_job_id)
            return None
        at = self._submitted.pop(provider_job_id, None)
        if at is not None:
            ended = self._started.pop(provider_job_id, None) or self._now()
            wait_s = max(0.0, (ended - at).total_seconds())
            try:
                write_wait(self._path, SeenWait(backend=self.name, at=at, wait_s=wait_s))
            except OSError as error:  # the result may have cost hours and money
                told = "The wait cannot be written to %s: %s. The result is given all the same."
                _log.warning(told, self._path, error.strerror)
        return found

    def run(self, program: Program) -> ProgramResult:
        """Hand ``program`` over and wait for its result, asking ever less often, every 30 s at last.

        Raises:
            ProviderError: From the backend.
        """
        provider_job_id, pause_s = self.submit(program, secrets.token_hex(16)), 0.05
        while (found := self.fetch(provider_job_id)) is None:
            self._sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)
        return found

    def _note_start(self, provider_job_id: str) -> None:
        inner = self._inner
        if provider_job_id in self._started or not isinstance(inner, ReportingBackend):
            return
        if inner.status(provider_job_id) is RunStatus.RUNNING:
            self._started[provider_job_id] = self._now()


def recording_waits(backend: Backend, path: Path) -> Backend:
    """Return a backend that keeps its programs' waits in a file; one without a queue as it is.

    Examples:
        >>> from superpose.backends import LocalBackend
        >>> recording_waits(LocalBackend(), Path("waits.jsonl")).name
        'local'
    """
    return WaitRecorder(backend, path) if isinstance(backend, QueueingBackend) else backend
