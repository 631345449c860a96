"""De-identification: of each DICOM file only what the rules name stays, and a report counts what was removed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.datasets.dicom.faults import broken, quietly
from superpose.datasets.dicom.files import (
    dicom_bytes,
    head_of,
    is_dicom_file,
    is_index,
    open_dicom,
    patient_named,
)
from superpose.datasets.dicom.folders import FolderReport, new_places, standing
from superpose.datasets.dicom.rules import CODES, KEPT, LOOKUPS, METHOD, REPLACED, age_kept
from superpose.datasets.picture_metadata import PictureReport
from superpose.errors import DatasetFormatError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Deidentifier", "RemovalReport", "deidentify_folder", "find_dicom"]

_OFTEN_BURNED_IN = frozenset({"US", "ES", "XC", "GM", "SM", "OT", "SC"})
"""Modalities whose pictures often have names written into them."""
_NAME = 120
"""Characters of a file's path, from its end, in a message."""
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SAID = frozenset({"PatientIdentityRemoved", "DeidentificationMethod"})
_OVERLAYS = range(0x6000, 0x6020, 2)


@dataclass
class RemovalReport:
    """What was removed, replaced and kept, counted in files; never a value.

    Attributes:
        n_files: DICOM files read.
        n_deidentified_before: files that said of themselves that the patient's identity had been removed.
        removed: files by removed attribute; nested and private ones as such.
        replaced: files by attribute that became a pseudonym or was cut to a bound.
        kept: files by attribute that stayed.
        n_patients: different patients, as far as files tell.
        n_perhaps_burned_in: files of a kind that often has text in its pixels, and that do not say it has none.
        n_left_out: other files in the folder, and links to elsewhere; they were not written.
        folders: what became of the names of folders; None where there are none.
        pictures: what was removed from PNG and JPEG files beside the DICOM files that all else counts.
    """

    n_files: int = 0
    n_deidentified_before: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    n_patients: int = 0
    n_perhaps_burned_in: int = 0
    n_left_out: int = 0
    folders: FolderReport | None = None
    pictures: PictureReport = field(default_factory=PictureReport)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person must still look at."""
        of_folders = self.folders.warnings if self.folders else ()
        if self.n_left_out:
            of_folders = (
                f"{self.n_left_out} file(s) or link(s) beside the DICOM files were left out: of other kinds, without "
                "DICM at byte 128 (as some old exports are), or elsewhere.",
                *of_folders,
            )
        if not self.n_perhaps_burned_in:
            return of_folders
        return (
            *of_folders,
            f"{self.n_perhaps_burned_in} of {self.n_files} DICOM files are of a kind that often has names or dates "
            "written into the picture (ultrasound, photographs, captured screens), and do not say that theirs has "
            "none: look at them. Pixels are not searched for text.",
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values; attributes by name, the most frequent first."""
        counted = {name: dict(sorted(getattr(self, name).items())) for name in ("removed", "replaced", "kept")}
        return {
            "method": METHOD,
            "n_files": self.n_files,
            "n_deidentified_before": self.n_deidentified_before,
            "n_patients": self.n_patients,
            "n_perhaps_burned_in": self.n_perhaps_burned_in,
            **({"n_left_out": self.n_left_out} if self.n_left_out else {}),
            **counted,
            **({"folders": self.folders.to_dict()} if self.folders else {}),
            **({"pictures": self.pictures.to_dict()} if self.pictures.n_files else {}),
            "warnings": list(self.warnings),
        }


