"""Square grey pictures of two classes with a fixed split into training, validation and test parts.

Three forms are read: a MedMNIST file (``train_images``, ``train_labels``, ``val_...``, ``test_...`` in an NPZ archive);
a folder, or zip archive, of PNG, JPEG and DICOM files in ``train``, ``val`` and ``test`` folders with a folder per
class each; and the same without parts, which are then drawn: 70, 15 and 15 in 100 of each class, equal pictures always
in one part, and so all those of one patient, where DICOM files or folders inside those of the classes tell patients
apart. A folder ``train`` without a ``val`` gives a ninth of itself to validation, drawn in the same way. Of a DICOM
file only the pixels are kept, and a number in place of the patient. `learnable` leaves out what stands in a later part
too.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from superpose.datasets.archives import member_head, open_archive
from superpose.datasets.dicom.files import head_of
from superpose.datasets.image_reader import Identities, check_edge, picture_pixels
from superpose.datasets.npz_reader import npz_arrays
from superpose.datasets.picture_folders import check_member, files_in, is_left_alone, is_picture, placed
from superpose.datasets.picture_parts import PARTS, check_parts
from superpose.datasets.picture_patients import UNKNOWN, kept_together, numbered_patients, of_later_parts
from superpose.errors import (
    DatasetEmptyError,
    DatasetFormatError,
    DatasetTargetError,
    DatasetTooLargeError,
    DatasetTooSmallError,
)

__all__ = [
    "PARTS",
    "Learnable",
    "PictureSet",
    "Pictures",
    "checked_set",
    "drawn_parts",
    "groups_of_equals",
    "learnable",
    "read_pictures",
]

_MAX_PICTURES = 200_000
_MAX_FILE_BYTES = 64 * 2**20
_SHARES = (0.7, 0.15, 0.15)
_LEAST = 4
_SPLIT_ANEW = (
    "Split by patients, or leave the parts to be drawn; where Patient IDs, folders or a column of equal names in "
    "several parts are different patients, give them different names."
)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one part.

    Attributes:
        pixels: float32 ``(n_pictures, side * side)``, 0 (black) to 1, row after row.
        labels: int64 ``(n_pictures,)``, places in the set's classes.
        patients: int64 ``(n_pictures,)``, a number for the patient of each picture, the same in all parts of a set,
            `UNKNOWN` where nothing tells; None where nothing does of any.
    """

    pixels: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    patients: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def among(self, chosen: npt.NDArray[np.bool_]) -> Pictures:
        """Those of them that are chosen, ``(n_pictures,)``."""
        patients = None if self.patients is None else self.patients[chosen]
        return Pictures(self.pixels[chosen], self.labels[chosen], patients)

    def owners(self) -> npt.NDArray[np.int64]:
        """The patient of each, `UNKNOWN` where nothing tells."""
        return np.full(len(self), UNKNOWN, dtype=np.int64) if self.patients is None else self.patients


@dataclass(frozen=True, eq=False)
class PictureSet:
    """A set of pictures in three parts.

    Attributes:
        name: the file's or folder's, without its ending.
        side: width and height in pixels.
        classes: two names, in the order of the labels; the second is the one that is looked for.
        parts: for each word of `PARTS` its pictures.
        origin: "official" where the parts are those of the file or folder, "drawn" where they were drawn here.
        digest: SHA-256 of all pixels and labels, part by part, and of which pictures are of a patient who stands in a
            later part too, where any are.
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
        side: width and height that PNG, JPEG and DICOM pictures are brought to, 1 to 256; a MedMNIST file has its own.
        seed: of parts that are drawn.

    Raises:
        DatasetFormatError: it cannot be read, is none of the forms, holds a file that is no picture, ``side`` is out of
            range, or a package is absent (Pillow for PNG and JPEG, pydicom for DICOM:
            ``pip install 'superpose[images]'`` or ``'superpose[dicom]'``).
        DatasetTargetError: not two classes.
        DatasetTooLargeError: more than 200,000 pictures.
        DatasetTooSmallError: a class has fewer than four pictures in training or none in another part.

    Cost: memory of ``n_pictures * side**2`` float32, and one file at a time.
    """
    check_edge(side, "side")
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
        files = _pictures_among(list(files_in(source)), lambda name: head_of(source / name))
        return _from_files(source.name, files, lambda name: _bytes_of(source / name), side, seed)
    if source.exists() and not zipfile.is_zipfile(source):
        raise DatasetFormatError(f"{source} is none of what is read: a MedMNIST .npz, a folder or a .zip of pictures.")
    with open_archive(source, "a zip archive") as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        for info in members:
            check_member(info.filename)
        sizes = {info.filename: info for info in members}
        files = _pictures_among(sorted(sizes), lambda name: member_head(archive, sizes[name]))
        return _from_files(source.stem, files, lambda name: _member(archive, sizes[name]), side, seed)


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
    found = placed(files)
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
    identities = Identities()
    for place, picture in enumerate(found):
        pixels[place], _ = picture_pixels(content(picture.file), picture.file, side, "grey", identities)
    patients = numbered_patients(
        [identities.patient_of(picture.file) for picture in found], [picture.patient for picture in found]
    )
    labels = np.array([classes.index(picture.label) for picture in found], dtype=np.int64)
    given = np.array([picture.part for picture in found])
    stated = bool((given != "").any())
    if stated:
        check_parts(given.tolist())
    drawn = drawn_parts(given, labels, kept_together(groups_of_equals(pixels), patients), seed)
    whole = Pictures(pixels, labels, None if (patients == UNKNOWN).all() else patients)
    parts = {part: whole.among(drawn == part) for part in PARTS}
    try:
        return checked_set(name, side, (classes[0], classes[1]), parts, "official" if stated else "drawn")
    except DatasetTooSmallError as error:
        counts = [len(set(patients[(labels == label) & (patients != UNKNOWN)].tolist())) for label in (0, 1)]
        if "val" in given or not any(counts):
            raise
        raise DatasetTooSmallError(
            f"{error.message} Pictures of one patient stay together: those of one Patient ID, or of one folder inside "
            f"that of a class, and there are {counts[0]} and {counts[1]} such patients. Where folders are no patients, "
            "put the pictures into the folder of the class.",
            patients=counts,
        ) from None


