"""What is wrong with a DICOM file that cannot be read, in words of the standard; never a patient's value."""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["attribute_fault", "broken", "pixel_fault", "quietly", "table_of", "value_fault", "window_of"]

_BROKEN: Final = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError),
    *(RuntimeError, NotImplementedError, struct.error, zlib.error),
)
_quiet = threading.local()
_DAMAGED = "it is cut short or damaged"
_NEEDED = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation"),
)
_COLOURS = ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_WINDOWS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def broken() -> tuple[type[Exception], ...]:
    """What reading a broken file raises, by experience."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*_BROKEN, BytesLengthException, InvalidDicomError)


@contextmanager
def quietly() -> Iterator[None]:
    """Without pydicom's warnings and log of odd values, which are common and which it shows, patients' among them."""
    logging.getLogger("pydicom").addFilter(_is_loud)  # once, however often it is added
    before, _quiet.here = getattr(_quiet, "here", False), True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _quiet.here = before


def _is_loud(record: logging.LogRecord) -> bool:
    return not getattr(_quiet, "here", False)


def attribute_fault(dataset: Dataset, needed: tuple[str, ...] = ()) -> str | None:
    """The first attribute that is damaged, or absent though needed; None where there is none."""
    for tag in dataset.keys():  # noqa: SIM118  # iterating over the data set itself would read values
        try:
            dataset[tag]
        except broken():
            return f"the attribute {_named(tag)} is damaged"
    absent = next((keyword for keyword in needed if dataset.get(keyword) in (None, "")), None)
    return None if absent is None else f"it does not state {_named(absent)}"


def pixel_fault(dataset: Dataset) -> str:
    """Why the pixels of a file cannot be read, and what to do."""
    wrong = attribute_fault(dataset, _NEEDED) or value_fault(dataset)
    if wrong is not None:
        return f"{wrong}. Ask whoever made the file for a valid one"
    return _stored_fault(dataset)


def value_fault(dataset: Dataset) -> str | None:
    """The first attribute of the pixels whose value is none of those allowed, or does not fit others; None without."""
    allocated = dataset.BitsAllocated
    allowed: dict[str, Any] = {
        "SamplesPerPixel": (1, 3),
        "PhotometricInterpretation": _COLOURS,
        "BitsAllocated": (1, 8, 16, 32, 64),
        "BitsStored": range(1, allocated + 1) if isinstance(allocated, int) else (),
        "PixelRepresentation": (0, 1),
    }
    for keyword, values in allowed.items():
        got = dataset.get(keyword)
        if got not in values:
            said = f"1 to {allocated}" if isinstance(values, range) else ", ".join(map(str, values))
            return f"{_named(keyword)} must be one of {said}, got {str(got)[:40]!r}"
    if dataset.SamplesPerPixel == 3 and dataset.get("PlanarConfiguration") not in (0, 1):
        return f"a picture in colours must state {_named('PlanarConfiguration')}, 0 or 1"
    if (dataset.SamplesPerPixel == 3) != (dataset.PhotometricInterpretation in _COLOURS[2:]):
        return (
            f"{dataset.SamplesPerPixel} value(s) a pixel are no {dataset.PhotometricInterpretation} "
            f"({_named('PhotometricInterpretation')})"
        )
    if isinstance(high := dataset.get("HighBit"), int) and high >= dataset.BitsStored:
        return (
            f"{_named('HighBit')} must be one less than {_named('BitsStored')}, got {high} and {dataset.BitsStored}: "
            "bits below the picture's are not read"
        )
    return _shown_fault(dataset)


def _shown_fault(dataset: Dataset) -> str | None:
    """Of what says how values are shown."""
    if (dataset.get("RescaleSlope") is None) != (dataset.get("RescaleIntercept") is None):
        return f"it states one of {_named('RescaleSlope')} and {_named('RescaleIntercept')} without the other"
    if (table := table_of(dataset)) is not None:
        stated = np.size(table.LUTDescriptor)
        return None if stated == 3 and 1 <= table.LUTDescriptor[2] <= 16 else f"{_named('LUTDescriptor')} is none"
    if None in (dataset.get("WindowCenter"), dataset.get("WindowWidth")):
        return None
    _, width, function = window_of(dataset)
    if function not in _WINDOWS:
        return f"{_named('VOILUTFunction')} must be one of {', '.join(_WINDOWS)}, got {function[:40]!r}"
    if width <= 0 or (function == "LINEAR" and width < 1):
        least = "1 or more" if function == "LINEAR" else "more than 0"
        return f"{_named('WindowWidth')} must be {least}, got {width:g}"
    return None


def table_of(dataset: Dataset) -> Dataset | None:
    """The first table from rescaled to shown values; None where there is none."""
    tables = dataset.get("VOILUTSequence")
    return tables[0] if tables and None not in (tables[0].get("LUTDescriptor"), tables[0].get("LUTData")) else None


def window_of(dataset: Dataset) -> tuple[float, float, str]:
    """Centre, width and function of the first window; of a file that states one."""
    center, width = (float(np.ravel(dataset.get(keyword))[0]) for keyword in ("WindowCenter", "WindowWidth"))
    return center, width, str(dataset.get("VOILUTFunction") or "LINEAR").upper()


def _stored_fault(dataset: Dataset) -> str:
    """Of pixels whose attributes are as they should be."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_transfer_syntax and not syntax.is_compressed:
        n_values = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel)
        needed = -(-n_values * int(dataset.BitsAllocated) // 8)
        if len(dataset.PixelData) < needed:
            return f"{dataset.Rows} x {dataset.Columns} pixels need {needed:,} bytes, it has {len(dataset.PixelData):,}"
        return _unread(dataset) or _DAMAGED
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return f"it is stored by the transfer syntax {str(syntax.name)[:80]!r}, which is not known here. Decompress it"
    if not decoder.is_available:
        return (
            f"it is compressed as {syntax.name}, which no installed decoder reads. Install one (pip install "
            "pylibjpeg-libjpeg pylibjpeg-openjpeg), or decompress it"
        )
    return _unread(dataset) or f"what should be {syntax.name} is cut short or damaged"


def _unread(dataset: Dataset) -> str | None:
    """What a sound file holds that is not read here; None where there is nothing of the kind."""
    tables = dataset.get("ModalityLUTSequence")
    try:
        bits = int(np.ravel(tables[0].LUTDescriptor)[-1]) if tables else 8
    except broken():
        return f"the table in {_named('ModalityLUTSequence')} is damaged"
    if bits not in (8, 16):
        return (
            f"its table from stored values to those of the modality has entries of {bits} bits "
            f"({_named('LUTDescriptor')} in {_named('ModalityLUTSequence')}), and 8 or 16 are read. Save the image "
            "with the table applied"
        )
    kind, allocated = str(dataset.PhotometricInterpretation), int(dataset.BitsAllocated)
    if kind.startswith("YBR") and allocated != 8:
        return (
            f"colours stored as {kind} are read with 8 bits a value, not {allocated} ({_named('BitsAllocated')}). Save "
            "the image as RGB or MONOCHROME2"
        )
    return None


def _named(tag: Any) -> str:
    """An attribute's name and tag, as the standard writes them: ``Patient ID (0010,0020)``."""
    from pydicom.datadict import dictionary_description, tag_for_keyword
    from pydicom.tag import Tag

    own = Tag(tag_for_keyword(tag) if isinstance(tag, str) else tag)
    try:
        return f"{dictionary_description(own)} {own}"
    except KeyError:
        return str(own)
