"""A picture, or a folder of them, as rows of a model of pixels: the numbers that a data set of them has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superpose.datasets import image_row
from superpose.datasets.image_reader import pixel_names
from superpose.datasets.picture_rows import looks_like_pictures, picture_rows
from superpose.errors import DatasetEmptyError, DatasetFormatError


def drawn(path: Path, seed: int, mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (12, 9) if mode == "L" else (12, 9, 3)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode).save(path)
    return path


def test_a_picture_is_brought_to_the_models_size(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "scan.png", 0)
    assert picture_rows(picture, pixel_names(4)) == (["scan.png"], [image_row(picture, size=4)])
    coloured = drawn(tmp_path / "colour.png", 1, "RGB")
    columns = pixel_names(11, "rgb")[::-1]  # in whatever order the model has them
    assert picture_rows(coloured, columns) == (["colour.png"], [image_row(coloured, size=11, mode="rgb")])


def test_a_folder_is_read_whole_in_order_but_for_what_systems_put_there(tmp_path: Path) -> None:
    files = [drawn(tmp_path / name, seed) for seed, name in enumerate(("b.png", "a/2.jpeg", "a/1.png"))]
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "Thumbs.db").write_bytes(b"\0")
    names, rows = picture_rows(tmp_path, pixel_names(3))
    assert names == ["a/1.png", "a/2.jpeg", "b.png"]
    assert rows == [image_row(file, size=3) for file in files[::-1]]
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DatasetFormatError, match=r"'notes\.txt' in .* is neither PNG, JPEG nor DICOM"):
        picture_rows(tmp_path, pixel_names(3))


@pytest.mark.parametrize("columns", [["age", "grey_0_0"], [], ["x"] * 16, [*pixel_names(3), "age"], pixel_names(3)[1:]])
def test_a_model_of_other_columns_takes_none(columns: list[str], tmp_path: Path) -> None:
    with pytest.raises(DatasetFormatError, match="which are no pixels"):
        picture_rows(drawn(tmp_path / "scan.png", 0), columns)


def test_what_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetEmptyError, match="holds no PNG, JPEG or DICOM picture"):
        picture_rows(tmp_path, pixel_names(3))
    broken = tmp_path / "scan.png"
    broken.write_bytes(b"\x89PNG")
    with pytest.raises(DatasetFormatError, match=r"scan\.png.* cannot be read"):
        picture_rows(broken, pixel_names(3))
    with pytest.raises(OSError, match="No such file"):
        picture_rows(tmp_path / "none.png", pixel_names(3))


def test_pictures_are_told_from_tables(tmp_path: Path) -> None:
    (tmp_path / "export").write_bytes(bytes(128) + b"DICM" + bytes(8))  # as hospitals' exports have them
    (tmp_path / "rows").write_text("[[1]]")
    found = {name: looks_like_pictures(tmp_path / name) for name in ("export", "rows", "a.PNG", "a.tiff", "a.csv", "a")}
    assert found == {"export": True, "rows": False, "a.PNG": True, "a.tiff": True, "a.csv": False, "a": False}
    assert looks_like_pictures(tmp_path)
