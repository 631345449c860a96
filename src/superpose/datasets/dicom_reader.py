"""Pixels of one grey DICOM picture. Nothing else of the file is kept: no name, no date, no number."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from superpose.errors import DatasetFormatError

__all__ = ["dicom_pixels"]

_MAX_PIXELS = 50_000_000


def dicom_pixels(content: bytes, name: str, side: int) -> npt.NDArray[np.float32]:
    """Pixels ``(side, side)``, 0 (black) to 1 (white), of a picture of one frame and one channel.

    Stored values pass the modality's table, then the first window where the file has one, else from least to greatest;
    MONOCHROME1 is inverted. The picture is brought to a square by averaging.

    Args:
        content: the file's bytes.
        name: for messages.
        side: width and height wanted.

    Raises:
        DatasetFormatError: not such a file, or pydicom or Pillow is absent.

    Source: DICOM PS3.3 2024e, C.7.6.3.1.2 (photometric interpretation), C.11.2 (windows).
    """
    try:
        import pydicom
        from PIL import Image
        from pydicom.pixels import apply_modality_lut, apply_voi_lut
    except ImportError:
        raise DatasetFormatError("DICOM files need pydicom and Pillow: pip install 'superpose[dicom]'.") from None
    try:
        data = pydicom.dcmread(io.BytesIO(content))
        if int(data.Rows) * int(data.Columns) > _MAX_PIXELS:
            raise ValueError(f"it has {data.Rows} x {data.Columns} pixels, more than {_MAX_PIXELS:,}")
        shown = str(data.PhotometricInterpretation)
        if shown not in ("MONOCHROME1", "MONOCHROME2") or int(data.get("NumberOfFrames", 1) or 1) != 1:
            raise ValueError(f"it must be one grey frame, got {shown} and {data.get('NumberOfFrames', 1)} frames")
        values = np.asarray(apply_voi_lut(apply_modality_lut(data.pixel_array, data), data), dtype=np.float32)
    except Exception as error:  # pydicom raises whatever a broken file leads its decoders to
        raise DatasetFormatError(
            f"{name[:120]!r} cannot be read as a DICOM picture: {str(error)[:200] or type(error).__name__}.",
            file=name[:200],
        ) from error
    low, high = float(values.min()), float(values.max())
    values = (values - low) / (high - low) if high > low else np.zeros_like(values)
    if shown == "MONOCHROME1":
        values = 1.0 - values
    small = Image.fromarray(values).resize((side, side), Image.Resampling.BOX)
    return np.clip(np.asarray(small, dtype=np.float32), 0.0, 1.0)
