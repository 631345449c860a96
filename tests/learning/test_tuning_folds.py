"""Folds that a sweep tunes on: sites and groups whole where they are measured, and a refusal that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import Table, k_fold_splits, table_from_frame
from superpose.errors import DatasetTooSmallError
from superpose.learning import TrainingSpec
from superpose.learning.splitting import splits_of
from superpose.learning.trial import tuning_folds


def _visits(n_sites: int) -> Table:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"site": [f"S{place % n_sites}" for place in range(120)], "x": rng.normal(size=120)})
    return table_from_frame(frame.assign(end=rng.choice(["a", "b"], 120)), target="end", name="visits")


def _spec(**split: Any) -> TrainingSpec:
    return TrainingSpec.from_dict({"split": split, "evaluation": {"n_splits": 2}})


@pytest.mark.parametrize(("n_sites", "n_folds"), [(3, 2), (6, 3)])
def test_a_site_is_measured_in_one_fold_and_validation_rows_are_of_the_others(n_sites: int, n_folds: int) -> None:
    """Three sites, of which one is the final test, are two folds: training and validation share what is left."""
    table, spec = _visits(n_sites), _spec(kind="site", column="site")
    sites = table.features["site"].to_numpy()
    pool = set(range(120)) - set(splits_of(spec, table)[0].test.tolist())
    folds = tuning_folds(spec, table, n_folds)
    assert len(folds) == n_folds
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == sorted(pool)
    for fold in folds:
        parts = [set(part.tolist()) for part in (fold.train, fold.validation, fold.test)]
        assert set.union(*parts) == pool
        assert sum(map(len, parts)) == len(pool)
        assert not set(sites[fold.test]) & set(sites[np.concatenate([fold.train, fold.validation])])
        assert set(table.target[fold.validation]) == {"a", "b"}
    again = tuning_folds(spec, table, n_folds)
    assert all((one.validation == other.validation).all() for one, other in zip(folds, again, strict=True))


def test_too_few_sites_or_groups_are_refused_with_the_sweeps_own_field() -> None:
    with pytest.raises(
        DatasetTooSmallError, match=r"3 tuning folds .* 80 rows outside .*\(objective\.folds"
    ) as refused:
        tuning_folds(_spec(kind="site", column="site"), _visits(3), 3)
    assert refused.value.details["needed"] == 3
    labels, groups = np.tile(["a", "b"], 30), np.repeat([0, 1, 2], 20)
    with pytest.raises(DatasetTooSmallError, match=r"Outside a fold .* whole groups: Class 'a' is in 1 group"):
        k_fold_splits(labels, n_splits=2, validation_fraction=0.1, seed=0, groups=groups)
