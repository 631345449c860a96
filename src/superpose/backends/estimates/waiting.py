"""How long a run will wait: from waits that were seen, else from the queue that the provider states.

Waits at clouds spread over orders of magnitude. With 20 or more seen, the estimate is their median as it was; with 3
to 19, the median of a log-normal distribution fitted to them (the exponential of the mean logarithm); with fewer, what
the provider states: runs ahead times the seconds of one. Without either it stays unknown.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import NormalDist, fmean, stdev

from superpose.circuits import QueueState
from superpose.errors import EstimateInputError

__all__ = ["ENOUGH", "FEW", "SeenWait", "WaitEstimate", "estimate_wait", "read_waits", "write_wait"]

ENOUGH, FEW = 20, 3
SHORTEST_S = 0.1
"""Shorter waits count as this, for logarithms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenWait:
    """A wait that was seen.

    Attributes:
        backend: Where.
        at: When the run was handed over, aware.
        wait_s: Until it began, in seconds.
    """

    backend: str
    at: datetime
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitEstimate:
    """How long a run will wait.

    Attributes:
        median_s: As likely longer as shorter.
        p90_s: Longer one time in ten; None where only the provider's word is known.
        model: "quantiles", "log-normal" or "stated queue".
        n_seen: Waits that it rests on.
    """

    median_s: float
    p90_s: float | None
    model: str
    n_seen: int


def estimate_wait(
    waits: Iterable[SeenWait],
    queue: QueueState | None = None,
    *,
    now: datetime | None = None,
    within: timedelta = timedelta(days=14),
    run_s: float | None = None,
) -> WaitEstimate | None:
    """Return how long a run will wait, or None where nothing is known.

    Args:
        waits: Seen at this backend.
        queue: What its provider states.
        now: The present, aware; waits older than ``within`` are left out. None takes all.
        within: How old a wait may be.
        run_s: Seconds of a run, where the queue's state does not say.

    >>> at = datetime(2026, 11, 1, tzinfo=UTC)
    >>> seen = [SeenWait(backend="x", at=at, wait_s=10.0 ** k) for k in (1, 2, 3)]
    >>> round(estimate_wait(seen).median_s, 6)
    100.0
    """
    recent = [wait.wait_s for wait in waits if now is None or now - wait.at <= within]
    if len(recent) >= ENOUGH:
        found = sorted(recent)
        return WaitEstimate(
            median_s=_quantile(found, 0.5), p90_s=_quantile(found, 0.9), model="quantiles", n_seen=len(found)
        )
    if len(recent) >= FEW:
        logs = [math.log(max(wait, SHORTEST_S)) for wait in recent]
        middle, spread = fmean(logs), stdev(logs)
        return WaitEstimate(
            median_s=math.exp(middle),
            p90_s=math.exp(middle + spread * NormalDist().inv_cdf(0.9)),
            model="log-normal",
            n_seen=len(recent),
        )
    if queue is None:
        return None
    one = queue.run_s if queue.run_s is not None else run_s
    if queue.n_ahead and one is None:
        return None
    return WaitEstimate(median_s=queue.n_ahead * (one or 0.0), p90_s=None, model="stated queue", n_seen=len(recent))


def read_waits(path: Path) -> list[SeenWait]:
    """Return the waits in a file of JSON lines (backend, at, wait_s); a half-written last line is left out.

    Raises:
        EstimateInputError: It cannot be read, or another line is no wait.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise EstimateInputError(f"The waits in {path} cannot be read: {error}.") from None
    return [_wait(line, path, number) for number, line in enumerate(lines[:-1], 1) if line.strip()]


def write_wait(path: Path, wait: SeenWait) -> None:
    """Append a wait to a file of JSON lines, in one write, so that several processes may do so.

    Raises:
        OSError: it cannot be written, and names ``path``; of a line that the disk has room for in part nothing stays.
    """
    line = json.dumps({"backend": wait.backend, "at": wait.at.astimezone(UTC).isoformat(), "wait_s": wait.wait_s})
    content = f"{line}\n".encode()
    try:
        with path.open("ab", buffering=0) as file:
            if (n_bytes := file.write(content)) < len(content):  # else the next one would be its end
                file.truncate(file.tell() - n_bytes)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _wait(line: str, path: Path, number: int) -> SeenWait:
    try:
        row = json.loads(line)
        at = datetime.fromisoformat(row["at"])
        wait_s = float(row["wait_s"])
        if at.tzinfo is None or not 0.0 <= wait_s < math.inf:
            raise ValueError("at needs a zone, wait_s must be 0 or more")
        return SeenWait(backend=str(row["backend"]), at=at, wait_s=wait_s)
    except (KeyError, TypeError, ValueError) as error:
        raise EstimateInputError(f"Line {number} of {path} is no wait: {error!r}.") from None


def _quantile(values: Sequence[float], share: float) -> float:
    """Linear between the sorted values."""
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])
