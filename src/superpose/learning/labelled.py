"""Rows whose truth is known: which column it is, what its labels mean to a model, and which rows belong together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import DatasetFormatError, DatasetTargetError, SpecError
from superpose.learning.rows import category_text

if TYPE_CHECKING:
    import pandas as pd

    from superpose.learning.predictor import Predictor

__all__ = ["LabelledRows", "check_columns", "labelled_rows", "positive_place"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

_MOST_TOLD = 10


@dataclass(frozen=True)
class LabelledRows:
    """Rows with a truth.

    Attributes:
        target: column of the truth.
        frame: the rows that have one, numbered from 0.
        truth: of each the index of its class in the model, or the number, ``(n_rows,)``.
        members: which of them belong together, ``(n_rows,)``; None where each stands for itself.
    """

    target: str
    frame: pd.DataFrame = field(repr=False)
    truth: Floats = field(repr=False)
    members: Labels | None = field(repr=False)


def labelled_rows(
    predictor: Predictor,
    rows: pd.DataFrame,
    *,
    target: str | None = None,
    labels: Mapping[str, str] | None = None,
    groups: str | None = None,
) -> LabelledRows:
    """The rows that have a truth which the model knows.

    Args:
        predictor, rows, target, labels, groups: as for
            `superpose.learning.external_validation.external_validation`.

    Raises:
        DatasetTargetError: the column is absent; labels that the model does not know; no row has one.
        DatasetFormatError: a column's name repeats.
        SpecError: the column of groups is absent.
    """
    check_columns(rows, (), "rows")
    target = _target_of(predictor, target, rows)
    members = None if groups is None else _members_of(rows, groups)
    values, known = _truth_of(predictor, rows[target].tolist(), target, labels or {})
    frame = rows.loc[known].reset_index(drop=True)
    return LabelledRows(target, frame, values, None if members is None else members[known])


def check_columns(rows: pd.DataFrame, names: Sequence[str], field: str) -> None:
    """Refuse columns that the rows do not have, or have twice.

    Raises:
        DatasetFormatError: any column's name repeats.
        SpecError: there is none of such a name.
    """
    if not rows.columns.is_unique:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise DatasetFormatError(f"Column {twice!r} is there more than once; leave one.", column=str(twice))
    for name in names:
        if name not in rows.columns:
            raise SpecError(f"{name!r} is not a column; columns are {_listed(rows.columns, str)}", field, column=name)


def _listed(names: Iterable[object], form: Callable[[object], str]) -> str:
    """The first of some names, as a sentence has them."""
    told = [form(name) for name in names]
    return ", ".join(told[:_MOST_TOLD]) + (", ..." if len(told) > _MOST_TOLD else "")


def _target_of(predictor: Predictor, given: str | None, rows: pd.DataFrame) -> str:
    """The column of the truth.

    Raises:
        DatasetTargetError: it is absent, or the model's file does not name one.
    """
    target = given or predictor.target or (predictor.manifest.get("data") or {}).get("target")
    if target is None:
        raise DatasetTargetError(
            "The model's file does not say what its target was called; name the column of the truth."
        )
    if target not in rows.columns:
        raise DatasetTargetError(
            f"There is no column {target!r} with the truth of each row; name the one that has it. Columns are "
            f"{_listed(rows.columns, str)}.",
            target=target,
        )
    return str(target)


def _truth_of(
    predictor: Predictor, values: Sequence[Any], target: str, renamed: Mapping[str, str]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Of rows with a truth the index of its class, or the number; and which rows these are, ``(n_rows,)``."""
    texts = [category_text(value) for value in values]
    known = np.array([text is not None for text in texts], dtype=bool)
    if not known.any():
        raise DatasetTargetError(
            f"No row has a value in {target!r}, so that there is nothing to hold the model against."
        )
    said = [text for text in texts if text is not None]
    if predictor.predicts_numbers:
        return _numbers(said, target), known
    classes = [str(label) for label in predictor.classes]
    absent = sorted(set(renamed.values()) - set(classes))
    truths = {label.lower(): label for label in classes if label.lower() in ("true", "false")}
    said = [renamed.get(text, text if text in classes else truths.get(text.lower(), text)) for text in said]
    unknown = sorted(set(said) - set(classes))
    if absent or unknown:
        wrong = absent or unknown
        shown = _listed(wrong, repr)
        what = f"Labels are to be read as {shown}" if absent else f"Column {target!r} has {shown}"
        raise DatasetTargetError(
            f"{what}; the model knows {_listed(classes, repr)}. Say which of these a label means "
            f"(labels={{{wrong[0]!r}: CLASS}}, at the command line --label '{wrong[0]}=CLASS'), or leave out the rows "
            "of other classes.",
            unknown=wrong[:_MOST_TOLD],
            allowed=classes[:_MOST_TOLD],
        )
    return np.array([classes.index(text) for text in said], dtype=np.float64), known


def _numbers(said: Sequence[str], target: str) -> Floats:
    for place, text in enumerate(said):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise DatasetTargetError(
                f"Column {target!r} must have numbers, got {text[:40]!r} (value {place}, counted from 0 without "
                "missing ones); the model predicts a number.",
                target=target,
            )
    return np.array([float(text) for text in said])


def _members_of(rows: pd.DataFrame, groups: str) -> Labels:
    """The number of each row's group; rows without one stand for themselves."""
    check_columns(rows, [groups], "groups")
    texts = [category_text(value) for value in rows[groups].tolist()]
    numbers = {text: place for place, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    own = [len(numbers) + place if text is None else numbers[text] for place, text in enumerate(texts)]
    return np.array(own, dtype=np.int64)


def positive_place(predictor: Predictor) -> int:
    """The index of the class that sensitivity speaks of: that of the model's own figures, else the last.

    Args:
        predictor: a model of classes.
    """
    classes = [str(label) for label in predictor.classes]
    named = str((predictor.manifest.get("evaluation") or {}).get("positive_class"))
    return classes.index(named) if named in classes else len(classes) - 1
