"""Whose pictures are whose: patients from DICOM files and folders, and those who stand in two parts of a split.

What a model learnt of a patient in training it would know again in the test, and look better than it is. So a patient
counts as a picture's equal does: what stands in a later part too is not learnt from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.picture_parts import PART, PARTS

if TYPE_CHECKING:
    from superpose.datasets.table import Table

__all__ = [
    "PATIENT",
    "UNKNOWN",
    "groups_of_patients",
    "kept_together",
    "numbered_patients",
    "of_later_parts",
    "patients_of_table",
    "shared_patients",
    "shared_patients_of_table",
]

PATIENT = "patient"
"""Column with a number for each patient, where it was asked for."""

_PIXEL = re.compile(r"(grey|red|green|blue)_[0-9]+_[0-9]+")
"""How columns of pixels are named, see `superpose.datasets.image_reader.pixel_names`."""

UNKNOWN = -1
"""In place of a patient's number where nothing says whose a picture is."""


def numbered_patients(identities: Sequence[int | str], folders: Sequence[str]) -> npt.NDArray[np.int64]:
    """A number from 0 for the patient of each picture, in the order in which patients are met.

    Where all pictures have a Patient ID, that alone counts; where not, pictures with one ID or in folders of one name
    are of one patient. An ID that all pictures share says nothing where there are folders.

    Args:
        identities: of each picture what stands for its Patient ID; 0 or "" where it has none.
        folders: of each picture the name of its patient's folder; "" where it stands in none.

    Returns:
        ``(n_pictures,)``; `UNKNOWN` where neither is there.
    """
    known = all(identities)
    if known and (len(set(identities)) > 1 or not any(folders)):
        return _in_order(list(identities))
    ids = [None if known or not own else ("id", own) for own in identities]
    keys = [(own, ("folder", folder) if folder else None) for own, folder in zip(ids, folders, strict=True)]
    said = [[key for key in both if key] for both in keys]
    number = {key: place for place, key in enumerate(dict.fromkeys(key for own in said for key in own))}
    linked = _components(len(number), [(number[own[0]], number[own[-1]]) for own in said if own])
    return _in_order([linked[number[own[0]]] if own else None for own in said])


def _in_order(values: Sequence[Any]) -> npt.NDArray[np.int64]:
    order: dict[Any, int] = {}
    return np.array([UNKNOWN if v is None else order.setdefault(v, len(order)) for v in values], dtype=np.int64)


def _components(size: int, pairs: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """A number per node ``(size,)``; nodes that pairs link, directly or not, have the same one."""
    if not size:
        return np.empty(0, dtype=np.int64)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def kept_together(groups: npt.NDArray[np.int64], patients: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A number per picture: of those that are equal or of one patient, or linked by others that are.

    Args:
        groups: a number per picture; equal pictures have the same one.
        patients: from `numbered_patients`.
    """
    own = np.flatnonzero(_telling(patients) != UNKNOWN)
    if not len(own):
        return groups
    n_groups = int(groups.max()) + 1
    pairs = [(int(groups[place]), n_groups + int(patients[place])) for place in own]
    return _components(n_groups + int(patients.max()) + 1, pairs)[groups]


def groups_of_patients(patients: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """A number per picture: of those of one patient the same, of each whose patient is not known one of its own.

    Args:
        patients: from `numbered_patients`.

    Returns:
        None where no patient is known, or all pictures are of one.
    """
    told = _telling(patients)
    if (told == UNKNOWN).all():
        return None
    return np.where(told == UNKNOWN, told.max() + 1 + np.arange(len(told)), told)


def of_later_parts(patients: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.bool_]]:
    """For each part which of its pictures are of a patient who stands in a later part too, ``(n_pictures,)``.

    Args:
        patients: for each word of `PARTS` its pictures' patients, numbered over all parts together.
    """
    told = _telling(np.concatenate([patients[part] for part in PARTS]))
    ends = np.cumsum([len(patients[part]) for part in PARTS])
    return {
        part: np.isin(told[end - len(patients[part]) : end], told[end:]) & (told[end - len(patients[part]) : end] >= 0)
        for part, end in zip(PARTS, ends, strict=True)
    }


def shared_patients(parts: Sequence[str], patients: npt.NDArray[np.int64]) -> dict[str, int] | None:
    """How many patients stand in several parts, and how many pictures are not learnt from for it.

    Args:
        parts: of each picture, a word of `PARTS`.
        patients: from `numbered_patients`.

    Returns:
        ``n_patients``, ``n_in_several_parts`` and ``n_pictures`` (of training and validation whose patient stands in
        a later part too); None where no patient is known, or all pictures are of one.
    """
    told, given = _telling(patients), np.asarray(parts)
    if (told == UNKNOWN).all():
        return None
    later = of_later_parts({part: told[given == part] for part in PARTS})
    pairs = {(part, int(patient)) for part, patient in zip(given.tolist(), told, strict=True) if patient != UNKNOWN}
    n_patients = len({patient for _, patient in pairs})
    n_parts_of = np.bincount([patient for _, patient in pairs])
    return {
        "n_patients": n_patients,
        "n_in_several_parts": int((n_parts_of > 1).sum()),
        "n_pictures": int(sum(own.sum() for own in later.values())),
    }


def patients_of_table(table: Table) -> npt.NDArray[np.int64] | None:
    """A number for the patient of each row, from the column `PATIENT`; None where there is no such column."""
    if PATIENT not in table.feature_names:
        return None
    column = table.features[PATIENT]
    return _in_order([None if gap else str(own) for own, gap in zip(column, column.isna(), strict=True)])


def shared_patients_of_table(table: Table) -> dict[str, int] | None:
    """What `shared_patients` counts, from the columns `PART` and `PATIENT` of a table of pictures.

    None where they are not both there, or no column holds a pixel: of other rows nobody splits by them.
    """
    patients = patients_of_table(table)
    if patients is None or PART not in table.feature_names or not any(map(_PIXEL.fullmatch, table.feature_names)):
        return None
    parts = [str(own) for own in table.features[PART]]
    return shared_patients(parts, patients) if {"train", "test"} <= set(parts) <= set(PARTS) else None


def _telling(patients: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The patients; where all pictures are of one (such as "ANONYMOUS"), that says nothing and none is known."""
    one = len(patients) > 1 and (patients == patients[0]).all()
    return np.full_like(patients, UNKNOWN) if one else patients
