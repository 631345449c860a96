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


def patients(seed: int, n_patients: int = 40, n_visits: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns that tell who it is, and no more of the class: what is learnt of them holds for known patients only."""
    rng = np.random.default_rng(seed)
    who = rng.permutation(np.repeat(np.arange(n_patients), n_visits))
    encoded = rng.normal(size=(n_patients, 60))[who] + 0.01 * rng.normal(size=(len(who), 60))
    return encoded, rng.permutation(np.arange(n_patients) % 2)[who], who


def test_a_baseline_is_tuned_on_patients_that_it_was_not_fitted_on() -> None:
    """Folds of rows find that knowing patients by heart is best; folds of patients find that it is worth nothing."""
    encoded, classes, who = patients(0)
    with threadpool_limits(1):
        alone, together = (
            BASELINES["logistic_regression"](encoded, classes, encoded, class_weights=None, seed=0, groups=groups)
            for groups in (None, who)
        )
    assert alone.facts["inverse_regularisation"] >= 1.0
    assert together.facts["inverse_regularisation"] <= 0.01
    assert (alone.facts["folds"], together.facts["folds"]) == ({"n": 4, "of": "rows"}, {"n": 4, "of": "groups"})


def test_support_vectors_take_their_probabilities_from_folds_of_patients() -> None:
    """Each of 40 patients on the disc or the ring, three times alike: folds of rows would have seen all of them."""
    encoded, classes = rings(40, 6)
    rows, labels, who = (np.repeat(one, 3, axis=0) for one in (encoded, classes, np.arange(40)))
    weights = np.array([1.0, 2.0])
    with threadpool_limits(1):
        one, two = (
            BASELINES["strongest"](rows, labels, encoded, class_weights=weights, seed=0, groups=who) for _ in range(2)
        )
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    np.testing.assert_allclose(one.probabilities.sum(axis=1), 1.0)
    assert np.mean(one.probabilities.argmax(axis=1) == classes) > 0.95
    assert one.facts["folds"] == {"n": 4, "of": "groups"}
    assert one.facts["family"] == "support_vectors"
    assert one.n_params > 0


@pytest.mark.parametrize("name", BASELINES)
def test_a_class_of_one_patient_leaves_no_folds_and_is_said(name: str) -> None:
    encoded, _, who = patients(1, 10)
    with threadpool_limits(1):
        found = BASELINES[name](encoded, (who == 3).astype(int), encoded, class_weights=None, seed=0, groups=who)
    assert found.facts["folds"] == {"n": 0, "of": "groups"}
    assert found.facts.get("inverse_regularisation", found.facts.get("setting", {}).get("C")) == 1.0
