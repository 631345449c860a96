"""A folder of images as one archive to be sent."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Final

from superpose.datasets.dicom import Deidentifier, find_dicom, open_dicom
from superpose.errors import DatasetFormatError

__all__ = ["pack_folder"]

_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
_PIECE_BYTES: Final = 2**20


def pack_folder(folder: Path, archive: Path) -> int:
    """Write the PNG, JPEG and DICOM images of a folder per class into a zip archive; returns how many they are.

    Hidden files and folders are left out, links to elsewhere too. Identities are taken out of DICOM files, whose names
    become numbers; the archive's comment is the report of that. Equal folders of other images give equal archives.

    Raises:
        DatasetFormatError: there is no image in any folder, or a DICOM file cannot be read or has text in its pixels.
    """
    dicom = set(find_dicom(folder))
    plain = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    paths = sorted(dicom.union(plain))
    deidentify = Deidentifier()
    inside = folder.resolve()
    n_images = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:  # images are compressed already
        for path in paths:
            place = path.relative_to(folder)
            if any(part.startswith(".") for part in place.parts) or not path.resolve().is_relative_to(inside):
                continue
            if path in dicom:
                name = place.with_name(f"image_{n_images:06d}.dcm").as_posix()
                file.writestr(zipfile.ZipInfo(name), _without_identity(path, deidentify))
                n_images += 1
                continue
            with path.open("rb") as source, file.open(zipfile.ZipInfo(place.as_posix()), "w") as member:
                while piece := source.read(_PIECE_BYTES):
                    member.write(piece)
            n_images += 1
        if deidentify.report.n_files:
            file.comment = json.dumps(deidentify.report.to_dict()).encode()
    if not n_images:
        raise DatasetFormatError(
            f"{folder} holds no PNG, JPEG or DICOM image; a folder per class with its images is expected.",
            path=str(folder),
        )
    return n_images


def _without_identity(path: Path, deidentify: Deidentifier) -> bytes:
    made = deidentify(open_dicom(path.read_bytes(), path.name), path.name)
    content = io.BytesIO()
    made.save_as(content, enforce_file_format=True)
    return content.getvalue()
