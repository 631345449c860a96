"""Reports on tables, splits, and the built-in data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import (
    builtin_names,
    builtin_table,
    check_table,
    read_table,
    stratified_splits,
    table_from_frame,
)
from superpose.errors import (
    DatasetFormatError,
    DatasetTargetError,
    DatasetTooSmallError,
    DatasetTooWideError,
    RequestError,
)

TABLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "health" / "tables"
needs_tables = pytest.mark.skipif(not TABLES.is_dir(), reason="the shared health tables are not on this machine")


def test_builtin_tables() -> None:
    shapes = {name: (builtin_table(name).n_rows, builtin_table(name).n_features) for name in builtin_names()}
    made = dict.fromkeys(("hidden_manifold", "hyperplanes", "two_curves"), (300, 10))
    taken = {"breast_cancer": (569, 30), "digits": (1797, 64), "iris": (150, 4), "wine": (178, 13)}
    assert shapes == taken | {"bars_and_stripes": (1200, 16)} | made
    cancer = builtin_table("breast_cancer")
    assert cancer.class_counts == {"benign": 357, "malignant": 212}
    assert {column.unit for column in builtin_table("iris").columns} == {"cm"}
    with pytest.raises(RequestError, match="allowed are breast_cancer, digits"):
        builtin_table("mnist")


def test_a_report_finds_what_is_odd() -> None:
    rows = ["leak,flat,typed,id,x,y"]
    rows += [f"{'ab'[i % 2]},7,{i if i != 3 else '3o'},r{i},{i // 2},{'pq'[i % 2]}" for i in range(20)]
    rows += ["a,7,20,r20,99,p", "a,7,20,r20,99,q"]
    table = read_table("\n".join(rows).encode(), format="csv", name="odd", target="y")
    report = check_table(table)
    assert report.constant == ("flat",)
    assert report.mostly_numbers == ("typed",)
    assert report.n_conflicting_rows == 1
    assert report.leaks == ()
    clean = read_table("\n".join([*rows[:-1], rows[-2]]).encode(), format="csv", name="odd", target="y")
    report = check_table(clean)
    assert report.leaks == ("leak",)
    assert report.n_duplicate_rows == 1
    assert len(report.warnings) >= 4
    assert json.loads(json.dumps(report.to_dict()))["leaks"] == ["leak"]
    with pytest.raises(DatasetTooWideError):
        check_table(table, max_columns=5)


def test_a_numeric_copy_of_the_target_is_a_leak_and_an_identifier_is_named() -> None:
    rows = ["copy,id,x,y"] + [f"{i % 3}.0,p{i},{i},{i % 3}" for i in range(12)]
    report = check_table(read_table("\n".join(rows).encode(), format="csv", name="t", target="y"))
    assert report.leaks == ("copy",)
    assert report.identifiers == ("id",)
    assert report.class_counts == {"0": 4, "1": 4, "2": 4}
    assert "only 4 row(s)" in report.warnings[-1]


def test_builtin_data_is_in_order() -> None:
    assert check_table(builtin_table("breast_cancer")).warnings == ()


@pytest.mark.parametrize("validation_fraction", [0.0, 0.15])
def test_splits_are_disjoint_complete_stratified_and_repeatable(validation_fraction: float) -> None:
    labels = np.repeat(["a", "b", "c"], [100, 37, 5])
    arguments = {"test_fraction": 0.2, "validation_fraction": validation_fraction, "seed": 7}
    splits = stratified_splits(labels, n_splits=4, **arguments)  # type: ignore[arg-type]
    for split in splits:
        joined = np.concatenate([split.train, split.validation, split.test])
        np.testing.assert_array_equal(np.sort(joined), np.arange(142))
        for part in (split.train, split.test) + ((split.validation,) if validation_fraction else ()):
            assert set(labels[part]) == {"a", "b", "c"}
        assert [int((labels[split.test] == c).sum()) for c in "abc"] == [20, 7, 1]
    assert len({tuple(split.test) for split in splits}) == 4
    again = stratified_splits(list(labels), n_splits=2, **arguments)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again[1].train, splits[1].train)
    other = stratified_splits(labels, n_splits=1, **{**arguments, "seed": 8})  # type: ignore[arg-type]
    assert not np.array_equal(other[0].test, splits[0].test)


def test_splits_do_not_move_between_releases() -> None:
    split = stratified_splits(list("aaaaaabbbb"), n_splits=1, test_fraction=0.3, validation_fraction=0.2, seed=0)[0]
    assert (split.train.tolist(), split.validation.tolist(), split.test.tolist()) == (
        [0, 4, 5, 7, 9],
        [1, 6],
        [2, 3, 8],
    )


def test_small_classes_are_refused_with_their_count_or_spread_over_all_parts() -> None:
    with pytest.raises(DatasetTooSmallError, match=r"Class 'b' has 2 row\(s\); at least 3") as caught:
        stratified_splits(list("aaaaabb"), n_splits=1, test_fraction=0.2, validation_fraction=0.2, seed=0)
    assert caught.value.details == {"class_label": "b", "count": 2, "needed": 3}
    split = stratified_splits(list("aaabbb"), n_splits=1, test_fraction=0.49, validation_fraction=0.49, seed=0)[0]
    assert [len(split.train), len(split.validation), len(split.test)] == [2, 2, 2]


@pytest.mark.parametrize("fractions", [(0.0, 0.1), (1.0, 0.0), (0.5, 0.5), (0.2, -0.1)])
def test_impossible_fractions_are_refused(fractions: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="test_fraction"):
        stratified_splits("ab", n_splits=1, test_fraction=fractions[0], validation_fraction=fractions[1], seed=0)


@needs_tables
def test_heart_data() -> None:
    table = read_table(TABLES / "heart_cleveland.csv", format="csv", name="heart", target="num")
    assert table.class_counts == {"0": 164, "1": 55, "2": 36, "3": 35, "4": 13}
    assert {c.name: c.n_missing for c in table.columns if c.n_missing} == {"ca": 4, "thal": 2}
    assert all(column.kind == "number" for column in table.columns)


@needs_tables
def test_hepatitis_data() -> None:
    table = read_table(TABLES / "hepatitis.csv", format="csv", name="hepatitis", target="class")
    assert table.class_counts == {"1": 32, "2": 123}
    assert check_table(table).missing["protime"] == 67


@needs_tables
@pytest.mark.parametrize(
    "file", ["pima-indians-diabetes", "breast-cancer-wisconsin", "haberman", "new-thyroid", "horse-colic"]
)
def test_tables_without_a_header_are_told_so(file: str) -> None:
    with pytest.raises(DatasetFormatError, match="no header"):
        read_table(TABLES / f"{file}.csv", format="csv", name=file, target="outcome")


@needs_tables
def test_a_table_of_categories_without_a_header_is_told_so_by_its_target() -> None:
    with pytest.raises(DatasetTargetError, match="no header line"):
        read_table(TABLES / "breast-cancer.csv", format="csv", name="bc", target="recurrence")
    header = b"age,menopause,size,nodes,caps,malig,breast,quad,irradiated,class\n"
    content = (header + (TABLES / "breast-cancer.csv").read_bytes()).replace(b"'", b"")
    table = read_table(content, format="csv", name="bc", target="class")
    assert {c.kind for c in table.columns} == {"category", "number"}
    assert check_table(table).n_duplicate_rows > 0


def test_numbers_with_signs_among_them_are_told_to_be_categories() -> None:
    count = 60
    frame = pd.DataFrame(
        {
            "crp": ["<0,5" if i % 4 == 0 else f"{i},{i % 10}" for i in range(count)],  # three quarters are numbers
            "share": [f"{i} %" for i in range(count)],
            "price": [f"1,{i:03d}.50" for i in range(count)],
            "glucose": [f"{i} mg/dl" for i in range(count)],
            "ward": [f"{i}{'abc'[i % 3]}" for i in range(count)],  # codes
            "children": [("0", "1", "2", "3+")[i % 4] for i in range(count)],  # names of groups
            "band": [f"{i}-{i + 9}" for i in range(count)],
            "outcome": [("ill", "well")[i % 2] for i in range(count)],
        }
    )
    report = check_table(table_from_frame(frame, name="t", target="outcome"))
    assert report.mostly_numbers == ("crp", "share", "price", "glucose")
    assert report.identifiers == ("ward", "band")  # a price in every row is none
    assert sum("or would be without signs" in warning for warning in report.warnings) == 4


def test_odd_classes_are_told_together() -> None:
    measured = check_table(table_from_frame(pd.DataFrame({"a": range(60), "b": range(60)}), name="t", target="b"))
    assert [warning for warning in measured.warnings if "lass" in warning] == [
        "The target's 60 classes are all numbers: if they were measured, give ranges as classes (forecasts of demand "
        "take numbers: --target-kind number).",
        "60 classes, such as '0' and '9', have fewer than 10 rows each.",
    ]
    typed = pd.DataFrame({"a": range(60), "b": ["Ja", "ja", "nein"] * 20})
    assert check_table(table_from_frame(typed, name="t", target="b")).warnings == (
        "Classes 'Ja', 'ja' differ in upper and lower case alone: one class?",
    )