class Deidentifier:
    """Takes identities out of DICOM files, one after the other; equal patients get equal pseudonyms.

    Attributes:
        report: what was removed so far.

    Args:
        key: what pseudonyms are made with; a random one that is forgotten with the object, if it is left out. Who
            keeps a key can make the same pseudonyms again, for files that come later.
    """

    def __init__(self, key: bytes | None = None) -> None:
        if key is not None and len(key) < 16:
            raise DatasetFormatError(f"A key for pseudonyms has at least 16 bytes, got {len(key)}.", n_bytes=len(key))
        self.report = RemovalReport()
        self._key = secrets.token_bytes(32) if key is None else key
        self._patients: dict[str, int] = {}

    def __call__(self, dataset: Dataset, name: str) -> Dataset:
        """A new data set with what may stay.

        Args:
            dataset: a file that was read; it is left as it is.
            name: the file's name, for messages.

        Raises:
            DatasetFormatError: the file says that text is written into its pixels, holds an overlay in their bits, or
                has a damaged lookup table.
        """
        from pydicom import Dataset as Kept

        if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
            raise DatasetFormatError(
                f"DICOM file {name[:120]!r} says that text is written into its pixels (Burned In Annotation is YES); "
                "names in pictures are not found and removed here. Blank them, or leave the file out.",
                file=name[:200],
            )
        if any((group, 0x0010) in dataset and (group, 0x3000) not in dataset for group in _OVERLAYS):
            raise DatasetFormatError(
                f"DICOM file {name[:120]!r} holds an overlay in unused bits of its pixels (as files before 2004 do), "
                "which may be text. Save the image without overlays.",
                file=name[:200],
            )
        report = self.report
        report.n_files += 1
        report.n_deidentified_before += str(dataset.get("PatientIdentityRemoved", "")).upper() == "YES"
        self.patient(dataset)
        report.n_patients = len(self._patients)
        unsaid = str(dataset.get("BurnedInAnnotation", "")).upper() != "NO"
        captured = str(dataset.get("SOPClassUID", "")) == _SECONDARY_CAPTURE
        doubtful = captured or str(dataset.get("Modality", "OT")).upper() in _OFTEN_BURNED_IN
        report.n_perhaps_burned_in += unsaid and doubtful
        made = Kept()
        with quietly():  # odd values are removed, or stay as they are
            try:
                self._fill(made, dataset)
                made.PatientIdentityRemoved = "YES"
                made.DeidentificationMethod = METHOD
                if hasattr(dataset, "file_meta"):
                    made.file_meta = _meta(dataset, made)
            except broken() as error:
                raise DatasetFormatError(
                    f"DICOM file {name[:120]!r} cannot be read: an attribute inside a lookup table is damaged.",
                    file=name[:200],
                ) from error
        return made

    def _fill(self, made: Dataset, dataset: Dataset) -> None:
        """Move what may stay, and count it and the rest."""
        report, patient = self.report, patient_named(dataset)
        removed: set[str] = set()
        if patient:
            made.PatientID = self.pseudonym(patient)
            report.replaced["PatientID"] += 1
        for element in dataset:
            keyword = element.keyword
            if keyword == "PatientID":
                removed.update(() if patient else (keyword,))
            elif keyword in REPLACED and str(element.value):
                setattr(made, keyword, self._pseudonym(keyword, str(element.value)))
                report.replaced[keyword] += 1
            elif keyword == "PixelData":
                made.add(element)
                report.kept[keyword] += 1
            elif keyword in LOOKUPS:
                setattr(made, keyword, [_lookup(entry, LOOKUPS[keyword]) for entry in element.value])
                report.kept[keyword] += 1
            elif keyword in KEPT and (value := _kept(keyword, element.value)) is not None:
                setattr(made, keyword, value)
                (report.kept if value == element.value else report.replaced)[keyword] += 1
            elif keyword not in _SAID:
                removed.add(_shown(element))
        report.removed.update(removed)

    def patient(self, dataset: Dataset) -> int:
        """A number from 1 for the patient of a file, in the order in which patients are met; 0 if it names none."""
        known = patient_named(dataset)
        return self._patients.setdefault(known, len(self._patients) + 1) if known else 0

    def pseudonym(self, patient: str) -> str:
        """What stands for a Patient ID in files, or without one for the name."""
        return self._pseudonym("PatientID", patient)

    def _pseudonym(self, keyword: str, value: str) -> str:
        digest = hmac.digest(self._key, f"{keyword.replace('SOP', '')}\0{value}".encode(), hashlib.sha256)
        if keyword == "PatientID":
            return digest[:10].hex()
        return f"2.25.{int.from_bytes(digest[:16], 'big')}"  # PS3.5 B.2: a UID from 128 bits


