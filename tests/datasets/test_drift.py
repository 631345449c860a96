"""Drift: known shifts are found, chance is not taken for one, and a baseline holds no rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

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
