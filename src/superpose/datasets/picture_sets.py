"""Square grey pictures of two classes with a fixed split into training, validation and test parts.

Three forms are read: a MedMNIST file (``train_images``, ``train_labels``, ``val_...``, ``test_...`` in an NPZ archive);
a folder, or zip archive, of PNG, JPEG and DICOM files in ``train``, ``val`` and ``test`` folders with a folder per
class each; and the same without parts, which are then drawn: 70, 15 and 15 in 100 of each class, equal pictures always
in one part, and so all those of one patient, where the folders of classes hold a folder per patient. A folder ``train``
without a ``val`` gives a ninth of itself to validation, drawn in the same way. Of a DICOM file only the pixels are
kept.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from superpose.datasets.archives import open_archive
from superpose.datasets.image_reader import image_row
from superpose.datasets.npz_reader import npz_arrays
from superpose.datasets.picture_folders import PICTURE_SUFFIXES, PlacedPicture, files_in, is_left_alone, placed
from superpose.datasets.picture_parts import PARTS, check_parts
from superpose.errors import (
    DatasetEmptyError,
    DatasetFormatError,
    DatasetTargetError,
    DatasetTooLargeError,
    DatasetTooSmallError,
)

__all__ = ["PARTS", "PictureSet", "Pictures", "checked_set", "drawn_parts", "groups_of_equals", "read_pictures"]

_MAX_PICTURES = 200_000
_MAX_FILE_BYTES = 64 * 2**20
_SHARES = (0.7, 0.15, 0.15)
_LEAST = 4


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one part.

    Attributes:
        pixels: float32 ``(n_pictures, side * side)``, 0 (black) to 1, row after row.
        labels: int64 ``(n_pictures,)``, places in the set's classes.
    """

    pixels: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class PictureSet:
    """A set of pictures in three parts.

    Attributes:
        name: the file's or folder's, without its ending.
        side: width and height in pixels.
        classes: two names, in the order of the labels; the second is the one that is looked for.
        parts: for each word of `PARTS` its pictures.
        origin: "official" where the parts are those of the file or folder, "drawn" where they were drawn here.
        digest: SHA-256 of all pixels and labels, part by part.
    """

    name: str
    side: int
    classes: tuple[str, str]
    parts: Mapping[str, Pictures]
    origin: str
    digest: str


def read_pictures(source: Path, *, side: int = 28, seed: int = 0) -> PictureSet:
    """The pictures in a MedMNIST file, a folder or a zip archive; see the module's docstring for the forms.

    Args:
        source: path of the file or folder.
        side: width and height that PNG, JPEG and DICOM pictures are brought to; a MedMNIST file has its own.
        seed: of parts that are drawn.

    Raises:
        DatasetFormatError: it cannot be read, is none of the forms, holds a file that is no picture, or a package is
            absent (Pillow for PNG and JPEG, pydicom for DICOM: ``pip install 'superpose[images]'`` or
            ``'superpose[dicom]'``).
        DatasetTargetError: not two classes.
        DatasetTooLargeError: more than 200,000 pictures.
        DatasetTooSmallError: a class has fewer than four pictures in training or none in another part.

    Cost: memory of ``n_pictures * side**2`` float32, and one file at a time.
    """
    try:
        return _read(source, side, seed)
    except OSError as error:
        raise DatasetFormatError(
            f"{source} cannot be read: {error.strerror or error}. Give a MedMNIST .npz, a folder or a .zip.",
            path=str(source),
        ) from None


def _read(source: Path, side: int, seed: int) -> PictureSet:
    if source.suffix.lower() == ".npz":
        return _medmnist(source)
    if source.is_dir():
        return _from_files(source.name, list(files_in(source)), lambda name: _bytes_of(source / name), side, seed)
    with open_archive(source, "an NPZ or zip archive") as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        sizes = {info.filename: info for info in members}
        return _from_files(source.stem, sorted(sizes), lambda name: _member(archive, sizes[name]), side, seed)


