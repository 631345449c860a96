"""Names of folders that DICOM files stand in: which say a class or a part, and which a patient."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from superpose.datasets.dicom.faults import broken, quietly
from superpose.datasets.dicom.files import patient_named, pydicom_package
from superpose.datasets.picture_parts import PARTS
from superpose.errors import DatasetFormatError

__all__ = ["FolderReport", "Standing", "bears", "new_places", "standing"]

Folders = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """A file, and whose it is.

    Attributes:
        folders: names of the folders that it stands in, from the outermost.
        patient: its Patient ID, or without one the name; "" where it names nobody.
        name: the patient's name; "" without one.
    """

    folders: Folders
    patient: str
    name: str


@dataclass
class FolderReport:
    """What became of folders' names; names are told of those alone that were kept.

    Attributes:
        kept: files by name of a folder that they stand in and that kept its name.
        n_replaced: folders that got a pseudonym.
        n_removed: folders inside those, or above classes that were named, which are gone.
        n_taken_for_patients: of the replaced ones those that stood where classes do, but hold one patient alone or
            bear a patient's name.
        n_unchecked: files in folders that kept their names, of whose patients nothing is known.
    """

    kept: Counter[str] = field(default_factory=Counter)
    n_replaced: int = 0
    n_removed: int = 0
    n_taken_for_patients: int = 0
    n_unchecked: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person must still look at."""
        said = []
        if self.n_taken_for_patients:
            said.append(
                f"{self.n_taken_for_patients} folder(s) in the place of classes' hold one patient's files alone, or "
                "bear a patient's name, and got pseudonyms. Name them (--class) if they are classes."
            )
        if self.n_unchecked:
            said.append(
                f"{self.n_unchecked} file(s) name no patient, so that nobody knows whether their folders do: look at "
                f"the names that were kept ({', '.join(sorted(self.kept))[:200]})."
            )
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {"kept": dict(sorted(self.kept.items())), "n_replaced": self.n_replaced, "n_removed": self.n_removed}


def standing(path: Path, source: Path) -> Standing:
    """Where a file stands below ``source``, and whose it is; nobody's if it cannot be read.

    Raises:
        DatasetFormatError: pydicom is absent.
    """
    pydicom = pydicom_package()
    folders = path.relative_to(source).parts[:-1]
    with quietly():
        try:
            found = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID", "PatientName"])
            return Standing(folders, patient_named(found), str(found.get("PatientName", "") or ""))
        except broken():  # what is wrong with it is told where it is read as a whole
            return Standing(folders, "", "")


def new_places(
    files: Sequence[Standing], pseudonym: Callable[[str], str], classes: Sequence[str] = ()
) -> tuple[list[PurePosixPath], FolderReport]:
    """The folder that each file is to stand in, and what became of the names.

    Folders of parts and classes, and those above, keep their names. The first folder inside that of a class gets its
    patient's pseudonym, as the files' Patient ID does (one of its own name if not all its files are of one patient);
    folders inside that are gone. The same happens to a folder in the place of a class that holds all files of one
    patient and no others, or bears the name or the ID of a patient whose files it holds, and to all in such places
    where each holds one patient's, not all the same one's (folders of visits).

    Args:
        files: all files.
        pseudonym: makes one of a Patient ID.
        classes: names of the classes' folders, for certain; without them the first folder that not all files share
            names the class, or the one below a folder train, val or test.

    Raises:
        DatasetFormatError: a file stands in none of the folders of ``classes``.
    """
    depths = [_named_depth(file, classes) for file in files] if classes else _guessed_depths(files)
    report, places = FolderReport(), []
    owners = _Owners(files, depths)
    replaced: set[tuple[Folders, bool]] = set()
    removed: set[Folders] = set()
    for file, depth in zip(files, depths, strict=True):
        place: list[str] = []
        for at, name in enumerate(file.folders):
            path, is_class = file.folders[: at + 1], at == depth - 1
            if classes and at < depth - 1 and name not in PARTS:
                removed.add(path)
                continue
            certain = name in PARTS or (is_class and classes)
            if certain or (at < depth and not owners.is_of_patient(path, is_class=is_class)):
                place.append(name)
                continue
            place.append(pseudonym(owners.sole(path) or name))
            replaced.add((path, at < depth))
            removed.update(file.folders[: deeper + 1] for deeper in range(at + 1, len(file.folders)))
            break
        places.append(PurePosixPath(*place))
        names = [name for name in dict.fromkeys(place) if name in file.folders]
        report.kept.update(names)
        report.n_unchecked += bool(not file.patient and set(names) - set(PARTS) and not classes)
    report.n_replaced, report.n_removed = len(replaced), len(removed)
    report.n_taken_for_patients = sum(above for _, above in replaced)
    return places, report


