"""Counts of parts add up to what the whole table gives, so that live rows need not be kept."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import compare_drift, drift_baseline, table_from_frame
from superpose.datasets.drift import compare_counts
from superpose.datasets.drift_counts import DriftCounts


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_parts_add_up_to_the_whole(shift: float) -> None:
    drawn = np.random.default_rng(0)
    dose = np.where(drawn.random(400) < 0.1, np.nan, drawn.normal(size=400))
    frame = pd.DataFrame({"dose": dose, "site": drawn.choice(["a", "b", "c"], 400), "ill": [0, 1] * 200})
    baseline = drift_baseline(table_from_frame(frame, target="ill", name="trial"))
    numbers = np.where(drawn.random(300) < 0.1, np.nan, drawn.normal(size=300) + shift)
    words = drawn.choice(np.array(["a", "b", "new", None], dtype=object), 300)
    whole = compare_drift(baseline, {"dose": numbers, "site": words})
    parts = [
        DriftCounts.of(baseline, {"dose": numbers[i : i + 70], "site": words[i : i + 70]}) for i in range(0, 300, 70)
    ]
    assert compare_counts(baseline, sum(parts, DriftCounts())).to_dict() == whole.to_dict()
    assert whole.n_rows == 300
    assert (whole.columns[0].verdict == "drifted") == (shift > 0)
    assert whole.columns[1].verdict == "drifted"


def test_truth_values_count_as_the_categories_that_a_file_wrote_in_its_own_way() -> None:
    frame = pd.DataFrame({"smoker": ["True", "False"] * 20, "ill": [0, 1] * 20})
    baseline = drift_baseline(table_from_frame(frame, target="ill", name="trial"))
    counted = DriftCounts.of(baseline, {"smoker": np.array(["true", "True", "false", None, "no"], dtype=object)})
    np.testing.assert_array_equal(counted.columns[0].present, [1, 2, 1])  # False, True, others
    assert counted.columns[0].missing == 1
