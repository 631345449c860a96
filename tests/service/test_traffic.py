"""Latencies of an endpoint's side: what the histogram says, held against NumPy's quantiles of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.service.serving.batching import BatchStats
from superpose.service.serving.traffic import Traffic


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_are_those_of_numpy_rounded_up_by_a_bucket_at_most(seed: int) -> None:
    latencies_s = np.random.default_rng(seed).lognormal(-6.0, 1.0, 1_001)
    traffic = Traffic()
    for latency_s in latencies_s:
        traffic.answered(float(latency_s), 1)
    found = traffic.stats("stable", "model", 1, BatchStats(0, 0, 0))
    for told, share in ((found.p50_ms, 0.5), (found.p99_ms, 0.99)):
        exact_ms = 1000 * float(np.quantile(latencies_s, share, method="inverted_cdf"))
        assert told is not None and exact_ms * 0.9995 <= told <= exact_ms * 1.0915
    assert found.mean_ms == pytest.approx(1000 * latencies_s.mean(), abs=1e-4)
    assert traffic.stats("stable", "model", 1, BatchStats(0, 0, 0)).n_requests == 1_001
