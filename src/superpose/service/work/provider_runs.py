"""What backends with queues hold of a job's programs: written down when handed over, called off when it ends early.

A program goes to such a backend under a token of its own, and the backend takes each token once; so whatever a crash
loses of what is written here, nothing runs twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from superpose.errors import ProviderError, StoreError, SuperposeError
from superpose.service.statuses import FINAL
from superpose.service.store.claims import Claim
from superpose.service.store.database import Database
from superpose.service.store.job_store import JobStore
from superpose.service.store.tables import jobs, provider_runs
from superpose.service.traces import trace_of

__all__ = ["CallingOff", "ProviderRun", "ProviderRuns"]

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MAX_TRIES = 20


@dataclass(frozen=True)
class ProviderRun:
    """A program that was, or is to be, handed over.

    Attributes:
        provider_job_id: what the backend calls it; None before it took it.
        n_tries: how often handing it over or asking for its result has failed.
    """

    provider_job_id: str | None
    n_tries: int


class ProviderRuns:
    """Those of one attempt's job; each write is refused once the job has gone on without it.

    Args:
        store: the queue, for the fence.
        claim: the attempt.
        backend: name of the backend that holds them.
    """

    def __init__(self, store: JobStore, claim: Claim, backend: str = "local") -> None:
        self._store, self._claim, self._backend = store, claim, backend

    def at(self, backend: str) -> ProviderRuns:
        """Those that a backend holds, by the name that jobs have for it."""
        return ProviderRuns(self._store, self._claim, backend)

    def known(self) -> dict[str, ProviderRun]:
        """What is written down, by token."""
        query = select(provider_runs).where(provider_runs.c.job_id == self._claim.job.id)
        with self._store.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return {row["token"]: ProviderRun(row["provider_job_id"], row["n_tries"]) for row in rows}

    def write(self, token: str, run: ProviderRun) -> None:
        """Write one down.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        row = {"backend": self._backend, "provider_job_id": run.provider_job_id, "n_tries": run.n_tries}
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            connection.execute(
                insert(provider_runs)
                .values(job_id=job.id, token=token, **row)
                .on_conflict_do_update(index_elements=["job_id", "token"], set_=row)
            )

    def forget(self, tokens: Iterable[str]) -> None:
        """Take out those whose end is known.

        Raises:
            LeaseLostError: the attempt is no longer the job's current one.
        """
        with self._store.database.write() as connection:
            job = self._store.held(connection, self._claim)
            connection.execute(
                delete(provider_runs).where(provider_runs.c.job_id == job.id, provider_runs.c.token.in_([*tokens]))
            )


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
