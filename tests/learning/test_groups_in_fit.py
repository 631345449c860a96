"""Rows of one patient given to ``fit``: on one side of whatever is held back, and counted once in what is promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, cross_validate

from superpose.errors import SpecError
from superpose.learning import HybridClassifier, HybridRegressor
from superpose.learning.estimator import early_stopping_split, group_members
from superpose.learning.families import (
    BoltzmannMachineClassifier,
    DressedCircuitClassifier,
    IqpKernelClassifier,
    KitchenSinksClassifier,
    MetricLearnerClassifier,
)
from superpose.learning.folds import stratified_folds

FEW: dict[str, Any] = {"n_qubits": 2, "layers": 1, "epochs": 2, "random_state": 3}


def patients(n: int = 40, each: int = 5, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.int64], list[str]]:
    """Rows with the patient's name as a category, labels that a patient has throughout, and the names."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.repeat(np.arange(n), each))
    names = [f"P{place:03d}" for place in order]
    return pd.DataFrame({"x": rng.normal(size=n * each), "who": names}), (order % 2).astype(np.int64), names


def copies(n: int = 40, each: int = 5, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[Any]]:
    """Rows that come five times, each a group, and labels by chance: who has seen a row knows its copies' label."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(np.repeat(np.arange(n), each))
    rows, labels = rng.normal(size=(n, 6)), rng.permutation(np.arange(n) % 2)
    return rows[places], labels[places], places


def known(model: Any) -> set[str]:
    """The patients that the preprocessing learnt a column for: those of rows that train."""
    return {name.split("=")[1] for name in model.preprocessor_.encoded_names if "=" in name} - {"other"}


def test_a_classifier_trains_on_no_row_of_a_patient_whose_rows_stop_it() -> None:
    rows, labels, names = patients()
    grouped = HybridClassifier(**FEW).fit(rows, labels, groups=names)
    assert 30 <= len(known(grouped)) <= 36  # some 15 % of 40 patients are held back, with all their rows
    alone = HybridClassifier(**FEW).fit(rows, labels)
    assert len(known(alone)) == 40  # held-back rows are of patients whose other rows train


def test_a_regressor_does_neither_and_last_rows_stay_the_last() -> None:
    rows, numbers, names = patients()
    grouped = HybridRegressor(**FEW).fit(rows, numbers, groups=names)
    assert 30 <= len(known(grouped)) <= 36
    assert len(known(HybridRegressor(**FEW).fit(rows, numbers))) == 40
    last = [HybridRegressor(**FEW, validation_rows="last").fit(rows, numbers, groups=g) for g in (None, names)]
    np.testing.assert_array_equal(last[0].predict(rows), last[1].predict(rows))


def test_safeguards_count_patients_and_refuse_too_few_of_them() -> None:
    rows, labels, names = patients(n=80)
    guarded = HybridClassifier(**FEW, conformal=0.8, validation_fraction=0.25).fit(rows, labels, groups=names)
    sets = guarded.safeguards_.sets
    assert sets is not None and sets.n_groups is not None
    assert sets.n_rows == 5 * sets.n_groups and 15 <= sets.n_groups <= 25
    assert guarded.safeguards_.novelty is not None and guarded.safeguards_.novelty.n_rows == sets.n_groups
    with pytest.raises(SpecError, match=r"groups \(patients\)") as refused:
        HybridClassifier(**FEW, conformal=0.95).fit(rows, labels, groups=names)
    assert refused.value.details["n_rows"] > refused.value.details["needed"] > refused.value.details["n_groups"]
    interval = HybridRegressor(**FEW, conformal=0.8, validation_fraction=0.25).fit(rows, labels, groups=names)
    assert interval.safeguards_.interval is not None and interval.safeguards_.interval.n_groups is not None
    with pytest.raises(SpecError, match=r"groups \(patients\)"):
        HybridRegressor(**FEW, conformal=0.95).fit(rows, labels, groups=names)


def test_private_training_tells_what_the_largest_patient_spent() -> None:
    rows, labels, names = patients(n=20)
    private = HybridClassifier(**FEW, epsilon=8.0).fit(rows[["x"]], labels, groups=names)
    assert private.privacy_ is not None and private.privacy_["largest_group"] == 5
    assert private.privacy_["epsilon_of_largest_group"] > private.privacy_["epsilon"]
    assert "largest_group" not in (HybridClassifier(**FEW, epsilon=8.0).fit(rows[["x"]], labels).privacy_ or {})


def test_fine_tuning_keeps_patients_together_too() -> None:
    rows, labels, names = patients()
    child = HybridClassifier(**FEW).fit(rows, labels).fine_tune(rows, labels, entry="new", groups=names)
    assert 30 <= len(known(child)) <= 36


@pytest.mark.parametrize("family", [IqpKernelClassifier, KitchenSinksClassifier])
def test_kernels_are_chosen_by_patients_that_the_machine_has_not_seen(family: Any) -> None:
    """Copies of a row on both sides let every machine seem right; by new rows it can only guess."""
    rows, labels, groups = copies()
    assert family(random_state=0).fit(rows, labels).choice_.accuracy > 0.95
    assert family(random_state=0).fit(rows, labels, groups=groups).choice_.accuracy < 0.75


def test_a_boltzmann_machine_is_regularized_by_what_new_patients_ask_for() -> None:
    rows, labels, groups = copies()
    alone = BoltzmannMachineClassifier(random_state=0).fit(rows, labels)
    grouped = BoltzmannMachineClassifier(random_state=0).fit(rows, labels, groups=groups)
    assert grouped.regularization_ > alone.regularization_


def test_a_trained_family_is_stopped_by_patients_that_it_has_not_seen() -> None:
    rows, labels, groups = copies()
    told: dict[str, Any] = {"n_qubits": 6, "layers": 3, "epochs": 120, "max_steps": None, "refit": False}
    alone = DressedCircuitClassifier(**told, random_state=0).fit(rows, labels)
    grouped = DressedCircuitClassifier(**told, random_state=0).fit(rows, labels, groups=groups)
    best = [max(epoch.validation_accuracy or 0.0 for epoch in model.history_) for model in (alone, grouped)]
    assert best[0] > 0.9 > best[1]


def test_where_nothing_is_held_back_groups_make_no_difference() -> None:
    rows, labels, groups = copies(n=12)
    alone, grouped = (
        MetricLearnerClassifier(random_state=0, n_qubits=2).fit(rows, labels, groups=given) for given in (None, groups)
    )
    np.testing.assert_array_equal(alone.predict_proba(rows), grouped.predict_proba(rows))


def test_rows_that_are_each_a_group_of_their_own_count_as_rows_do() -> None:
    rows, labels, _ = copies()
    alone = np.arange(len(rows))
    sets = HybridClassifier(**FEW, conformal=0.8, validation_fraction=0.25).fit(rows, labels, groups=alone).safeguards_
    assert sets.sets is not None and sets.sets.n_groups == sets.sets.n_rows


@pytest.mark.parametrize("seed", range(4))
def test_folds_and_held_back_rows_keep_groups_whole_and_classes_in_proportion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(50), rng.integers(1, 9, 50)))
    codes = (groups % 3).astype(np.int64)
    parts = [
        *stratified_folds(codes, at_most=5, seed=seed, groups=groups),
        early_stopping_split(codes, 0.2, seed, groups),
    ]
    assert len(parts) == 6
    for train, held in parts:
        assert not set(groups[train]) & set(groups[held])
        assert sorted([*train, *held]) == list(range(len(codes)))
        shares = np.bincount(codes[held]) / np.bincount(codes)
        assert np.all(np.abs(shares - 0.2) < 0.12)
    assert sorted(np.concatenate([held for _, held in parts[:5]])) == list(range(len(codes)))


def test_one_group_and_a_class_in_one_group_leave_nothing_to_hold_back() -> None:
    codes = np.repeat([0, 1], 20)
    for groups in (np.zeros(40, dtype=np.int64), codes):
        train, held = early_stopping_split(codes, 0.2, 0, groups)
        assert len(train) == 40 and len(held) == 0
        assert stratified_folds(codes, at_most=5, seed=0, groups=groups) == []


def test_groups_may_be_numbers_texts_a_column_of_a_frame_or_mixed() -> None:
    expected = [1, 0, 1, 2]
    for given in (["b", "a", "b", "c"], [7, 3, 7, 9], np.array([7.0, 3.0, 7.0, 9.0]), pd.Series(["b", "a", "b", "c"])):
        found = group_members(given, 4)
        assert found is not None and found.tolist() == expected
    mixed = group_members(["b", 3, "b", 4.0], 4)
    assert mixed is not None and len(set(mixed.tolist())) == 3
    assert group_members(None, 4) is None


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["a", "b"], r"groups has 2 values and X 4 rows"),
        (["a", None, "b", "c"], r"no value in row 1 \(None\)"),
        ([1.0, 2.0, np.nan, 3.0], r"no value in row 2 \(nan\)"),
        (["a", " ", "b", "c"], r"no value in row 1 \(' '\)"),
        ([["a"] * 2] * 4, r"groups must be one number or text for each row of X, got list of shape \(4, 2\)"),
    ],
)
@pytest.mark.parametrize("model", [HybridClassifier(**FEW), HybridRegressor(**FEW), IqpKernelClassifier()])
def test_groups_that_cannot_be_used_are_refused(model: Any, groups: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model.fit(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1], groups=groups)


def test_scikit_learn_hands_groups_through_to_folds_and_fit() -> None:
    rows, labels, names = patients()
    with sklearn.config_context(enable_metadata_routing=True):
        model = HybridClassifier(**FEW).set_fit_request(groups=True)
        found = cross_validate(
            model, rows, labels, params={"groups": np.array(names)}, cv=StratifiedGroupKFold(2), return_estimator=True
        )
    assert all(15 <= len(known(one)) <= 18 for one in found["estimator"])  # of 20 patients, some held back


def test_a_gap_in_a_list_of_names_is_no_patient_of_its_own_name() -> None:
    with pytest.raises(ValueError, match=r"no value in row 1 \(nan\)"):
        group_members(["P1", float("nan"), float("nan"), "P2"], 4)
    assert group_members(("P1", 1, "1", 1.0), 4).tolist() == [1, 0, 0, 0]  # type: ignore[union-attr]


@pytest.mark.parametrize("given", [3, "abc", [("a", 1), ("b", 2)], pd.DataFrame({"a": [1, 2], "b": [3, 4]})])
def test_what_is_not_one_column_is_refused_by_the_name_of_groups(given: Any) -> None:
    with pytest.raises(ValueError, match=r"groups must be one number or text for each row .*, got .*; give one"):
        group_members(given, 2)
