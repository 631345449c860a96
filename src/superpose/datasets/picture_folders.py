"""What the folders above a picture say of it: its part, its class and, within the class's folder, its patient.

Folders that all pictures share say nothing. Of the others the first one names the class, or the one below a folder
``train``, ``val`` or ``test``. Folders inside the folder of a class are patients (or visits, or series of one): their
pictures are of that class.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from superpose.datasets.dicom.files import is_dicom_file, is_index
from superpose.datasets.picture_parts import PARTS, check_parts
from superpose.errors import DatasetFormatError

__all__ = ["PlacedPicture", "check_member", "files_in", "is_left_alone", "is_picture", "placed"]

_PLAIN_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class PlacedPicture:
    """A file, and what its folders say.

    Attributes:
        file: path below the folder, or in the archive, with slashes.
        part: train, val or test; "" where no folder names one.
        label: name of its class.
        patient: the first folder inside that of the class; "" where the picture stands in the latter itself.
        above: the path down to the folder of the class.
    """

    file: str
    part: str
    label: str
    patient: str
    above: str


def is_picture(file: str, head: Callable[[], bytes]) -> bool:
    """Whether a file is one to be read: PNG or JPEG by the end of its name, DICOM by that or by its content.

    Args:
        file: its name or path.
        head: gives its first bytes, see `is_dicom_file`; called only where the name does not tell.
    """
    return PurePosixPath(file).suffix.lower() in _PLAIN_SUFFIXES or is_dicom_file(file, head)


def is_left_alone(file: str) -> bool:
    """Whether a file is hidden, or one that systems put beside pictures unasked, or the index of a disc of DICOM."""
    path = PurePosixPath(file)
    unasked = path.name in {"Thumbs.db", "desktop.ini"} or is_index(path.name)
    return unasked or any(piece.startswith((".", "__")) for piece in path.parts)


def check_member(file: str) -> None:
    """Refuse a file of an archive whose path leads out of it; no class or part could be told by that.

    Raises:
        DatasetFormatError: it does.
    """
    if ".." in PurePosixPath(file).parts:
        raise DatasetFormatError(
            f"The path of file {file[:120]!r} leads out of the archive ('..'). Pack the folders of the classes anew, "
            "from inside the folder that they are in.",
            file=file[:200],
        )


def files_in(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder that are not left alone, in order, with slashes.

    Raises:
        DatasetFormatError: a folder inside is a link, and would be passed over.
        OSError: a folder cannot be read.
    """
    found = []
    for place, folders, files in os.walk(folder, onerror=_raise):
        at = Path(place).relative_to(folder)
        for name in folders:
            if not is_left_alone(inner := (at / name).as_posix()) and (folder / inner).is_symlink():
                raise DatasetFormatError(
                    f"Folder {inner[:120]!r} is a link, which is not followed. Put the folder itself there, or give "
                    "the place that the link leads to.",
                    file=inner[:200],
                )
        found += [inner for name in files if not is_left_alone(inner := (at / name).as_posix())]
    yield from sorted(found)


def _raise(error: OSError) -> None:
    raise error


def placed(files: Sequence[str]) -> list[PlacedPicture]:
    """What the folders of pictures say of them, in the order of ``files``.

    Args:
        files: paths with slashes, of pictures alone.

    Raises:
        DatasetFormatError: a picture in no folder; folders of parts that are no split (`check_parts`); or most names of
            folders inside the classes' stand in several of them, so that they may be the classes.
    """
    folders = [PurePosixPath(file).parts[:-1] for file in files]
    for file, own in zip(files, folders, strict=True):
        if not own:
            raise DatasetFormatError(
                f"Image {file[:120]!r} stands in no folder; the folder names its class.", file=file[:200]
            )
    shared = 0
    while folders and all(len(own) > shared + 1 and own[shared] == folders[0][shared] for own in folders):
        shared += 1
    found = [_placed(file, own, shared) for file, own in zip(files, folders, strict=True)]
    parts = [picture.part for picture in found]
    if len(set(parts)) > 1:
        check_parts(parts)
    _check_classes(found)
    return found


def _placed(file: str, folders: tuple[str, ...], shared: int) -> PlacedPicture:
    """One picture, of whose folders the first ``shared`` are above all pictures."""
    own = folders[shared:]
    place = next((at for at, piece in enumerate(own[:-1]) if piece in PARTS), None)
    if place is None:
        part, label = next((piece for piece in reversed(folders[:shared]) if piece in PARTS), ""), shared
    else:
        part, label = own[place], shared + place + 1
    patient = folders[label + 1] if len(folders) > label + 1 else ""
    return PlacedPicture(file, part, folders[label], patient, "/".join(folders[: label + 1]))


def _check_classes(pictures: Sequence[PlacedPicture]) -> None:
    """Refuse folders of which the inner ones are as likely to be the classes as the outer ones."""
    labels_of = defaultdict(set)
    for picture in pictures:
        if picture.patient:
            labels_of[picture.patient].add(picture.label)
    several = sorted(name for name, labels in labels_of.items() if len(labels) > 1)
    if not several or 2 * len(several) < len(labels_of):
        return
    outer = sorted(set().union(*(labels_of[name] for name in several)))
    raise DatasetFormatError(
        f"Which folders name the classes? The outer ones ({_listed(outer)}) hold folders of the same names "
        f"({_listed(several)}). The outer folder is read as the class, folders inside as patients: move the classes' "
        "folders out of the others, or give patients of different classes different names.",
        outer=outer[:20],
        inner=several[:20],
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name[:60] for name in names[:3]) + (", ..." if len(names) > 3 else "")
