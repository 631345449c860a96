"""Pictures as tables: rows of grey pixel columns, beside them the part and the patient of each picture, and back."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from superpose.datasets.image_reader import pixel_names
from superpose.datasets.picture_parts import PART, PARTS
from superpose.datasets.picture_patients import PATIENT, UNKNOWN, kept_together, patients_of_table
from superpose.datasets.picture_sets import (
    Pictures,
    PictureSet,
    checked_set,
    drawn_parts,
    groups_of_equals,
)
from superpose.datasets.table import Table
from superpose.errors import DatasetFormatError, DatasetTargetError

__all__ = ["PART", "picture_table", "pictures_of_table"]


def picture_table(name: str, pictures: Pictures, classes: tuple[str, str], target: str = "class") -> Table:
    """Pictures of one part as a table of grey pixels 0 .. 1.

    Args:
        name: of the table.
        pictures: the pictures; their labels are places in ``classes``.
        classes: their two names.
        target: name of the column with the classes.
    """
    pixels = pictures.pixels.astype(np.float64)
    side = math.isqrt(pixels.shape[1])
    columns = {column: np.ascontiguousarray(pixels[:, place]) for place, column in enumerate(pixel_names(side))}
    return Table.from_columns(name, columns, target, np.array(classes, dtype=object)[pictures.labels])


def pictures_of_table(table: Table, *, seed: int = 0) -> PictureSet:
    """The pictures in a table, in three parts.

    The table has the columns of `pixel_names` for a square of grey pixels 0 .. 1, a target of two classes, and may
    have a column `PART`, whose parts are kept, and one `PATIENT`. Where no part is given, 70, 15 and 15 in 100 of each
    class are drawn, all pictures of a patient, and equal ones, in one part.

    Args:
        table: the table.
        seed: of parts that are drawn.

    Raises:
        DatasetFormatError: other columns, missing or other values.
        DatasetTargetError: not two classes.
        DatasetTooSmallError: a class has fewer than four pictures in training or none in another part.
    """
    table.require_classes()
    others = {PART, PATIENT}
    found = [name for name in table.feature_names if name not in others]
    side = math.isqrt(len(found))
    names = pixel_names(side) if side else []
    numbers = {column.name for column in table.columns if column.kind == "number"}
    if not names or sorted(found) != sorted(names) or not numbers.issuperset(names):
        raise DatasetFormatError(
            f"Data set {table.name!r} holds no square grey pictures: numbers in columns grey_00_00, grey_00_01, ... "
            f"are needed (and may be {PART} and {PATIENT}), got {', '.join(found[:3])}{', ...' if found[3:] else ''}. "
            "Register the pictures: superpose datasets add FOLDER, or a MedMNIST file.",
            columns=found[:20],
        )
    if len(table.classes) != 2:
        raise DatasetTargetError(
            f"The pictures must be of two classes, got {len(table.classes)}: {', '.join(table.classes[:5])}.",
            classes=list(table.classes[:20]),
        )
    pixels = table.features[names].to_numpy(dtype=np.float32)  # (n_pictures, side * side)
    if not ((pixels >= 0.0) & (pixels <= 1.0)).all():  # NaN is neither
        raise DatasetFormatError(
            f"Pixels of data set {table.name!r} must be numbers from 0 (black) to 1 without gaps, got "
            f"{float(np.min(pixels)):g} to {float(np.max(pixels)):g}."
        )
    labels = (table.target.to_numpy() == table.classes[1]).astype(np.int64)
    given = _given(table)
    patients = patients_of_table(table)
    known = np.full(len(labels), UNKNOWN, dtype=np.int64) if patients is None else patients
    drawn = drawn_parts(given, labels, kept_together(groups_of_equals(pixels), known), seed)
    whole = Pictures(pixels, labels, patients)
    parts = {part: whole.among(drawn == part) for part in PARTS}
    origin = "drawn" if (given == "").all() else "official"
    return checked_set(table.name, side, (table.classes[0], table.classes[1]), parts, origin)


def _given(table: Table) -> npt.NDArray[np.str_]:
    """The part of each row as the table says; "" where it says nothing."""
    if PART not in table.feature_names:
        return np.full(table.n_rows, "", dtype="U5")
    said = ["" if value is None else str(value) for value in table.features[PART]]
    stated = set(said)
    if stated not in ({"train", "test"}, set(PARTS)):
        raise DatasetFormatError(
            f"Column {PART} must say train, val (may be absent) or test in every row, got "
            f"{', '.join(sorted(map(repr, stated))[:5])}.",
            column=PART,
        )
    return np.array(said, dtype="U5")
