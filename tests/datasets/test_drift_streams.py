"""Chance over a stream: its levels are those of other implementations, and rows that do not move raise nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from superpose.datasets import column_baseline, compare_drift
from superpose.datasets.drift_counts import ColumnCounts, DriftCounts
from superpose.datasets.drift_streams import FALSE_ALARMS, beyond_chance, more_than_chance

N_LOOKS = 10_000_000
Draw = Callable[[np.random.Generator, int, float], np.ndarray]


def words(n_words: int) -> Draw:
    """So many words, equally frequent; ``shift`` of the rows have the first one instead."""
    known = np.array([f"w{i:03}" for i in range(n_words)], dtype=object)
    return lambda drawn, n, shift: known[np.where(drawn.random(n) < shift, 0, drawn.integers(0, n_words, n))]


DRAWS: dict[str, Draw] = {
    "normal": lambda drawn, n, shift: drawn.normal(shift, size=n),
    "skewed": lambda drawn, n, shift: np.exp(drawn.normal(shift, size=n)),
    "counts": lambda drawn, n, shift: drawn.poisson(3 + shift * 3**0.5, size=n).astype(float),
    "gaps": lambda drawn, n, shift: np.where(drawn.random(n) < 0.1 + shift / 2, np.nan, drawn.normal(size=n)),
    "few words": words(4),
    "many words": words(60),
}


@pytest.mark.parametrize(("seen", "of"), [(0, 30), (10, 30), (29, 30), (50, 100), (300, 1_000)])
def test_levels_are_those_of_clopper_and_pearson_and_of_the_binomial(seen: int, of: int) -> None:
    level = FALSE_ALARMS / 40
    largest = proportion_confint(seen, of, alpha=2 * 0.9 * level, method="beta")[1]
    n_now = 1_000
    fewest = next(
        (n for n in range(1, n_now + 1) if stats.binom.sf(n - 1, n_now, largest) < 0.1 * level / N_LOOKS), n_now + 1
    )
    told = more_than_chance(np.full(n_now, seen), of, np.arange(1, n_now + 1), n_now, n_comparisons=40, n_looks=N_LOOKS)
    assert np.flatnonzero(told)[:1].tolist() == [fewest - 1][: fewest <= n_now]
    assert told[fewest - 1 :].all()


@pytest.mark.parametrize("rank", [1, 10, 27])
def test_the_bound_of_a_quantile_is_wrong_as_often_as_is_said(rank: int) -> None:
    """The share of the population up to a baseline's ``rank``-th row and before the next is no more than the bound but
    for its level: by rows drawn, and by SciPy's distribution of ranks.
    """
    level, n_drawn = 0.01, 40_000
    bound = proportion_confint(rank, 30, alpha=2 * level, method="beta")[1]
    ranked = np.sort(np.random.default_rng(rank).random((n_drawn, 30)), axis=1)
    n_wrong = int((ranked[:, rank] > bound).sum())
    assert stats.binomtest(n_wrong, n_drawn, level).pvalue > 1e-4
    assert stats.beta(rank + 1, 30 - rank).sf(bound) == pytest.approx(level)


def test_nothing_is_beyond_chance_without_rows_or_where_all_rows_were_of_the_kind() -> None:
    level = {"n_comparisons": 2, "n_looks": 10}
    assert not more_than_chance([30.0, 0.0], 30, [500.0, 0.0], 500, **level).any()
    assert more_than_chance([0.0], 30, [500.0], 500, **level).all()


def n_beyond(name: str, n_before: int, shift: float, seed: int) -> int:
    """How many of ten windows of 1,000 rows have a column beyond chance."""
    draw, drawn = DRAWS[name], np.random.default_rng([seed, n_before])
    baseline = column_baseline({f"x{i}": draw(drawn, n_before, 0.0) for i in range(4)})
    many = DriftCounts.of(baseline, {f"x{i}": draw(drawn, 20_000, shift) for i in range(4)})
    shares = [np.append(column.present, column.missing) / many.n_rows for column in many.columns]
    names, found = {column["name"] for column in baseline["columns"]}, 0
    for _ in range(10):
        counts = [drawn.multinomial(1_000, share).astype(float) for share in shares]
        window = DriftCounts(1_000, tuple(ColumnCounts(count[:-1], int(count[-1])) for count in counts))
        found += bool(beyond_chance(baseline, window, names, N_LOOKS))
    return found


@pytest.mark.parametrize("n_before", [30, 100, 300])
@pytest.mark.parametrize("name", DRAWS)
def test_rows_that_do_not_move_raise_nothing(name: str, n_before: int) -> None:
    # a stream of a thousand million rows has one with a probability of 1 % at most
    for seed in range(3):
        assert n_beyond(name, n_before, 0.0, seed) == 0


@pytest.mark.parametrize("name", DRAWS)
def test_known_shifts_are_found(name: str) -> None:
    assert n_beyond(name, 300, 1.0, 0) == 10


def test_columns_that_nobody_asks_for_are_not_told() -> None:
    drawn = np.random.default_rng(0)
    baseline = column_baseline({"a": drawn.normal(size=300), "b": drawn.normal(size=300)})
    window = DriftCounts.of(baseline, {"a": drawn.normal(3, size=500), "b": drawn.normal(3, size=500)})
    assert beyond_chance(baseline, window, {"a", "b"}, N_LOOKS) == {"a", "b"}
    assert beyond_chance(baseline, window, {"b"}, N_LOOKS) == {"b"}
    assert beyond_chance(baseline, window, set(), N_LOOKS) == set()


def test_what_chance_named_is_no_drift_at_one_look_either() -> None:
    """Of 200 equally frequent words a baseline of 1,000 rows names the 50 that happened to be most frequent, which
    SciPy's test of the table of named words and all others takes for drift.
    """
    told, naive = 0, 0
    for seed in range(20):
        drawn = np.random.default_rng(seed)
        then, now = (words(200)(drawn, n, 0.0) for n in (1_000, 2_000))
        baseline = column_baseline({"word": then})
        told += compare_drift(baseline, {"word": now}).columns[0].p_value < 0.01
        named = baseline["columns"][0]["shares"]
        counts = [[*(np.sum(rows == word) for word in named), np.sum(~np.isin(rows, [*named]))] for rows in (then, now)]
        naive += stats.chi2_contingency(counts).pvalue < 0.01
        assert compare_drift(baseline, {"word": words(200)(drawn, 1_000, 0.8)}).verdict == "drifted"
    assert told <= 2 and naive >= 15  # of 20 at 1 % more than two have a probability of 0.001


def test_ranges_of_few_rows_are_no_drift_at_one_look() -> None:
    """Ten ranges of ten rows each, and a large table: one in a hundred tables at most, not six."""
    told, n_tables = 0, 300
    for seed in range(n_tables):
        drawn = np.random.default_rng([seed, 7])
        baseline = column_baseline({"x": drawn.normal(size=100)})
        report = compare_drift(baseline, {"x": drawn.normal(size=2_000)})
        told += report.verdict != "stable"
    assert stats.binom.sf(told - 1, n_tables, 0.01) > 1e-3


@pytest.mark.parametrize("missing", [0.5, 0.95])
def test_gaps_that_do_not_move_are_no_drift_at_one_look(missing: float) -> None:
    """Values that are there make the distance, so they alone make its chance: one in a hundred tables, whatever the
    share of gaps (with all rows counted it was 3 in 4 of tables with 95 % of gaps).
    """
    told, n_tables = 0, 200

    def gappy(drawn: np.random.Generator, n_rows: int) -> np.ndarray:
        return np.where(drawn.random(n_rows) < missing, np.nan, drawn.normal(size=n_rows))

    for seed in range(n_tables):
        drawn = np.random.default_rng([seed, 11])
        baseline = column_baseline({"x": gappy(drawn, 1_000)})
        told += compare_drift(baseline, {"x": gappy(drawn, 1_000)}).verdict != "stable"
    assert stats.binom.sf(told - 1, n_tables, 0.01) > 1e-3


def test_the_chance_of_a_distance_counts_the_values_that_are_there() -> None:
    """Of a column with gaps the distance and its chance are SciPy's for the values alone."""
    drawn = np.random.default_rng(5)
    then, now = drawn.normal(size=400), drawn.normal(0.3, size=300)
    gaps = np.full(3_000, np.nan)
    baseline = column_baseline({"x": np.append(then, gaps)})
    (found,) = compare_drift(baseline, {"x": np.append(now, gaps[:2_250])}).columns
    ranges = [np.searchsorted(baseline["columns"][0]["edges"], values) for values in (then, now)]
    expected = stats.ks_2samp(*ranges, method="asymp")
    assert found.ks == pytest.approx(expected.statistic, abs=1e-4)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.2)


