"""Tables whose target holds numbers: read, stored, described, and refused where classes are learnt."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import (
    Table,
    check_table,
    data_sheet,
    read_table,
    table_from_frame,
    table_from_parquet_bytes,
    table_to_parquet_bytes,
)
from superpose.datasets.picture_tables import pictures_of_table
from superpose.errors import DatasetTargetError
from superpose.learning import TrainingSpec
from superpose.learning.admission import admit
from superpose.learning.splitting import splits_of

CSV = b"date,price,quantity\n2026-01,1,5\n2026-02,2,\n2026-03,1,0.5\n2026-04,2,5\n"


def numbers(content: bytes = CSV, **options: Any) -> Table:
    options = {"format": "csv", "name": "sales", "target": "quantity", "target_kind": "number"} | options
    return read_table(content, **options)


def test_csv_parquet_and_frame_give_one_table_which_is_stored_exactly() -> None:
    table = numbers()
    assert (table.target_kind, table.classes, table.class_counts) == ("number", (), {})
    np.testing.assert_array_equal(table.target, [5.0, np.nan, 0.5, 5.0])
    frame = pd.read_csv(io.BytesIO(CSV))
    file = io.BytesIO()
    frame.to_parquet(file)
    others = [
        numbers(file.getvalue(), format="parquet"),
        table_from_frame(frame, name="x", target="quantity", target_kind="number"),
        table_from_parquet_bytes(table_to_parquet_bytes(table)),
        numbers(CSV.replace(b",", b";").replace(b"0.5", b"0,5")),
    ]
    assert {other.digest for other in others} == {table.digest}
    assert others[2].target.dtype == np.float64 and others[2].target_kind == "number"
    assert table.schema()["target_kind"] == "number"
    assert numbers(CSV.replace(b"0.5", b"0.25")).digest != table.digest


def test_the_same_bytes_as_classes_are_another_table_with_the_digest_it_always_had() -> None:
    whole = CSV.replace(b"2026-02,2,\n", b"")
    classes = read_table(whole, format="csv", name="sales", target="quantity")
    assert (classes.target_kind, classes.classes) == ("class", ("0.5", "5"))
    assert classes.digest != numbers(whole).digest
    assert classes.digest.startswith("9254fd197c8ffaf2")  # of the release before there were targets of numbers


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (CSV.replace(b"0.5", b"half"), {}, "was said to hold numbers, but data row 3 has 'half'"),
        (CSV.replace(b"0.5", b"inf"), {}, "is infinite in data row 3|data row 3 has 'inf'"),
        (b"date,quantity\n2026-01,5\n2026-02,\n", {}, "a number in 1 of 2 rows; at least two"),
        (CSV, {"target": "sold"}, "There is no column 'sold'"),
        (CSV, {"target_kind": "date"}, "target_kind must be one of class, number, got 'date'"),
        (b"", {"format": "npz"}, "read from csv and parquet, got format 'npz'"),
        (b"", {"format": "images"}, "read from csv and parquet, got format 'images'"),
    ],
)
def test_what_holds_no_numbers_is_refused(content: bytes, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DatasetTargetError, match=said):
        numbers(content, **options)


def test_nothing_that_learns_classes_takes_numbers() -> None:
    table = numbers()
    spec = TrainingSpec()
    for learn in (
        lambda: admit(spec, table),
        lambda: splits_of(spec, table),
        lambda: pictures_of_table(table),
        table.require_classes,
    ):
        with pytest.raises(DatasetTargetError, match=r"holds numbers, and this learns classes.*template demand"):
            learn()


def test_dates_that_no_forecast_reads_are_told_and_are_no_identifier() -> None:
    rows = "".join(f"{day:02d}.01.2026;{day},5\n" for day in range(1, 31))
    content = f"date;quantity\n{rows}".encode()
    table = read_table(content, format="csv", name="sales", target="quantity", target_kind="number")
    assert data_sheet(table).warnings == (
        "Column 'date' holds dates that forecasts do not read: write it as 2025-03-31.",
    )


def test_the_sheet_tells_of_the_target_and_warns_of_no_leak() -> None:
    sheet = data_sheet(numbers())
    target = sheet.to_dict()["target_column"]
    assert (target["name"], target["n_missing"], target["low"], target["high"]) == ("quantity", 1, 0.5, 5.0)
    assert sheet.class_counts == {} and not any("date" in text or "leak" in text for text in sheet.warnings)
    report = check_table(numbers())
    assert (report.leaks, report.identifiers, report.n_conflicting_rows) == ((), (), 0)
    assert (
        "target_column"
        not in data_sheet(Table.from_columns("x", {"a": np.arange(4.0)}, "y", np.array([0.0, 1, 0, 1]))).to_dict()
    )


def test_a_table_takes_what_a_mask_hides_as_missing() -> None:
    mask = np.arange(4) == 2
    columns = {
        "x": np.ma.masked_array([1.0, 2.0, 1e9, 4.0], mask=mask),
        "word": np.ma.masked_array(np.array(["a", "b", "secret", "b"], dtype=object), mask=mask),
    }
    table = Table.from_columns("t", columns, "y", np.ma.masked_array([1.0, 2.0, 3.0, 4.0], mask=mask), None, "number")
    assert [column.n_missing for column in table.columns] == [1, 1]
    assert table.features["x"].isna().tolist() == mask.tolist() == table.target.isna().tolist()
    assert table.features["word"].tolist() == ["a", "b", None, "b"]
