"""What a service counts and times, in the form that Prometheus reads.

No label holds a name that users choose, so their number is bounded: routes as the code writes them, methods, statuses,
job kinds and worker numbers. What lasts (jobs, attempts) is read from the store when somebody asks, at most every two
seconds; the rest counts from the server's start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

import superpose
from superpose.errors import StoreError
from superpose.service.nouns import Clock
from superpose.service.statuses import JobStatus
from superpose.service.store.database import Database
from superpose.service.store.tables import attempts, endpoint_alarms, jobs

__all__ = ["Measurements"]

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_REQUEST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0)
_LOAD_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_FRESH_S = 2.0


class Measurements:
    """Counters and timers of one service.

    Args:
        database: where jobs are read from.
        clock: what tells the time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._registry = CollectorRegistry()
        self.worker_pids: Callable[[], Sequence[int]] = tuple
        self._requests = Counter(
            "superpose_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._request_s = Histogram(
            "superpose_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("method", "route"),
            buckets=_REQUEST_S,
            registry=self._registry,
        )
        self._batch_requests = Histogram(
            "superpose_batch_requests",
            "Requests that one engine call answered together.",
            buckets=_SIZES,
            registry=self._registry,
        )
        self._batch_rows = Histogram(
            "superpose_batch_rows", "Rows of one engine call.", buckets=_SIZES, registry=self._registry
        )
        self._batch_wait_s = Histogram(
            "superpose_batch_wait_seconds",
            "Time that the longest waiting request of a batch waited.",
            buckets=_REQUEST_S,
            registry=self._registry,
        )
        self._cold_load_s = Histogram(
            "superpose_cold_load_seconds",
            "Time to load an endpoint's model that was not in memory; its count is that of cold loads.",
            buckets=_LOAD_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Lasting(database, clock, lambda: self.worker_pids()))
        self._children: dict[tuple[str, str, int], Callable[[float], None]] = {}

    def request(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """Count a request. Cost: a few microseconds."""
        count = self._children.get((method, route, status))
        if count is None:
            count = self._child(method, route, status)
        count(elapsed_s)

    def batch(self, n_requests: int, n_rows: int, wait_s: float) -> None:
        """Count an engine call of an endpoint."""
        self._batch_requests.observe(n_requests)
        self._batch_rows.observe(n_rows)
        self._batch_wait_s.observe(wait_s)

    def cold_load(self, elapsed_s: float) -> None:
        """Count a model that was loaded because a request needed it."""
        self._cold_load_s.observe(elapsed_s)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Everything in the text form that the ``Accept`` header asks for, and its media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type

    def _child(self, method: str, route: str, status: int) -> Callable[[float], None]:
        told = method if method in _METHODS else "other"
        counter = self._requests.labels(told, route, str(status))
        timer = self._request_s.labels(told, route)

        def count(elapsed_s: float) -> None:
            counter.inc()
            timer.observe(elapsed_s)

        if method in _METHODS:  # others are not remembered: anybody may make them up
            self._children[method, route, status] = count
        return count


class _Lasting(Collector):
    """What is read anew for who asks: jobs and attempts in the store, memory of workers."""

    def __init__(self, database: Database, clock: Clock, worker_pids: Callable[[], Sequence[int]]) -> None:
        self._database = database
        self._clock = clock
        self._worker_pids = worker_pids
        self._turn = threading.Lock()
        self._read_at_s = float("-inf")
        self._found: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering reads no store."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The families."""
        with self._turn:
            if time.monotonic() - self._read_at_s >= _FRESH_S:
                self._found = [*self._store_families(), self._memory_family()]
                self._read_at_s = time.monotonic()
            return list(self._found)

    def _store_families(self) -> list[Metric]:
        up = GaugeMetricFamily("superpose_store_up", "1 if the store can be read.")
        try:
            with self._database.read() as connection:
                by_status = connection.execute(
                    select(jobs.c.status, jobs.c.kind, func.count()).group_by(jobs.c.status, jobs.c.kind)
                ).all()
                by_outcome = connection.execute(
                    select(attempts.c.outcome, func.count()).group_by(attempts.c.outcome)
                ).all()
                alarms = connection.execute(
                    select(endpoint_alarms.c.kind, func.count())
                    .where(endpoint_alarms.c.cleared_at.is_(None))
                    .group_by(endpoint_alarms.c.kind)
                ).all()
                oldest = connection.execute(
                    select(func.min(jobs.c.created_at)).where(jobs.c.status == str(JobStatus.QUEUED))
                ).scalar()
        except StoreError:
            up.add_metric((), 0.0)
            return [up]
        up.add_metric((), 1.0)
        counts = GaugeMetricFamily("superpose_jobs", "Jobs in the store.", labels=("status", "kind"))
        for status, kind, count in by_status:
            counts.add_metric((status, kind), count)
        age = GaugeMetricFamily("superpose_queue_age_seconds", "Age of the oldest queued job; 0 without one.")
        age.add_metric((), 0.0 if oldest is None else max(0.0, (self._clock() - oldest).total_seconds()))
        ended = CounterMetricFamily(
            "superpose_attempts", "Attempts in the store, by how they ended.", labels=("outcome",)
        )
        for outcome, count in by_outcome:
            ended.add_metric((outcome or "running",), count)
        open_alarms = GaugeMetricFamily("superpose_endpoint_alarms", "Open alarms of endpoints.", labels=("kind",))
        n_open: dict[str, int] = {str(sort): int(count) for sort, count in alarms}
        for sort in ("drift", "novelty"):
            open_alarms.add_metric((sort,), n_open.get(sort, 0))
        info = GaugeMetricFamily("superpose_release_info", "The release that runs.", labels=("version",))
        info.add_metric((superpose.__version__,), 1.0)
        return [up, counts, age, ended, open_alarms, info]

    def _memory_family(self) -> Metric:
        found = GaugeMetricFamily(
            "superpose_worker_resident_bytes", "Memory that a worker process holds.", labels=("worker",)
        )
        for number, pid in enumerate(self._worker_pids()):
            n_bytes = _resident_bytes(pid)
            if n_bytes is not None:
                found.add_metric((str(number),), n_bytes)
        return found


def _resident_bytes(pid: int) -> int | None:
    """Memory of a process; None where the system does not tell, or it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return None
