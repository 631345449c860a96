"""The access log off the hot path: lines gather in memory and a thread writes them, ten times a second.

A killed server loses the lines of its last tenth of a second; what must not be lost stands in the store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["ACCESS_LOGGER", "log_access", "time_text", "writing_access_lines"]

ACCESS_LOGGER: Final = "superpose.access"

_PERIOD_S: Final = 0.1
_logger = logging.getLogger(ACCESS_LOGGER)
_waiting: deque[str] = deque()
_writers = 0
_changing = threading.Lock()
_second: tuple[int, str] = (0, "")


def log_access(line: str) -> None:
    """Log a line, now or, where a server writes such lines, within a tenth of a second."""
    if _writers:
        _waiting.append(line)
    else:
        _logger.info(line)


@contextmanager
def writing_access_lines() -> Iterator[None]:
    """Gather lines and write them in a thread until the block ends; then those that are left."""
    global _writers
    ending = threading.Event()
    with _changing:
        _writers += 1
    thread = threading.Thread(target=_write_until, args=(ending,), name="superpose-access-log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        with _changing:
            _writers -= 1
        _write_waiting()


def _write_until(ending: threading.Event) -> None:
    while not ending.wait(_PERIOD_S):
        _write_waiting()
    _write_waiting()


def _write_waiting() -> None:
    """Write all lines that wait as one record, so that the file is touched once."""
    with _changing:  # one at a time, so that lines keep their order
        lines = []
        while _waiting:
            lines.append(_waiting.popleft())
        if lines:
            _logger.info("\n".join(lines))


def time_text() -> str:
    """The time in ISO 8601 with milliseconds and a ``Z``."""
    global _second
    now_s = time.time()
    whole = int(now_s)
    second, text = _second
    if second != whole:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        _second = (whole, text)
    return f"{text}.{int((now_s - whole) * 1000):03d}Z"
