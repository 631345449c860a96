"""Checks across splits: each kind of trouble is planted, found by its name, and absent from clean data."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from superpose.datasets import (
    Finding,
    Split,
    Table,
    builtin_table,
    check_splits,
    data_sheet,
    grouped_splits,
    read_table,
    stratified_splits,
    time_splits,
)

TABLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "health" / "tables"
N_ROWS = 300


def planted(**columns: np.ndarray) -> Table:
    rng = np.random.default_rng(4)
    values = {"x": rng.normal(size=N_ROWS), "z": rng.normal(size=N_ROWS), **columns}
    labels = np.where(rng.random(N_ROWS) < 0.4, "ill", "well").astype(object)
    return Table.from_columns("planted", values, "outcome", labels)


def splits_of(table: Table) -> list[Split]:
    labels = table.target.to_numpy()
    return stratified_splits(labels, n_splits=3, test_fraction=0.2, validation_fraction=0.15, seed=0)


def findings(table: Table, splits: list[Split] | None = None) -> dict[str, Finding]:
    return {finding.kind: finding for finding in check_splits(table, table, splits or splits_of(table))}


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits"])
def test_clean_data_are_clean(name: str) -> None:
    assert findings(builtin_table(name)) == {}


def test_a_column_that_tells_the_answer_is_a_leak() -> None:
    ill = planted().target.to_numpy() == "ill"
    rng = np.random.default_rng(0)
    dose = np.where(ill, 5.0, 1.0) + rng.normal(size=N_ROWS) * 0.3
    for leak in (dose, np.where(ill, np.nan, dose), np.where(ill, "discharged to hospice", "home").astype(object)):
        found = findings(planted(after=leak))["leak"]
        assert found.columns == ("after",)
        assert "preprocessing.exclude" in found.message
    half = np.where(rng.random(N_ROWS) < 0.7, dose, rng.normal(3, 2, N_ROWS))
    assert "leak" not in findings(planted(after=half))
    for unit in (1e300, 1e-300):  # no float32 holds such numbers
        assert findings(planted(after=dose * unit))["leak"].columns == ("after",)


def test_patients_on_both_sides_are_counted() -> None:
    patients = np.repeat(np.arange(100.0, 200.0), 3)
    table = planted(patient_nr=patients)
    splits = splits_of(table)
    found = findings(table, splits)["group_overlap"]
    assert found.columns == ("patient_nr",)
    assert found.split is not None
    split = splits[found.split]
    shared = np.isin(patients[split.test], patients[split.train])
    assert found.n_rows == shared.sum() and list(found.rows) == split.test[shared][:20].tolist()
    assert f"test rows of split {found.split + 1})" in found.message  # counted from 1, as progress counts
    apart = grouped_splits(
        table.target.to_numpy(), patients, n_splits=3, test_fraction=0.2, validation_fraction=0.15, seed=0
    )
    assert "group_overlap" not in findings(table, apart)


def test_copies_are_found_exact_and_near() -> None:
    table = planted()
    splits = splits_of(table)
    rows, sources = splits[0].test[:7], splits[0].train[:7]
    for kind, noise in (("duplicate", 0.0), ("near_duplicate", 1e-6)):
        copied = table.features.copy()
        copied.iloc[rows] = copied.iloc[sources].to_numpy() * (1.0 + noise)
        changed = Table.from_columns(
            "copied", {name: copied[name].to_numpy() for name in copied}, "outcome", table.target.to_numpy()
        )
        found = findings(changed, splits)
        assert set(found) & {"duplicate", "near_duplicate"} == {kind}
        assert found[kind].n_rows == 7
        assert kind == "near_duplicate" or "test rows of split 1 have the features" in found[kind].message
        assert set(found[kind].rows) == set(rows.tolist())


def test_identifiers_and_texts_among_the_features_are_named() -> None:
    table = planted(mrn=np.array([f"M{i}" for i in range(N_ROWS)], dtype=object))
    assert findings(table)["identifier"].columns == ("mrn",)


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%y", "%d-%b-%Y", "%d-%m-%Y %H:%M"])
def test_dates_among_the_features_are_named_by_sheet_and_splits_however_they_are_written(form: str) -> None:
    days = [date(2024, 1, 1) + timedelta(days=i // 2) for i in range(N_ROWS)]
    table = planted(visit=np.array([day.strftime(form) for day in days], dtype=object))
    found = findings(table)["identifier"]
    assert found.columns == ("visit",) and "holds dates" in found.message and "days since an event" in found.message
    (said,) = (warning for warning in data_sheet(table).warnings if "'visit'" in warning)
    assert "holds dates" in said and ("write it as 2025-03-31" in said) == (form != "%Y-%m-%d")


def test_dates_written_as_numbers_are_named_among_the_features() -> None:
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(N_ROWS)]
    table = planted(visit=np.array([float(day.strftime("%Y%m%d")) for day in days]))
    found = findings(table)["identifier"]
    assert found.columns == ("visit",) and "written as numbers" in found.message
    assert "or give days since an event" in found.message


def test_versions_and_codes_are_no_dates() -> None:
    for words in (["1.2.3", "1.2.4"], ["10-12-14", "10-12-15"], ["45.20.2024", "46.20.2024"], ["12 mg", "13 mg"]):
        table = planted(code=np.array([words[i % 2] for i in range(N_ROWS)], dtype=object))
        assert "identifier" not in findings(table)


def test_drift_between_past_and_present_is_seen() -> None:
    days = np.arange(float(N_ROWS))
    table = planted(day=days, rising=np.random.default_rng(1).normal(size=N_ROWS) + days / 60)
    splits = time_splits(table.target.to_numpy(), days, n_splits=2, test_fraction=0.2, validation_fraction=0.15)
    features = table.without(["day"])
    found = [f for f in check_splits(table, features, splits) if f.kind == "drift"]
    assert [f.columns for f in found] == [("rising",)]


@pytest.mark.skipif(not TABLES.is_dir(), reason="the shared health tables are not on this machine")
def test_a_real_table_is_told_about() -> None:
    content = (TABLES / "haberman.csv").read_bytes()
    table = read_table(b"age,year,nodes,died\n" + content, format="csv", name="haberman", target="died")
    found = findings(table)
    assert "leak" not in found
    assert found["duplicate"].n_rows > 0  # three small integers: many patients look alike
