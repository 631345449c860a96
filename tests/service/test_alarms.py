"""Alarms of live endpoints: raised where rows are not the training's, cleared when they are again, without rows."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from superpose.errors import ForbiddenError, NotFoundError
from superpose.learning import Predictor
from superpose.learning.families import IqpKernelClassifier
from superpose.service import Dataset, ModelVersion, Principal, Service
from superpose.service.serving import watching
from superpose.service.serving.alarms import Alarms
from superpose.service.serving.watching import Finding, Watch


def drawn_rows(service: Service, dataset: Dataset, seed: int) -> Callable[[int], list[dict[str, Any]]]:
    """Draws rows like the training rows."""
    features, drawn = service.datasets.table(dataset).features, np.random.default_rng(seed)
    return lambda n: features.iloc[drawn.integers(0, len(features), n)].to_dict("records")


async def ask_until(
    service: Service, admin: Principal, rows: Callable[[int], list[dict[str, Any]]], is_so: Callable[[], bool]
) -> None:
    """Ask the endpoint until something is so; each request is counted before the next."""
    for _ in range(300):
        await service.endpoints.predict(admin, "live", rows(20))
        for _ in range(500):  # what was begun beside the answer
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if not others:
                break
            await asyncio.wait(others, timeout=10)
        if is_so():
            return
    raise AssertionError("it did not come to be so in 6,000 rows")


def test_alarms_come_and_go(
    service: Service, admin: Principal, model: ModelVersion, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ROWS_PER_S", 1e9)
    service.endpoints.create(admin, "live", "outcome", 1)
    usual = drawn_rows(service, dataset, 0)

    def older(n: int) -> list[dict[str, Any]]:
        return [{**row, "age": 4_321.5 + row["age"]} for row in usual(n)]

    def kinds(is_open: bool) -> set[str]:
        return {a.kind for a in service.endpoints.alarms(admin, "live") if (a.cleared_at is None) == is_open}

    counted = iter(range(30))
    asyncio.run(ask_until(service, admin, usual, lambda: next(counted) == 29))
    assert service.endpoints.alarms(admin, "live") == ()
    asyncio.run(ask_until(service, admin, older, lambda: kinds(True) == {"drift", "novelty"}))
    raised = {alarm.kind: alarm for alarm in service.endpoints.alarms(admin, "live")}
    assert "age" in raised["drift"].message
    assert raised["drift"].facts["columns"][0]["name"] == "age"
    assert raised["novelty"].facts["n_novel"] >= 0.05 * raised["novelty"].facts["n_rows"]
    told = service.measurements.exposition()[0].decode()
    assert 'superpose_endpoint_alarms{kind="drift"} 1.0' in told
    asyncio.run(ask_until(service, admin, usual, lambda: not kinds(True)))
    assert kinds(False) == {"drift", "novelty"}
    events = [e for e in service.endpoints.rollouts.events(admin, "live") if e.kind.startswith("alarm_")]
    assert sorted(event.kind for event in events) == ["alarm_cleared"] * 2 + ["alarm_raised"] * 2
    kept = json.dumps([alarm.to_json() for alarm in service.endpoints.alarms(admin, "live")])
    kept += json.dumps([event.data for event in events])
    assert not re.search(r"43\d\d\.5\b", kept)  # no row and no value of one
    service.endpoints.delete(admin, "live")
    service.endpoints.create(admin, "live", "outcome", 1)
    assert service.endpoints.alarms(admin, "live") == ()


def test_alarms_need_patience_and_survive_a_restart(service: Service, admin: Principal, model: ModelVersion) -> None:
    endpoint = service.endpoints.create(admin, "live", "outcome", 1)

    def say(watcher: Callable[[Sequence[Finding]], None], *verdicts: str) -> list[bool]:
        for verdict in verdicts:
            watcher([Finding("drift", verdict, "Columns have moved.", {"n_rows": 200})])
        return [alarm.cleared_at is None for alarm in alarms.of(endpoint)]

    def clock() -> datetime:
        return endpoint.created_at

    webhook, _ = service.webhooks.create(admin, url="https://93.184.216.34/", events=["endpoint.alarm_raised"])
    alarms = Alarms(service.store.database, clock, clock)
    watcher = alarms.watcher(endpoint, "outcome", 1)
    assert say(watcher, "bad", "between", "bad", "good", "bad") == []
    assert say(watcher, "bad") == [True]
    assert say(watcher, "bad", "bad", "between", "good", "good", "between", "good") == [True]
    again = Alarms(service.store.database, clock, clock).watcher(endpoint, "outcome", 1)  # another server
    assert say(again, "bad", "bad") == [True]
    assert say(again, "good", "good") == [True]
    assert say(again, "good") == [False]
    assert sorted(say(again, "bad", "bad")) == [False, True]
    told = service.webhooks.deliveries(admin, webhook.id).items
    assert [(one.type, one.job) for one in told] == [("endpoint.alarm_raised", None)] * 2


def test_watching_takes_so_many_rows_whatever_the_traffic(
    service: Service, admin: Principal, model: ModelVersion
) -> None:
    service.endpoints.create(admin, "live", "outcome", 1)
    predictor = service.endpoints.predictor(admin, "live")[1]
    now, windows = [0.0], [0]

    def told(findings: Sequence[Finding]) -> None:
        windows[0] += 1
        assert {finding.kind for finding in findings} == {"drift", "novelty"}

    watch = Watch(told, lambda: now[0])
    for step in range(20_000):  # 7,000 rows a second for 20 seconds
        now[0] = step / 1_000
        if watch.offer([[33.0, 1.5]] * 7):
            watch.count(predictor)
    assert 8 <= windows[0] <= 9  # a block of 100 every two seconds, the first of which is no window yet


def test_a_version_without_baseline_and_novelty_score_says_that_it_has_none(tmp_path: Path) -> None:
    rows, labels = np.random.default_rng(0).normal(size=(24, 2)), np.arange(24) % 2
    IqpKernelClassifier(random_state=0).fit(rows, labels).save(tmp_path / "kernel.superpose")
    predictor, windows = Predictor.load(tmp_path / "kernel.superpose"), list[Sequence[Finding]]()
    now = iter(range(1_000))
    watch = Watch(windows.append, lambda: float(next(now)))
    for _ in range(20):
        if watch.offer([[0.3, 1.5]] * 20):
            watch.count(predictor)
    assert [(found.kind, found.verdict) for found in windows[-1]] == [("drift", "blind"), ("novelty", "blind")]
    assert "has no drift baseline" in windows[-1][0].message


def test_the_chance_of_so_many_novel_rows_is_that_of_ranks(
    service: Service, admin: Principal, model: ModelVersion, dataset: Dataset
) -> None:
    """Old and new rows from one source are in any order equally likely: that so many of the new ones score above the
    threshold, the ``r``-th of the ``n`` old ones, is a hypergeometric probability, by SciPy. With the threshold taken
    as known, by SciPy's binomial test, chance would explain less than it does.
    """
    service.endpoints.create(admin, "live", "outcome", 1)
    predictor = service.endpoints.predictor(admin, "live")[1]
    novelty = predictor.safeguards.novelty
    assert novelty is not None
    expected, usual = novelty.expected_share, drawn_rows(service, dataset, 3)
    n_above = round(expected * (novelty.n_rows + 1))
    told: list[Finding] = []
    now = [0.0]
    watch = Watch(lambda findings: told.extend(f for f in findings if f.kind == "novelty"), lambda: now[0])
    for step, n_far in enumerate([0, 0, 1, 0, 1] * 2 + [16] * 25):  # of 20 rows each
        now[0] += 1.0
        far = [{**row, "age": 4_321.5} for row in usual(n_far)]
        assert watch.offer(far + usual(20 - n_far)), step
        watch.count(predictor)
    assert len(told) == 6
    for finding in told:
        n_novel, n_rows = finding.facts["n_novel"], finding.facts["n_rows"]
        # at least n_novel new rows are above: at least so many are among the n_novel + n_above - 1 largest of all
        by_ranks = stats.hypergeom.sf(n_novel - 1, n_rows + novelty.n_rows, n_rows, n_novel + n_above - 1)
        assert finding.facts["p_value"] == pytest.approx(by_ranks, rel=1e-6, abs=1e-12)
        at_least = max(0.05, 3 * expected)
        largest = stats.beta.isf(0.009, n_above, novelty.n_rows + 1 - n_above)  # 90 % of 1 %, the rest for ten
        beyond = stats.binom.sf(n_novel - 1, n_rows, largest) < 0.001 / 1e7  # million windows of 100 rows more
        assert (finding.verdict == "bad") == (n_novel / n_rows >= at_least and beyond)
        assert (finding.facts["false_alarms"], finding.facts["over_rows"]) == (0.01, 1_000_000_000)
        if n_novel / n_rows > expected:
            binomial = stats.binomtest(n_novel, n_rows, expected, alternative="greater").pvalue
            assert finding.facts["p_value"] > binomial
    assert (told[0].verdict, told[-1].verdict) == ("good", "bad")


def test_who_may_see_alarms(service: Service, admin: Principal, stranger: Principal, model: ModelVersion) -> None:
    service.endpoints.create(admin, "live", "outcome", 1)
    with pytest.raises((NotFoundError, ForbiddenError)):
        service.endpoints.alarms(stranger, "live")
    with pytest.raises(NotFoundError):
        service.endpoints.alarms(admin, "absent")
