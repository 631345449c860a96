"""The pixels of a DICOM image as a viewer would show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.dicom.faults import broken, pixel_fault, quietly, table_of, value_fault, window_of
from superpose.errors import DatasetFormatError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["grey_pixels"]

_LUMA = np.array([0.299, 0.587, 0.114])


def grey_pixels(dataset: Dataset, name: str) -> npt.NDArray[np.float32]:
    """Brightness 0 (black) to 1 of each pixel, ``(n_rows, n_columns)``.

    Stored values are rescaled, and shown by the first table (VOI LUT) or, without one, window that the file states.
    Without either, unsigned values stand as they are in the range of their bits, signed or rescaled ones between the
    least and the greatest. MONOCHROME1 is turned round, colours become luma (BT.601).

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
    from pydicom.pixels import apply_modality_lut

    with quietly():
        try:
            stored: npt.NDArray[Any] = dataset.pixel_array  # colours come as RGB, however they are stored
            kind = str(dataset.PhotometricInterpretation)
            if (fault := value_fault(dataset)) is not None:
                raise ValueError(fault)
            if stored.ndim == 3:
                return np.asarray(stored @ _LUMA / (2 ** int(dataset.BitsStored) - 1), dtype=np.float32)
            shown = _shown(dataset, apply_modality_lut(stored, dataset))
        except broken() as error:
            raise DatasetFormatError(
                f"The pixels of DICOM file {name[:120]!r} cannot be read: {pixel_fault(dataset)}.", file=name[:200]
            ) from error
    return 1.0 - shown if kind == "MONOCHROME1" else shown


def _shown(dataset: Dataset, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Rescaled values as 0 to 1, before MONOCHROME1 is turned round."""
    if (table := table_of(dataset)) is not None:
        return _looked_up(table, values, little=dataset.file_meta.TransferSyntaxUID.is_little_endian)
    if None not in (dataset.get("WindowCenter"), dataset.get("WindowWidth")):
        return _windowed(dataset, np.asarray(values, dtype=np.float64))
    if (
        dataset.get("ModalityLUTSequence")
        or dataset.get("RescaleSlope") is not None
        or int(dataset.PixelRepresentation)
    ):
        low, high = float(np.min(values)), float(np.max(values))
    else:
        low, high = 0.0, 2.0 ** int(dataset.BitsStored) - 1.0
    return np.asarray(np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0), dtype=np.float32)


def _windowed(dataset: Dataset, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Values through the first window, 0 (all below) to 1 (all above): PS3.3, C.11.2.1.2 and C.11.2.1.3."""
    center, width, function = window_of(dataset)
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -60.0, 60.0))), np.float32)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    if not width:  # of one value: a threshold
        return np.asarray(values > center, dtype=np.float32)
    return np.asarray(np.clip((values - center) / width + 0.5, 0.0, 1.0), dtype=np.float32)


def _looked_up(table: Dataset, values: npt.NDArray[Any], *, little: bool) -> npt.NDArray[np.float32]:
    """Values through a table of what is shown, as shares of the greatest that its bits can hold (PS3.3, C.11.2.1.1)."""
    n_entries, first, bits = (int(number) for number in table.LUTDescriptor)
    n_entries = n_entries or 2**16
    entries: Any = table.LUTData
    if isinstance(entries, bytes):  # words, or bytes where there are no more than entries
        words = "<u2" if little else ">u2"
        entries = np.frombuffer(entries, np.uint8 if len(entries) < 2 * n_entries else words)
    shown = np.asarray(entries, dtype=np.float64)[:n_entries] / (2.0**bits - 1.0)
    if len(shown) < n_entries:
        raise ValueError("a lookup table has fewer entries than it states")
    places = np.clip(np.asarray(values, dtype=np.float64) - first, 0, n_entries - 1).astype(np.int64)
    return np.asarray(np.clip(shown[places], 0.0, 1.0), dtype=np.float32)
