"""Labelled rows in a training and a test part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.errors import RequestError

__all__ = ["LabelledParts", "Labels", "Rows", "at_least", "split_parts"]

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelledParts:
    """Rows to learn from and rows to be judged by.

    Attributes:
        train: ``(n_train, n_features)``.
        train_labels: ``(n_train,)``, -1 or 1.
        test: ``(n_test, n_features)``.
        test_labels: ``(n_test,)``, -1 or 1.
    """

    train: Rows
    train_labels: Labels
    test: Rows
    test_labels: Labels


def split_parts(rows: Rows, labels: Labels, *, test_fraction: float = 0.2, seed: int = 0) -> LabelledParts:
    """The rows in random order, the last ``test_fraction`` of them (rounded up) as the test part.

    Not stratified, as in the published comparison.

    Raises:
        RequestError: a part would have no rows.
    """
    n_test = int(np.ceil(len(rows) * test_fraction))
    if not 0 < n_test < len(rows):
        raise RequestError(
            f"test_fraction must leave rows for both parts, got {test_fraction} of {len(rows)} rows",
            field="test_fraction",
        )
    order = np.random.default_rng([seed, 0x5717]).permutation(len(rows))
    train, test = order[:-n_test], order[-n_test:]
    return LabelledParts(rows[train], labels[train], rows[test], labels[test])


def at_least(least: int, **values: int) -> None:
    """Refuses what is smaller.

    Raises:
        RequestError: one of the values is.
    """
    for name, value in values.items():
        if value < least:
            raise RequestError(f"{name} must be at least {least}, got {value}", field=name)
