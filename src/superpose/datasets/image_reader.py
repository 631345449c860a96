"""Images as rows: a folder per class, in a zip archive; every image becomes one row of pixel columns.

Pixels are floats from 0 (black) to 1. An image is turned upright (EXIF), made grey or RGB, and stretched to a square of
``size`` x ``size`` pixels with averaging. Columns are named by channel, row and column: ``grey_03_17``. Of a file
nothing but its pixels is taken, and, where that is asked for, a number in place of a DICOM file's patient.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.archives import member_head, open_archive
from superpose.datasets.dicom import Deidentifier, grey_pixels, is_dicom, open_dicom
from superpose.datasets.picture_folders import PlacedPicture, check_member, is_left_alone, is_picture, placed
from superpose.datasets.picture_metadata import metadata_kinds
from superpose.datasets.picture_parts import PART
from superpose.datasets.picture_patients import PATIENT, UNKNOWN, numbered_patients, shared_patients
from superpose.datasets.table import Table, check_size, check_width
from superpose.errors import DatasetEmptyError, DatasetFormatError, DatasetTooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

__all__ = [
    "IMAGE_MODES",
    "PATIENT",
    "Identities",
    "check_edge",
    "image_row",
    "picture_pixels",
    "pixel_names",
    "read_images",
]

IMAGE_MODES = {"grey": ("grey",), "rgb": ("red", "green", "blue")}
"""Channels of each mode."""

_MAX_SIZE = 256
_MAX_PIXELS = 50_000_000
_MAX_PIXELS_IN_ALL = 20_000_000_000
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
_MAX_ATTRIBUTES = 500
_MAX_IMAGE_BYTES = 64 * 2**20
_SIXTEEN_BITS = 65_535.0


def read_images(  # what an archive may need to be told
    source: bytes,
    *,
    name: str,
    target: str,
    max_columns: int,
    size: int = 28,
    mode: str = "grey",
    patients: bool = False,
) -> Table:
    """A table from a zip archive with a folder of PNG, JPEG or DICOM images per class.

    Below folders that all images share, the first folder names the class of all images in it, also of those in folders
    inside it, which are patients. Where folders above the classes' are ``train`` and ``test``, and perhaps ``val``, a
    column `PART` keeps the part of each image, first of all. Rows are in the order of the paths. Hidden files are left
    alone.

    Args:
        source: the archive's bytes.
        name: name of the table.
        target: name of the column with the classes.
        max_columns: columns allowed, target included.
        size: width and height in pixels that every image is brought to, 1 to 256.
        mode: "grey" or "rgb".
        patients: whether a column `PATIENT` is to hold a number for each patient, to split by: of DICOM files, or of
            the folders inside those of the classes.

    Raises:
        DatasetFormatError: not a zip archive, a file that is no image, one outside a folder, or Pillow or pydicom is
            absent; folders of parts that do not hold all images, or lack one of train and test; folders that leave
            open which of them are the classes; ``patients`` where an image does not say whose it is.
        DatasetTooLargeError: more than 20,000 million pixels in all.
        DatasetTooWideError: ``size * size * channels`` pixels are more columns than allowed.
        DatasetError: as ``read_table`` states.
    """
    _check_form(size, mode, max_columns)
    with open_archive(source, "a zip archive") as archive:
        members = sorted(_images_of(archive), key=lambda info: info.filename)
        if not members:
            raise DatasetEmptyError(
                f"Archive {name!r} holds no PNG, JPEG or DICOM image; a folder per class is expected."
            )
        found = placed([info.filename for info in members])
        parts = _parts_of(found)
        n_columns = size * size * len(IMAGE_MODES[mode])
        check_width(n_columns + len(parts) + 1, max_columns)
        check_size(len(members), n_columns + len(parts) + 1)
        pixels = np.empty((len(members), n_columns))  # (n_images, n_columns)
        left = _MAX_PIXELS_IN_ALL
        identities = Identities(archive.comment)
        for row, info in enumerate(members):
            pixels[row], n_read = picture_pixels(archive.read(info), info.filename, size, mode, identities)
            left -= n_read
            if left < 0:
                raise DatasetTooLargeError(
                    f"The images have more than {_MAX_PIXELS_IN_ALL:,} pixels in all. Scale them down before.",
                    max_pixels=_MAX_PIXELS_IN_ALL,
                )
    labels = np.array([picture.label for picture in found], dtype=object)
    columns = parts | (identities.column(found) if patients else {})
    shared = shared_patients([picture.part for picture in found], identities.patients(found)) if parts else None
    columns |= {column: np.ascontiguousarray(pixels[:, i]) for i, column in enumerate(pixel_names(size, mode))}
    table = Table.from_columns(name, columns, target, labels)
    return replace(table, deidentification=identities.report(), shared_patients=shared)


class Identities:
    """What becomes of the identities in files of pictures that are read one after the other.

    Args:
        comment: of the archive that they came in, in which a sender says what was removed before.
    """

    def __init__(self, comment: bytes = b"") -> None:
        self._deidentify = Deidentifier()
        self._patient_of: dict[str, int] = {}
        self._said = comment

    def without(self, content: bytes, name: str) -> Any:
        """A DICOM file's data set with what may stay of it."""
        dataset = open_dicom(content, name)
        self._patient_of[name] = self._deidentify.patient(dataset)
        return self._deidentify(dataset, name)

    def count_metadata(self, content: bytes) -> None:
        """Count what a PNG or JPEG file holds besides its pixels, of which nothing is taken."""
        self._deidentify.report.pictures.add(metadata_kinds(content))

    def patient_of(self, name: str) -> int:
        """A number from 1 for the patient of a file that was read; 0 where it names none."""
        return self._patient_of.get(name, 0)

    def patients(self, pictures: list[PlacedPicture]) -> npt.NDArray[np.int64]:
        """The patient of each image, see `numbered_patients`."""
        own = [self.patient_of(picture.file) for picture in pictures]
        return numbered_patients(own, [picture.patient for picture in pictures])

    def column(self, pictures: list[PlacedPicture]) -> dict[str, npt.NDArray[Any]]:
        """The patient of each image: ``patient_1``, ... in the order in which they are met."""
        numbers = self.patients(pictures)
        unknown = [picture.file for picture, own in zip(pictures, numbers, strict=True) if own == UNKNOWN]
        if unknown:
            raise DatasetFormatError(
                f"{len(unknown)} of {len(pictures)} images do not say whose they are, the first is "
                f"{unknown[0][:120]!r}; DICOM files with a Patient ID do, or images that all stand in a folder per "
                "patient inside that of their class. Leave patients out.",
                file=unknown[0][:200],
            )
        return {PATIENT: np.array([f"patient_{number + 1}" for number in numbers], dtype=object)}

    def report(self) -> Mapping[str, Any] | None:
        """What was removed here, and what the sender says to have removed before; None where no file was read."""
        report = self._deidentify.report
        if not (report.n_files or report.pictures.n_files):
            return None
        return {**report.to_dict(), "by_sender": _said_by_sender(self._said)}


