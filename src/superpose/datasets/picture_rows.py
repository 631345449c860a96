"""Rows of a model that was trained on pictures, from a picture or a folder of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from superpose.datasets.image_reader import IMAGE_MODES, Identities, image_row, picture_pixels, pixel_names
from superpose.datasets.picture_folders import files_in, is_picture
from superpose.errors import DatasetEmptyError, DatasetFormatError

__all__ = ["looks_like_pictures", "picture_rows"]

_TABLES = (".json", ".jsonl", ".csv", ".parquet")
_OTHER_PICTURES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".gif", ".webp")


def looks_like_pictures(source: Path) -> bool:
    """Whether it is a folder, or a file that holds a picture by the end of its name, or by content (DICOM)."""
    if source.is_dir() or source.suffix.lower() in _OTHER_PICTURES:
        return True
    if source.suffix.lower() in _TABLES or not source.is_file():
        return False
    return is_picture(source.name, partial(_head, source))


def picture_rows(source: Path, columns: Sequence[str]) -> tuple[list[str], list[dict[str, float]]]:
    """The pictures of a file or, in the order of their paths, below a folder, as rows of a model with those columns.

    Each is brought to the model's size as `superpose.datasets.read_images` brings it.

    Args:
        source: a PNG, JPEG or DICOM file, or a folder with nothing but such files; what systems put there unasked is
            passed over.
        columns: that the model takes.

    Returns:
        Names of the files, below the folder, and a row for each: pixel by column name, 0 to 1.

    Raises:
        DatasetFormatError: the model takes other columns than pixels; a file is no picture or is damaged.
        DatasetEmptyError: nothing is in the folder.
        OSError: a file cannot be read.

    Cost: reads each file whole.
    """
    size, mode = _form_of(columns, source)
    if not source.is_dir():
        return [source.name], [image_row(source, size=size, mode=mode)]
    pixels = pixel_names(size, mode)
    names = list(files_in(source))
    for name in names:
        if not is_picture(name, partial(_head, source / name)):
            raise DatasetFormatError(
                f"File {name[:120]!r} in {source} is neither PNG, JPEG nor DICOM. Take it out, or give the pictures "
                "themselves.",
                file=name[:200],
            )
    if not names:
        raise DatasetEmptyError(f"Folder {source} holds no PNG, JPEG or DICOM picture; give one at least.")
    rows = []
    for name in names:  # the end of its path, for in every folder of an export stands an IM000001
        values, _ = picture_pixels((source / name).read_bytes(), name[-120:], size, mode, Identities())
        rows.append(dict(zip(pixels, values.tolist(), strict=True)))
    return names, rows


def _form_of(columns: Sequence[str], source: Path) -> tuple[int, str]:
    """Width (and height) and mode of the pictures whose pixels the columns are."""
    for mode, channels in IMAGE_MODES.items():
        size = math.isqrt(len(columns) // len(channels))
        if size and set(columns) == set(pixel_names(size, mode)):
            return size, mode
    told = ", ".join(map(repr, columns[:3])) + (", ..." if len(columns) > 3 else "")
    raise DatasetFormatError(
        f"{source} is no table, and the model takes the columns {told}, which are no pixels (grey_00_00, ...). Give a "
        ".json, .csv or .parquet file with these columns.",
        source=str(source),
    )


def _head(path: Path) -> bytes:
    """As many bytes as tell a DICOM file."""
    with path.open("rb") as file:
        return file.read(256)
