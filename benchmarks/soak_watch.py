"""What processes hold while they are under load, and how it grows.

Reads ``/proc``, so Linux only: resident memory, file descriptors and threads of a server and of its workers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

__all__ = ["Growth", "Sample", "Watch", "growth"]

_PROC = Path("/proc")


@dataclass(frozen=True)
class Sample:
    """What one process held at one time.

    Attributes:
        at_s: time since the load began.
        rss_bytes: resident memory.
        n_files: open file descriptors.
        n_threads: threads.
    """

    at_s: float
    rss_bytes: int
    n_files: int
    n_threads: int


@dataclass(frozen=True)
class Growth:
    """How a quantity changed after the warm-up.

    Attributes:
        first: mean of the first third.
        last: mean of the last third.
        slope_per_hour: least squares slope over the second half.
        peak: the largest value.
    """

    first: float
    last: float
    slope_per_hour: float
    peak: float

    @property
    def percent(self) -> float:
        """Last third against first third, in per cent."""
        return 100 * (self.last / self.first - 1) if self.first else 0.0


def growth(times_s: Sequence[float], values: Sequence[float]) -> Growth:
    """The growth of a quantity; at least six samples.

    Raises:
        ValueError: fewer samples, which tell nothing.
    """
    n = len(values)
    if n < 6 or len(times_s) != n:
        raise ValueError(f"growth needs at least 6 samples with their times, got {n} values and {len(times_s)} times")
    third, half = n // 3, n // 2
    return Growth(
        fmean(values[:third]), fmean(values[-third:]), _slope(times_s[half:], values[half:]) * 3600, max(values)
    )


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Least squares slope."""
    middle_x, middle_y = fmean(x), fmean(y)
    spread = sum((a - middle_x) ** 2 for a in x)
    return sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True)) / spread if spread else 0.0


@dataclass
class Watch:
    """Samples a process and its children every ``period_s`` until stopped.

    Attributes:
        pid: the server; its children are its workers.
        period_s: pause between two samples.
        samples: by process id, in the order of time.
    """

    pid: int
    period_s: float = 5.0
    samples: dict[int, list[Sample]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to sample, in a thread."""
        self._thread = threading.Thread(target=self._run, name="watch")
        self._thread.start()

    def stop(self) -> None:
        """End sampling."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while True:
            for pid in (self.pid, *_children(self.pid)):
                found = _sample(pid, time.monotonic() - began)
                if found is not None:
                    self.samples.setdefault(pid, []).append(found)
            if self._stop.wait(self.period_s):
                return


def _children(pid: int) -> list[int]:
    """Child processes of all its threads."""
    found: set[int] = set()
    for path in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            found.update(int(text) for text in path.read_text().split())
        except OSError:
            continue  # the thread has ended
    return sorted(found)


def _sample(pid: int, at_s: float) -> Sample | None:
    """What the process holds; None where it has ended, or is not Python yet."""
    room = _PROC / str(pid)
    try:
        status = dict(line.split(":", 1) for line in (room / "status").read_text().splitlines() if ":" in line)
        return Sample(
            at_s,
            int(status["VmRSS"].split()[0]) * 1024,
            sum(1 for _ in (room / "fd").iterdir()),
            int(status["Threads"]),
        )
    except (OSError, KeyError, ValueError):
        return None
