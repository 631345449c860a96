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
from superpose.datasets.picture_metadata import PictureReport, pixels_alone
from superpose.datasets.picture_parts import PARTS
from superpose.errors import DatasetFormatError

__all__ = ["pack_folder"]

_MAX_BYTES: Final = 64 * 2**20
_REPLACED: Final = ("name of the file", "name of its patient's folder")


def pack_folder(folder: Path, archive: Path) -> dict[str, str]:
    """Write the PNG, JPEG and DICOM images of a folder per class into a zip archive.

    Hidden files and folders are left out, and nothing else is. Identities are taken out of DICOM files, and of PNG and
    JPEG files all but their pixels. Names of files become numbers; so do the names of folders inside those of the
    classes, which are patients. The archive's comment is the report of what was removed. Equal folders of images
    without DICOM give equal archives.

    Returns:
        For each image's name in the archive the path of its file below the folder.

    Raises:
        DatasetFormatError: there is no image in any folder, a file that is none, a link that leads out of the folder,
            folders that leave open which of them are the classes, one of a class or above that bears the name of a
            patient in it, a DICOM file that cannot be read or has text in its pixels, or a PNG or JPEG file whose
            content is neither, that is too large, or whose metadata are damaged (`pixels_alone`).
    """
    sent: dict[str, str] = {}
    dicom = {path.relative_to(folder).as_posix() for path in find_dicom(folder)}
    pictures = placed(_images_in(folder, dicom))
    deidentify = Deidentifier()
    patients: dict[str, int] = {}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:  # images are compressed already
        for number, picture in enumerate(pictures):
            path, above = folder / picture.file, picture.above
            if picture.patient:
                above += f"/patient_{patients.setdefault(picture.patient, len(patients) + 1):06d}"
            if picture.file in dicom:
                content, suffix = _without_identity(path, picture, deidentify), ".dcm"
            else:
                content, suffix = _pixels_alone(path, picture, deidentify.report.pictures)
            name = f"{above}/image_{number:06d}{suffix}"
            file.writestr(zipfile.ZipInfo(name), content)
            sent[name] = picture.file
        file.comment = json.dumps(deidentify.report.to_dict()).encode()
    if not pictures:
        raise DatasetFormatError(
            f"{folder} holds no PNG, JPEG or DICOM image; a folder per class with its images is expected.",
            path=str(folder),
        )
    return sent


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
    told = picture.file[-120:]
    dataset = open_dicom(path.read_bytes(), told)
    patient, name = patient_named(dataset), str(dataset.get("PatientName", "") or "")
    for folder in PurePosixPath(picture.above).parts:
        if folder not in PARTS and bears(folder, patient, name):
            raise DatasetFormatError(
                f"Folder {folder[:120]!r} stands where classes do, or above, and bears the name or the ID of the "
                f"patient in {picture.file[:120]!r}; its name would be sent. Put folders of patients inside those of "
                "classes, or give it another name.",
                file=picture.file[:200],
            )
    return dicom_bytes(deidentify(dataset, told), told)


def _pixels_alone(path: Path, picture: PlacedPicture, report: PictureReport) -> tuple[bytes, str]:
    """What is sent of a PNG or JPEG file, and how its name is to end."""
    if (n_bytes := path.stat().st_size) > _MAX_BYTES:
        raise DatasetFormatError(
            f"Image {picture.file[:120]!r} has {n_bytes:,} bytes; at most {_MAX_BYTES:,} are read.",
            file=picture.file[:200],
        )
    alone = pixels_alone(path.read_bytes(), picture.file)
    report.add(alone.removed, replaced=_REPLACED[: 2 if picture.patient else 1], turned=alone.turned)
    return alone.content, alone.suffix
