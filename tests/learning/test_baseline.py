"""The classical baselines: tuned on training rows alone, the strongest family chosen, its name told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from superpose.datasets import Table
from superpose.learning import TrainingSpec, run_experiment
from superpose.learning.baseline import BASELINES


def rings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A disc inside a ring: no line parts them."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(2, size=n)
    radius, angle = np.where(classes == 1, 1.0, 0.3) + rng.normal(0, 0.08, n), rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), classes


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_give_probabilities_and_say_the_same_again(name: str) -> None:
    encoded, classes = rings(60, 0)
    test, _ = rings(20, 1)
    weights = np.array([1.0, 3.0])
    with threadpool_limits(1):  # as experiments have it
        one, two = (BASELINES[name](encoded, classes, test, class_weights=weights, seed=0) for _ in range(2))
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    np.testing.assert_allclose(one.probabilities.sum(axis=1), 1.0)
    assert one.n_params == two.n_params > 0


def test_where_no_line_parts_classes_the_strongest_is_no_regression(tmp_path: Path) -> None:
    encoded, classes = rings(120, 2)
    table = Table.from_columns(
        "rings",
        {"x": encoded[:, 0], "y": encoded[:, 1]},
        "ring",
        np.array(["out" if one else "in" for one in classes], dtype=object),
    )
    accuracy = {}
    for name in BASELINES:
        spec = TrainingSpec.from_dict(
            {"training": {"epochs": 1}, "evaluation": {"n_splits": 2, "controls": [], "baseline": name}}
        )
        found = run_experiment(spec, table, tmp_path / name).evaluation
        accuracy[name] = found["models"]["baseline"]["metrics"]["accuracy"]["mean"]
        if name == "strongest":
            assert "logistic_regression" not in found["models"]["baseline"]["families"]
            assert found["models"]["baseline"]["label"] == "strongest of four tuned classical models"
            assert "strongest of four tuned classical models" in found["verdict"]
    assert accuracy["strongest"] > 0.95
    assert accuracy["logistic_regression"] < 0.75


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("n_settings", [1, 3, 7])
def test_a_budget_of_settings_is_kept(name: str, n_settings: int) -> None:
    encoded, classes = rings(60, 3)
    with threadpool_limits(1):
        found = BASELINES[name](encoded, classes, encoded, class_weights=None, seed=0, n_settings=n_settings)
    assert found.facts["n_settings"] == n_settings


def test_a_class_of_two_rows_keeps_its_column() -> None:
    encoded, classes = rings(60, 4)
    classes[:2] = 2
    with threadpool_limits(1):
        found = BASELINES["strongest"](encoded, classes, encoded, class_weights=None, seed=0)
    assert found.probabilities.shape == (60, 3)


@pytest.mark.slow
def test_many_rows_are_searched_on_a_sample_and_without_support_vectors() -> None:
    encoded, classes = rings(10_050, 5)
    with threadpool_limits(1):
        found = BASELINES["strongest"](encoded, classes, encoded[:500], class_weights=None, seed=0)
    assert found.facts["n_settings"] == 12
    assert found.facts["family"] in ("gradient_boosting", "random_forest")
    assert np.mean(found.probabilities.argmax(axis=1) == classes[:500]) > 0.99
