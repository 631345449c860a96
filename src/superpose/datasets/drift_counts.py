"""Counts of rows by the ranges and categories of a drift baseline: what tables and live traffic are compared by.

Counts of parts add up, so rows need not be kept to be compared later.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from superpose.datasets.arrow_columns import truths_as_written
from superpose.errors import FeatureMismatchError

__all__ = ["ColumnCounts", "DriftCounts", "bin_counts"]

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class ColumnCounts:
    """Rows of one column: of a number by range, of a category by name and then all others; and missing ones."""

    present: npt.NDArray[np.float64]
    missing: int

    def __add__(self, other: ColumnCounts) -> ColumnCounts:
        return ColumnCounts(self.present + other.present, self.missing + other.missing)


@dataclass(frozen=True)
class DriftCounts:
    """Rows of a table, or of live traffic, by the columns of a baseline.

    Attributes:
        n_rows: rows counted.
        columns: in the order of the baseline.
    """

    n_rows: int = 0
    columns: tuple[ColumnCounts, ...] = field(default=())

    @classmethod
    def of(cls, baseline: Mapping[str, Any], columns: Mapping[str, Values]) -> Self:
        """The counts of columns.

        Args:
            baseline: from ``drift_baseline``.
            columns: float64 or object arrays (n_rows,) by name; others than the baseline's are left alone.

        Raises:
            FeatureMismatchError: a column holds text where the baseline has numbers.
        """
        n_rows = len(next(iter(columns.values()))) if columns else 0
        return cls(n_rows, tuple(_counted(column, columns[column["name"]]) for column in baseline["columns"]))

    def __add__(self, other: DriftCounts) -> DriftCounts:
        if not self.columns or not other.columns:
            return self if self.columns else other
        pairs = zip(self.columns, other.columns, strict=True)
        return DriftCounts(self.n_rows + other.n_rows, tuple(one + two for one, two in pairs))


def bin_counts(values: npt.NDArray[np.float64], edges: Any) -> npt.NDArray[np.float64]:
    """Values up to the first edge, between edges (the right one included), and beyond the last; ``(n_edges + 1,)``."""
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.float64)


def _counted(before: Mapping[str, Any], values: Values) -> ColumnCounts:
    if before["kind"] != "number":
        written = truths_as_written(before["shares"])
        words = [written.get(word, word) if word else word for word in _words(values)]
        found = Counter(word for word in words if word is not None)
        named = [float(found[word]) for word in before["shares"]]
        return ColumnCounts(np.array([*named, found.total() - sum(named)]), len(words) - found.total())
    if values.dtype.kind != "f":
        if any(value is not None for value in values):
            raise FeatureMismatchError(
                f"column {before['name']!r} holds text, but the model was trained on numbers", column=before["name"]
            )
        return ColumnCounts(np.zeros(len(before["edges"]) + 1), len(values))
    present = values[~np.isnan(values)]
    return ColumnCounts(bin_counts(present, before["edges"]), len(values) - len(present))


def _words(values: Values) -> list[str | None]:
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [None if math.isnan(v) else str(int(v)) if v.is_integer() else repr(v) for v in values.tolist()]
