"""DICOM files with everything in them that must not leave a hospital."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

SECRETS = ("DOE^JANE", "MRN-00471", "19430507", "St. Elsewhere", "Dr. House", "secret note", "1.2.826.0.1.99.7")
"""Texts that every made file holds, and none that was de-identified may."""


@pytest.fixture
def scan() -> Callable[..., bytes]:
    """A file with one image, and other attributes by keyword."""
    pydicom = pytest.importorskip("pydicom", reason="needs superpose[dicom]")

    def made(pixels: Any = None, **attributes: Any) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some values are odd on purpose
            return file(pixels, **attributes)

    def file(pixels: Any, **attributes: Any) -> bytes:
        values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 16 if pixels is None else np.asarray(pixels)
        one = pydicom.Dataset()
        one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.826.0.1.99.7.1"
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.826.0.1.99.7.2", "1.2.826.0.1.99.7.3"
        one.PatientName, one.PatientID, one.PatientBirthDate = "DOE^JANE", "MRN-00471", "19430507"
        one.PatientSex, one.PatientAge = "F", "097Y"
        one.InstitutionName, one.ReferringPhysicianName = "St. Elsewhere", "Dr. House"
        one.StudyDate, one.StudyDescription, one.Modality, one.ViewPosition = "20240229", "secret note", "DX", "PA"
        one.BodyPartExamined = "CHEST of DOE^JANE"
        inner = pydicom.Dataset()
        inner.PatientName = "DOE^JANE"
        one.ReferencedPatientSequence = [inner]
        one.private_block(0x0099, "ACME", create=True).add_new(1, "LO", "secret note")
        one.Rows, one.Columns = values.shape[:2]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
        one.PixelData = values.tobytes()
        for keyword, value in attributes.items():
            setattr(one, keyword, value)
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        one.file_meta.SourceApplicationEntityTitle = "DOE^JANE"
        one.preamble = b"MRN-00471".ljust(128, b"\0")
        buffer = io.BytesIO()
        one.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    return made
