"""Rows from what a data scientist holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from superpose.client import rows_to_json
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
