"""Data sheets: what each column is, and what of it is told."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import Table, builtin_table, data_sheet, read_table, table_from_frame
from superpose.errors import DatasetFormatError

N_ROWS = 60
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "dose": RNG.normal(5.0, 2.0, N_ROWS),
        "visits": RNG.integers(1, 9, N_ROWS),
        "patient_id": RNG.permutation(np.arange(1000, 1000 + 3 * N_ROWS, 3)),
        "smoker": RNG.random(N_ROWS) < 0.4,
        "married": np.where(RNG.random(N_ROWS) < 0.5, "yes", "no"),
        "died": RNG.integers(0, 2, N_ROWS),
        "ward": np.array(["north", "south", "west"])[RNG.integers(0, 3, N_ROWS)],
        "mrn": [f"M{i:05d}" for i in range(N_ROWS)],
        "note": [f"patient {i} came in with complaints about number {i * i}" for i in range(N_ROWS)],
        "admitted": pd.date_range("2024-01-01 08:00", periods=N_ROWS, tz="Europe/Berlin"),
        "born": pd.Series(pd.date_range("1950-03-01", periods=N_ROWS)).dt.date,
        "outcome": np.where(RNG.random(N_ROWS) < 0.5, "ill", "well"),
    }
)
FRAME.loc[[3, 9], "dose"] = np.nan
FRAME.loc[[1, 2, 5], "ward"] = None


@pytest.fixture(scope="module")
def table() -> Table:
    return table_from_frame(FRAME, name="visits", target="outcome").with_units({"dose": "mg"})


def test_types_are_told_apart(table: Table) -> None:
    assert {column.name: column.type for column in data_sheet(table).columns} == {
        "dose": "numeric",
        "visits": "integer",
        "patient_id": "identifier",
        "smoker": "boolean",
        "married": "boolean",
        "died": "boolean",
        "ward": "category",
        "mrn": "identifier",
        "note": "text",
        "admitted": "date",
        "born": "date",
    }


def test_columns_are_summarised(table: Table) -> None:
    sheet = data_sheet(table)
    columns = {column.name: column for column in sheet.columns}
    dose, values = columns["dose"], FRAME["dose"].dropna()
    assert (dose.unit, dose.n_missing, dose.n_distinct) == ("mg", 2, N_ROWS - 2)
    assert (dose.low, dose.high) == (values.min(), values.max())
    assert dose.mean == pytest.approx(values.mean())
    assert dose.deviation == pytest.approx(values.std(ddof=0))
    assert dose.quantiles["0.25"] == pytest.approx(values.quantile(0.25))
    ward = columns["ward"]
    assert ward.n_missing == 3
    assert dict(ward.categories) == FRAME["ward"].value_counts().to_dict()
    assert sum(ward.categories.values()) == N_ROWS - 3 and ward.n_other == 0
    assert columns["admitted"].low == "2024-01-01T07:00:00Z"
    assert (columns["born"].low, columns["born"].high) == ("1950-03-01", "1950-04-29")
    assert sheet.class_counts == table.class_counts


def test_identifiers_and_texts_show_no_value(table: Table) -> None:
    document = json.dumps(data_sheet(table).to_dict())
    assert "M00007" not in document and "complaints" not in document
    for column in data_sheet(table).columns:
        if column.type in ("identifier", "text"):
            assert column.low is None and not column.categories and not column.quantiles


def test_warnings_name_identifiers_dates_and_texts(table: Table) -> None:
    said = "\n".join(data_sheet(table).warnings)
    for name in ("patient_id", "mrn", "note", "admitted"):
        assert f"Column '{name}'" in said


def test_many_categories_are_counted_together() -> None:
    words = np.array([f"w{i % 70}" for i in range(700)], dtype=object)
    table = Table.from_columns("t", {"word": words}, "y", np.tile(["a", "b"], 350).astype(object))
    (column,) = data_sheet(table).columns
    assert (len(column.categories), column.n_other, column.n_distinct) == (50, 200, 70)


def test_builtin_data_have_sheets() -> None:
    assert {column.type for column in data_sheet(builtin_table("breast_cancer")).columns} == {"numeric"}
    assert data_sheet(builtin_table("iris")).columns[0].unit == "cm"


def test_units_must_name_columns_and_be_short(table: Table) -> None:
    with pytest.raises(DatasetFormatError, match="no feature column 'weight'"):
        table.with_units({"weight": "kg"})
    with pytest.raises(DatasetFormatError, match="'dose' must be a printable text"):
        table.with_units({"dose": ""})


def test_what_endangers_patients_is_said_before_columns_that_tell_nothing() -> None:
    """A terminal shows the first warnings; black borders of pictures are hundreds of columns."""
    frame = pd.DataFrame({f"grey_0_{k}": [0.5] * 12 for k in range(9)} | {"class": ["ill", "well"] * 6})
    table = table_from_frame(frame, name="scans", target="class")
    told = {"warnings": ["1 of 12 DICOM files may show a name: look at it."]}
    said = data_sheet(dataclasses.replace(table, deidentification=told)).warnings
    assert said[0] == told["warnings"][0]
    assert "9 columns, such as 'grey_0_0' and 'grey_0_8', have the same value in every row and tell nothing." in said
    assert len(said) <= 6


def test_zeros_before_numbers_of_a_csv_file_are_told_to_be_lost() -> None:
    rows = ["007,08,0.5,1,01", "1234,09,0.7,0,02", "?,10,00.5,1,01", "007,11,0.5,0,02"]
    content = "\n".join(["code,month,dose,flag,outcome", *rows]).encode()
    table = read_table(content, format="csv", name="t", target="outcome")
    assert table.padded == ("code", "month", "outcome") and table.classes == ("1", "2")
    told = [warning for warning in data_sheet(table).warnings if "zeros before its numbers" in warning]
    assert [warning.split("'")[1] for warning in told] == list(table.padded) and "put a letter before" in told[0]
    assert not any("'month' has zeros" in warning for warning in data_sheet(table.without(["month"])).warnings)


def csv_table(columns: dict[str, list[str]], delimiter: str = ",") -> Table:
    """A table from a CSV file of these cells, with a target of two classes."""
    columns = columns | {"outcome": [("ill", "well")[i % 2] for i in range(len(next(iter(columns.values()))))]}
    rows = [delimiter.join(row) for row in zip(*columns.values(), strict=True)]
    content = "\n".join([delimiter.join(columns), *rows]).encode()
    return read_table(content, format="csv", name="t", target="outcome")


def test_dates_written_as_numbers_are_told() -> None:
    days = [f"{month:02d}{day:02d}" for month in range(1, 6) for day in range(1, 9)]
    table = csv_table({"visit": [f"2024{day}" for day in days], "code": [f"2024{i:04d}" for i in range(len(days))]})
    told = [warning for warning in data_sheet(table).warnings if "dates written as numbers (20250331)" in warning]
    assert [warning.split("'")[1] for warning in told] == ["visit"] and "exclude it, split by it" in told[0]


def test_points_at_thousands_between_semicolons_are_told() -> None:
    columns = {
        "leukocytes": ["1.018", "24.953", "900", "0"],  # 1018, not 1.018
        "dose": ["1.018", "24.953", "0.5", "2"],
        "weight": ["70,5", "81", "66,25", "90"],
        "steps": ["1.018", "24.953", "900", "12000"],
    }
    table = csv_table(columns, ";")
    assert table.grouped == ("leukocytes",) and table.features["leukocytes"][0] == 1.018
    told = [warning for warning in data_sheet(table).warnings if "thousands" in warning]
    assert len(told) == 1 and told[0].startswith("Column 'leukocytes' has points only where thousands end")
    assert csv_table({name: columns[name] for name in ("leukocytes", "dose")}).grouped == ()  # a decimal point there
    assert not any("thousands end" in warning for warning in data_sheet(table.without(["leukocytes"])).warnings)
