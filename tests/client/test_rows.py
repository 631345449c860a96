"""Rows from what a data scientist holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from superpose.client import rows_to_json
from superpose.client.reports import report_format
from superpose.client.resources import json_body
from superpose.errors import RequestError


def test_data_frames_keep_names_types_and_gaps() -> None:
    frame = pd.DataFrame(
        {
            "age": [61, 47],
            "dose": [0.5, np.nan],
            "site": pd.Categorical(["north", None]),
            "smoker": pd.array([True, pd.NA], dtype="boolean"),
        }
    )
    assert rows_to_json(frame) == [
        {"age": 61, "dose": 0.5, "site": "north", "smoker": True},
        {"age": 47, "dose": None, "site": None, "smoker": None},
    ]


def test_arrays_lists_and_dicts() -> None:
    assert rows_to_json(np.array([[1.0, np.nan]], dtype=np.float32)) == [[1.0, None]]
    assert rows_to_json([[np.int64(3), None, "a"], (1.5, float("nan"), True)]) == [[3, None, "a"], [1.5, None, True]]
    assert rows_to_json([{"x": np.float64(2.0)}]) == [{"x": 2.0}]
    assert rows_to_json({"x": 2}) == [{"x": 2}]
    assert rows_to_json([np.array([1.0, 2.0])]) == [[1.0, 2.0]]
    assert rows_to_json([]) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros(3), "1 axes, expected 2"),
        ([1.0, 2.0], r"rows\[0\] is of type float"),
        (["ab"], r"rows\[0\] is of type str"),
        ("ab", "of type str"),
        (3, "of type int"),
        ([[float("inf")]], "finite"),
        ([[object()]], "of type object"),
        ([{"a": [1]}], "of type list"),
    ],
)
def test_what_is_not_rows_is_named(rows: object, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        rows_to_json(rows)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), r"^counterfactuals\.ranges\.age\.0: must be finite"),
        (float("-inf"), "must be finite"),
        (np.int64(3), "int64"),
        ({1, 2}, "set"),
        (b"a", "bytes"),
    ],
)
def test_what_json_cannot_hold_is_refused_before_it_is_sent(value: object, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        json_body({"counterfactuals": {"ranges": {"age": [value, None]}}})


def test_a_report_is_written_as_its_file_says(tmp_path: Path) -> None:
    named = [report_format(path, None) for path in (None, "a.html", "a.PDF", "a", tmp_path / "b.pdf")]
    assert named == ["html", "html", "pdf", "html", "pdf"]
    (tmp_path / "runs.v2").mkdir()
    assert report_format(tmp_path / "runs.v2", None) == "html"
    assert report_format("a.txt", "pdf") == "pdf"
    with pytest.raises(RequestError, match=r"html or pdf, got 'txt'\. Name the file so"):
        report_format("a.txt", None)
    with pytest.raises(RequestError, match="html or pdf, got 'docx'"):
        report_format("a.html", "docx")
