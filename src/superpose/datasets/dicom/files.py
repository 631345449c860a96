"""Opening a DICOM file: from a stranger, so every way in which it can be broken is one error."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from superpose.datasets.dicom.faults import attribute_fault, broken, quietly
from superpose.errors import DatasetFormatError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "HEAD_BYTES",
    "SUFFIXES",
    "dicom_bytes",
    "head_of",
    "is_dicom",
    "is_dicom_file",
    "is_index",
    "open_dicom",
    "patient_named",
    "pydicom_package",
]

SUFFIXES = (".dcm", ".dicom")
_PREAMBLE, _MAGIC = 128, b"DICM"

HEAD_BYTES = _PREAMBLE + len(_MAGIC)
"""So many bytes tell whether a file is DICOM."""
_MAX_PIXELS = 50_000_000


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with these bytes (132 at least) is DICOM (PS3.10)."""
    return head[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def is_dicom_file(name: str, head: Callable[[], bytes]) -> bool:
    """Whether a file is DICOM by its name's end or, as in many exports of hospitals, by its content alone.

    Args:
        name: the file's name or path.
        head: gives its first `HEAD_BYTES` bytes; called only where the name does not tell.
    """
    return PurePosixPath(name).suffix.lower() in SUFFIXES or is_dicom(head())


def is_index(name: str) -> bool:
    """Whether a file is the index that exports on a disc have beside their images (PS3.10, 8.6): it holds none."""
    return PurePosixPath(name).name.upper() == "DICOMDIR"


def head_of(path: Path) -> bytes:
    """The first `HEAD_BYTES` bytes of a file, or as many as it has; none of a pipe, which might never give any.

    Raises:
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def open_dicom(content: bytes, name: str) -> Dataset:
    """The attributes of a file with one image.

    Args:
        content: the file's bytes.
        name: its name, for messages.

    Raises:
        DatasetFormatError: not DICOM, cut short or damaged, no image in it or several (frames), more than 50 million
            pixels, or pydicom is absent.
    """
    pydicom = pydicom_package()
    if not is_dicom(content):
        raise DatasetFormatError(f"File {name[:120]!r} is no DICOM file (no DICM at byte 128).", file=name[:200])
    with quietly():  # odd values are common; what matters of them is looked at below
        try:
            found: Dataset = pydicom.dcmread(io.BytesIO(content))
        except broken() as error:
            raise _refused(name, "it is cut short or damaged") from error
        _check(found, name)
    return found


def patient_named(dataset: Dataset) -> str:
    """The Patient ID that a file states, or without one the name; "" where it names nobody (as ``^^^^`` does not).

    Without what the standard calls insignificant (PS3.5, 6.2): spaces around either and around the name's components,
    and carets for components that are not there.
    """
    groups = str(dataset.get("PatientName", "") or "").split("=")
    name = "=".join("^".join(map(str.strip, group.split("^"))).rstrip("^") for group in groups).rstrip("=")
    stated = (str(dataset.get("PatientID", "") or "").strip(), name)
    return next((one for one in stated if any(map(str.isalnum, one))), "")


def dicom_bytes(dataset: Dataset, name: str) -> bytes:
    """A data set as a file.

    Args:
        dataset: what `open_dicom` gave, or what a `Deidentifier` left of it.
        name: the name of the file that it was read from, for messages.

    Raises:
        DatasetFormatError: the file states no valid way of being stored, so that it cannot be written again.
    """
    content = io.BytesIO()
    with quietly():
        try:
            dataset.save_as(content, enforce_file_format=True)
        except broken() as error:
            syntax = str(dataset.file_meta.TransferSyntaxUID)[:80]
            raise DatasetFormatError(
                f"DICOM file {name[:120]!r} cannot be written again, by the transfer syntax {syntax!r} it states: it "
                "is none of the standard's, or a value does not fit it. Ask whoever made the file for a valid one.",
                file=name[:200],
            ) from error
    return content.getvalue()


def _check(found: Dataset, name: str) -> None:
    if (fault := attribute_fault(found)) is not None:
        raise _refused(name, fault)
    if "PixelData" not in found:
        raise DatasetFormatError(f"DICOM file {name[:120]!r} holds no image, or is cut short.", file=name[:200])
    if not _states_syntax(found):
        raise _refused(name, "it does not state how it is stored, in Transfer Syntax UID (0002,0010)")
    if (fault := attribute_fault(found, ("Rows", "Columns"))) is not None:
        raise _refused(name, fault)
    n_frames = _whole(found, "NumberOfFrames", name) if found.get("NumberOfFrames") else 1
    n_pixels = _whole(found, "Rows", name) * _whole(found, "Columns", name)
    if not n_pixels:
        raise _refused(name, f"its image has {found.Columns} x {found.Rows} pixels")
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


def _states_syntax(dataset: Dataset) -> bool:
    try:
        return bool(dataset.file_meta.TransferSyntaxUID)
    except broken():
        return False


def _whole(dataset: Dataset, keyword: str, name: str) -> int:
    """A number of rows, columns or frames."""
    try:
        return int(dataset[keyword].value)
    except broken():
        raise _refused(name, f"its {dataset[keyword].name} {dataset[keyword].tag} is no whole number") from None


def _refused(name: str, fault: str) -> DatasetFormatError:
    return DatasetFormatError(f"DICOM file {name[:120]!r} cannot be read: {fault}.", file=name[:200])


def pydicom_package() -> Any:
    """The module ``pydicom``.

    Raises:
        DatasetFormatError: it is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise DatasetFormatError("DICOM files need the package pydicom: pip install 'superpose[dicom]'.") from None
    return pydicom
