"""What the classical baseline takes of a processor, counted as `superpose.learning.baseline` searches; no scikit-learn.

Seconds of a fit were measured on noisy made-up tables (see `superpose.learning.effort.MACHINE`), 150 to 9,000 rows of 4
to 60 columns: trees and support vectors find real tables easier, and take half of it or less there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from superpose.learning.effort import Work

__all__ = ["BaselineCounts", "baseline_works", "families_of"]

_FOLDS: Final = 4
_FINALISTS: Final = 4
_STRENGTHS: Final = 9
_FEW_ROWS: Final = 500
_SEARCHED_ROWS: Final = 4_000
_ROWS_OF_SUPPORT_VECTORS: Final = 10_000
_ROWS_OF_A_TREE: Final = 20_000
_TREES, _TREES_IN_SEARCH = 100, 40

_BOOSTED: Final[Sequence[tuple[int, int]]] = ((30, 4), (100, 4), (30, 15), (100, 15))
"""Iterations and leaves of each setting."""

_LINEAR_S: Final = (1.5e-3, 1e-8)
"""A fit of logistic regression, and of a row, column and class more."""

_ITERATION_S: Final = (1.7e-4, 9e-6, 6.4e-8)
"""A tree of four leaves of gradient boosting, a column more, a row more; one of fifteen leaves takes twice that."""

_TREE_S: Final = (8e-4, 5e-8)
"""A tree of a forest, and of a row, tried column and level more."""

_VECTORS_S: Final = (5e-8, 3.3e-9)
"""A pair of rows of support vectors with probabilities, and of a column more."""


@dataclass(frozen=True)
class BaselineCounts:
    """What the rows of a baseline are.

    Attributes:
        n_rows: training and validation rows together.
        n_columns: after encoding.
        n_classes: classes.
        n_rarest: rows of the rarest class among them.
    """

    n_rows: int
    n_columns: int
    n_classes: int
    n_rarest: int


def families_of(counts: BaselineCounts, n_settings: int | None) -> list[tuple[str, int]]:
    """Family, and number of the setting within it, of each setting that the strongest baseline tries, in order."""
    few = n_settings is None and counts.n_rows < _FEW_ROWS * counts.n_classes
    sizes: dict[str, int] = {"logistic_regression": 4, "gradient_boosting": 4, "random_forest": 4}
    if few:
        sizes |= {"gradient_boosting": 2, "random_forest": 2}
    if counts.n_rows <= _ROWS_OF_SUPPORT_VECTORS:
        sizes["support_vectors"] = 4
    in_turn = [(family, place) for place in range(4) for family, size in sizes.items() if place < size]
    return in_turn[:n_settings]


def baseline_works(baseline: str, counts: BaselineCounts, n_settings: int | None, n_searches: int) -> Iterator[Work]:
    """What so many searches of a baseline take.

    Which settings reach the last round is not known before, so a fit there counts as the mean of all.

    Args:
        baseline: "strongest" or "logistic_regression".
        counts: of its rows.
        n_settings: the spec's budget of settings; None searches as the baseline does by itself.
        n_searches: how often.
    """
    if baseline == "strongest":
        tried = families_of(counts, n_settings)
        n_finalists = min(_FINALISTS, len(tried))
    else:
        tried = [("logistic_regression", place) for place in range(_STRENGTHS if n_settings is None else n_settings)]
        n_finalists = len(tried)
    n_folds = min(_FOLDS, counts.n_rarest)
    if n_folds >= 2 and len(tried) > 1:
        n_rows = min(counts.n_rows, _SEARCHED_ROWS) * (n_folds - 1) / n_folds
        n_fits = len(tried) + n_finalists * (n_folds - 1)
        yield Work("baseline", "settings measured", n_searches * n_fits, _mean_s(tried, n_rows, counts, final=False))
    yield Work("baseline", "models fitted", n_searches, _mean_s(tried, counts.n_rows, counts, final=True))


def _mean_s(tried: Sequence[tuple[str, int]], n_rows: float, counts: BaselineCounts, *, final: bool) -> float:
    """Seconds of a fit, the mean over settings."""
    return sum(_fit_s(family, place, n_rows, counts, final=final) for family, place in tried) / len(tried)


def _fit_s(family: str, place: int, n_rows: float, counts: BaselineCounts, *, final: bool) -> float:
    """Seconds of a fit of one setting, and of predicting the rows left out."""
    n_columns, n_classes = counts.n_columns, counts.n_classes
    if family == "logistic_regression":
        return _LINEAR_S[0] + _LINEAR_S[1] * n_rows * n_columns * n_classes
    if family == "gradient_boosting":
        iterations, leaves = _BOOSTED[place]
        n_trees = iterations * (1 if n_classes == 2 else n_classes)
        one_s = _ITERATION_S[0] + _ITERATION_S[1] * n_columns + _ITERATION_S[2] * n_rows
        return n_trees * one_s * (1 if leaves == 4 else 2)
    if family == "random_forest":
        n_tried = math.sqrt(n_columns) if place < 2 else max(1.0, n_columns / 2)
        drawn = min(n_rows, _ROWS_OF_A_TREE) if final else n_rows
        one_s = _TREE_S[0] + _TREE_S[1] * drawn * n_tried * math.log2(drawn + 1)
        return (_TREES if final else _TREES_IN_SEARCH) * one_s
    return (_VECTORS_S[0] + _VECTORS_S[1] * n_columns) * n_rows**2
