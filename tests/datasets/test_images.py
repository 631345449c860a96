"""Folders of images become tables: by the right pixels, in every depth, and refused by name where they are none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superpose.client.image_folder import pack_folder
from superpose.datasets import image_row, read_images, read_table
from superpose.datasets.picture_sets import read_pictures
from superpose.datasets.picture_tables import pictures_of_table
from superpose.errors import DatasetEmptyError, DatasetFormatError, DatasetOneClassError, DatasetTooWideError

NPZ = Path(__file__).resolve().parents[3] / "shared" / "data" / "health" / "pneumoniamnist" / "pneumoniamnist.npz"


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def grey(level: int, size: tuple[int, int] = (16, 16)) -> bytes:
    return encoded(Image.new("L", size, level))


def packed(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_png", ".png").replace("_jpg", ".jpg"), content)
    return buffer.getvalue()


def read(content: bytes, size: int = 4, mode: str = "grey", max_columns: int = 2_000):
    return read_images(content, name="scans", target="class", max_columns=max_columns, size=size, mode=mode)


def test_a_folder_per_class_becomes_a_table() -> None:
    table = read(packed(set__ill__b_png=grey(255), set__ill__a_png=grey(0), set__well__c_png=grey(51)))
    assert table.classes == ("ill", "well") and table.target.tolist() == ["ill", "ill", "well"]
    assert table.feature_names[:2] == ("grey_0_0", "grey_0_1") and table.n_features == 16
    np.testing.assert_array_equal(table.features.to_numpy()[:, 0], [0.0, 1.0, 0.2])


def test_folders_of_parts_become_a_column() -> None:
    files = {f"set__{part}__{kind}__{part}{i}_png": grey(10 * i) for part, n in (("train", 4), ("val", 1), ("test", 2))
             for kind in ("ill", "well") for i in range(n)}  # fmt: skip
    table = read(packed(**files))
    assert table.feature_names[:2] == ("part", "grey_0_0") and table.n_features == 17
    counts = dict(zip(*np.unique(table.features["part"].tolist(), return_counts=True), strict=True))
    assert counts == {"test": 4, "train": 8, "val": 2}
    assert table.features["part"].tolist() == ["test"] * 4 + ["train"] * 8 + ["val"] * 2  # in the order of the paths
    found = pictures_of_table(table)
    assert found.origin == "official"
    assert {part: len(own) for part, own in found.parts.items()} == {"train": 8, "val": 2, "test": 4}
    alone = {name.replace("set__", ""): content for name, content in files.items() if "set__train" in name}
    assert read(packed(**alone)).n_features == 16  # one part only is no split


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train__ill__a", "test__well__b", "well__c"), "got test, train and pictures outside. Rename or move"),
        (("train__ill__a", "val__well__b"), "must be train, val .may be absent. and test, .* got train, val"),
        (("train__ill__a", "valid__well__b", "test__ill__c"), "got test, train and pictures outside"),
    ],
)
def test_parts_that_are_no_split_are_refused(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(DatasetFormatError, match=said):
        read(packed(**{f"{name}_png": grey(0) for name in names}))


def test_folders_inside_a_class_are_patients_of_it() -> None:
    names = ("set/ill/p1/a", "set/ill/p1/old/b", "set/ill/p2/a", "set/well/p1/a", "set/well/p3/a", "set/well/p4/a")
    archive = packed(**{f"{name.replace('/', '__')}_png": grey(10 * i) for i, name in enumerate(names)})
    assert read(archive).target.tolist() == ["ill"] * 3 + ["well"] * 3
    table = read_images(archive, name="scans", target="class", max_columns=20, size=4, patients=True)
    assert table.features["patient"].tolist() == [f"patient_{i}" for i in (1, 1, 2, 1, 3, 4)]
    with pytest.raises(DatasetFormatError, match=r"5 of 5 images do not say whose they are.*a folder per patient"):
        flat = packed(**{f"{'ill' if i % 2 else 'well'}__{i}_png": grey(i) for i in range(5)})
        read_images(flat, name="scans", target="class", max_columns=20, size=4, patients=True)
    for sites in (("a__ill__1", "a__well__2", "b__ill__3"), ("training__x__1", "testing__x__1")):
        with pytest.raises(DatasetFormatError, match="Which folders name the classes"):
            read(packed(**{f"{name}_png": grey(0) for name in sites}))


def test_the_client_sends_folders_of_patients_without_their_names_and_passes_nothing_over(tmp_path: Path) -> None:
    for i, name in enumerate(
        ("train/ill/DOE/1/a", "train/ill/DOE/2/a", "train/well/ROE/a", "test/ill/POE/a", "test/well/c")
    ):
        path = tmp_path / "scans" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(grey(10 * i))
    (tmp_path / "scans" / ".hidden").write_text("left alone")
    assert len(pack_folder(tmp_path / "scans", tmp_path / "scans.zip")) == 5
    with zipfile.ZipFile(tmp_path / "scans.zip") as archive:
        assert archive.namelist() == [
            "test/ill/patient_000001/image_000000.png",
            "test/well/image_000001.png",
            "train/ill/patient_000002/image_000002.png",
            "train/ill/patient_000002/image_000003.png",
            "train/well/patient_000003/image_000004.png",
        ]
    table = read((tmp_path / "scans.zip").read_bytes())
    assert table.target.tolist() == ["ill", "well", "ill", "ill", "well"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.png").write_bytes(grey(1))
    for make, said in (
        (lambda path: path.write_bytes(b"II*"), "'test/ill/x.tiff' is neither PNG, JPEG nor DICOM"),
        (lambda path: path.symlink_to(elsewhere / "b.png"), "'test/ill/x.tiff' is no file of the folder"),
        (lambda path: path.symlink_to(elsewhere, target_is_directory=True), "Folder 'test/ill/x.tiff' is a link"),
    ):
        odd = tmp_path / "scans" / "test" / "ill" / "x.tiff"
        make(odd)
        with pytest.raises(DatasetFormatError, match=said):
            pack_folder(tmp_path / "scans", tmp_path / "again.zip")
        odd.unlink()


@pytest.mark.parametrize("path", ["../ill/c.png", "ill/../../c.png", "../.hidden"])
def test_a_member_whose_path_leads_out_of_its_archive_is_refused_for_that(path: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("ill/a.png", "well/b.png", path):
            archive.writestr(name, grey(0))
    with pytest.raises(DatasetFormatError, match=r"leads out of the archive .* from inside the folder"):
        read(buffer.getvalue())
    (tmp_path / "set.zip").write_bytes(buffer.getvalue())
    with pytest.raises(DatasetFormatError, match="leads out of the archive"):
        read_pictures(tmp_path / "set.zip", side=8)


def test_pixels_are_averaged_and_in_their_places() -> None:
    pattern = np.kron(np.array([[0, 80], [160, 240]]), np.ones((8, 8))).astype(np.uint8)
    pattern[0, 0] = 64  # one of the 16 pixels that the first one of 4 x 4 averages
    content = packed(a__x_png=encoded(Image.fromarray(pattern)), b__y_png=grey(0))
    table = read(content)
    first = table.features.to_numpy()[0].reshape(4, 4)
    np.testing.assert_allclose(first[::2, ::2] * 255, [[4, 80], [160, 240]])
    assert image_row(encoded(Image.fromarray(pattern)), size=4)["grey_3_3"] == pytest.approx(240 / 255)


def test_colours_sixteen_bits_and_turned_photos() -> None:
    red = encoded(Image.new("RGB", (8, 8), (255, 51, 0)))
    table = read(packed(a__x_png=red, b__y_png=grey(0)), mode="rgb", size=2)
    assert table.n_features == 12 and table.feature_names[4] == "green_0_0"
    np.testing.assert_allclose(table.features.to_numpy()[0].reshape(3, 4)[:, 0], [1.0, 0.2, 0.0])
    deep = Image.fromarray(np.full((8, 8), 13_107, dtype=np.uint16))
    assert image_row(encoded(deep), size=1)["grey_0_0"] == pytest.approx(0.2)
    upright = Image.fromarray(np.array([[0, 255], [0, 255]], dtype=np.uint8)).resize((16, 16), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rotate by 270 degrees
    row = image_row(encoded(upright, "JPEG", exif=exif, quality=100), size=2)
    assert row["grey_0_0"] < 0.02 and row["grey_0_1"] < 0.02 and row["grey_1_0"] > 0.98


@pytest.mark.parametrize(
    ("files", "error", "said"),
    [
        (
            {"a__x_png": b"no image"},
            DatasetFormatError,
            "'a/x.png' cannot be read as PNG or JPEG: its content is neither",
        ),
        ({"a__x_png": grey(0)[:-30]}, DatasetFormatError, "'a/x.png' cannot be read"),
        ({"x_png": grey(0)}, DatasetFormatError, "stands in no folder"),
        ({"a__notes.txt": b"hello"}, DatasetFormatError, "neither PNG, JPEG nor DICOM"),
        ({"a__.hidden_png": b""}, DatasetEmptyError, "no PNG, JPEG or DICOM"),
        ({"a__x_png": grey(0), "a__y_png": grey(9)}, DatasetOneClassError, "one class"),
        ({"a__x_png": encoded(Image.new("1", (20_000, 20_000)))}, DatasetFormatError, "cannot be read|at most"),
    ],
)
def test_what_is_no_folder_of_images_is_refused(files: dict[str, bytes], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read(packed(**files))


def test_sizes_and_modes_are_checked_before_anything_is_read() -> None:
    for wrong in ({"size": 0}, {"size": 500}, {"mode": "blue"}):
        with pytest.raises(DatasetFormatError):
            read(b"", **wrong)  # type: ignore[arg-type]
    with pytest.raises(DatasetTooWideError):
        read(b"", size=32, mode="rgb")
    with pytest.raises(DatasetFormatError, match="not a zip archive"):
        read(b"PK nothing")


@pytest.mark.skipif(not NPZ.is_file(), reason="the shared pneumonia images are not on this machine")
def test_real_x_rays_keep_their_pixels() -> None:
    arrays = np.load(NPZ)
    images, labels = arrays["test_images"][:40], arrays["test_labels"][:40].reshape(-1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            archive.writestr(f"{'pneumonia' if label else 'normal'}/{i:03d}.png", encoded(Image.fromarray(pixels)))
    table = read_table(buffer.getvalue(), format="images", name="xray", target="finding", options={"size": 28})
    order = np.argsort(labels, kind="stable")  # rows are in the order of the paths: normal before pneumonia
    np.testing.assert_allclose(table.features.to_numpy(), images[order].reshape(40, -1) / 255.0)
    assert table.class_counts == {"normal": int((labels == 0).sum()), "pneumonia": int((labels == 1).sum())}
