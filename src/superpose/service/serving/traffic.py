"""What an endpoint's sides have answered: requests, errors, and latency in a histogram of fixed size."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from itertools import accumulate

from superpose.service.serving.batching import BatchStats

__all__ = ["SideStats", "Traffic"]

_PER_OCTAVE = 8  # a bucket's upper edge is 9 % above its lower one
_N_BUCKETS = 26 * _PER_OCTAVE  # from 1 us to 67 s


@dataclass(frozen=True)
class SideStats:
    """What one side of an endpoint has answered since the server started.

    Attributes:
        side: "stable" or "canary".
        model, version: what answers.
        n_requests: requests answered or failed; those refused because of overload are not among them.
        n_errors: of these, failures: rows that do not fit this model, or a failure of the service.
        n_refused: requests refused because of overload.
        n_rows: rows predicted.
        mean_ms, p50_ms, p99_ms: latency within the service; None before the first request. The percentiles are
            upper edges of a histogram's buckets, up to 9 % above the true value.
        batches: how its requests were batched since the model was loaded.
    """

    side: str
    model: str
    version: int
    n_requests: int
    n_errors: int
    n_refused: int
    n_rows: int
    mean_ms: float | None
    p50_ms: float | None
    p99_ms: float | None
    batches: BatchStats

    def to_json(self) -> dict[str, object]:
        """The statistics as the API sends them."""
        return {
            "side": self.side,
            "model": self.model,
            "version": self.version,
            "requests": self.n_requests,
            "errors": self.n_errors,
            "refused": self.n_refused,
            "rows": self.n_rows,
            "latency_ms": {"mean": self.mean_ms, "p50": self.p50_ms, "p99": self.p99_ms},
            "batches": {
                "batches": self.batches.n_batches,
                "requests": self.batches.n_requests,
                "largest_requests": self.batches.max_batch_requests,
            },
        }


class Traffic:
    """Counts of one side. Event loops in several threads may count at once."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._buckets = [0] * _N_BUCKETS
        self._total_s = 0.0
        self._n_errors = self._n_refused = self._n_rows = 0

    def answered(self, elapsed_s: float, n_rows: int, *, failed: bool = False) -> None:
        """Count a request that was answered, or failed."""
        place = int(math.log2(max(elapsed_s * 1e6, 1.0)) * _PER_OCTAVE)
        with self._counting:
            self._buckets[min(place, _N_BUCKETS - 1)] += 1
            self._total_s += elapsed_s
            self._n_errors += failed
            if not failed:
                self._n_rows += n_rows

    def refused(self) -> None:
        """Count a request refused because of overload."""
        with self._counting:
            self._n_refused += 1

    def stats(self, side: str, model: str, version: int, batches: BatchStats) -> SideStats:
        """The counts so far."""
        with self._counting:
            buckets, total_s = list(self._buckets), self._total_s
            counts = (self._n_errors, self._n_refused, self._n_rows)
        n_requests = sum(buckets)
        return SideStats(
            side,
            model,
            version,
            n_requests,
            *counts,
            mean_ms=round(total_s / n_requests * 1000, 4) if n_requests else None,
            p50_ms=_quantile_ms(buckets, 0.50),
            p99_ms=_quantile_ms(buckets, 0.99),
            batches=batches,
        )


def _quantile_ms(buckets: list[int], share: float) -> float | None:
    """The upper edge of the bucket in which the share of all is reached."""
    wanted = share * sum(buckets)
    if not wanted:
        return None
    place = next(place for place, seen in enumerate(accumulate(buckets)) if seen >= wanted)
    return float(f"{2 ** ((place + 1) / _PER_OCTAVE) / 1000:.4g}")
