"""Pictures as tables: a MedMNIST file registered and read back, patients kept together, what is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from superpose.datasets import Table, data_sheet, read_table
from superpose.datasets.picture_sets import PARTS, groups_of_equals, learnable, read_pictures
from superpose.datasets.picture_tables import picture_table, pictures_of_table
from superpose.errors import DatasetFormatError, DatasetTargetError, DatasetTooSmallError, DatasetTooWideError


def medmnist(**changes: Any) -> bytes:
    random = np.random.default_rng(1)
    arrays: dict[str, Any] = {}
    for part, n in zip(PARTS, (16, 6, 8), strict=True):
        arrays[f"{part}_images"] = random.integers(0, 256, (n, 5, 5)).astype(np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    file = io.BytesIO()
    np.savez(file, **{**arrays, **changes})
    return file.getvalue()


def read(content: bytes, max_columns: int = 100) -> Table:
    return read_table(content, format="npz", name="small", target="class", max_columns=max_columns)


def test_a_medmnist_file_is_the_same_pictures_as_a_table(tmp_path: Any) -> None:
    (tmp_path / "small.npz").write_bytes(medmnist())
    direct = read_pictures(tmp_path / "small.npz")
    table = read(medmnist())
    assert table.feature_names[:3] == ("part", "grey_0_0", "grey_0_1") and table.n_features == 26
    found = pictures_of_table(table)
    assert (found.digest, found.side, found.classes, found.origin) == (direct.digest, 5, ("0", "1"), "official")
    part = picture_table("val", found.parts["val"], ("well", "ill"))
    assert part.n_rows == 6 and part.classes == ("ill", "well")
    assert np.array_equal(part.features.to_numpy(np.float32), found.parts["val"].pixels)


def test_parts_are_drawn_where_none_is_given_and_patients_stay_in_one() -> None:
    random = np.random.default_rng(2)
    n = 120
    pixels = {f"grey_{y}_{x}": random.random(n) for y in range(3) for x in range(3)}
    owners = np.array([f"patient_{number // 3}" for number in range(n)], dtype=object)
    labels = np.array(["ill" if number // 3 % 2 else "well" for number in range(n)], dtype=object)
    drawn = pictures_of_table(Table.from_columns("scans", {"patient": owners, **pixels}, "class", labels))
    rows = np.column_stack(list(pixels.values())).astype(np.float32)
    owner_of = {row.tobytes(): owner for row, owner in zip(rows, owners, strict=True)}
    seen = {part: {owner_of[row.tobytes()] for row in drawn.parts[part].pixels} for part in PARTS}
    assert sum(map(len, seen.values())) == len(set(owners)) == 40
    assert [len(drawn.parts[part]) for part in PARTS] == [84, 18, 18] and drawn.origin == "drawn"
    alone = pictures_of_table(Table.from_columns("scans", pixels, "class", labels))
    assert sum(map(len, alone.parts.values())) == n
    assert len(np.unique(groups_of_equals(np.concatenate([alone.parts[part].pixels for part in PARTS])))) == n


def test_a_patient_in_two_given_parts_is_counted_in_the_sheet_and_not_learnt_from() -> None:
    random = np.random.default_rng(4)
    parts = np.array(["train"] * 12 + ["val"] * 4 + ["test"] * 4, dtype=object)
    owners = np.array([f"p{number // 2}" for number in range(20)], dtype=object)
    owners[[0, 13]] = "p9"  # who stands in the test part too
    labels = np.array(["ill", "well"] * 10, dtype=object)
    pixels = {f"grey_{y}_{x}": random.random(20) for y in range(2) for x in range(2)}
    table = Table.from_columns("scans", {"part": parts, "patient": owners, **pixels}, "class", labels)
    found = learnable(pictures_of_table(table))
    assert (found.n_of_patients, len(found.train), len(found.validation)) == (2, 11, 3)
    sheet = data_sheet(table)
    assert sheet.to_dict()["shared_patients"] == {"n_patients": 10, "n_in_several_parts": 1, "n_pictures": 2}
    assert any("1 of 10 patients stand in several parts" in said for said in sheet.warnings)
    rows = Table.from_columns("rows", {"part": parts, "patient": owners, "age": random.random(20)}, "class", labels)
    assert "shared_patients" not in data_sheet(rows).to_dict()  # columns of these names say nothing of other tables
    missing = owners.copy()
    missing[[0, 13]] = None  # whose pictures these are nobody knows
    unknown = Table.from_columns("scans", {"part": parts, "patient": missing, **pixels}, "class", labels)
    assert learnable(pictures_of_table(unknown)).n_of_patients == 0
    apart = Table.from_columns("scans", {"part": parts, **pixels}, "class", labels)
    assert "shared_patients" not in data_sheet(apart).to_dict() and learnable(pictures_of_table(apart)).n_equal == 0


@pytest.mark.parametrize(
    ("columns", "labels", "error", "said"),
    [
        ({"age": np.ones(8)}, "abababab", DatasetFormatError, "holds no square grey pictures.*got age"),
        ({"grey_0_0": np.ones(8), "grey_0_1": np.ones(8)}, "abababab", DatasetFormatError, "no square grey pictures"),
        ({"grey_0_0": np.array(list("dddddddw"), dtype=object)}, "abababab", DatasetFormatError, "numbers in columns"),
        ({"grey_0_0": np.arange(8.0)}, "abababab", DatasetFormatError, "numbers from 0 .black. to 1 .*got 0 to 7"),
        ({"grey_0_0": np.ones(8)}, "abcabcab", DatasetTargetError, "of two classes, got 3"),
        (
            {"part": np.array(["train"] * 7 + ["x"], dtype=object), "grey_0_0": np.ones(8)}, "abababab",
            DatasetFormatError, "must say train, val .may be absent. or test in every row, got 'train', 'x'",
        ),
        ({"grey_0_0": np.linspace(0, 1, 8)}, "abababab", DatasetTooSmallError, "Part train needs at least 4"),
    ],
)  # fmt: skip
def test_tables_that_are_no_pictures_are_refused(
    columns: dict[str, Any], labels: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        pictures_of_table(Table.from_columns("t", columns, "class", np.array(list(labels), dtype=object)))


def test_a_medmnist_file_of_colours_or_too_many_pixels_is_refused() -> None:
    with pytest.raises(DatasetFormatError, match="val_images must be grey pictures"):
        read(medmnist(val_images=np.zeros((6, 5, 5, 3), np.uint8)))
    with pytest.raises(DatasetFormatError, match=r"test_images must be grey pictures .* of one size in all parts"):
        read(medmnist(test_images=np.zeros((8, 4, 4), np.uint8)))
    with pytest.raises(DatasetTooWideError):
        read(medmnist(), max_columns=20)
