"""How many splits "auto" means: by the spec and the data's shape, no clock; and it says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superpose.datasets import Table, builtin_table
from superpose.errors import SpecError
from superpose.learning import TrainingSpec, run_experiment
from superpose.learning.split_count import split_count
from superpose.learning.splitting import splits_of


@pytest.mark.parametrize(
    ("sections", "n_rows", "n_splits", "why"),
    [
        ({}, 150, 10, "not more than 300 s"),
        ({"model": {"n_qubits": 18}}, 2_000, 5, "more than 300 s"),
        ({"training": {"epochs": 5_000}}, 5_000, 5, "more than 300 s"),
        ({"evaluation": {"n_seeds": 50}}, 5_000, 5, "more than 300 s"),
        ({"evaluation": {"n_splits": 7}}, 150, 7, "asks for 7"),
        ({"split": {"kind": "k_fold"}}, 150, 5, "of kind k_fold"),
        ({"split": {"kind": "time", "column": "day"}}, 150, 5, "of kind time"),
        ({"split": {"kind": "grouped", "column": "patient"}}, 150, 10, "not more than 300 s"),
        ({"backend": {"name": "local", "shots": 10}}, 150, 5, "trained on local"),
        ({"limits": {"max_steps": 8_000}}, 150, 5, r"9600 steps, limits.max_steps allows 8000"),
        ({"model": {"n_qubits": 1_000}}, 150, 5, "more than 300 s"),
    ],
)
def test_ten_where_cheap_else_five(sections: dict, n_rows: int, n_splits: int, why: str) -> None:
    found = split_count(TrainingSpec.from_dict(sections), n_rows)
    assert found.n_splits == n_splits
    assert why in found.reason
    assert found.chosen_by == ("spec" if "asks" in why else "rule")


def test_the_first_five_of_ten_splits_are_those_of_five() -> None:
    table = builtin_table("iris")
    ten = splits_of(TrainingSpec(), table)
    five = splits_of(TrainingSpec.from_dict({"evaluation": {"n_splits": 5}}), table)
    assert len(ten) == 10
    for one, other in zip(five, ten, strict=False):
        np.testing.assert_array_equal(one.test, other.test)


@pytest.mark.parametrize("given", ["many", 1, 2.0, True, None])
def test_the_number_is_a_number_or_auto(given: object) -> None:
    with pytest.raises(SpecError, match="'auto' or a whole number from 2 to 1000"):
        TrainingSpec.from_dict({"evaluation": {"n_splits": given}})


def test_sites_are_as_many_splits_as_there_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=120), "site": np.array(list("abc") * 40, dtype=object)}
    table = Table.from_columns("sites", columns, "y", np.array(["n", "p"] * 60, dtype=object))
    spec = TrainingSpec.from_dict(
        {
            "training": {"epochs": 1},
            "split": {"kind": "site", "column": "site"},
            "evaluation": {"controls": [], "baseline": "none"},
        }
    )
    evaluation = run_experiment(spec, table, tmp_path).evaluation
    assert evaluation["n_splits"] == evaluation["split_count"]["n_splits"] == 3
    assert evaluation["split_count"]["reason"] == "3 sites are as many splits."