def _said_by_sender(comment: bytes) -> dict[str, Any] | None:
    """The counts by attribute of a sender's own report; None where there is none, or it is of another form."""
    try:
        said = json.loads(comment)
        pictures = {"pictures": _counts_in(said["pictures"])} if "pictures" in said else {}
        return {**_counts_in(said), **pictures}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _counts_in(said: Mapping[str, Any]) -> dict[str, Any]:
    counts = {
        part: {str(name)[:64]: int(count) for name, count in list(said[part].items())[:_MAX_ATTRIBUTES]}
        for part in ("removed", "replaced", "kept")
    }
    return {"n_files": int(said["n_files"]), **counts}


def image_row(source: bytes | Path, *, size: int = 28, mode: str = "grey") -> dict[str, float]:
    """One image as the row that a model trained on images takes: pixel by column name.

    Raises:
        DatasetFormatError: it is no PNG, JPEG or DICOM, or Pillow or pydicom is absent.
        OSError: the file cannot be read.
    """
    _check_form(size, mode, _MAX_SIZE * _MAX_SIZE * 3 + 1)
    content, name = (source, "image") if isinstance(source, bytes) else (source.read_bytes(), source.name)
    pixels, _ = picture_pixels(content, name, size, mode, Identities())
    return dict(zip(pixel_names(size, mode), pixels.tolist(), strict=True))


def _check_form(size: int, mode: str, max_columns: int) -> None:
    if mode not in IMAGE_MODES:
        raise DatasetFormatError(f"mode must be one of {', '.join(IMAGE_MODES)}, got {mode!r}.", mode=mode)
    check_edge(size, "size")
    check_width(size * size * len(IMAGE_MODES[mode]) + 1, max_columns)


def check_edge(pixels: int, name: str) -> None:
    """Refuse a width and height that images are not brought to.

    Args:
        pixels: the width.
        name: what the caller calls it.

    Raises:
        DatasetFormatError: it is not a whole number from 1 to 256.
    """
    if isinstance(pixels, bool) or not isinstance(pixels, int | np.integer) or not 1 <= pixels <= _MAX_SIZE:
        raise DatasetFormatError(f"{name} must be 1 to {_MAX_SIZE} pixels, got {pixels!r}.", **{name: pixels})


