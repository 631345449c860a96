"""What is odd about a table: missing values, constants, doubles, and columns that give the answer away."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from superpose.datasets.table import MAX_COLUMNS, Table, check_width
from superpose.datasets.written_numbers import mostly_numbers

__all__ = ["TableReport", "check_table"]

_RARE = 10
_MOST_BY_NAME = 3
_MANY_CLASSES = 20


@dataclass(frozen=True, slots=True)
class TableReport:
    """Findings of ``check_table``; nothing here forbids training, ``warnings`` says it in sentences.

    Attributes:
        n_rows: number of rows.
        class_counts: rows of each class.
        missing: missing values by column, columns without any left out.
        constant: columns with one distinct value.
        n_duplicate_rows: rows that repeat an earlier row, label included.
        n_conflicting_rows: further labels found for feature rows that had another label already.
        leaks: columns whose values stand one to one for the classes; none beside a target of numbers.
        mostly_numbers: category columns most of whose values read as numbers, or would without signs around them:
            typing errors, or another way to write numbers.
        identifiers: other category columns with another value in every row; none beside a target of numbers, where
            such a column tells the period.
        warnings: the findings in sentences, most serious first.
    """

    n_rows: int
    class_counts: dict[str, int]
    missing: dict[str, int]
    constant: tuple[str, ...]
    n_duplicate_rows: int
    n_conflicting_rows: int
    leaks: tuple[str, ...]
    mostly_numbers: tuple[str, ...]
    identifiers: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def check_table(table: Table, *, max_columns: int = MAX_COLUMNS) -> TableReport:
    """A report on the table.

    Raises:
        DatasetTooWideError: more than ``max_columns`` columns, target included.
    """
    check_width(table.n_features + 1, max_columns)
    codes, n_distinct = _codes(table)
    classes = bool(table.classes)
    values = table.target.to_numpy()
    target = np.searchsorted(np.array(table.classes, dtype=object), values) if classes else values
    names = table.feature_names
    repeated = table.features.duplicated()
    numbers = tuple(
        c.name for c in table.columns if c.kind == "category" and mostly_numbers(table.features[c.name].dropna())
    )
    n_duplicates = int(table.features.assign(**{_free_name(names): target}).duplicated().sum())
    facts: dict[str, Any] = {
        "n_rows": table.n_rows,
        "class_counts": table.class_counts,
        "missing": {column.name: column.n_missing for column in table.columns if column.n_missing},
        "constant": tuple(name for name in names if n_distinct[name] == 1),
        "n_duplicate_rows": n_duplicates,
        "n_conflicting_rows": int(repeated.sum()) - n_duplicates if classes else 0,
        "leaks": tuple(
            column.name
            for column in table.columns
            if classes
            and column.n_missing == 0
            and n_distinct[column.name] == len(table.classes)
            and _one_to_one(codes[column.name], target, len(table.classes))
        ),
        "mostly_numbers": numbers,
        "identifiers": tuple(
            c.name
            for c in table.columns
            if classes
            and c.kind == "category"
            and c.n_missing == 0
            and n_distinct[c.name] == table.n_rows
            and c.name not in numbers
        ),
    }
    return TableReport(**facts, warnings=tuple(_warnings(facts)))


def _codes(table: Table) -> tuple[dict[str, Any], dict[str, int]]:
    """Per column the index of each value among the distinct ones (-1 where missing), and how many there are."""
    import pandas as pd

    codes, n_distinct = {}, {}
    for name in table.feature_names:
        column_codes, distinct = pd.factorize(table.features[name])
        codes[name], n_distinct[name] = column_codes, len(distinct)
    return codes, n_distinct


def _one_to_one(codes: Any, target: Any, n_classes: int) -> bool:
    return len(np.unique(codes * n_classes + target)) == n_classes


def _free_name(names: tuple[str, ...]) -> str:
    name = "target"
    while name in names:
        name += "_"
    return name


def _warnings(facts: dict[str, Any]) -> list[str]:
    said = [
        f"Column {name!r} stands one to one for the target: a leak, unless it is known before the outcome."
        for name in facts["leaks"]
    ]
    if facts["n_conflicting_rows"]:
        said.append(f"{facts['n_conflicting_rows']} row(s) repeat the features of another row under a different class.")
    if facts["n_duplicate_rows"]:
        said.append(
            f"{facts['n_duplicate_rows']} row(s) repeat an earlier row; a copy may land in both training and test rows."
        )
    said += [
        f"Column {name!r} was read as categories, but most of its values are numbers, or would be without signs (<5, "
        "12 %, 1,234.5, 7 mg): look for typing errors, write plain numbers, and leave empty what is none."
        for name in facts["mostly_numbers"]
    ]
    said += [f"Column {name!r} has another text in every row: an identifier?" for name in facts["identifiers"]]
    constant = facts["constant"]
    if len(constant) > _MOST_BY_NAME:
        said.append(
            f"{len(constant)} columns, such as {constant[0]!r} and {constant[-1]!r}, have the same value in every row "
            "and tell nothing."
        )
    else:
        said += [f"Column {name!r} has the same value in every row and tells nothing." for name in constant]
    return [*said, *_of_classes(facts["class_counts"])]


def _of_classes(counts: dict[str, int]) -> list[str]:
    said = []
    if len(counts) > _MANY_CLASSES and all(_is_number(label) for label in counts):
        said.append(
            f"The target's {len(counts)} classes are all numbers: if they were measured, give ranges as classes "
            "(forecasts of demand take numbers: --target-kind number)."
        )
    spellings: dict[str, list[str]] = {}
    for label in counts:
        spellings.setdefault(label.casefold(), []).append(label)
    said += [
        f"Classes {', '.join(map(repr, labels))} differ in upper and lower case alone: one class?"
        for labels in spellings.values()
        if len(labels) > 1
    ]
    rare = [label for label, count in counts.items() if count < _RARE]
    if len(rare) > _MOST_BY_NAME:
        return [*said, f"{len(rare)} classes, such as {rare[0]!r} and {rare[-1]!r}, have fewer than {_RARE} rows each."]
    return [*said, *(f"Class {label!r} has only {counts[label]} row(s)." for label in rare)]


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
