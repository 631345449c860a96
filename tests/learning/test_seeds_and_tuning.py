"""Repeated seeds and equal searches inside an experiment: what is trained, told, and kept after a stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.datasets import Table
from superpose.errors import SpecError
from superpose.learning import Stopped, TrainingSpec, run_experiment
from superpose.learning.experiment.fitting import settings_of
from superpose.learning.verdicts import spread

TINY: dict[str, Any] = {"model": {"n_qubits": 2, "ansatz": {"layers": 1}}, "training": {"epochs": 2, "patience": 2}}


def spec(**evaluation: Any) -> TrainingSpec:
    given = {"n_splits": 2, "controls": ["classical_twin"], "baseline": "logistic_regression"} | evaluation
    return TrainingSpec.from_dict(TINY | {"evaluation": given})


@pytest.fixture(scope="module")
def table() -> Table:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    classes = np.where(x[:, 0] + 0.5 * rng.normal(size=80) > 0, "p", "n").astype(object)
    return Table.from_columns("noise", {f"x{i}": x[:, i] for i in range(3)}, "y", classes)


def test_seeds_are_trained_apart_and_told_apart(table: Table, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    one = run_experiment(spec(), table, tmp_path / "one").evaluation
    three = run_experiment(
        spec(n_seeds=3), table, tmp_path / "three", on_event=lambda kind, data: events.append({"kind": kind, **data})
    )
    found = three.evaluation
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (one["n_seeds"], found["n_seeds"]) == (1, 3)
    metric = found["models"]["hybrid"]["metrics"]["brier"]
    by_seed = np.array(metric["of_seeds"])
    assert by_seed.shape == (2, 3)
    assert len(np.unique(by_seed)) == 6
    np.testing.assert_allclose(metric["values"], by_seed.mean(axis=1))
    assert metric["spread"] == spread(by_seed.tolist())
    assert by_seed[:, 0].tolist() == one["models"]["hybrid"]["metrics"]["brier"]["values"]  # the first seed is the old
    assert found["model_metrics"]["brier"] == by_seed[0, 0]
    assert all({"splits", "seeds"} == set(row["spread"]) for row in found["comparisons"])
    assert "2 paired splits of 3 seeds each" in found["verdict"]
    assert "spread" not in one["models"]["hybrid"]["metrics"]["brier"]
    assert len([event for event in events if event["kind"] == "metric"]) == 2 * 3 * 3
    assert {event["seed"] for event in events if event["kind"] == "metric"} == {0, 1, 2}
    assert [event["fraction"] for event in events if event["kind"] == "progress"][-1] == 1.0


def test_every_variant_chooses_from_as_many_settings(table: Table, tmp_path: Path) -> None:
    found = run_experiment(spec(tuning={"trials": 3}), table, tmp_path).evaluation
    assert found["tuning"] == {"trials": 3, "n_settings": {"hybrid": 3, "classical_twin": 3, "baseline": 3}}
    allowed = [
        {name: getattr(one, name) for name in ("learning_rate", "weight_decay", "batch_size")}
        for one in settings_of(spec().training, 3)
    ]
    for row in (found["models"]["hybrid"], found["models"]["controls"]["classical_twin"]):
        assert len(row["settings"]) == 2
        assert all(setting in allowed for setting in row["settings"])
    assert "settings were tried" not in found["verdict"]
    assert not list(tmp_path.rglob("trial-*"))


def test_without_a_budget_the_baselines_own_search_is_counted(table: Table, tmp_path: Path) -> None:
    found = run_experiment(spec(), table, tmp_path).evaluation
    assert found["tuning"] == {"trials": 0, "n_settings": {"hybrid": 1, "classical_twin": 1, "baseline": 9}}


def test_a_sweep_that_favours_the_hybrid_model_is_told(table: Table, tmp_path: Path) -> None:
    found = run_experiment(spec(), table, tmp_path, provenance={"sweep": {"n_trials": 20}}).evaluation
    assert found["tuning"]["n_settings"]["hybrid"] == 20
    assert found["verdict"].endswith(
        "Of the hybrid model 20 settings were tried, 1 of the classical twin of equal parameter count and 9 of the "
        "tuned logistic regression: that favours the hybrid model."
    )


@pytest.mark.slow
def test_a_stopped_search_goes_on_and_ends_with_the_same_bytes(table: Table, tmp_path: Path) -> None:
    searching = spec(tuning={"trials": 3}, n_seeds=2)
    whole = run_experiment(searching, table, tmp_path / "whole")
    runs, asked = 0, 0

    def now_and_then() -> bool:
        nonlocal asked
        asked += 1
        return asked % 5 == 0

    while True:
        runs += 1
        try:
            found = run_experiment(searching, table, tmp_path / "cut", should_stop=now_and_then)
            break
        except Stopped:
            continue
    assert runs > 3
    assert found.model_digest == whole.model_digest
    assert found.evaluation == whole.evaluation


def test_sixteen_settings_are_all_different(table: Table, tmp_path: Path) -> None:
    wild = TrainingSpec.from_dict(
        TINY
        | {
            "training": {"epochs": 2, "learning_rate": 0.02, "weight_decay": 0.0},
            "evaluation": {"n_splits": 2, "controls": [], "baseline": "none", "tuning": {"trials": 16}},
        }
    )
    found = run_experiment(wild, table, tmp_path).evaluation
    assert found["tuning"]["n_settings"] == {"hybrid": 16}
    assert len({(one.learning_rate, one.weight_decay, one.batch_size) for one in settings_of(wild.training, 16)}) == 16


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"backend": {"name": "local", "shots": 10}}, "where each training is paid for"),
        ({"privacy": {"epsilon": 3.0}}, "a promise about one training"),
    ],
)
def test_searches_that_cost_or_leak_are_refused(sections: dict, why: str) -> None:
    with pytest.raises(SpecError, match=rf"evaluation\.tuning\.trials.*{why}"):
        TrainingSpec.from_dict({**sections, "evaluation": {"tuning": {"trials": 2}}})


@pytest.mark.parametrize("trials", [-1, 17, 1.5, "many"])
def test_a_budget_is_a_number_up_to_sixteen(trials: object) -> None:
    with pytest.raises(SpecError, match=r"evaluation\.tuning\.trials.*from 0 to 16"):
        TrainingSpec.from_dict({"evaluation": {"tuning": {"trials": trials}}})
