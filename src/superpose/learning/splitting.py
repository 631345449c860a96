"""The splits that a spec asks for, made from the table alone, and the columns that are features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets import (
    Split,
    Table,
    grouped_splits,
    k_fold_splits,
    site_splits,
    stratified_splits,
    time_splits,
)
from superpose.datasets.picture_patients import PATIENT, UNKNOWN, patients_of_table
from superpose.errors import SpecError
from superpose.learning.split_count import split_count

if TYPE_CHECKING:
    from superpose.learning.spec import TrainingSpec

__all__ = ["Groups", "feature_table", "groups_of", "split_keys", "splits_of", "times_of"]


@dataclass(frozen=True, eq=False)
class Groups:
    """Which rows of a table belong together, such as those of a patient.

    Attributes:
        column: what told.
        members: the number of each row's group, ``(n_rows,)``.
        kept_together: whether the split goes by them; if not, one group may be in training, validation and test rows.
    """

    column: str
    members: NDArray[np.int64]
    kept_together: bool

    def of_training_and_test(self, split: Split) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of the groups of a split's training rows, ``(n_train,)``, and test rows, ``(n_test,)``."""
        return self.members[split.train], self.members[split.test]


def groups_of(spec: TrainingSpec, table: Table) -> Groups | None:
    """The groups of a table's rows: by the column that a grouped split, or folds with one, go by; of other splits by a
    column ``patient``, whose gaps stand each for itself. None where neither is there, or all rows are of one patient.

    Args:
        spec: its section ``split``.
        table: with the columns that are no features.

    Raises:
        SpecError: the column to split by is absent or has missing values.
    """
    if spec.split.kind in ("grouped", "k_fold") and spec.split.column is not None:
        members = np.unique(split_keys(spec, table), return_inverse=True)[1]
        return Groups(spec.split.column, members.astype(np.int64), kept_together=True)
    patients = patients_of_table(table)
    if patients is None or (patients == patients[0]).all():
        return None
    unknown = patients == UNKNOWN
    members = np.where(unknown, patients.max() + np.cumsum(unknown), patients)
    return Groups(PATIENT, members, kept_together=False)


def feature_table(spec: TrainingSpec, table: Table) -> Table:
    """The table without the columns that the spec excludes and without the one it splits by.

    Raises:
        SpecError: the spec names a column that the table does not have.
        DatasetEmptyError: no feature is left.
    """
    excluded = dict.fromkeys(spec.preprocessing.exclude, "preprocessing.exclude")
    if spec.split.column is not None:
        excluded[spec.split.column] = "split.column"
    for name, field in excluded.items():
        if name not in table.feature_names:
            hint = "; it is the target" if name == table.target_name else ""
            shown = ", ".join(table.feature_names[:10]) + (", ..." if table.n_features > 10 else "")
            raise SpecError(f"{name!r} is not a feature column{hint}; columns are {shown}", field, column=name)
    return table.without(excluded) if excluded else table


def splits_of(spec: TrainingSpec, table: Table, *, at_most: int | None = None) -> list[Split]:
    """The splits of a table as the spec asks for them; equal specs on equal tables give equal splits.

    Args:
        spec: kind and column in ``split``, numbers and shares in ``evaluation``, seed in ``training``.
        table: with the column to split by.
        at_most: make only so many random splits, to see whether the table can be split at all.

    Raises:
        SpecError: the column is absent, has missing values, or is no time.
        DatasetTooSmallError: the rows cannot be split this way.
        DatasetTargetError: the target holds numbers, not classes.
    """
    table.require_classes()
    evaluation, kind, labels = spec.evaluation, spec.split.kind, table.target.to_numpy()
    n_splits = split_count(spec, table.n_rows).n_splits
    shared: dict[str, Any] = {
        "n_splits": n_splits,
        "validation_fraction": evaluation.validation_fraction,
        "seed": spec.training.seed,
    }
    few = shared | {"n_splits": min(n_splits, at_most or n_splits)}
    test: dict[str, Any] = {"test_fraction": evaluation.test_fraction}
    if kind == "stratified":
        return stratified_splits(labels, **few, **test)
    keys = None if spec.split.column is None else _column(table, spec.split.column)
    if kind == "k_fold":
        return k_fold_splits(labels, groups=keys, **shared)
    if keys is None:
        raise SpecError(f"is needed for kind {kind!r}", "split.column")
    if kind == "grouped":
        return grouped_splits(labels, keys, **few, **test)
    if kind == "site":
        return site_splits(labels, keys, **shared)
    del shared["seed"]
    return time_splits(labels, times_of(keys, spec.split.column or ""), **shared, **test)


def _column(table: Table, name: str) -> NDArray[Any]:
    """Values of the column to split by, without gaps."""
    if name not in table.feature_names:
        raise SpecError(
            f"{name!r} is not a column of {table.name!r}; columns are {', '.join(table.feature_names[:10])}",
            "split.column",
            column=name,
        )
    column = table.columns[table.feature_names.index(name)]
    if column.n_missing:
        raise SpecError(
            f"{name!r} is missing in {column.n_missing} of {table.n_rows} rows; every row needs a value to be split by",
            "split.column",
            column=name,
            n_missing=column.n_missing,
        )
    return table.features[name].to_numpy()


def split_keys(spec: TrainingSpec, table: Table) -> NDArray[Any]:
    """Values of the column that the spec splits by, ``(n_rows,)``.

    Raises:
        SpecError: it names none, or one that is absent or has missing values.
    """
    if spec.split.column is None:
        raise SpecError(f"is needed for kind {spec.split.kind!r}", "split.column")
    return _column(table, spec.split.column)


def times_of(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Times as numbers: numbers themselves, or dates in ISO 8601 as seconds since 1970 UTC."""
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    import pandas as pd

    parsed = pd.to_datetime(pd.Series(values), format="ISO8601", utc=True, errors="coerce")
    bad = np.flatnonzero(parsed.isna().to_numpy())
    if len(bad):
        raise SpecError(
            f"{name!r} is no time: data row {bad[0] + 1} has {str(values[bad[0]])[:40]!r}; allowed are numbers and "
            "dates such as 2025-03-31 or 2025-03-31T08:00:00Z",
            "split.column",
            column=name,
            row=int(bad[0]) + 1,
        )
    seconds: NDArray[np.float64] = parsed.astype("int64").to_numpy() / 1e9
    return seconds
