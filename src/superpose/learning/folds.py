"""Stratified folds of rows, or of whole groups where rows hang together, by which a setting is chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from superpose.datasets import k_fold_splits
from superpose.errors import DatasetTooSmallError

__all__ = ["Fold", "stratified_folds"]

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Places of the rows to fit and of the rows to measure."""


def stratified_folds(
    classes: NDArray[np.integer], *, at_most: int, seed: int, groups: NDArray[np.integer] | None = None
) -> list[Fold]:
    """Folds in each of which every class has its share; none where a class is in fewer than two rows, or groups that
    can be dealt out.

    Args:
        classes: index of each row's class, ``(n_rows,)``.
        at_most: folds, at least 2; fewer where a class has fewer rows, or is in fewer groups.
        seed: of the choice.
        groups: which rows belong together and are in one fold, any integers ``(n_rows,)``; None if none do.

    Cost: O(n_rows), with groups O(at_most * n_groups).
    """
    from sklearn.model_selection import StratifiedKFold

    if groups is None:
        n_folds = min(at_most, int(np.bincount(classes)[np.unique(classes)].min()))
        if n_folds < 2:
            return []
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed % 2**32).split(classes, classes))
    for n_folds in range(at_most, 1, -1):
        try:
            found = k_fold_splits(classes, n_splits=n_folds, validation_fraction=0.0, seed=seed, groups=groups)
        except DatasetTooSmallError:
            continue
        return [(fold.train, fold.test) for fold in found]
    return []
