"""Pictures of two classes in three parts: from MedMNIST files, folders, archives and DICOM."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superpose.datasets import read_images
from superpose.datasets.dicom.files import head_of
from superpose.datasets.picture_folders import is_picture
from superpose.datasets.picture_sets import groups_of_equals, learnable, read_pictures
from superpose.errors import DatasetEmptyError, DatasetFormatError, DatasetTargetError, DatasetTooSmallError


def png(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def files_of(counts: dict[str, tuple[int, int]], seed: int = 0) -> dict[str, bytes]:
    """PNG files by path: for each part (or "") the number of normal and ill ones."""
    random = np.random.default_rng(seed)
    return {
        "/".join([*([part] if part else []), label, f"{part}{label}{i}.png"]): png(random.integers(0, 256, (8, 8)))
        for part, both in counts.items()
        for label, n in zip(("ILL", "NORMAL"), both, strict=True)
        for i in range(n)
    }


def put(place: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def medmnist(path: Path, **changed: object) -> Path:
    arrays: dict[str, object] = {}
    for part, n in (("train", 12), ("val", 4), ("test", 6)):
        arrays[f"{part}_images"] = np.full((n, 8, 8), 51, np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    np.savez(path, **(arrays | changed))  # type: ignore[arg-type]  # NumPy's stub knows no mapping
    return path


def test_a_medmnist_file_keeps_its_official_parts(tmp_path: Path) -> None:
    found = read_pictures(medmnist(tmp_path / "own.npz"))
    assert (found.name, found.side, found.classes, found.origin) == ("own", 8, ("0", "1"), "official")
    assert {part: len(own) for part, own in found.parts.items()} == {"train": 12, "val": 4, "test": 6}
    assert found.parts["train"].pixels.dtype == np.float32
    assert np.allclose(found.parts["train"].pixels, 0.2)
    assert found.parts["test"].labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"val_images": np.zeros((4, 8, 8, 3), np.uint8)}, DatasetFormatError, "val_images must be grey pictures"),
        ({"val_labels": np.full((4, 1), 2, np.uint8)}, DatasetTargetError, "val_labels must be 0 or 1, got"),
        ({"test_labels": np.zeros((6, 14), np.uint8)}, DatasetTargetError, "one whole number per picture"),
        ({"test_labels": np.zeros((6, 1), np.uint8)}, DatasetTooSmallError, "Part test needs at least 1"),
        ({"test_images": np.zeros((6, 9, 9), np.uint8)}, DatasetFormatError, "must have one size"),
        ({"train_images": np.array([object()])}, DatasetFormatError, "object arrays"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, changed: dict[str, object], error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        read_pictures(medmnist(tmp_path / "own.npz", **changed))


def test_a_folder_and_its_archive_give_the_same_set(tmp_path: Path) -> None:
    files = files_of({"train": (5, 6), "val": (2, 1), "test": (2, 3)})
    folder = read_pictures(put(tmp_path / "chest", files), side=4)
    with zipfile.ZipFile(tmp_path / "chest.zip", "w") as archive:
        for name, content in {**files, "__MACOSX/junk": b"x"}.items():
            archive.writestr(name, content)
    packed = read_pictures(tmp_path / "chest.zip", side=4)
    assert folder.digest == packed.digest
    assert (folder.classes, folder.origin, folder.side) == (("ILL", "NORMAL"), "official", 4)
    assert np.bincount(folder.parts["train"].labels).tolist() == [5, 6]


def test_parts_are_drawn_with_equal_pictures_together(tmp_path: Path) -> None:
    files = files_of({"": (40, 60)})
    files |= {name.replace(".png", "_again.png"): content for name, content in files.items()}
    found = read_pictures(put(tmp_path, files), side=8)
    assert found.origin == "drawn"
    counts = {part: np.bincount(own.labels).tolist() for part, own in found.parts.items()}
    assert counts == {"train": [56, 84], "val": [12, 18], "test": [12, 18]}
    seen = [{row.tobytes() for row in own.pixels} for own in found.parts.values()]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    assert read_pictures(tmp_path, side=8, seed=1).digest != found.digest


def test_validation_is_drawn_from_training_and_never_from_the_test(tmp_path: Path) -> None:
    files = files_of({"train": (18, 36), "test": (4, 5)})
    found = read_pictures(put(tmp_path, files), side=8)
    assert [np.bincount(found.parts[part].labels).tolist() for part in ("train", "val", "test")] == [
        [16, 32],
        [2, 4],
        [4, 5],
    ]


@pytest.mark.parametrize(
    ("files", "error", "said"),
    [
        ({}, DatasetEmptyError, "holds no PNG, JPEG or DICOM"),
        ({"a/x.txt": b"x"}, DatasetFormatError, "must be a PNG, JPEG or DICOM"),
        ({"x.png": b"x"}, DatasetFormatError, "the folder names its class"),
        ({"a/x.png": png(np.zeros((4, 4)))}, DatasetTargetError, "must name two classes, got 1: a"),
        ({"a/x.png": b"no picture", "b/x.png": b""}, DatasetFormatError, "a/x.png"),
        ({"val/a/x.png": png(np.zeros((4, 4))), "b/x.png": png(np.ones((4, 4)))}, DatasetFormatError, "outside"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, files: dict[str, bytes], error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        read_pictures(put(tmp_path, files))
    for absent in ("gone", "gone.npz", "gone.zip"):
        with pytest.raises(DatasetFormatError, match=f"{absent} cannot be read: No such file"):
            read_pictures(tmp_path / absent)
    (tmp_path / "patients.csv").write_text("age,class\n1,2\n")
    with pytest.raises(DatasetFormatError, match=r"patients\.csv is none of what is read: a MedMNIST \.npz, a folder"):
        read_pictures(tmp_path / "patients.csv")


def test_equal_pictures_share_a_group() -> None:
    pixels = np.array([[0, 1], [1, 0], [0, 1], [1, 1]], np.float32)
    groups = groups_of_equals(pixels)
    assert groups[0] == groups[2] and len(set(groups.tolist())) == 3


def test_dicom_files_are_read_beside_others(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom", reason="needs superpose[dicom]")
    files = files_of({"train": (5, 5), "val": (1, 1), "test": (1, 1)})
    files["train/ILL/x.dcm"] = dicom(pydicom)
    found = read_pictures(put(tmp_path, files), side=2)
    plain = read_pictures(put(tmp_path / "again", {k: v for k, v in files.items() if "dcm" not in k}), side=2)
    rows = {row.tobytes() for row in found.parts["train"].pixels}
    (own,) = rows - {row.tobytes() for row in plain.parts["train"].pixels}
    assert np.allclose(np.frombuffer(own, np.float32), [0, 1, 1, 0], atol=1e-3)


def test_dicom_without_a_suffix_is_known_by_its_preamble(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom", reason="needs superpose[dicom]")
    named = {
        f"{part}/{label}/IM{i:04d}": dicom(pydicom, f"{part}{label}{i}", 50 * place + 5 * i)
        for place, (part, label) in enumerate((p, c) for p in ("train", "val", "test") for c in ("ILL", "NORMAL"))
        for i in range(4)
    }
    plain = read_pictures(put(tmp_path / "plain", {f"{name}.dcm": one for name, one in named.items()}), side=2)
    index = b"\0" * 128 + b"DICM" + b"index of the disc"
    uids = {name.replace("IM", "1.2.840.99."): content for name, content in named.items()}
    for kind, files in (("bare", named), ("uids", uids)):
        assert read_pictures(put(tmp_path / kind, {**files, "DICOMDIR": index}), side=2).digest == plain.digest
        with zipfile.ZipFile(tmp_path / f"{kind}.zip", "w") as archive:
            for name, content in {**files, "DICOMDIR": index}.items():
                archive.writestr(name, content)
        assert read_pictures(tmp_path / f"{kind}.zip", side=2).digest == plain.digest
        table = read_images((tmp_path / f"{kind}.zip").read_bytes(), name="x", target="c", max_columns=10, size=2)
        assert table.n_rows == len(files)
    for other in (b"", b"DICM", b"\0" * 128 + b"DIC"):
        with pytest.raises(DatasetFormatError, match="'train/ILL/notes' must be a PNG, JPEG or DICOM"):
            read_pictures(put(tmp_path / "bare", {"train/ILL/notes": other}), side=2)


def test_only_the_head_of_a_file_is_read_and_only_where_its_name_does_not_tell() -> None:
    asked: list[str] = []

    def head(name: str, content: bytes) -> bytes:
        asked.append(name)
        return content

    files = {"a/x.PNG": b"", "a/y.jpeg": b"", "a/z.DCM": b"", "a/IM1": b"\0" * 128 + b"DICM", "a/notes.txt": b"x" * 132}
    found = {name: is_picture(name, partial(head, name, content)) for name, content in files.items()}
    assert [name for name, own in found.items() if not own] == ["a/notes.txt"]
    assert asked == ["a/IM1", "a/notes.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_nothing_is_read_of_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "films")
    pipe = os.open(tmp_path / "films", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(pipe, b"\0" * 128 + b"DICM")
        assert head_of(tmp_path / "films") == b""  # of one that nobody writes to, reading would wait for ever
    finally:
        os.close(pipe)


def dicom(pydicom: Callable[..., object], patient: str = "", level: int = 4095) -> bytes:
    """A file of 2 x 2 pixels, 12 bits: black, white, white, black; of a patient, if one is named."""
    one = pydicom.Dataset()  # type: ignore[attr-defined]
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.826.0.1.99.7.1"
    one.PatientID = patient
    one.Rows = one.Columns = 2
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    one.PixelData = np.array([0, level, 4095, 0], np.uint16).tobytes()
    one.file_meta = pydicom.dataset.FileMetaDataset()  # type: ignore[attr-defined]
    one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian  # type: ignore[attr-defined]
    buffer = io.BytesIO()
    one.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_folders_inside_a_class_are_its_patients_and_stay_in_one_part(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    pictures = {
        f"scans/{label}/{label}-{patient}/{visit}/{i}.png": random.integers(1, 200, (8, 8))
        for label in ("ILL", "NORMAL")
        for patient in range(20)
        for visit in ("first", "second")
        for i in range(2)
    }
    for (name, values), mark in zip(pictures.items(), np.repeat(np.arange(40), 4), strict=True):
        values[0, 0] = 200 + mark % 20 + (0 if "ILL" in name else 20)  # the first pixel tells the patient
    found = read_pictures(put(tmp_path, {name: png(values) for name, values in pictures.items()}), side=8)
    assert found.classes == ("ILL", "NORMAL") and found.origin == "drawn"
    assert {part: np.bincount(own.labels).tolist() for part, own in found.parts.items()} == {
        "train": [56, 56],
        "val": [12, 12],
        "test": [12, 12],
    }
    seen = [set(own.pixels[:, 0].tolist()) for own in found.parts.values()]
    assert len(set().union(*seen)) == 40 == sum(map(len, seen)), "no patient in two parts"


def test_an_official_split_may_hold_folders_of_patients(tmp_path: Path) -> None:
    files = files_of({"train": (5, 6), "val": (2, 1), "test": (2, 3)})
    inside = {
        name.replace("/ILL/", f"/ILL/{name[:4]}1/").replace("/NORMAL/", f"/NORMAL/{name[:4]}2/old/"): c
        for name, c in files.items()
    }
    flat, deep = (read_pictures(put(tmp_path / str(i), own), side=4) for i, own in enumerate((files, inside)))
    assert deep.digest == flat.digest and deep.classes == flat.classes and deep.origin == "official"


_MOVED = ("ILL/trainILL0", "ILL/trainILL1", "NORMAL/trainNORMAL2", "NORMAL/trainNORMAL3")


def in_patients(counts: dict[str, tuple[int, int]], moved: dict[str, str]) -> dict[str, bytes]:
    """Pictures in folders of two per patient; those of some patients go to the folder of another."""
    found = {}
    for name, content in files_of(counts).items():
        part, label, file = name.split("/")
        owner = f"{part}-{label}-{int(file.removeprefix(part + label).removesuffix('.png')) // 2}"
        found[f"{part}/{label}/{moved.get(owner, owner)}/{file}"] = content
    return found


def test_a_patient_in_a_later_part_is_not_learnt_from(tmp_path: Path) -> None:
    counts = {"train": (12, 12), "val": (6, 6), "test": (6, 6)}
    moved = {"train-ILL-0": "test-ILL-1", "train-NORMAL-1": "val-NORMAL-0", "val-ILL-2": "test-ILL-0"}
    apart = read_pictures(put(tmp_path / "apart", in_patients(counts, {})), side=8)
    shared = read_pictures(put(tmp_path / "shared", in_patients(counts, moved)), side=8)
    clean, found = learnable(apart), learnable(shared)
    assert (clean.n_equal, clean.n_of_patients, len(clean.train), len(clean.validation)) == (0, 0, 24, 12)
    assert (found.n_equal, found.n_of_patients, len(found.train), len(found.validation)) == (0, 6, 20, 10)
    left_out = {row.tobytes() for row in clean.train.pixels} - {row.tobytes() for row in found.train.pixels}
    theirs = [files_of(counts)[f"train/{own}.png"] for own in _MOVED]
    assert left_out == {
        (np.asarray(Image.open(io.BytesIO(one)), np.float32) / np.float32(255)).tobytes() for one in theirs
    }
    assert shared.digest != apart.digest, "what is learnt from is another set of pictures"
    assert [len(shared.parts[part]) for part in ("train", "val", "test")] == [24, 12, 12]


def test_a_patient_id_tells_patients_apart_before_folders_do(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom", reason="needs superpose[dicom]")
    level = iter(range(1, 4000, 40))
    for folder in ("", "-series/"):
        files = {
            f"{part}/{label}/{label if folder else ''}{folder}{i}.dcm": dicom(
                pydicom, ("x" if i == 4 else part) + label + str(i), next(level)
            )
            for part in ("train", "val", "test")
            for label in ("ILL", "NORMAL")
            for i in range(5)
        }
        found = learnable(read_pictures(put(tmp_path / f"own{folder}", files), side=2))
        assert (found.n_of_patients, len(found.train), len(found.validation)) == (4, 8, 8)
    anonymous = {
        f"{part}/{label}/{i}.dcm": dicom(pydicom, "ANONYMOUS", next(level))
        for part in ("train", "val", "test") for label in ("ILL", "NORMAL") for i in range(4)
    }  # fmt: skip
    assert learnable(read_pictures(put(tmp_path / "anonymous", anonymous), side=2)).n_of_patients == 0


def test_patients_that_leave_too_little_to_learn_from_are_refused_with_a_way_out(tmp_path: Path) -> None:
    files = {name.replace("/ILL/", "/ILL/p1/").replace("/NORMAL/", "/NORMAL/p2/"): content
             for name, content in files_of({"train": (5, 6), "val": (2, 1), "test": (2, 3)}).items()}  # fmt: skip
    found = read_pictures(put(tmp_path, files), side=4)
    with pytest.raises(DatasetTooSmallError, match=r"has \[0, 0\] without the 0 of 11 .* 11 others .* Split by pat"):
        learnable(found)


@pytest.mark.parametrize(("part", "least"), [("train", 4), ("val", 1)])
def test_a_part_whose_pictures_all_stand_in_a_later_one_is_refused(tmp_path: Path, part: str, least: int) -> None:
    files = files_of({"train": (5, 6), "val": (2, 1), "test": (6, 6)})
    theirs = [content for name, content in files.items() if name.startswith("test/")]
    for place, name in enumerate(sorted(name for name in files if name.startswith(f"{part}/ILL"))):
        files[name] = theirs[place]
    found = read_pictures(put(tmp_path, files), side=4)
    with pytest.raises(DatasetTooSmallError, match=rf"{part} needs at least {least} .* has \[0, \d\] .* Give each"):
        learnable(found)


@pytest.mark.parametrize("side", [0, -1, 257, 2.5, True])
def test_a_size_that_pictures_are_not_brought_to_is_refused(tmp_path: Path, side: int) -> None:
    place = put(tmp_path / "films", files_of({"train": (4, 4), "val": (1, 1), "test": (1, 1)}))
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for path in place.rglob("*.png"):
            archive.write(path, path.relative_to(place))
    for source in (place, tmp_path / "films.zip"):
        with pytest.raises(DatasetFormatError, match=rf"side must be 1 to 256 pixels, got {side}\."):
            read_pictures(source, side=side)
    assert read_pictures(place, side=256).side == 256


def test_equal_pictures_link_the_patients_that_have_them(tmp_path: Path) -> None:
    files = {f"{label}/{label}{i}/own.png": png(np.full((2, 2), 10 + i + 100 * (label == "ILL")))
             for label in ("ILL", "NORMAL") for i in range(20)}  # fmt: skip
    files |= {f"ILL/ILL{i}/same.png": png(np.full((2, 2), 7)) for i in range(4)}
    found = read_pictures(put(tmp_path, files), side=2)
    levels = [{round(255 * level) for level in own.pixels[:, 0].tolist()} for own in found.parts.values()]
    (part,) = [own for own in levels if 7 in own]
    assert {110, 111, 112, 113} <= part


@pytest.mark.parametrize(
    ("names", "error", "said"),
    [
        (
            ("site_a/ILL/1", "site_a/WELL/2", "site_b/ILL/3"),
            DatasetFormatError,
            "site_a, site_b.* hold folders of .*ILL",
        ),
        (("ILL/left/1", "ILL/right/2", "WELL/left/1", "WELL/right/1"), DatasetFormatError, "Which folders name the cl"),
        (("ILL/train/1", "ILL/test/2", "WELL/train/1", "WELL/test/1"), DatasetFormatError, "Which folders name the cl"),
        (("ILL/p1/1", "WELL/p2/2"), DatasetTooSmallError, "there are 1 and 1 such patients"),
    ],
)
def test_folders_that_leave_the_classes_open_are_refused(
    tmp_path: Path, names: tuple[str, ...], error: type, said: str
) -> None:
    files = {f"{name}.png": png(np.full((4, 4), 10 + i)) for i, name in enumerate(names)}
    with pytest.raises(error, match=said):
        read_pictures(put(tmp_path, files), side=4)


def test_a_folder_that_is_a_link_is_not_passed_over(tmp_path: Path) -> None:
    place = put(tmp_path / "scans", files_of({"": (8, 8)}))
    (place / "ILL").rename(tmp_path / "elsewhere")
    (place / "ILL").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(DatasetFormatError, match="Folder 'ILL' is a link"):
        read_pictures(place, side=4)