def _named_depth(file: Standing, classes: Sequence[str]) -> int:
    """How many of a file's folders end with that of its class."""
    named = {_composed(name) for name in classes}  # as they are typed; macOS has accents apart in names of folders
    found = next((at + 1 for at, name in enumerate(file.folders) if _composed(name) in named), None)
    if found is None:
        raise DatasetFormatError(
            f"A file stands in none of the folders {', '.join(classes)[:200]}, but in one {len(file.folders)} deep. "
            "Name the folders of all classes (--class), or of none.",
            classes=list(classes)[:20],
        )
    return found


def _guessed_depths(files: Sequence[Standing]) -> list[int]:
    """The same where nobody has named the classes."""
    inside = [file.folders for file in files if file.folders]
    shared = 0
    while inside and all(len(own) > shared + 1 and own[shared] == inside[0][shared] for own in inside):
        shared += 1
    return [_guessed_depth(file.folders, shared) for file in files]


def _guessed_depth(folders: Folders, shared: int) -> int:
    parts = [at for at, name in enumerate(folders[:-1]) if at >= shared and name in PARTS]
    return min(len(folders), (parts[0] + 2) if parts else shared + 1)


class _Owners:
    """Whose files stand in which folders; folders of one class count as one, whatever part they are in."""

    def __init__(self, files: Sequence[Standing], depths: Sequence[int]) -> None:
        self._inside: dict[Folders, list[Standing]] = defaultdict(list)
        self._of_class: dict[str, list[Standing]] = defaultdict(list)
        self._n_of = Counter(file.patient for file in files)
        for file, depth in zip(files, depths, strict=True):
            for at in range(len(file.folders)):
                self._inside[file.folders[: at + 1]].append(file)
            if 0 < depth <= len(file.folders):
                self._of_class[file.folders[depth - 1]].append(file)
        soles = [_sole(own) for own in self._of_class.values()]
        self._each_of_one = all(soles) and len(set(soles)) > 1
        self._known: dict[tuple[Folders, bool], bool] = {}

    def sole(self, path: Folders) -> str:
        """The patient of all files in a folder; "" if there are several, or not all files name one."""
        return _sole(self._inside[path])

    def is_of_patient(self, path: Folders, *, is_class: bool) -> bool:
        """Whether a folder in or above the place of a class's is a patient's."""
        key = (path, is_class)
        if key not in self._known:
            own = self._of_class[path[-1]] if is_class else self._inside[path]
            patient = _sole(own)
            alone = bool(patient) and (self._n_of[patient] == len(own) or (is_class and self._each_of_one))
            self._known[key] = alone or any(
                bears(path[-1], *identity) for identity in {(file.patient, file.name) for file in self._inside[path]}
            )
        return self._known[key]


def _sole(files: Sequence[Standing]) -> str:
    found = {file.patient for file in files}
    return next(iter(found)) if len(found) == 1 else ""


_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_ID_IN_A_NAME = 5
"""Characters from which on an ID is found inside a folder's name too."""


def bears(folder: str, patient: str, name: str) -> bool:
    """Whether a folder's name bears a patient's ID, or the family and the given name as one of its scripts writes them.

    Two letters of a name count as a word of their own only, so that hardly a class bears somebody's by chance.

    Args:
        folder: its name.
        patient: the Patient ID, or without one the name; "" of nobody.
        name: Patient's Name; "" without one.
    """
    own, words = _plain(folder), {_plain(word) for word in re.split(r"[\W_]+", _composed(folder))}
    patient, name = _plain(patient), _composed(name).casefold()
    spellings = (name, name.translate(_UMLAUTS))
    if own and own in {patient, *map(_plain, spellings)}:
        return True
    if len(patient) >= _ID_IN_A_NAME and any(map(str.isdigit, patient)) and patient in own:
        return True
    pieces = [_pieces(script) for spelling in spellings for script in spelling.split("=")]
    return any(len(own_pieces) > 1 and all(_is_in(own, words, one) for one in own_pieces) for own_pieces in pieces)


def _pieces(name: str) -> list[str]:
    """Words of the family name, and the first given one (PS3.5, 6.2.1); all words of a name without components."""
    family, _, rest = name.partition("^")
    given = rest.partition("^")[0].split()[:1]
    plain = map(_plain, (*re.split(r"[\s,]+", family), *given))
    return [piece for piece in plain if len(piece) > 1 or not piece.isascii()]  # no initials


def _is_in(own: str, words: set[str], piece: str) -> bool:
    return piece in words or (piece in own and (len(piece) > 2 or not piece.isascii()))


def _plain(text: str) -> str:
    """Letters and digits alone, small and without accents, however these are encoded."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKD", text).casefold())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
