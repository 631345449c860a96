"""A thread that keeps a worker's lease alive and learns when the job is to stop."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from superpose.errors import LeaseLostError, StoreError
from superpose.service.statuses import JobStatus
from superpose.service.store.claims import Claim
from superpose.service.work.job_store_port import JobStorePort

__all__ = ["LeaseKeeper"]

_LOOK_S = 0.25

_log = logging.getLogger(__name__)


class LeaseKeeper:
    """Heartbeats for a claim while a ``with`` block runs.

    Args:
        store: the queue.
        claim: the attempt to keep.
        period_s: time between two heartbeats.

    Attributes:
        lost: the attempt is no longer the job's current one; the worker must write nothing more.
        cancelling: the user has cancelled the job.
    """

    def __init__(self, store: JobStorePort, claim: Claim, period_s: float) -> None:
        self.lost = False
        self.cancelling = False
        self._ending = False
        self._store = store
        self._claim = claim
        self._period_s = period_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="superpose-lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def expect_end(self) -> None:
        """The worker is about to end the attempt, after which the lease is rightly gone."""
        self._ending = True

    def saw(self, status: JobStatus) -> None:
        """Take note of a status that another write of the worker brought back."""
        self.cancelling = self.cancelling or status is JobStatus.CANCELLING

    def _run(self) -> None:
        beaten_at_s = time.monotonic()
        while not self._over.wait(min(_LOOK_S, self._period_s)):
            try:
                if time.monotonic() - beaten_at_s >= self._period_s:
                    beaten_at_s = time.monotonic()
                    self.saw(self._store.heartbeat(self._claim))
                else:
                    self.saw(self._store.status(self._claim))
            except LeaseLostError as error:
                if not self._ending:
                    _log.warning("%s", error.message)
                self.lost = True
                return
            except StoreError as error:  # a busy or full disk may recover before the lease ends
                _log.warning("heartbeat of %s: %s", self._claim.job.id, error.message)
