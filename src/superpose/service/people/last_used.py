"""When each key was last used: coarse, and written beside the requests, never by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import update

from superpose.errors import StoreError
from superpose.service.nouns import Clock
from superpose.service.store.database import Database
from superpose.service.store.tables import keys

__all__ = ["LastUsed"]


class LastUsed:
    """Collects the keys in use and writes their times together, in a thread, at most once in ``coarse_s``.

    A crash loses at most the last ``coarse_s``.

    Args:
        database: where the keys are.
        clock: what tells the time.
        coarse_s: how exact the times are; a key is written at most this often.
        now_s: what measures pauses.
    """

    def __init__(
        self, database: Database, clock: Clock, *, coarse_s: float, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._coarse_s = coarse_s
        self._now_s = now_s
        self._noted: set[str] = set()
        self._next_at_s = 0.0
        self._turn = threading.Lock()
        self._writing: threading.Thread | None = None

    def note(self, key_id: str) -> None:
        """A key was used. Costs a set's lookup; every ``coarse_s`` one call starts a thread that writes."""
        self._noted.add(key_id)
        if self._now_s() < self._next_at_s:
            return
        with self._turn:
            if self._now_s() < self._next_at_s:
                return
            self._next_at_s = self._now_s() + self._coarse_s
            self._writing = threading.Thread(target=self._write, name="superpose-last-used", daemon=True)
            self._writing.start()

    def flush(self) -> None:
        """Write what was collected, and wait until it is written."""
        writing = self._writing
        if writing is not None:
            writing.join()
        self._write()

    def _write(self) -> None:
        noted, self._noted = self._noted, set()
        if not noted:
            return
        try:
            with self._database.write() as connection:
                connection.execute(update(keys).where(keys.c.id.in_(noted)).values(last_used_at=self._clock()))
        except StoreError:  # a busy or full store: told elsewhere; the time is written the next time round
            self._noted |= noted
