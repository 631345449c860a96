"""Opening a DICOM file: from a stranger, so every way in which it can be broken is one error."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from superpose.errors import DatasetFormatError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["BROKEN", "SUFFIXES", "is_dicom", "open_dicom"]

SUFFIXES = (".dcm", ".dicom")
_PREAMBLE, _MAGIC = 128, b"DICM"
_MAX_PIXELS = 50_000_000
BROKEN = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError, RuntimeError),
    NotImplementedError,
)
"""What reading a broken file raises, by experience."""


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with these bytes (132 at least) is DICOM (PS3.10)."""
    return head[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def open_dicom(content: bytes, name: str) -> Dataset:
    """The attributes of a file with one image.

    Args:
        content: the file's bytes.
        name: its name, for messages.

    Raises:
        DatasetFormatError: not DICOM, no image in it or several (frames), more than 50 million pixels, or pydicom is
            absent.
    """
    pydicom = _pydicom()
    if not is_dicom(content):
        raise DatasetFormatError(f"File {name[:120]!r} is no DICOM file (no DICM at byte 128).", file=name[:200])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values are common; what matters of them is looked at below
            found: Dataset = pydicom.dcmread(io.BytesIO(content))
            n_frames = int(found.get("NumberOfFrames", 1) or 1)
            n_pixels = int(found.Rows) * int(found.Columns) if "PixelData" in found else 0
    except (pydicom.errors.InvalidDicomError, *BROKEN) as error:
        raise DatasetFormatError(
            f"DICOM file {name[:120]!r} cannot be read: {type(error).__name__}.", file=name[:200]
        ) from error
    if not n_pixels:
        raise DatasetFormatError(f"DICOM file {name[:120]!r} holds no image.", file=name[:200])
    if n_frames != 1:
        raise DatasetFormatError(
            f"DICOM file {name[:120]!r} holds {n_frames} frames; one is read. Save each frame as a file.",
            file=name[:200],
            n_frames=n_frames,
        )
    if n_pixels > _MAX_PIXELS:
        raise DatasetFormatError(
            f"Image {name[:120]!r} has {found.Columns} x {found.Rows} pixels; at most {_MAX_PIXELS:,} are read.",
            file=name[:200],
        )
    return found


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError:
        raise DatasetFormatError("DICOM files need the package pydicom: pip install 'superpose[dicom]'.") from None
    return pydicom
