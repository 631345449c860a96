"""What functions' own Python printed in its last calls, in the store a moment after the call."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping

from sqlalchemy import delete, insert, select

from superpose.errors import StoreError
from superpose.service.nouns import Clock, iso
from superpose.service.store.database import Database
from superpose.service.store.tables import function_logs

__all__ = ["KEPT", "FunctionLogs"]

_log = logging.getLogger(__name__)

#: Calls of a function of which the store keeps what they printed; the sandbox bounds how much that is.
KEPT = 50
_PENDING = 1_000
_PAUSE_S = 0.5


class FunctionLogs:
    """Keeps what calls printed; a call does not wait for the store.

    Entries are written together, half a second after the first of them or when somebody asks; what a ``kill -9`` finds
    unwritten is lost, and where the store stays shut, so are all but the last thousand.

    Args:
        database: where they are kept.
        clock: what tells the time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._pending: deque[dict[str, object]] = deque(maxlen=_PENDING)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def add(self, function_id: str, version: int, logs: str, error: Mapping[str, object] | None) -> None:
        """Keep what a call printed, and the error that it raised."""
        row = {"function_id": function_id, "at": self._clock(), "version": version, "logs": logs, "error": error}
        with self._lock:
            self._pending.append(row)
            if self._timer is None:
                self._timer = threading.Timer(_PAUSE_S, self._write_quietly)
                self._timer.daemon = True
                self._timer.start()

    def latest(self, function_id: str) -> list[dict[str, object]]:
        """Those of a function's last calls, newest first.

        Raises:
            StoreError: the store cannot be written or read.
        """
        self.write()
        query = select(function_logs).where(function_logs.c.function_id == function_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(function_logs.c.number.desc()).limit(KEPT)).mappings().all()
        return [{**{name: row[name] for name in ("version", "logs", "error")}, "at": iso(row["at"])} for row in rows]

    def write(self) -> None:
        """Write what is pending, and remove what is too old.

        Raises:
            StoreError: the store cannot be written; nothing is lost yet.
        """
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if not self._pending:
                return
            rows = list(self._pending)
            with self._database.write() as connection:
                connection.execute(insert(function_logs), rows)
                for function_id in {row["function_id"] for row in rows}:
                    own = function_logs.c.function_id == function_id
                    kept = select(function_logs.c.number).where(own).order_by(function_logs.c.number.desc()).limit(KEPT)
                    connection.execute(delete(function_logs).where(own, function_logs.c.number.not_in(kept)))
            self._pending.clear()

    def close(self) -> None:
        """Write what is pending."""
        self._write_quietly()

    def _write_quietly(self) -> None:
        try:
            self.write()
        except StoreError as error:  # the next entry tries again
            _log.warning("logs of functions: %s", error.message)
