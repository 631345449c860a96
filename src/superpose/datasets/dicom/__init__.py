"""DICOM images: what may stay of a file, everything else removed and reported, and the pixels as a picture."""

from superpose.datasets.dicom.deidentification import Deidentifier, RemovalReport, deidentify_folder, find_dicom
from superpose.datasets.dicom.files import dicom_bytes, is_dicom, open_dicom
from superpose.datasets.dicom.pixels import grey_pixels
from superpose.datasets.dicom.rules import KEPT, REPLACED

__all__ = [
    "KEPT",
    "REPLACED",
    "Deidentifier",
    "RemovalReport",
    "deidentify_folder",
    "dicom_bytes",
    "find_dicom",
    "grey_pixels",
    "is_dicom",
    "open_dicom",
]
