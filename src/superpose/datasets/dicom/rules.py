"""Which attributes of a DICOM file may stay. Whatever is not named here is removed: names, dates, texts, private tags.

The profile goes further than the Basic Application Level Confidentiality Profile (DICOM PS3.15, Annex E), which names
what to remove: a list of what to keep does not miss an attribute that a vendor has added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["CODES", "KEPT", "LOOKUPS", "MAX_AGE_YEARS", "METHOD", "REPLACED", "age_kept"]

METHOD: Final = "superpose: pixels, view, sex, age to 90 kept; all else removed"
"""What de-identified files say of themselves in De-identification Method (0012,0063), of at most 64 characters."""

_PIXELS = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "PhotometricInterpretation",
    "PixelData",
    "PixelAspectRatio",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "NumberOfFrames",
    "SOPClassUID",
)
CODES: Final[Mapping[str, re.Pattern[str]]] = {
    "Modality": re.compile(r"[A-Z]{1,16}"),
    "BodyPartExamined": re.compile(r"[A-Z]{1,16}"),
    "ViewPosition": re.compile(r"[A-Z]{1,16}"),
    "Laterality": re.compile(r"[LRUB]"),
    "ImageLaterality": re.compile(r"[LRUB]"),
    "PatientSex": re.compile(r"[MFO]"),
    "RescaleType": re.compile(r"[A-Z_]{1,16}"),
    "ModalityLUTType": re.compile(r"[A-Z_]{1,16}"),
    "VOILUTFunction": re.compile(r"[A-Z_]{1,16}"),
    "PresentationLUTShape": re.compile(r"[A-Z]{1,16}"),
    "LossyImageCompression": re.compile(r"0[01]"),
    "BurnedInAnnotation": re.compile(r"YES|NO"),
}
"""Attributes whose value stays only where it is a code of this form, for free text hides in them."""

KEPT: Final[frozenset[str]] = frozenset({*_PIXELS, *CODES, "PatientAge"})
"""Keywords of the attributes that stay."""

LOOKUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "ModalityLUTSequence": ("LUTDescriptor", "ModalityLUTType", "LUTData"),
    "VOILUTSequence": ("LUTDescriptor", "LUTData"),
}
"""Tables from stored to shown values, and what stays of their entries: their explanations are free text."""

REPLACED: Final[frozenset[str]] = frozenset({"PatientID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"})
"""Keywords of the attributes that become pseudonyms: equal ones stay equal, nothing leads back."""

MAX_AGE_YEARS: Final = 90
"""Older ages become this one: 45 CFR 164.514(b)(2)(i)(C) counts ages over 89 as identifying."""


def age_kept(value: str) -> str | None:
    """An age as DICOM writes it (``045Y``), at most 90 years; None where it is none.

    >>> age_kept("045Y"), age_kept("097Y"), age_kept("006M"), age_kept("born 1931")
    ('045Y', '090Y', '006M', None)
    """
    if not re.fullmatch(r"\d{3}[DWMY]", value):
        return None
    years = int(value[:3]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[value[3]]
    return value if years < MAX_AGE_YEARS else f"{MAX_AGE_YEARS:03d}Y"
