"""Files of rows in chunks: equal values from every format, bad rows by number, constant chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from superpose.datasets import RowFile
from superpose.errors import DatasetFormatError, FeatureMismatchError

COLUMNS = (("age", "number"), ("site", "category"))


def read(path: Path, columns: Any = COLUMNS, n_rows: int = 3) -> tuple[pd.DataFrame, dict[int, str], list[int]]:
    """All chunks together, bad rows by their number in the file, and the chunks' sizes."""
    chunks = list(RowFile(path, path.suffix[1:], columns).chunks(n_rows))
    assert [c.first for c in chunks] == list(np.cumsum([0, *(c.n_rows for c in chunks)])[:-1])
    frame = pd.concat([pd.DataFrame(dict(c.columns)) for c in chunks], ignore_index=True)
    return frame, {c.first + place: why for c in chunks for place, why in c.bad.items()}, [c.n_rows for c in chunks]


def test_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(8), "age": np.arange(8.0) / 3, "site": [*"abcdabc", None]})
    frame.loc[2, "age"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=5)
    one, bad, sizes = read(tmp_path / "t.csv")
    two, bad_two, _ = read(tmp_path / "t.parquet")
    assert (bad, bad_two, sizes) == ({}, {}, [3, 3, 2])
    pd.testing.assert_frame_equal(one, two)
    assert RowFile(tmp_path / "t.csv", "csv", COLUMNS).ignored == ("x",)


def test_a_line_that_names_the_delimiter_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfsep=;\r\nage;site\r\n1,5;a\r\n2;b\r\n")
    frame, bad, _ = read(tmp_path / "t.csv")
    assert (frame["age"].tolist(), frame["site"].tolist(), bad) == ([1.5, 2.0], ["a", "b"], {})
    (tmp_path / "b.csv").write_bytes(b'sep=;\nage;site\n1,5;"a"b\n')
    with pytest.raises(DatasetFormatError, match="Line 3 is not CSV"):
        read(tmp_path / "b.csv")


def test_npz_with_and_without_names(tmp_path: Path) -> None:
    x = np.arange(10.0).reshape(5, 2)
    columns = (("a", "number"), ("b", "number"))
    np.savez_compressed(tmp_path / "n.npz", x=x, names=np.array(["b", "a"]))
    np.savez(tmp_path / "m.npz", features=x.astype(np.float32))
    named, _, sizes = read(tmp_path / "n.npz", columns)
    assert sizes == [3, 2]
    np.testing.assert_array_equal(named[["b", "a"]], x)
    np.testing.assert_array_equal(read(tmp_path / "m.npz", columns)[0], x)
    np.savez(tmp_path / "f.npz", x=np.asfortranarray(x))
    with pytest.raises(DatasetFormatError, match="ascontiguousarray"):
        RowFile(tmp_path / "f.npz", "npz", columns)
    np.savez(tmp_path / "o.npz", x=np.array([[None, 1]], dtype=object))
    with pytest.raises(DatasetFormatError):
        RowFile(tmp_path / "o.npz", "npz", columns)


def test_bad_rows_are_told_by_number_and_do_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("age;site\n1,5;a\nold;b\n\n3;c;d\ninf;e\n?;f\n+7;g\n")
    frame, bad, _ = read(path, n_rows=2)
    assert bad == {
        1: "column 'age' is not a finite number",
        2: "has 3 values, but the header has 2 columns",
        3: "column 'age' is not a finite number",
    }
    assert frame["age"][0] == 1.5
    assert frame["age"][5] == 7
    assert np.isnan(frame["age"][4])
    assert frame["site"].tolist() == ["a", "b", None, "e", "f", "g"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"age,age\n1,2\n", "a name twice"),
        ("t.parquet", b"age,site\n", "not Parquet"),
        ("t.npz", b"PK", "not an NPZ"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetFormatError, match=said):
        RowFile(path, path.suffix[1:], COLUMNS)


def test_missing_columns_are_named_and_broken_places_too(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("site\na\n")
    with pytest.raises(FeatureMismatchError, match="lacks 'age'"):
        RowFile(path, "csv", COLUMNS)
    path.write_bytes(b'age,site\n1,a\n2,"b\n')
    with pytest.raises(DatasetFormatError, match="Line 3 is not CSV"):
        read(path)
    path.write_bytes(b"age,site\n1,a\n2,\xff\n")
    with pytest.raises(DatasetFormatError, match="not UTF-8"):
        read(path)


CELLS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["INF", "-inf", "Infinity", "nan", "NAN", "-NaN", "1e999", "-0", "+1", "1.", ".5", "1e5", "1_0"]),
)


@given(st.lists(CELLS, max_size=12))
@example([":", "INF"])
@example(["1", "NAN"])
@example(["x", "1e999"])
def test_any_cells_are_read_or_refused_and_however_chunks_are_cut(cells: list[str]) -> None:
    import csv
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "t.csv"
        with path.open("w", encoding="utf-8", errors="ignore", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["age", "site"])
            writer.writerows([cell, cell] for cell in cells)
        found = []
        for n_rows in (1, 5):
            try:
                found.append(read(path, n_rows=n_rows)[:2] if cells else None)
            except DatasetFormatError as error:
                found.append(error.code)
        if isinstance(found[0], tuple) and isinstance(found[1], tuple):
            pd.testing.assert_frame_equal(found[0][0], found[1][0])
            assert found[0][1] == found[1][1]
        else:
            assert found[0] == found[1]