def deidentify_folder(
    source: Path, target: Path, *, key: bytes | None = None, classes: Sequence[str] = ()
) -> RemovalReport:
    """Write the DICOM files of a folder without identities into another, in folders of parts, classes and pseudonyms.

    File names are replaced by numbers, for they often hold patients', and names of patients' folders by the
    pseudonyms that stand in their files; those of classes and parts stay. See `new_places`. Where one file cannot be
    written nothing is left of the others.

    Args:
        source: a folder; files of other kinds, and links to elsewhere, are left out and counted.
        target: a folder that does not exist yet, or is empty.
        key: as `Deidentifier` takes it.
        classes: names of the classes' folders; without them they are found by their place and by whose files they hold.

    Raises:
        DatasetFormatError: no DICOM file, one that cannot be read or stands in no folder of a class that was named, or
            ``target`` holds something.
    """
    if target.exists() and any(target.iterdir()):
        raise DatasetFormatError(f"{target} is not empty. Name a folder that does not exist yet.", path=str(target))
    paths = find_dicom(source)
    if not paths:
        raise DatasetFormatError(f"{source} holds no DICOM file.", path=str(source))
    deidentify = Deidentifier(key)
    deidentify.report.n_left_out = sum(map(_is_file, _seen(source))) - len(paths)
    width = len(str(len(paths)))
    places, deidentify.report.folders = new_places(
        [standing(path, source) for path in paths], deidentify.pseudonym, classes
    )
    was_there, written = target.exists(), list[Path]()
    try:
        for number, (path, place) in enumerate(zip(paths, places, strict=True), start=1):
            name = path.relative_to(source).as_posix()[-_NAME:]  # in every folder of an export stands an IM000001
            made = deidentify(open_dicom(path.read_bytes(), name), name)
            (target / place).mkdir(parents=True, exist_ok=True)
            written.append(target / place / f"image_{number:0{width}d}.dcm")
            written[-1].write_bytes(dicom_bytes(made, name))
    except BaseException:  # a part has pseudonyms that may never be made again, and no report
        for path in written:
            path.unlink(missing_ok=True)
        for place in places:
            _remove_empty(target / place, target)
        if not was_there and target.exists():
            target.rmdir()
        raise
    return deidentify.report


def _remove_empty(folder: Path, last: Path) -> None:
    """Remove a folder and those above it, down to the one below ``last``, as far as they are there and empty."""
    for one in (folder, *folder.parents):
        if one == last:
            return
        if one.is_dir() and not any(one.iterdir()):
            one.rmdir()


def find_dicom(folder: Path) -> list[Path]:
    """The DICOM files in a folder and the folders in it, by content, sorted.

    Hidden ones, links to elsewhere and indices of discs (``DICOMDIR``) are passed over.
    """
    inside = folder.resolve()
    return [
        path
        for path in _seen(folder)
        if path.is_file() and path.resolve().is_relative_to(inside) and is_dicom_file(path.name, partial(head_of, path))
    ]


def _seen(folder: Path) -> Iterator[Path]:
    """What is in a folder and the folders in it, sorted, but for what is hidden and indices of discs."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not (hidden or is_index(path.name)):
            yield path


def _is_file(path: Path) -> bool:
    """Whether it is a file, or a link to whatever."""
    return path.is_file() or path.is_symlink()


def _kept(keyword: str, value: Any) -> Any:
    """What stays of an attribute that may stay, or None."""
    if keyword == "PatientAge":
        return age_kept(str(value))
    if keyword in CODES:
        return value if CODES[keyword].fullmatch(str(value)) else None
    return value


def _lookup(entry: Dataset, keywords: tuple[str, ...]) -> Dataset:
    """A lookup table without its explanation."""
    from pydicom import Dataset as Kept

    made = Kept()
    for keyword in keywords:
        if keyword in entry and _kept(keyword, entry[keyword].value) is not None:
            made.add(entry[keyword])
    return made


def _shown(element: Any) -> str:
    """An attribute's name for the report: never its value."""
    if element.tag.is_private:
        return "private attributes"
    return element.keyword or f"({element.tag.group:04X},{element.tag.element:04X})"


def _meta(before: Dataset, made: Dataset) -> Any:
    """File meta information that says how pixels are stored, and nothing of where they came from."""
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = before.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = made.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", f"2.25.{secrets.randbits(128)}")
    return meta
