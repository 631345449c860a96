"""Log lines as JSON: one object per line, with the ids that lead from a request to its job and its worker."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from superpose.service.operations.trace_context import current_trace

__all__ = ["JsonLines"]


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
