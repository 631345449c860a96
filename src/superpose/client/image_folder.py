"""A folder of images as one archive to be sent."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

from superpose.errors import DatasetFormatError

__all__ = ["pack_folder"]

_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})


def pack_folder(folder: Path, archive: Path) -> int:
    """Write the PNG and JPEG images of a folder per class into a zip archive; returns how many they are.

    Hidden files and folders are left out, links to elsewhere too. Equal folders give equal archives.

    Raises:
        DatasetFormatError: there is no image in any folder.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    inside = folder.resolve()
    n_images = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:  # images are compressed already
        for path in paths:
            place = path.relative_to(folder)
            if any(part.startswith(".") for part in place.parts) or not path.resolve().is_relative_to(inside):
                continue
            with path.open("rb") as source, file.open(zipfile.ZipInfo(place.as_posix()), "w") as member:
                while piece := source.read(1024 * 1024):
                    member.write(piece)
            n_images += 1
    if not n_images:
        raise DatasetFormatError(
            f"{folder} holds no PNG or JPEG image; a folder per class with its images is expected.", path=str(folder)
        )
    return n_images