def test_ranges_hold_ten_values_each_however_many_rows_have_none() -> None:
    """A column of thirty values among two thousand rows is not told value by value."""
    values = np.full(2_000, np.nan)
    values[:30] = np.random.default_rng(3).normal(size=30)
    (column,) = column_baseline({"x": values})["columns"]
    assert len(column["edges"]) == 2 and min(column["shares"]) * 2_000 >= 9.5


@pytest.mark.parametrize("n_rows", [1, 10])
def test_a_few_rows_of_many_columns_are_no_drift_at_one_look(n_rows: int) -> None:
    """Twenty columns, each of forty words that are rarer and rarer: one in a hundred tables at most, not 98 of single
    rows and 42 of ten.
    """
    shares = 1.0 / np.arange(1, 41)
    known = np.array([f"w{i:02}" for i in range(40)], dtype=object)
    told, n_tables = 0, 60
    for seed in range(n_tables):
        drawn = np.random.default_rng([seed, 13])

        def columns(n: int, drawn: np.random.Generator = drawn) -> dict[str, np.ndarray]:
            return {f"x{i}": known[drawn.choice(40, n, p=shares / shares.sum())] for i in range(20)}

        told += compare_drift(column_baseline(columns(2_000)), columns(n_rows)).verdict != "stable"
    assert stats.binom.sf(told - 1, n_tables, 0.01) > 1e-3
