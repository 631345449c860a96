"""Log lines as JSON: one object per line, with the ids that lead from a request to its job and its worker."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from superpose.service.operations.trace_context import current_trace

__all__ = ["JsonLines", "LogFile"]


def _none() -> Mapping[str, object]:
    return {}


class JsonLines(logging.Formatter):
    """Formats records as JSON: ``at``, ``level``, ``logger``, ``message`` and, where there is one, ``trace_id``.

    Args:
        facts: further members of every line, asked for as it is written; None values are left out.
    """

    def __init__(self, facts: Callable[[], Mapping[str, object]] = _none) -> None:
        super().__init__()
        self._facts = facts

    def format(self, record: logging.LogRecord) -> str:
        """The line. Tracebacks are left out: they may hold somebody's data."""
        place = current_trace.get()
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "trace_id": None if place is None else place.trace_id,
        }
        line.update({name: value for name, value in self._facts().items() if value is not None})
        return json.dumps({name: value for name, value in line.items() if value is not None}, default=str)


class LogFile(logging.handlers.RotatingFileHandler):
    """A log file that rotates. That the disk does not take its lines is told once, in a line on stderr, until it does
    again; it neither prints a traceback for each of them nor keeps the server from ending. Some of them may be lost.
    """

    _is_failing = False
    _has_failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, if the disk takes it."""
        self._has_failed = False
        super().emit(record)
        self._is_failing = self._has_failed

    def handleError(self, record: logging.LogRecord) -> None:
        """Tell what is wrong with the disk, once; of other errors what logging tells."""
        self._has_failed = True
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._is_failing:
            told = f"The log {self.baseFilename} cannot be written: {error.strerror}."
            with contextlib.suppress(OSError):  # stderr may lie on the same disk
                print(f"{told} Requests are answered all the same.", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Close the file, without the lines that the disk does not take."""
        with contextlib.suppress(OSError):
            super().close()