def _pictures_among(files: Sequence[str], head: Callable[[str], bytes]) -> list[str]:
    """The files that are to be read; refuses what is no picture, by name or by the ``head`` of the file of a name."""
    found = [file for file in files if not is_left_alone(file)]
    for file in found:
        if not is_picture(file, partial(head, file)):
            raise DatasetFormatError(
                f"File {file[:120]!r} must be a PNG, JPEG or DICOM picture in a folder that names its class.",
                file=file[:200],
            )
    return found


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
    later = _of_later_parts(parts)
    if any(own.any() for own in later.values()):
        digest.update(b"patients" + b"".join(later[part].tobytes() for part in PARTS))
    return PictureSet(name, side, classes, parts, origin, digest.hexdigest())


@dataclass(frozen=True, eq=False)
class Learnable:
    """What may be learnt from of a set.

    Attributes:
        train: the training pictures, without those left out.
        validation: the same of the validation part.
        n_equal: pictures left out of both because an equal one stands in a later part.
        n_of_patients: other pictures left out because their patient stands in a later part.
    """

    train: Pictures
    validation: Pictures
    n_equal: int
    n_of_patients: int


def learnable(pictures: PictureSet) -> Learnable:
    """The pictures of training and validation, without those that stand in a later part too, or whose patient does.

    They would be known again in the test. Nothing else is learnt of the later parts.

    Raises:
        DatasetTooSmallError: too few are left.
    """
    parts, later = pictures.parts, _of_later_parts(pictures.parts)
    equal = {
        "train": _among_others(parts["train"], parts["val"], parts["test"]),
        "val": _among_others(parts["val"], parts["test"]),
    }
    kept = {part: parts[part].among(~(equal[part] | later[part])) for part in equal}
    n_of_patients = sum(int((later[part] & ~equal[part]).sum()) for part in equal)
    for part, least in (("train", _LEAST), ("val", 1)):
        counts = np.bincount(kept[part].labels, minlength=2)
        if counts.min() < least:
            n_own = int((later[part] & ~equal[part]).sum())
            raise DatasetTooSmallError(
                f"Part {part} needs at least {least} picture(s) of each class, and has {counts.tolist()} without the "
                f"{int(equal[part].sum())} of {len(parts[part])} that stand in a later part too and the {n_own} others "
                f"whose patient does. {_SPLIT_ANEW if n_own else 'Give each picture to one part.'}",
                part=part,
                counts=counts.tolist(),
            )
    return Learnable(kept["train"], kept["val"], int(sum(own.sum() for own in equal.values())), n_of_patients)


def _of_later_parts(parts: Mapping[str, Pictures]) -> dict[str, npt.NDArray[np.bool_]]:
    return of_later_parts({part: parts[part].owners() for part in PARTS})


def _among_others(pictures: Pictures, *others: Pictures) -> npt.NDArray[np.bool_]:
    """Which pictures are equal to one of the others."""
    groups = groups_of_equals(np.concatenate([pictures.pixels, *[other.pixels for other in others]]))
    return np.isin(groups[: len(pictures)], groups[len(pictures) :])


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
