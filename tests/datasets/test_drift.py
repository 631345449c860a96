"""Drift: known shifts are found, chance is not taken for one, and a baseline holds no rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from superpose.datasets import DriftReport, Table, compare_drift, drift_baseline
from superpose.errors import FeatureMismatchError

N_ROWS = 1_000


def make_table(seed: int = 0, n_rows: int = N_ROWS) -> Table:
    rng = np.random.default_rng(seed)
    ages = rng.integers(20, 90, n_rows).astype(np.float64)
    ages[rng.random(n_rows) < 0.1] = np.nan
    wards = np.array(["north", "south", "west"], dtype=object)[rng.choice(3, n_rows, p=[0.5, 0.3, 0.2])]
    wards[: n_rows // 300] = "Baroness von Rare"  # three rows of a thousand: must not be told
    return Table.from_columns(
        "visits",
        {"dose": rng.normal(size=n_rows), "age": ages, "ward": wards},
        "outcome",
        np.where(rng.random(n_rows) < 0.5, "ill", "well").astype(object),
    )


TABLE = make_table()
BASELINE = json.loads(json.dumps(drift_baseline(TABLE)))


def columns_of(table: Table) -> dict[str, np.ndarray]:
    return {name: table.features[name].to_numpy() for name in table.feature_names}


def verdicts(report: DriftReport) -> dict[str, str]:
    return {column.name: column.verdict for column in report.columns}


def test_the_index_and_the_distance_are_those_of_the_formulas() -> None:
    now = make_table(1).features["dose"].to_numpy() * 1.5 + 0.3
    report = compare_drift(BASELINE, {**columns_of(TABLE), "dose": now})
    edges = [-math.inf, *BASELINE["columns"][0]["edges"], math.inf]
    then_shares = np.histogram(TABLE.features["dose"], edges)[0] / N_ROWS
    now_shares = np.histogram(now, edges)[0] / N_ROWS
    found = report.columns[0]
    assert found.ks == pytest.approx(np.abs(np.cumsum(then_shares - now_shares)).max(), abs=2e-3)
    p, q = then_shares.reshape(-1, 2).sum(axis=1), now_shares.reshape(-1, 2).sum(axis=1)
    assert found.psi == pytest.approx(np.sum((q - p) * np.log(q / p)), rel=0.05)
    assert verdicts(report) == {"dose": "drifted", "age": "stable", "ward": "stable"}
    assert report.verdict == "drifted" and "dose (PSI" in report.message


def test_the_distance_and_the_chance_are_those_of_scipy() -> None:
    """The chance of a category by the chi-squared test of its table of counts, rare and unknown ones in one row."""
    other = make_table(1, 700)
    wards = other.features["ward"].to_numpy().copy()
    wards[::15] = "north"
    wards[::40] = "attic"
    dose, _, ward = compare_drift(BASELINE, {**columns_of(other), "ward": wards}).columns
    named = ["north", "south", "west"]
    counts = [
        [*(int(np.sum(column == name)) for name in named), int(np.sum(~np.isin(column, named)))]
        for column in (TABLE.features["ward"].to_numpy().astype(str), wards.astype(str))
    ]
    expected = stats.chi2_contingency(counts, correction=False).pvalue
    assert ward.p_value == pytest.approx(expected, rel=1e-6) and 1e-12 < expected < 0.01
    places = [
        np.searchsorted(BASELINE["columns"][0]["edges"], table.features["dose"].to_numpy()) for table in (TABLE, other)
    ]
    assert dose.ks == pytest.approx(stats.ks_2samp(*places).statistic, abs=1e-5)


@pytest.mark.parametrize(("n_rows", "shift"), [(700, 0.12), (2_000, 0.1), (300, 0.22)])
def test_the_chance_of_a_distance_is_that_of_scipy_and_never_too_small(n_rows: int, shift: float) -> None:
    """A column that moves a little as a whole: its distance is the stronger signal.

    SciPy's exact chance of that distance, for values of any precision, and the chance by permutation of the rows among
    the baseline's ranges, which only these ranges can tell apart.
    """
    dose = np.random.default_rng(n_rows).normal(shift, size=n_rows)
    found = compare_drift(BASELINE, {**columns_of(TABLE), "dose": dose}).columns[0]
    before, now = (np.searchsorted(BASELINE["columns"][0]["edges"], v) for v in (TABLE.features["dose"], dose))
    exact = stats.ks_2samp(before, now, method="exact")
    asymptotic = stats.ks_2samp(before, now, method="asymp").pvalue
    assert found.ks == pytest.approx(exact.statistic, abs=2e-5)
    assert 1e-5 < exact.pvalue < 0.05
    assert found.p_value == pytest.approx(exact.pvalue, rel=0.2)
    assert found.p_value == pytest.approx(asymptotic, rel=0.2)
    permuted = stats.permutation_test(
        (before, now), distance, vectorized=True, n_resamples=2_000, alternative="greater", rng=0
    ).pvalue
    assert found.p_value >= permuted - 4 * math.sqrt(permuted * (1 - permuted) / 2_000) - 1e-3


def distance(before: np.ndarray, now: np.ndarray, axis: int = -1) -> np.ndarray:
    """Of the two distribution functions, at all ranges."""
    apart = [np.mean(before <= edge, axis=axis) - np.mean(now <= edge, axis=axis) for edge in range(20)]
    return np.abs(apart).max(axis=0)


def test_the_index_is_the_divergence_both_ways_and_the_correction_that_of_statsmodels() -> None:
    """Eight columns of words, more and more moved: an index is Kullback and Leibler's of scipy both ways, a column has
    moved where statsmodels' correction by Holm, of all indices and distances (words have none), says so.
    """
    rng = np.random.default_rng(4)
    words = {f"c{i}": np.array(["a", "b", "c"], dtype=object)[rng.choice(3, 400)] for i in range(8)}
    label = np.array(["ill", "well"] * 200, dtype=object)
    baseline = drift_baseline(Table.from_columns("words", words, "outcome", label))
    moved = {}
    for i, name in enumerate(words):
        now = words[name][rng.choice(400, 90)]
        now[: 5 * i] = "a"
        moved[name] = now
    report = compare_drift(baseline, moved)
    chances = [column.p_value for column in report.columns]
    rejected = multipletests(chances + [1.0] * 8, alpha=0.01, method="holm")[0][:8]
    for column, said in zip(report.columns, rejected, strict=True):
        p, q = ([np.mean(values[column.name] == word) for word in "abc"] for values in (words, moved))
        assert column.psi == pytest.approx(stats.entropy(q, p) + stats.entropy(p, q), rel=1e-4)
        assert (column.verdict != "stable") == (bool(said) and column.psi >= 0.1)
    alone = np.array(chances) < 0.01
    assert 0 < rejected.sum() < alone.sum() < 8  # the correction decides some


def test_the_same_rows_have_not_moved() -> None:
    report = compare_drift(BASELINE, columns_of(TABLE))
    assert report.verdict == "stable"
    for column in report.columns:
        assert (column.psi < 0.005 and column.ks is None) or column.ks < 0.01
        assert column.missing_before == pytest.approx(column.missing_now, abs=1e-6)


@pytest.mark.parametrize("n_rows", [30, 100, 1_000])
def test_chance_is_not_taken_for_drift(n_rows: int) -> None:
    # level 1 % per table: of 60 tables more than 6 alarms have probability below 1e-5
    alarms = sum(
        compare_drift(drift_baseline(make_table(seed, 400)), columns_of(make_table(seed + 1_000, n_rows))).verdict
        != "stable"
        for seed in range(60)
    )
    assert alarms <= 6


def test_missing_values_and_categories_move_too() -> None:
    other = columns_of(make_table(2))
    gaps = other["age"].copy()
    gaps[::2] = np.nan
    words = other["ward"].copy()
    words[words == "north"] = "east"
    report = compare_drift(BASELINE, {**other, "age": gaps, "ward": words})
    assert verdicts(report) == {"dose": "stable", "age": "drifted", "ward": "drifted"}
    age, ward = report.columns[1], report.columns[2]
    assert age.missing_now > 0.5 and age.ks is not None and age.ks < 0.1
    assert ward.ks is None and ward.unknown_now > 0.4
    gone = compare_drift(BASELINE, {**other, "dose": np.full(N_ROWS, np.nan)})
    assert gone.columns[0].verdict == "drifted"


def test_a_sentence_names_the_columns_that_moved_most_and_counts_the_others() -> None:
    rng = np.random.default_rng(0)
    columns = {f"x{place}": rng.normal(size=N_ROWS) for place in range(7)}
    table = Table.from_columns("many", columns, "y", np.array(["a", "b"], dtype=object)[np.arange(N_ROWS) % 2])
    report = compare_drift(drift_baseline(table), {name: values + 9 for name, values in columns.items()})
    assert report.message.startswith("Of 7 columns, 7 have drifted") and report.message.count("PSI") == 5
    assert report.message.endswith(") and 2 more.")


def test_a_baseline_tells_no_row() -> None:
    text = json.dumps(BASELINE)
    assert "Baroness" not in text
    assert len(BASELINE["columns"][0]["edges"]) == 19
    few = drift_baseline(TABLE, np.arange(45))
    assert len(few["columns"][0]["edges"]) == 3  # ten rows at least in each range
    assert few["n_rows"] == 45


def test_columns_that_are_absent_or_of_another_kind_are_named() -> None:
    columns = columns_of(TABLE)
    with pytest.raises(FeatureMismatchError, match="lacks 'ward'"):
        compare_drift(BASELINE, {name: columns[name] for name in ("dose", "age")})
    with pytest.raises(FeatureMismatchError, match="'dose' holds text"):
        compare_drift(BASELINE, {**columns, "dose": columns["ward"]})
    numbers = Table.from_columns(
        "t", {"grade": np.array(["1", "2"] * 50, dtype=object)}, "y", np.array(["a", "b"] * 50, dtype=object)
    )
    report = compare_drift(drift_baseline(numbers), {"grade": np.array([1.0, 2.0] * 50)})
    assert report.columns[0].psi < 1e-9  # 1 and "1" are one category, as in predictions
