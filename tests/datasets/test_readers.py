"""Reading tables: what is accepted, what is refused, and with which words."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import (
    Table,
    builtin_table,
    read_table,
    table_from_frame,
    table_from_parquet_bytes,
    table_to_parquet_bytes,
)
from superpose.errors import (
    DatasetEmptyError,
    DatasetError,
    DatasetFormatError,
    DatasetOneClassError,
    DatasetTargetError,
    DatasetTooLargeError,
    DatasetTooWideError,
)

CSV = b"age,smoker,bmi,outcome\n61,yes,22.5,ill\n45, no ,?,well\n50,NA,31,well\n33,yes,1e1,ill\n"


def csv_table(content: bytes, target: str = "outcome", **options: int) -> Table:
    return read_table(content, format="csv", name="patients", target=target, **options)


def npz(**arrays: object) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


def npz_table(target: str = "y", /, **arrays: object) -> Table:
    return read_table(npz(**arrays), format="npz", name="arrays", target=target)


def test_csv_gives_kinds_missing_values_and_classes() -> None:
    table = csv_table(CSV)
    assert [(c.name, c.kind, c.n_missing) for c in table.columns] == [
        ("age", "number", 0),
        ("smoker", "category", 1),
        ("bmi", "number", 1),
    ]
    assert table.classes == ("ill", "well")
    assert table.class_counts == {"ill": 2, "well": 2}
    assert table.features["smoker"].tolist() == ["yes", "no", None, "yes"]
    np.testing.assert_array_equal(table.features["bmi"], [22.5, np.nan, 31.0, 10.0])
    assert table.features["age"].dtype == np.float64
    assert (table.n_rows, table.n_features, table.target_name) == (4, 3, "outcome")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + CSV,
        CSV.replace(b"\n", b"\r\n"),
        CSV.replace(b",", b";"),
        CSV.replace(b",", b"\t"),
        b"\n" + CSV.replace(b"\n", b"\n\n"),
        CSV.replace(b",", b";").replace(b"22.5", b"22,5"),
        CSV.replace(b"yes", b'"yes"').rstrip(b"\n"),
        b"\xef\xbb\xbfsep=;\r\n" + CSV.replace(b",", b";"),
        b'"sep=,",,\n' + CSV,
    ],
    ids=[
        "bom",
        "crlf",
        "semicolon",
        "tab",
        "blank lines",
        "decimal comma",
        "quotes, no last newline",
        "named delimiter",
        "quoted named delimiter",
    ],
)
def test_csv_dialects_give_the_same_digest(content: bytes) -> None:
    assert csv_table(content).digest == csv_table(CSV).digest


def test_quoted_cells_may_hold_delimiters_and_newlines() -> None:
    table = csv_table(b'"a, first",outcome\n"x\ny",p\n"x,y",q\n')
    assert table.feature_names == ("a, first",)
    assert table.features["a, first"].tolist() == ["x\ny", "x,y"]


def test_a_path_reads_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(CSV)
    assert read_table(tmp_path / "t.csv", format="csv", name="patients", target="outcome") == csv_table(CSV)


def test_digest_is_the_same_in_every_format() -> None:
    iris = builtin_table("iris")
    frame = iris.features.assign(species=iris.target)
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    as_csv = read_table(frame.to_csv(index=False).encode(), format="csv", name="a", target="species")
    as_parquet = read_table(sink.getvalue(), format="parquet", name="b", target="species")
    as_npz = npz_table(
        "species", x=iris.features.to_numpy(), y=np.array(iris.target, dtype=str), names=np.array(iris.feature_names)
    )
    as_frame = table_from_frame(frame, name="c", target="species")
    assert {t.digest for t in (as_csv, as_parquet, as_npz, as_frame)} == {iris.digest}


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"61", b"62"),
        lambda content: content.replace(b"31", b"?"),
        lambda content: content.replace(b"yes", b"Yes"),
        lambda content: content.replace(b"bmi", b"BMI"),
        lambda content: content.replace(b"ill", b"sick"),
        lambda content: content + b"61,yes,22.5,ill\n",
    ],
)
def test_every_change_of_content_changes_the_digest(change: object) -> None:
    assert csv_table(change(CSV)).digest != csv_table(CSV).digest  # type: ignore[operator]


def test_the_digest_does_not_move_between_releases() -> None:
    assert csv_table(CSV).digest == "32b2293c2b2f0786ac4f0fccbbc4242cbf9930312c6b5b6b3efceacb6b38621d"


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", DatasetEmptyError, "is empty"),
        (b" \n\r\n ", DatasetEmptyError, "is empty"),
        (b"a,outcome\n", DatasetEmptyError, "header but no rows"),
        (b"outcome\nx\ny\n", DatasetEmptyError, "only the target column"),
        (b"5,1,?,2\n5,4,4,4\n", DatasetFormatError, "no header"),
        (b"'40-49','no'\n'50-59','yes'\n", DatasetTargetError, "no header line"),
        (b"a,b\n1,2\n3,4\n", DatasetTargetError, "no column 'outcome'"),
        (b"a,outcome\n1,x\n2,x\n", DatasetOneClassError, "one class only, 'x'"),
        (b"a,outcome\n1,x\n2,\n", DatasetTargetError, r"missing in 1 row\(s\), the first is data row 2"),
        (b"a,outcome\n1,x\n\n1,2,y\n", DatasetFormatError, "Line 4 has 3 values, but the header has 2"),
        (b'a,outcome\n"1\n2",x\n1\n', DatasetFormatError, "Line 4 has 1 values"),
        (b'a,outcome\n"1,x\n2,y\n', DatasetFormatError, "Line 2"),
        (b"a,outcome\n1,x\nM\xfcller,y\n", DatasetFormatError, "Line 3 is not UTF-8"),
        ("a,outcome\n1,x\n2,y\n".encode("utf-16"), DatasetFormatError, "not UTF-8"),
        (b"a,a ,outcome\n1,2,x\n1,2,y\n", DatasetFormatError, "more than once: 'a'"),
        (b",a,outcome\n0,1,x\n1,2,y\n", DatasetFormatError, "Column 1 has no name"),
        (b"sep=;\na;outcome\n1;x;2\n1;y\n", DatasetFormatError, "Line 3 has 3 values"),
        (b"a;outcome;\n1;x;\n1;y;\n", DatasetFormatError, "Column 3 has no name.*lines that end with delimiters"),
        (b"a,b,outcome\n1,?,x\n1,NA,y\n", DatasetFormatError, "Column 'b' has no value in any row"),
        (b"a,outcome\n1,x\n-inf,y\n", DatasetFormatError, "infinite value.*first in data row 2"),
        (b"a,outcome\n1,x\n1e999,y\n", DatasetFormatError, "infinite"),
        (b"a,outcome\n" + b"".join(b"1,%d\n" % i for i in range(1001)), DatasetTargetError, "1,001 distinct"),
    ],
)
def test_bad_csv_is_refused_with_a_clear_word(content: bytes, error: type[DatasetError], words: str) -> None:
    with pytest.raises(error, match=words):
        csv_table(content)


def test_ten_thousand_columns_are_refused_before_the_rows_are_read() -> None:
    header = ",".join(f"c{i}" for i in range(10_000)).encode()
    content = header + b"\n" + (b"1," * 9_999 + b"x\n") * 1_000
    started = time.thread_time()
    with pytest.raises(DatasetTooWideError, match="10,000 columns; at most 2,000") as caught:
        csv_table(content)
    assert time.thread_time() - started < 0.5
    assert caught.value.details == {"n_columns": 10_000, "max_columns": 2_000}
    frame = pd.DataFrame(np.zeros((2, 3_000)), columns=[f"c{i}" for i in range(3_000)])
    sink = io.BytesIO()
    frame.to_parquet(sink)
    with pytest.raises(DatasetTooWideError):
        read_table(sink.getvalue(), format="parquet", name="wide", target="c0")
    with pytest.raises(DatasetTooWideError):
        npz_table(x=np.zeros((2, 3_000)), y=np.arange(2))


def test_a_header_of_millions_of_commas_is_refused_at_once() -> None:
    started = time.thread_time()
    with pytest.raises(DatasetTooWideError):
        csv_table(b"," * 3_000_000 + b"\n1\n")
    with pytest.raises(DatasetFormatError, match="first line is longer"):
        csv_table(b"," * 30_000_000)
    assert time.thread_time() - started < 1.0


@pytest.mark.parametrize("format", ["parquet", "npz"])
@pytest.mark.parametrize("content", [b"garbage", b"PAR1garbagePAR1", b"PK\x03\x04garbage"])
def test_garbage_is_refused(format: str, content: bytes) -> None:
    with pytest.raises(DatasetFormatError):
        read_table(content, format=format, name="g", target="y")
    with pytest.raises(DatasetEmptyError):
        read_table(b"", format=format, name="g", target="y")


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(DatasetFormatError, match="csv, parquet, npz"):
        read_table(CSV, format="xlsx", name="g", target="y")


def test_damaged_parquet_is_refused_whatever_the_damage() -> None:
    sink = io.BytesIO()
    pd.DataFrame({"a": np.arange(500.0), "s": ["x", "y"] * 250, "y": ["p", "q"] * 250}).to_parquet(sink)
    good = sink.getvalue()
    for at in range(4, len(good), 37):
        bad = good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]
        with contextlib.suppress(DatasetError):
            read_table(bad, format="parquet", name="g", target="y")


def test_parquet_types() -> None:
    frame = pd.DataFrame(
        {
            "int": pd.array([1, None, 3], dtype="Int64"),
            "float32": np.array([0.5, 1, 2], dtype=np.float32),
            "flag": [True, False, None],
            "word": ["a", " ", "b "],
            "category": pd.Categorical(["u", "v", "u"]),
            "label": [0, 1, 1],
        }
    ).set_index(np.array([5, 3, 9]))
    sink = io.BytesIO()
    frame.to_parquet(sink)
    table = read_table(sink.getvalue(), format="parquet", name="types", target="label")
    assert [(c.kind, c.n_missing) for c in table.columns] == [
        ("number", 1),
        ("number", 0),
        ("category", 1),
        ("category", 1),
        ("category", 0),
    ]
    assert table.classes == ("0", "1")
    assert table.features["flag"].tolist() == ["true", "false", None]
    assert table.features["word"].tolist() == ["a", None, "b"]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([[1], [2]], "type list"),
        ([2**60 + 1, 2], "beyond 2..53"),
    ],
)
def test_parquet_types_without_a_place_are_refused(column: object, words: str) -> None:
    with pytest.raises(DatasetFormatError, match=words):
        table_from_frame(pd.DataFrame({"a": column, "y": ["p", "q"]}), name="t", target="y")


def test_a_parquet_file_that_unpacks_to_billions_of_values_is_refused() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(26_000_000, dtype=np.int8)), pa.array(["a"]))
    pq.write_table(pa.table({"a": values, "y": values}), sink)
    assert len(sink.getvalue()) < 1_000_000
    with pytest.raises(DatasetTooLargeError, match="26,000,000 rows"):
        read_table(sink.getvalue(), format="parquet", name="bomb", target="y")


def test_npz_names_and_labels() -> None:
    table = npz_table(x=np.arange(6).reshape(3, 2), y=np.array([0, 1, 1], dtype=np.uint8))
    assert table.feature_names == ("x_0", "x_1")
    assert table.classes == ("0", "1")
    named = npz_table("Outcome", features=np.eye(2), target=np.array([[True], [False]]), names=np.array(["a", "b"]))
    assert named.target_name == "Outcome"
    assert named.classes == ("false", "true")


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ({"y": [0, 1]}, DatasetFormatError, "no array named x or features"),
        ({"x": np.eye(2)}, DatasetTargetError, "no column 'y'"),
        ({"x": np.zeros((2, 3, 3)), "y": [0, 1]}, DatasetFormatError, r"got \(2, 3, 3\)"),
        ({"x": np.eye(2), "y": [0, 1, 1]}, DatasetTargetError, "one label per row"),
        ({"x": np.array([[{}], [1]], dtype=object), "y": [0, 1]}, DatasetFormatError, "unpickling"),
        ({"x": np.eye(2) * 1j, "y": [0, 1]}, DatasetFormatError, "real numbers"),
        ({"x": np.array([["a"], ["b"]]), "y": [0, 1]}, DatasetFormatError, "real numbers"),
        ({"x": np.array([[np.inf], [1]]), "y": [0, 1]}, DatasetFormatError, "infinite"),
        ({"x": np.eye(2), "y": [0, 0]}, DatasetOneClassError, "one class"),
        ({"x": np.eye(2), "y": [0, 1], "names": np.array(["a"])}, DatasetFormatError, "must hold 2 texts"),
        ({"x": np.zeros((0, 2)), "y": []}, DatasetEmptyError, "no rows"),
    ],
)
def test_bad_npz_is_refused(arrays: dict[str, object], error: type[DatasetError], words: str) -> None:
    with pytest.raises(error, match=words):
        npz_table(**arrays)


def test_stored_form_comes_back_exactly() -> None:
    for table in (csv_table(CSV), builtin_table("iris")):
        content = table_to_parquet_bytes(table)
        back = table_from_parquet_bytes(content)
        pd.testing.assert_frame_equal(back.features, table.features, check_exact=True)
        pd.testing.assert_series_equal(back.target, table.target)
        assert (back.name, back.columns, back.classes, back.digest) == (
            table.name,
            table.columns,
            table.classes,
            table.digest,
        )
        assert table_to_parquet_bytes(back) == content
        again = read_table(content, format="parquet", name=table.name, target=table.target_name)
        assert again == table


def test_stored_form_of_something_else_is_refused() -> None:
    sink = io.BytesIO()
    pd.DataFrame({"a": [1.0]}).to_parquet(sink)
    for content in (b"", b"garbage", sink.getvalue()):
        with pytest.raises(DatasetFormatError, match="not a stored table"):
            table_from_parquet_bytes(content)


def test_importing_the_room_loads_no_heavy_library() -> None:
    code = (
        "import sys; import superpose.datasets; heavy = ('pandas', 'pyarrow', 'scipy', 'sklearn', 'torch', 'PIL');"
        "print(len(sys.modules), *[name for name in heavy if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    n_modules, *heavy = run.stdout.split()
    assert not heavy
    assert int(n_modules) < 400  # 243, most of them NumPy's and Python's; pandas brings four hundred more
