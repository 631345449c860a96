"""What providers still hold of jobs that have ended: programs are called off, sessions closed."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Any

from sqlalchemy import RowMapping, Select, delete, select

from superpose.errors import ProviderError, StoreError, SuperposeError
from superpose.service.statuses import FINAL
from superpose.service.store.database import Database
from superpose.service.store.tables import jobs, provider_loops, provider_runs
from superpose.service.traces import trace_of

__all__ = ["CallingOff"]

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MAX_TRIES = 20


class CallingOff:
    """Has backends call off what they hold of jobs that have ended, such as by being cancelled, in a thread.

    Every worker process has one, so that a cancelled run leaves the provider's queue though all workers are busy. What
    fails for a time is tried again after a pause; what cannot be called off is let go.

    Args:
        database: where jobs and runs are.
        look_s: time between two looks.
    """

    def __init__(self, database: Database, look_s: float = _LOOK_S) -> None:
        self._database = database
        self._look_s = look_s
        self._resting: dict[tuple[str, str], tuple[int, float]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="superpose-calling-off", daemon=True)

    def __enter__(self) -> CallingOff:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(self._look_s)  # a provider that does not answer holds nobody up

    def _run(self) -> None:
        while not self._over.wait(self._look_s):
            try:
                self.look()
            except (StoreError, OSError) as error:
                _log.warning("looking for runs to call off: %s", error)

    def look(self) -> None:
        """Call off what is to be called off now."""
        ended = (
            select(provider_runs)
            .join(jobs, jobs.c.id == provider_runs.c.job_id)
            .where(jobs.c.status.in_([*map(str, FINAL)]))
        )
        with self._database.read() as connection:
            rows = connection.execute(ended).mappings().all()
            loops = connection.execute(_ended_loops()).mappings().all()
        for row in rows:
            key = (row["job_id"], row["token"])
            n_tries, again_at_s = self._resting.get(key, (0, 0.0))
            if self._over.is_set():
                return
            if time.monotonic() < again_at_s:
                continue
            if n_tries + 1 < _MAX_TRIES and not _called_off(row["backend"], row["provider_job_id"], row["job_id"]):
                pause_s = min(_LONGEST_PAUSE_S, 2.0**n_tries)
                self._resting[key] = (n_tries + 1, time.monotonic() + pause_s)
                continue
            self._resting.pop(key, None)
            if self._over.is_set():  # the store may be closed by now; whoever looks next does this again
                return
            with self._database.write() as connection:
                one = (provider_runs.c.job_id == row["job_id"]) & (provider_runs.c.token == row["token"])
                connection.execute(delete(provider_runs).where(one))
        for row in loops:
            self._end_loop(row)

    def _end_loop(self, row: RowMapping) -> None:
        """Close the session of a loop whose job has ended, and take it out."""
        key = (row["job_id"], "")
        n_tries, again_at_s = self._resting.get(key, (0, 0.0))
        if self._over.is_set() or time.monotonic() < again_at_s:
            return
        if n_tries + 1 < _MAX_TRIES and not _closed(row["backend"], row["session_id"], row["job_id"]):
            self._resting[key] = (n_tries + 1, time.monotonic() + min(_LONGEST_PAUSE_S, 2.0**n_tries))
            return
        self._resting.pop(key, None)
        if not self._over.is_set():
            with self._database.write() as connection:
                connection.execute(delete(provider_loops).where(provider_loops.c.job_id == row["job_id"]))


def _ended_loops() -> Select[Any]:
    """Loops of jobs that have ended, of whose programs none is left to be called off."""
    left = select(provider_runs.c.token).where(provider_runs.c.job_id == provider_loops.c.job_id)
    ended = jobs.c.status.in_([*map(str, FINAL)])
    return select(provider_loops).join(jobs, jobs.c.id == provider_loops.c.job_id).where(ended, ~left.exists())


def _closed(backend_name: str, session_id: str | None, job_id: str) -> bool:
    """Have a session closed; False where that is worth another try."""
    from superpose.circuits import SessionBackend
    from superpose.facade import resolve_backend

    if session_id is None:
        return True
    try:
        backend = resolve_backend(backend_name)
        if isinstance(backend, SessionBackend):
            backend.in_session(session_id).close()
            _log.info("job %s: session %s at %s is closed", job_id, session_id, backend_name)
    except ProviderError as error:
        _log.warning("job %s: session %s at %s is not closed: %s", job_id, session_id, backend_name, error.message)
        return not error.retryable
    except Exception as error:  # of a package that we do not know
        _log.warning("job %s: session %s at %s is not closed: %s", job_id, session_id, backend_name, trace_of(error))
    return True


def _called_off(backend_name: str, provider_job_id: str | None, job_id: str) -> bool:
    """Have a run called off; False where that is worth another try."""
    from superpose.circuits import CancellingBackend
    from superpose.facade import resolve_backend

    if provider_job_id is None:
        return True
    try:
        backend = resolve_backend(backend_name)
        if isinstance(backend, CancellingBackend):
            backend.cancel(provider_job_id)
            _log.info("job %s: %s was asked to call %s off", job_id, backend_name, provider_job_id)
        else:
            _log.info("job %s: %s calls nothing off, so %s may still run", job_id, backend_name, provider_job_id)
    except ProviderError as error:
        _log.warning("job %s: %s could not call %s off: %s", job_id, backend_name, provider_job_id, error.message)
        return not error.retryable
    except SuperposeError as error:
        _log.warning("job %s: %s could not call %s off: %s", job_id, backend_name, provider_job_id, error.message)
    except Exception as error:  # of a package that we do not know
        _log.warning("job %s: %s could not call %s off: %s", job_id, backend_name, provider_job_id, trace_of(error))
    return True
