"""What is compared of a column, and the exact chance of categories."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from superpose.datasets import column_baseline, compare_drift
from superpose.datasets.drift_comparisons import Comparisons, chance_of_categories, names_hang_on_chance
from superpose.datasets.drift_counts import DriftCounts


def test_rows_are_compared_up_to_edges_by_category_and_by_gaps() -> None:
    rows = {
        "x": np.array([*range(40), *[np.nan] * 10], dtype=float),
        "word": np.array([*["a"] * 30, *["b"] * 5, *"cdefg", *[None] * 10], dtype=object),
    }
    baseline = column_baseline(rows)
    counted = DriftCounts.of(baseline, rows).columns
    number, category = (Comparisons.of(column, 50) for column in baseline["columns"])
    assert number.fewest.tolist() == number.most.tolist() == [10, 20, 30, 10]
    assert number.number == 8
    assert Comparisons.now(baseline["columns"][0], counted[0]).tolist() == number.fewest.tolist()
    assert category.fewest.tolist() == [30, 5, 5, 10]  # a, b, all others, missing
    assert category.most.tolist() == [30, 5, 10, 10]  # Good: as many of the others again as the rarest named one has
    assert category.number == 2 * (2 + 6 + 1)
    assert Comparisons.now(baseline["columns"][1], counted[1]).tolist() == category.fewest.tolist()


def test_the_chance_of_categories_is_fishers_by_scipy() -> None:
    then = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 9 + ["d"], dtype=object)
    now = np.array(["a"] * 30 + ["b"] * 40 + ["c"] * 5 + ["e"] * 5, dtype=object)
    column = column_baseline({"word": then})["columns"][0]
    counted = DriftCounts.of({"columns": [column]}, {"word": now}).columns[0]
    pairs = [(60, 30), (30, 40), (9, 5), (1, 5), (0, 0)]
    chances = [
        stats.fisher_exact([[a, b], [100 - a, 80 - b]], alternative=way).pvalue
        for a, b in pairs
        for way in ("less", "greater")
    ]
    found = chance_of_categories(column, counted, 100, 80)
    assert found == pytest.approx(min(1.0, 2 * (3 + 2 + 1) * min(chances)), rel=1e-9) and found < 0.05


@pytest.mark.parametrize(
    ("counts", "hang"),
    [([50, 50], False), ([90, 6, 4], True), ([97, 3], False), ([3] * 30, True), ([20] * 60, True), ([20] * 50, False)],
)
def test_names_hang_on_chance_where_categories_are_near_the_fewest_rows(counts: list[int], hang: bool) -> None:
    words = np.array([f"w{i}" for i, n in enumerate(counts) for _ in range(n)], dtype=object)
    column = column_baseline({"word": words})["columns"][0]
    assert names_hang_on_chance(column, len(words)) is hang


@pytest.mark.parametrize("n_rare", [0, 1, 3, 8])
def test_what_a_small_table_has_rarely_is_tested_as_fisher_does(n_rare: int) -> None:
    """Six of two thousand rows were "b", and ten rows are new: Pearson's statistic of one "b" has p < 1e-6."""
    baseline = column_baseline({"x": np.array(["a"] * 1_994 + ["b"] * 6, dtype=object)})
    now = np.array(["a"] * (10 - n_rare) + ["b"] * n_rare, dtype=object)
    (found,) = compare_drift(baseline, {"x": now}).columns
    table = [[n_rare, 10 - n_rare], [6, 1_994]]
    least = min(stats.fisher_exact(table, alternative=side).pvalue for side in ("greater", "less"))
    assert found.p_value == pytest.approx(min(1.0, 4 * least))  # two sides, and what is common beside it
    assert found.verdict == ("drifted" if n_rare >= 3 else "stable")