def groups_of_equals(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """A number per picture ``(n_pictures,)``; pictures with the same pixels have the same one."""
    digests = [hashlib.sha256(row.tobytes()).digest() for row in pixels]
    _, groups = np.unique(np.array(digests, dtype="S32"), return_inverse=True)
    found: npt.NDArray[np.int64] = groups.astype(np.int64).reshape(-1)
    return found


def _medmnist(source: Path) -> PictureSet:
    wanted = [f"{part}_{what}" for part in PARTS for what in ("images", "labels")]
    arrays = npz_arrays(source.read_bytes(), wanted)
    parts = {}
    for part in PARTS:
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8:
            raise DatasetFormatError(
                f"{part}_images must be grey pictures (n, side, side) of uint8, got shape {images.shape} and dtype "
                f"{images.dtype}.",
                array=f"{part}_images",
            )
        if labels.shape not in ((len(images),), (len(images), 1)) or labels.dtype.kind not in "ui":
            raise DatasetTargetError(
                f"{part}_labels must hold one whole number per picture, got shape {labels.shape} and dtype "
                f"{labels.dtype}.",
                array=f"{part}_labels",
            )
        if not np.isin(labels, (0, 1)).all():
            raise DatasetTargetError(
                f"{part}_labels must be 0 or 1, got {np.unique(labels)[:10].tolist()}; this template knows two classes."
            )
        pixels = (images.reshape(len(images), -1) / np.float32(255.0)).astype(np.float32)
        parts[part] = Pictures(pixels, labels.reshape(-1).astype(np.int64))
    if len({arrays[f"{part}_images"].shape[1] for part in PARTS}) > 1:
        raise DatasetFormatError("The pictures of the three parts must have one size.")
    return checked_set(source.stem, int(arrays["train_images"].shape[1]), ("0", "1"), parts, "official")


def _from_files(name: str, files: Sequence[str], content: Callable[[str], bytes], side: int, seed: int) -> PictureSet:
    found = placed(_pictures_among(files))
    if not found:
        raise DatasetEmptyError(f"{name!r} holds no PNG, JPEG or DICOM picture; a folder per class is expected.")
    if len(found) > _MAX_PICTURES:
        raise DatasetTooLargeError(f"{name!r} holds {len(found):,} pictures; at most {_MAX_PICTURES:,} are read.")
    classes = sorted({picture.label for picture in found})
    if len(classes) != 2:
        raise DatasetTargetError(
            f"The folders must name two classes, got {len(classes)}: {', '.join(classes[:5])}.", classes=classes[:20]
        )
    pixels = np.empty((len(found), side * side), dtype=np.float32)
    for place, picture in enumerate(found):
        pixels[place] = _pixels(content(picture.file), picture.file, side)
    labels = np.array([classes.index(picture.label) for picture in found], dtype=np.int64)
    given = np.array([picture.part for picture in found])
    stated = bool((given != "").any())
    if stated:
        check_parts(given.tolist())
    drawn = drawn_parts(given, labels, _kept_together(groups_of_equals(pixels), found), seed)
    parts = {part: Pictures(pixels[drawn == part], labels[drawn == part]) for part in PARTS}
    try:
        return checked_set(name, side, (classes[0], classes[1]), parts, "official" if stated else "drawn")
    except DatasetTooSmallError as error:
        folders = [len({p.patient for p in found if p.label == label and p.patient}) for label in classes]
        if "val" in given or not any(folders):
            raise
        raise DatasetTooSmallError(
            f"{error.message} Pictures of one folder inside that of a class are of one patient and stay together, and "
            f"there are {folders[0]} and {folders[1]} such folders: where they are no patients, put the pictures into "
            "the folder of the class.",
            folders=folders,
        ) from None


def _pictures_among(files: Sequence[str]) -> list[str]:
    """The files that are to be read; refuses what is no picture."""
    found = [file for file in files if not is_left_alone(file)]
    for file in found:
        if PurePosixPath(file).suffix.lower() not in PICTURE_SUFFIXES:
            raise DatasetFormatError(
                f"File {file[:120]!r} must be a PNG, JPEG or DICOM picture in a folder that names its class.",
                file=file[:200],
            )
    return found


def _kept_together(groups: npt.NDArray[np.int64], found: Sequence[PlacedPicture]) -> npt.NDArray[np.int64]:
    """A number per picture: of those that are equal or of one patient, or linked by others that are."""
    own = np.flatnonzero([bool(picture.patient) for picture in found])
    if not len(own):
        return groups
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, patients = np.unique([found[place].patient for place in own], return_inverse=True)
    n_groups = int(groups.max()) + 1
    edges = (np.ones(len(own)), (groups[own], n_groups + patients.reshape(-1)))
    size = n_groups + int(patients.max()) + 1
    _, together = connected_components(coo_array(edges, shape=(size, size)), directed=False)
    return np.asarray(together, dtype=np.int64)[groups]


def drawn_parts(
    given: npt.NDArray[np.str_], labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.str_]:
    """The part of each picture: as given, or drawn class by class, a group's pictures together.

    Args:
        given: parts ``(n_pictures,)``; "" where one is to be drawn.
        labels: ``(n_pictures,)``, 0 or 1.
        groups: a number per picture; of a group with both classes the first picture's counts.
        seed: of the drawing.
    """
    if "val" in given:
        return given
    parts, shares = (("train", "val"), (8 / 9, 1 / 9)) if "train" in given else (PARTS, _SHARES)
    found = given.astype("U5")
    open_ones = np.flatnonzero(given != "test")
    groups = groups[open_ones]
    random = np.random.default_rng(seed)
    first = {int(group): place for place, group in reversed(list(enumerate(groups)))}
    for label in (0, 1):
        own = random.permutation(sorted(g for g, place in first.items() if labels[open_ones[place]] == label))
        ends = np.round(np.cumsum(shares) * len(own)).astype(int)
        for part, low, high in zip(parts, [0, *ends[:-1]], ends, strict=True):
            found[open_ones[np.isin(groups, own[low:high])]] = part
    return found


def checked_set(name: str, side: int, classes: tuple[str, str], parts: dict[str, Pictures], origin: str) -> PictureSet:
    """The set with its digest, if every part has pictures of both classes.

    Raises:
        DatasetTooSmallError: one has not.
    """
    for part, least in zip(PARTS, (_LEAST, 1, 1), strict=True):
        counts = np.bincount(parts[part].labels, minlength=2)
        if counts.min() < least:
            raise DatasetTooSmallError(
                f"Part {part} needs at least {least} picture(s) of each class, got {counts.tolist()}.",
                part=part,
                counts=counts.tolist(),
            )
    digest = hashlib.sha256()
    for part in PARTS:
        digest.update(parts[part].pixels.tobytes())
        digest.update(parts[part].labels.tobytes())
    return PictureSet(name, side, classes, parts, origin, digest.hexdigest())


def _pixels(content: bytes, name: str, side: int) -> npt.NDArray[np.float32]:
    try:
        row = image_row(content, size=side)
    except DatasetFormatError as error:
        raise DatasetFormatError(f"{name[:120]!r}: {error.message}", file=name[:200]) from None
    return np.fromiter(row.values(), dtype=np.float32, count=side * side)


def _bytes_of(path: Path) -> bytes:
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise DatasetTooLargeError(f"{path.name!r} has {path.stat().st_size:,} bytes; at most {_MAX_FILE_BYTES:,}.")
    return path.read_bytes()


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > _MAX_FILE_BYTES:
        raise DatasetTooLargeError(
            f"{info.filename[:120]!r} has {info.file_size:,} bytes; at most {_MAX_FILE_BYTES:,}."
        )
    return archive.read(info)
