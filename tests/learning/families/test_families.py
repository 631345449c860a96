"""All families, row by row: accuracy on real data, twins, seeds, model files, refusals."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.model_selection import train_test_split

from superpose.errors import DatasetOneClassError, ModelFormatError, NotFittedError, SpecError
from superpose.learning import CheckpointStore, HybridClassifier, Predictor, Stopped, TrainingWatch, families
from superpose.learning.families import FAMILIES, FamilyClassifier, load_family

NAMES = sorted(FAMILIES)
QUICK: dict[str, dict[str, Any]] = {
    "boltzmann_machine": {"n_qubits": 2, "max_iterations": 3},
    "iqp_kernel": {"max_columns": 4, "bandwidth": 1.0, "C": 1.0},
    "kitchen_sinks": {"episodes": 20, "bandwidth": 1.0, "C": 1.0},
    "metric_learner": {"n_qubits": 2, "max_iterations": 3},
    "projected_kernel": {"max_columns": 4, "bandwidth": 1.0, "C": 1.0},
}
"""Settings that learn for a moment only, beside fewer epochs."""
LONG = {
    "boltzmann_machine",
    "circuit_centric",
    "hybrid_convolution",
    "iqp_kernel",
    "metric_learner",
    "projected_kernel",
}
"""Families whose default fit takes seconds."""
KEPT = [
    pytest.param(name, marks=() if name in ("dressed_circuit", "kitchen_sinks") else pytest.mark.slow) for name in NAMES
]
"""Saving captures a network with torch, which takes about a second; one family is enough by default."""
TIMED = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in NAMES]
FLOOR = {"columns": 0.9, "pictures": 0.9}
"""Accuracy that every family reaches; the larger class has 0.63 of the cell samples, 0.51 of the digits 3 and 5."""


def real_data(needs: str) -> tuple[Any, ...]:
    """Train rows, test rows, train labels, test labels: 569 cell samples, or pictures of 3 and 5, 8 x 8."""
    if needs == "columns":
        rows, labels = load_breast_cancer(return_X_y=True)
    else:
        rows, labels = load_digits(return_X_y=True)
        chosen = np.isin(labels, (3, 5))
        rows, labels = rows[chosen], labels[chosen]
    return tuple(train_test_split(rows, labels, random_state=0, stratify=labels, train_size=240))


@functools.cache
def fitted(name: str) -> FamilyClassifier:
    """A family with its default settings, fitted on real data."""
    rows, _, labels, _ = real_data(FAMILIES[name].needs)
    return FAMILIES[name].load()(random_state=0).fit(rows, labels)


def small(name: str, **changes: Any) -> FamilyClassifier:
    """A family that learns for a moment only."""
    family = FAMILIES[name].load()
    quick = {"epochs": 2} if "epochs" in family().get_params() else {}
    return family(**{"random_state": 0, **quick, **QUICK.get(name, {}), **changes})


@pytest.mark.parametrize("name", TIMED)
def test_default_settings_do_well_on_real_data(name: str) -> None:
    _, rows, _, labels = real_data(FAMILIES[name].needs)
    assert fitted(name).score(rows, labels) > FLOOR[FAMILIES[name].needs]
    probabilities = fitted(name).predict_proba(rows)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_the_row_says_what_the_class_is(name: str) -> None:
    row, family = FAMILIES[name], FAMILIES[name].load()
    assert family.family == name
    assert getattr(families, row.class_name) is family
    assert row.class_name in families.__all__
    assert row.needs in FLOOR
    assert row.has_classical_twin == ("classical" in family().get_params())


@pytest.mark.parametrize(
    "name", [name for name in NAMES if FAMILIES[name].has_separable_twin and FAMILIES[name].has_circuits]
)
def test_the_separable_twin_has_no_gate_on_two_qubits(name: str) -> None:
    rows, _, labels, _ = real_data(FAMILIES[name].needs)
    twin = small(name, separable=True).fit(rows[:60], labels[:60])
    assert twin.quantum_blocks_
    for block in twin.quantum_blocks_:
        assert {len(i.qubits) for i in block.circuit.instructions} == {1}
    itself = small(name).fit(rows[:60], labels[:60])
    widths = {len(i.qubits) for block in itself.quantum_blocks_ for i in block.circuit.instructions}
    assert 2 in widths, "the family itself entangles"


@pytest.mark.parametrize("name", [name for name in NAMES if FAMILIES[name].has_classical_twin])
def test_the_classical_twin_has_no_circuit_and_as_many_parameters(name: str) -> None:
    rows, _, labels, _ = real_data(FAMILIES[name].needs)
    twin = small(name, classical=True).fit(rows[:60], labels[:60])
    itself = small(name).fit(rows[:60], labels[:60])
    assert twin.quantum_blocks_ == ()
    assert twin.n_params_ == itself.n_params_
    with pytest.raises(SpecError, match="choose one of the two"):
        small(name, classical=True, separable=True).fit(rows[:60], labels[:60])


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_models(name: str) -> None:
    rows, test, labels, _ = real_data(FAMILIES[name].needs)
    first, second = (small(name).fit(rows[:60], labels[:60]).predict_proba(test) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = small(name, random_state=1).fit(rows[:60], labels[:60]).predict_proba(test)
    assert np.abs(first - other).max() > 1e-6


@pytest.mark.parametrize("name", KEPT)
def test_a_saved_family_is_the_same_and_can_be_served(name: str, tmp_path: Path) -> None:
    _, rows, _, _ = real_data(FAMILIES[name].needs)
    expected = fitted(name).predict_proba(rows)
    digest = fitted(name).save(tmp_path / "model.superpose")
    loaded = load_family(tmp_path / "model.superpose", digest)
    assert type(loaded) is type(fitted(name))
    assert loaded.get_params() == fitted(name).get_params()
    np.testing.assert_array_equal(loaded.classes_, fitted(name).classes_)
    np.testing.assert_allclose(loaded.predict_proba(rows), expected, rtol=0, atol=1e-12)
    served = Predictor.load(tmp_path / "model.superpose", digest)
    np.testing.assert_allclose(served.predict_proba(rows), expected, rtol=0, atol=1e-9)
    assert (len(served.model.blocks) > 0) == FAMILIES[name].has_circuits


@pytest.mark.parametrize("name", NAMES)
def test_clones_keep_every_hyperparameter(name: str) -> None:
    estimator = small(name, scaling="robust", separable=FAMILIES[name].has_separable_twin)
    assert clone(estimator).get_params() == estimator.get_params()
    assert clone(estimator).set_params(scaling="minmax").get_params()["scaling"] == "minmax"


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_used_is_refused(name: str) -> None:
    rows, _, labels, _ = real_data(FAMILIES[name].needs)
    with pytest.raises(SpecError, match="separable"):
        small(name, separable="yes").fit(rows, labels)
    with pytest.raises(DatasetOneClassError, match="one class only"):
        small(name).fit(rows, np.zeros(len(rows), dtype=int))
    with pytest.raises(NotFittedError, match="not fitted"):
        small(name).predict(rows)
    with pytest.raises(NotFittedError, match="not fitted"):
        small(name).to_model()


def test_another_model_file_is_no_family(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    HybridClassifier(epochs=1, random_state=0).fit(rows, labels).save(tmp_path / "hybrid.superpose")
    with pytest.raises(ModelFormatError, match="of no family"):
        load_family(tmp_path / "hybrid.superpose")


@pytest.mark.parametrize(("max_steps", "n_epochs"), [(None, 5), (1000, 5), (7, 3), (1, 1)])
def test_steps_are_bounded_in_whole_epochs(max_steps: int | None, n_epochs: int) -> None:
    rows, _, labels, _ = real_data("columns")  # of 60 rows 51 are learnt from: two steps an epoch
    model = small("dressed_circuit", epochs=5, max_steps=max_steps).fit(rows[:60], labels[:60])
    assert model.n_iter_ == n_epochs


def test_a_bound_that_is_no_number_of_steps_is_refused() -> None:
    rows, _, labels, _ = real_data("columns")
    with pytest.raises(SpecError, match="max_steps"):
        small("dressed_circuit", max_steps=0).fit(rows[:60], labels[:60])


def test_a_stopped_training_goes_on_where_it_was_and_ends_the_same(tmp_path: Path) -> None:
    rows, test, labels, _ = real_data("columns")
    whole = small("dressed_circuit", epochs=6, refit=True).fit(rows, labels)
    seen: list[int] = []

    def attempt(stop_after: int) -> FamilyClassifier:
        store = CheckpointStore(tmp_path / "run", {"of": "this test"})
        end = len(seen) + stop_after
        watch = TrainingWatch(
            on_epoch=lambda report: seen.append(report.epoch), should_stop=lambda: len(seen) >= end, store=store
        )
        return small("dressed_circuit", epochs=6, refit=True).fit(rows, labels, watch=watch)

    with pytest.raises(Stopped):
        attempt(4)
    with pytest.raises(Stopped):
        attempt(4)  # within the second training, on all rows
    resumed = attempt(100)
    assert seen[:8] == [1, 2, 3, 4, 5, 6, 1, 2]
    assert seen.count(1) == 2, "neither training began again"
    np.testing.assert_array_equal(resumed.predict_proba(test), whole.predict_proba(test))
