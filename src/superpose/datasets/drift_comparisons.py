"""Rows of a column by what is compared of them: up to each edge, of each category, of all others, and the missing.

A category is named in a baseline because it was frequent there, and the others are not because they were rare, so rows
from the same source have fewer of the named ones and more of the others, without any drift: the rarer categories are
and the more of them there are, the more so. This is allowed for: each row of a category without a name counts as one
more comparison, for it might have been the one to name another, and the others are reckoned as more than they were.

Source: Good 1953, "The population frequencies of species and the estimation of population parameters".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.drift_counts import ColumnCounts

__all__ = [
    "FEWEST_NAMED",
    "MOST_NAMED",
    "Comparisons",
    "chance_of_categories",
    "chance_of_rare",
    "names_hang_on_chance",
]

FEWEST_NAMED, MOST_NAMED = 5, 50
"""A baseline names categories of so many rows at least, and so many of them at most."""

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparisons:
    """Of one column of a baseline.

    Attributes:
        fewest: rows of the baseline by comparison, as many as there were; ``(n,)``.
        most: as many as are to be reckoned with; ``(n,)``.
        number: how many comparisons these are, both ways.
    """

    fewest: Counts
    most: Counts
    number: int

    @classmethod
    def of(cls, column: Mapping[str, Any], n_rows: int) -> Comparisons:
        """Those of a column.

        Args:
            column: of a ``drift_baseline``.
            n_rows: behind the baseline.
        """
        missing = round(column["missing"] * n_rows)
        if column["kind"] == "number":
            up_to = np.cumsum(np.rint(np.multiply(column["shares"], n_rows)))[:-1]
            counts = np.append(up_to, missing)
            return cls(counts, counts, 2 * len(counts))
        named, other = _rows_of(column, n_rows)
        reckoned = min(n_rows - missing, other + int(named[named <= _rarest(named)].sum()))
        number = 2 * (len(named) + 1 + other + 1)
        return cls(np.array([*named, other, missing]), np.array([*named, reckoned, missing]), number)

    @staticmethod
    def now(column: Mapping[str, Any], counted: ColumnCounts) -> Counts:
        """Rows that were counted, by the same comparisons; ``(n,)``."""
        present = np.cumsum(counted.present)[:-1] if column["kind"] == "number" else counted.present
        return np.append(present, counted.missing)


def names_hang_on_chance(column: Mapping[str, Any], n_rows: int) -> bool:
    """Whether other rows from the same source might have named other categories: some are near the fewest rows."""
    named, other = _rows_of(column, n_rows)
    if not other:
        return False
    rarest = _rarest(named)
    return not len(named) or bool(named.min() <= rarest + 4 * rarest**0.5)


def chance_of_categories(column: Mapping[str, Any], counted: ColumnCounts, n_before: int, n_now: int) -> float:
    """How likely chance alone parts one of the comparisons so far: Fisher's exact tests, by Bonferroni.

    Args:
        column: categories, of a ``drift_baseline``.
        counted: rows now.
        n_before: rows behind the baseline.
        n_now: rows now.
    """
    from scipy.stats import hypergeom

    compared, now = Comparisons.of(column, n_before), Comparisons.now(column, counted)
    n_rows = n_before + n_now
    more = hypergeom.sf(now - 1, n_rows, compared.most + now, n_now)
    fewer = hypergeom.cdf(now, n_rows, compared.fewest + now, n_now)
    return min(1.0, compared.number * float(min(more.min(), fewer.min())))


def chance_of_rare(before: Counts, now: Counts, rare: npt.NDArray[np.bool_]) -> float:
    """How likely chance alone parts one of the rare counts so far: Fisher's exact tests, by Bonferroni.

    Args:
        before: rows of the baseline of each kind, ``(n,)``.
        now: the same in the table.
        rare: which of them are rare, one at least.
    """
    from scipy.stats import hypergeom

    then, found = np.rint(before), np.rint(now)
    n_now, n_rows = found.sum(), then.sum() + found.sum()
    more = hypergeom.sf(found[rare] - 1, n_rows, then[rare] + found[rare], n_now)
    fewer = hypergeom.cdf(found[rare], n_rows, then[rare] + found[rare], n_now)
    return min(1.0, 2 * int(rare.sum()) * float(min(more.min(), fewer.min())))


def _rows_of(column: Mapping[str, Any], n_rows: int) -> tuple[Counts, int]:
    """Rows of each named category, and of all others."""
    return np.rint(np.multiply(list(column["shares"].values()), n_rows)), round(column["other"] * n_rows)


def _rarest(named: Counts) -> float:
    """Up to how many rows a named category is among the rarest, by whose rows Good estimates what the sample missed of
    those without a name; one more than the fewest, as the estimate has an error of its own.
    """
    return (FEWEST_NAMED if len(named) < MOST_NAMED else float(named.min())) + 1
