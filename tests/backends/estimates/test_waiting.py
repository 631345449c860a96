"""How long a run will wait: from waits that were seen, else from what the provider says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from superpose.backends.estimates import SeenWait, estimate_wait, read_waits, write_wait
from superpose.circuits import QueueState
from superpose.errors import EstimateInputError

NOW = datetime(2026, 11, 26, tzinfo=UTC)
QUEUE = QueueState(n_ahead=12, run_s=30.0, at=NOW)


def seen(*waits: float, age: timedelta = timedelta()) -> list[SeenWait]:
    return [SeenWait(backend="b", at=NOW - age, wait_s=wait) for wait in waits]


def test_many_waits_are_taken_as_they_were() -> None:
    found = estimate_wait(seen(*range(101)), QUEUE, now=NOW)
    assert found is not None
    assert (found.median_s, found.p90_s, found.model, found.n_seen) == (50.0, 90.0, "quantiles", 101)


def test_few_waits_are_fitted() -> None:
    random = np.random.default_rng(3)
    found = estimate_wait(seen(*np.exp(5.0 + 0.5 * random.standard_normal(19))), QUEUE, now=NOW)
    assert found is not None and found.model == "log-normal" and found.p90_s is not None
    assert found.median_s == pytest.approx(np.exp(5.0), rel=0.5)  # 4 sigma of the mean logarithm
    assert found.p90_s > found.median_s


@pytest.mark.parametrize("n_waits", [5, 19, 20, 137])
def test_estimates_are_those_of_numpy_and_scipy(n_waits: int) -> None:
    waits = np.random.default_rng(n_waits).exponential(300.0, n_waits) + 1.0
    found = estimate_wait(seen(*waits), QUEUE, now=NOW)
    assert found is not None
    if found.model == "quantiles":
        expected = np.quantile(waits, (0.5, 0.9))
    else:
        spread = np.log(waits).std(ddof=1)
        expected = stats.lognorm(spread, scale=stats.gmean(waits)).ppf((0.5, 0.9))
    assert (found.median_s, found.p90_s) == pytest.approx(tuple(expected), rel=1e-12)
    assert found.model == ("log-normal" if n_waits < 20 else "quantiles")


def test_without_waits_the_provider_is_believed() -> None:
    for waits in ([], seen(1.0, 2.0), seen(*range(50), age=timedelta(days=30))):
        found = estimate_wait(waits, QUEUE, now=NOW)
        assert found is not None and (found.median_s, found.model) == (360.0, "stated queue")
    assert estimate_wait([], QueueState(n_ahead=3, at=NOW), now=NOW) is None  # nobody says how long one takes
    told = estimate_wait([], QueueState(n_ahead=3, at=NOW), now=NOW, run_s=2.0)
    empty = estimate_wait([], QueueState(n_ahead=0, at=NOW), now=NOW)
    assert told is not None and told.median_s == 6.0 and empty is not None and empty.median_s == 0.0
    assert estimate_wait(seen(1.0, 2.0), None, now=NOW) is None


def test_waits_are_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "waits.jsonl"
    for wait in seen(3.0, 4.5):
        write_wait(path, wait)
    assert read_waits(path) == seen(3.0, 4.5)
    with path.open("a") as file:
        file.write('{"backend": "b", "at": "20')  # a process that was killed while it wrote
    assert read_waits(path) == seen(3.0, 4.5)
    path.write_text('{"backend": "b", "at": "2026-11-01T00:00:00", "wait_s": 3}\n')
    with pytest.raises(EstimateInputError, match=r"Line 1 .* zone"):
        read_waits(path)
