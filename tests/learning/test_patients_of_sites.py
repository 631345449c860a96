"""Patients of one site each: a split by site tests new patients, though it does not go by them; cards say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import table_from_frame
from superpose.explain.group_words import groups_lines
from superpose.learning import TrainingSpec, run_experiment

KNOWN = "of known groups, not of new ones"


@pytest.mark.parametrize("moved", [False, True], ids=["of one site each", "one of two sites"])
def test_a_split_by_site_tests_new_patients_unless_one_is_of_two_sites(moved: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    patients = np.arange(30).repeat(4)
    sites = np.array(["north", "south", "west"])[patients % 3]
    if moved:
        sites[0] = "west"  # a visit of the first patient, of the north
    frame = pd.DataFrame({"patient": patients, "site": sites, "x": rng.normal(size=120), "y": rng.normal(size=120)})
    table = table_from_frame(frame.assign(end=rng.choice(["a", "b"], 120)), target="end", name="visits")
    spec = TrainingSpec.from_dict(
        {
            "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
            "training": {"epochs": 1},
            "preprocessing": {"exclude": ["patient"]},
            "split": {"kind": "site", "column": "site"},
            "evaluation": {"n_splits": 3, "controls": ["frozen"], "baseline": "none"},
        }
    )
    evaluation = run_experiment(spec, table, tmp_path).evaluation
    assert evaluation["groups"]["column"] == "patient"
    assert evaluation["groups"]["kept_together"] is not moved
    assert any(KNOWN in line for line in groups_lines(evaluation)) is moved
