"""A folder of images as one archive to be sent."""

from __future__ import annotations

import json
import zipfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from superpose.datasets.dicom import Deidentifier, dicom_bytes, find_dicom, open_dicom
from superpose.datasets.dicom.files import head_of, patient_named
from superpose.datasets.dicom.folders import bears
from superpose.datasets.picture_folders import PlacedPicture, files_in, is_picture, placed
from superpose.datasets.picture_parts import PARTS
from superpose.errors import DatasetFormatError

__all__ = ["pack_folder"]

_PIECE_BYTES: Final = 2**20


def pack_folder(folder: Path, archive: Path) -> int:
    """Write the PNG, JPEG and DICOM images of a folder per class into a zip archive; returns how many they are.

    Hidden files and folders are left out, and nothing else is. Identities are taken out of DICOM files, whose names
    become numbers; so do the names of folders inside those of the classes, which are patients, and of what is in them.
    The archive's comment is the report of what was removed. Equal folders of other images give equal archives.

    Raises:
        DatasetFormatError: there is no image in any folder, a file that is none, a link that leads out of the folder,
            folders that leave open which of them are the classes, one of a class or above that bears the name of a
            patient in it, or a DICOM file that cannot be read or has text in its pixels.
    """
    dicom = {path.relative_to(folder).as_posix() for path in find_dicom(folder)}
    pictures = placed(_images_in(folder, dicom))
    deidentify = Deidentifier()
    patients: dict[str, int] = {}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:  # images are compressed already
        for number, picture in enumerate(pictures):
            path, above = folder / picture.file, picture.above
            if picture.patient:
                above += f"/patient_{patients.setdefault(picture.patient, len(patients) + 1):06d}"
            is_dicom = picture.file in dicom
            suffix = ".dcm" if is_dicom else path.suffix
            name = f"image_{number:06d}{suffix}" if is_dicom or picture.patient else path.name
            member = zipfile.ZipInfo(f"{above}/{name}")
            if is_dicom:
                file.writestr(member, _without_identity(path, picture, deidentify))
                continue
            with path.open("rb") as source, file.open(member, "w") as target:
                while piece := source.read(_PIECE_BYTES):
                    target.write(piece)
        if deidentify.report.n_files:
            file.comment = json.dumps(deidentify.report.to_dict()).encode()
    if not pictures:
        raise DatasetFormatError(
            f"{folder} holds no PNG, JPEG or DICOM image; a folder per class with its images is expected.",
            path=str(folder),
        )
    return len(pictures)


def _images_in(folder: Path, dicom: set[str]) -> list[str]:
    """The files to be sent, in order; refuses what would have to be passed over."""
    inside = folder.resolve()
    found = list(files_in(folder))
    for file in found:
        path = folder / file
        if not (path.is_file() and path.resolve().is_relative_to(inside)):
            raise DatasetFormatError(
                f"{file[:120]!r} is no file of the folder, such as a link that leads out of it, and is not sent. Put "
                "the file itself there, or take the link away.",
                file=file[:200],
            )
        if file not in dicom and not is_picture(file, partial(head_of, path)):
            raise DatasetFormatError(
                f"File {file[:120]!r} is neither PNG, JPEG nor DICOM. Convert it, or take it out of the folder.",
                file=file[:200],
            )
    return found


def _without_identity(path: Path, picture: PlacedPicture, deidentify: Deidentifier) -> bytes:
    dataset = open_dicom(path.read_bytes(), path.name)
    patient, name = patient_named(dataset), str(dataset.get("PatientName", "") or "")
    for folder in PurePosixPath(picture.above).parts:
        if folder not in PARTS and bears(folder, patient, name):
            raise DatasetFormatError(
                f"Folder {folder[:120]!r} stands where classes do, or above, and bears the name or the ID of the "
                f"patient in {picture.file[:120]!r}; its name would be sent. Put folders of patients inside those of "
                "classes, or give it another name.",
                file=picture.file[:200],
            )
    return dicom_bytes(deidentify(dataset, path.name), path.name)
