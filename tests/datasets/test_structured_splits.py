"""Splits by group, time, site and fold: what hangs together stays together, and the classes stay balanced."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose.datasets import Split, grouped_splits, k_fold_splits, site_splits, time_splits
from superpose.errors import DatasetTooSmallError

RNG = np.random.default_rng(5)
PATIENTS = np.repeat(np.arange(60), RNG.integers(1, 9, 60))
LABELS = np.where(RNG.random(len(PATIENTS)) < 0.3, "ill", "well")


def check_parts(split: Split, n_rows: int, *, complete: bool = True) -> None:
    joined = np.concatenate([split.train, split.validation, split.test])
    assert len(set(joined.tolist())) == len(joined)
    if complete:
        assert len(joined) == n_rows
    for part in (split.train, split.validation, split.test):
        assert np.array_equal(part, np.sort(part))


def share(rows: np.ndarray) -> float:
    return float(np.mean(LABELS[rows] == "ill"))


def test_no_group_is_in_two_parts_and_shares_are_kept() -> None:
    splits = grouped_splits(LABELS, PATIENTS, n_splits=5, test_fraction=0.2, validation_fraction=0.15, seed=3)
    for split in splits:
        check_parts(split, len(LABELS))
        groups = [set(PATIENTS[part]) for part in (split.train, split.validation, split.test)]
        assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
        assert 0.15 < len(split.test) / len(LABELS) < 0.25
        assert abs(share(split.test) - share(np.arange(len(LABELS)))) < 0.05
    assert len({tuple(split.test) for split in splits}) == 5
    again = grouped_splits(LABELS, PATIENTS, n_splits=2, test_fraction=0.2, validation_fraction=0.15, seed=3)
    np.testing.assert_array_equal(again[1].train, splits[1].train)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(6, 40), st.sampled_from([0.0, 0.15]))
def test_grouped_splits_hold_for_any_groups(seed: int, n_groups: int, validation: float) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, n_groups, 200)
    labels = rng.integers(0, 2, 200)
    try:
        (split,) = grouped_splits(
            labels, groups, n_splits=1, test_fraction=0.25, validation_fraction=validation, seed=seed
        )
    except DatasetTooSmallError:
        return
    check_parts(split, 200)
    assert not set(groups[split.train]) & set(groups[split.test])
    assert set(labels[split.test]) == set(labels[split.train]) == {0, 1}


def test_a_class_in_too_few_groups_is_refused_by_name() -> None:
    labels = np.array(["rare" if patient == 0 else "well" for patient in PATIENTS])
    with pytest.raises(DatasetTooSmallError, match="Class 'rare' is in 1 group"):
        grouped_splits(labels, PATIENTS, n_splits=1, test_fraction=0.2, validation_fraction=0.15, seed=0)


@pytest.mark.parametrize("groups", [None, PATIENTS])
def test_folds_test_every_row_once(groups: np.ndarray | None) -> None:
    splits = k_fold_splits(LABELS, n_splits=5, validation_fraction=0.15, seed=1, groups=groups)
    tested = np.concatenate([split.test for split in splits])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(LABELS)))
    for split in splits:
        check_parts(split, len(LABELS))
        assert abs(share(split.test) - share(np.arange(len(LABELS)))) < 0.06
        assert 0.1 < len(split.validation) / len(LABELS) < 0.2
        if groups is not None:
            assert not set(groups[split.test]) & set(groups[np.concatenate([split.train, split.validation])])
            assert not set(groups[split.train]) & set(groups[split.validation])
    if groups is None:
        assert max(len(s.test) for s in splits) - min(len(s.test) for s in splits) <= 1
    with pytest.raises(DatasetTooSmallError):
        k_fold_splits(["a", "a", "b", "b", "b"], n_splits=3, validation_fraction=0.0, seed=0)


def test_each_site_is_held_out_in_turn_largest_first() -> None:
    sites = np.repeat(["north", "south", "west"], [60, 100, 40])
    labels = np.tile(["a", "b"], 100)
    splits = site_splits(labels, sites, n_splits=5, validation_fraction=0.15, seed=0)
    assert [set(sites[split.test]) for split in splits] == [{"south"}, {"north"}, {"west"}]
    for split in splits:
        check_parts(split, 200)
        assert not set(sites[split.test]) & set(sites[split.train])
        assert abs(len(split.validation) - 30) <= 2
    with pytest.raises(DatasetTooSmallError, match="Site 'west'"):
        site_splits(np.where(sites == "west", "a", labels), sites, n_splits=5, validation_fraction=0.15, seed=0)
    with pytest.raises(DatasetTooSmallError, match="at least two sites"):
        site_splits(labels, np.full(200, "north"), n_splits=5, validation_fraction=0.15, seed=0)


def test_time_splits_learn_from_the_past_only() -> None:
    times = RNG.permutation(np.repeat(np.arange(100.0), 3))
    labels = RNG.permutation(np.tile(["a", "b", "b"], 100))
    splits = time_splits(labels, times, n_splits=4, test_fraction=0.2, validation_fraction=0.15)
    assert times[splits[0].test].max() == 99.0
    for number, split in enumerate(splits):
        check_parts(split, 300, complete=number == 0)
        assert times[split.train].max() < times[split.validation].min()
        assert times[split.validation].max() < times[split.test].min()
        assert 30 <= len(split.test) <= 45  # 0.5 / 4 of the rows, times kept whole
    tested = np.concatenate([split.test for split in splits])
    assert len(set(tested.tolist())) == len(tested)
    with pytest.raises(DatasetTooSmallError, match="test rows of split 1 of 4 by time"):
        time_splits(np.where(times > 80, "a", labels), times, n_splits=4, test_fraction=0.2, validation_fraction=0.15)
    with pytest.raises(DatasetTooSmallError):
        time_splits(labels, np.zeros(300), n_splits=2, test_fraction=0.2, validation_fraction=0.15)