def _parts_of(pictures: list[PlacedPicture]) -> dict[str, npt.NDArray[Any]]:
    """The column of parts, by its name; none where no folder names one, or all images are in the same."""
    given = [picture.part for picture in pictures]
    return {PART: np.array(given, dtype=object)} if len(set(given)) > 1 else {}


def _images_of(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Members that are images, by name or content; refuses what is neither that nor hidden, or leads out."""
    found = []
    for info in archive.infolist():
        check_member(info.filename)
        if info.is_dir() or is_left_alone(info.filename):
            continue
        if not is_picture(info.filename, partial(member_head, archive, info)):
            raise DatasetFormatError(
                f"File {info.filename[:120]!r} is neither PNG, JPEG nor DICOM (.dcm, or DICM at byte 128).",
                file=info.filename[:200],
            )
        if info.file_size > _MAX_IMAGE_BYTES:
            raise DatasetFormatError(
                f"Image {info.filename[:120]!r} has {info.file_size:,} bytes; at most {_MAX_IMAGE_BYTES:,} are read.",
                file=info.filename[:200],
            )
        found.append(info)
    return found


def picture_pixels(
    content: bytes, name: str, size: int, mode: str, identities: Identities
) -> tuple[npt.NDArray[np.float64], int]:
    """Pixels 0 .. 1 of one image, channel after channel, row after row; ``(n_channels * size * size,)``.

    And how many the image had.

    Args:
        content: of the file.
        name: of the file, for messages and for ``identities``.
        size: width and height in pixels that it is brought to, see `check_edge`.
        mode: "grey" or "rgb".
        identities: told of the patient of a DICOM file, and of what else is in any.

    Raises:
        DatasetFormatError: it is no PNG, JPEG or DICOM, or Pillow or pydicom is absent.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise DatasetFormatError("Images need the package Pillow: pip install 'superpose[images]'.") from None
    if is_dicom(content):
        shown = grey_pixels(identities.without(content, name), name)
        return _tiled(Image.fromarray(shown), size, mode), shown.size
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise DatasetFormatError(
                    f"Image {name[:120]!r} has {image.width} x {image.height} pixels; at most {_MAX_PIXELS:,} are "
                    "read.",
                    file=name[:200],
                )
            n_read = image.width * image.height
            identities.count_metadata(content)
            image.load()
            upright = ImageOps.exif_transpose(image)
    except (UnidentifiedImageError, Image.DecompressionBombError, *_BROKEN) as error:
        raise DatasetFormatError(
            f"Image {name[:120]!r} cannot be read as PNG or JPEG: {_fault(error)}.", file=name[:200]
        ) from error
    return _scaled(upright, size, mode), n_read


def _fault(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "its content is neither"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has far more than {_MAX_PIXELS:,} pixels"
    return "it is cut short or damaged"


def _scaled(image: Image, size: int, mode: str) -> npt.NDArray[np.float64]:
    from PIL import Image as images

    if image.mode.startswith("I"):  # sixteen bits per pixel, which Pillow would clip to eight
        whole = images.fromarray(np.asarray(image, dtype=np.float32) / np.float32(_SIXTEEN_BITS))
        return _tiled(whole, size, mode)
    plain = image.convert("L" if mode == "grey" else "RGB").resize((size, size), images.Resampling.BOX)
    values: npt.NDArray[Any] = np.asarray(plain, dtype=np.float64) / 255.0  # (size, size) or (size, size, 3)
    return values.reshape(-1) if mode == "grey" else values.transpose(2, 0, 1).reshape(-1)


def _tiled(image: Image, size: int, mode: str) -> npt.NDArray[np.float64]:
    """Grey values 0 to 1 in floats, the same for each channel."""
    from PIL import Image as images

    small = np.asarray(image.resize((size, size), images.Resampling.BOX), dtype=np.float64)
    return np.tile(np.clip(small, 0.0, 1.0).reshape(-1), len(IMAGE_MODES[mode]))


def pixel_names(size: int, mode: str = "grey") -> list[str]:
    """Names of the pixel columns, channel after channel, row after row: ``grey_03_17`` is row 3, column 17."""
    width = len(str(size - 1))
    return [
        f"{channel}_{row:0{width}d}_{column:0{width}d}"
        for channel in IMAGE_MODES[mode]
        for row in range(size)
        for column in range(size)
    ]
