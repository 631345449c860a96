"""The pixels of a DICOM image as a viewer would show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.dicom.faults import broken, pixel_fault, quietly
from superpose.errors import DatasetFormatError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["grey_pixels"]

_LUMA = np.array([0.299, 0.587, 0.114])


def grey_pixels(dataset: Dataset, name: str) -> npt.NDArray[np.float32]:
    """Brightness 0 (black) to 1 of each pixel, ``(n_rows, n_columns)``.

    Stored values are rescaled, and windowed by the first window that the file states. Without a window, unsigned values
    stand as they are in the range of their bits, signed or rescaled ones between the least and the greatest.
    MONOCHROME1 is turned round, colours become luma (BT.601).

    Raises:
        DatasetFormatError: the pixels, or what describes them, are absent or damaged, are indices into a palette, or
            are compressed in a way that no installed decoder reads.
    """
    if str(dataset.get("PhotometricInterpretation", "")) == "PALETTE COLOR":
        raise DatasetFormatError(
            f"The pixels of DICOM file {name[:120]!r} cannot be read: they are places in a palette of colours. Save "
            "the image as RGB or MONOCHROME2.",
            file=name[:200],
        )
    from pydicom.pixels import apply_modality_lut, apply_voi_lut, convert_color_space

    with quietly():
        try:
            stored: npt.NDArray[Any] = dataset.pixel_array
            kind = str(dataset.PhotometricInterpretation)
            if stored.ndim == 3:
                colours = convert_color_space(stored, kind, "RGB") if kind != "RGB" else stored
                return np.asarray(colours @ _LUMA / (2 ** int(dataset.BitsStored) - 1), dtype=np.float32)
            shown = _windowed(dataset, stored, apply_modality_lut, apply_voi_lut)
        except broken() as error:
            raise DatasetFormatError(
                f"The pixels of DICOM file {name[:120]!r} cannot be read: {pixel_fault(dataset)}.", file=name[:200]
            ) from error
    return 1.0 - shown if kind == "MONOCHROME1" else shown


def _windowed(dataset: Dataset, stored: npt.NDArray[Any], modality: Any, voi: Any) -> npt.NDArray[np.float32]:
    """Values 0 to 1, before MONOCHROME1 is turned round."""
    whole = 2.0 ** int(dataset.BitsStored) - 1.0
    rescaled = any(keyword in dataset for keyword in ("RescaleSlope", "ModalityLUTSequence"))
    values = modality(stored, dataset)
    if "WindowWidth" in dataset or "VOILUTSequence" in dataset:
        values = np.asarray(voi(values, dataset), dtype=np.float64)
        low, high = _window_range(dataset, whole)
    elif rescaled or int(dataset.PixelRepresentation):
        low, high = float(np.min(values)), float(np.max(values))
    else:
        low, high = 0.0, whole
    return np.asarray(np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0), dtype=np.float32)


def _window_range(dataset: Dataset, whole: float) -> tuple[float, float]:
    """The values that a window makes black and white: those that stored values could become (pydicom's rule)."""
    signed = bool(int(dataset.PixelRepresentation))
    low, high = (-(whole + 1) / 2, (whole + 1) / 2 - 1) if signed else (0.0, whole)
    if "ModalityLUTSequence" not in dataset and "RescaleSlope" in dataset:
        slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
        low, high = low * slope + intercept, high * slope + intercept
    return low, high
