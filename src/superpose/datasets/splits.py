"""Repeated random splits that keep the share of each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.errors import DatasetTooSmallError

__all__ = ["Split", "stratified_splits"]

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Disjoint ascending row indices; together all rows, except where a split by time leaves out newer ones."""

    train: Indices
    validation: Indices
    test: Indices


def stratified_splits(
    labels: Sequence[Any] | npt.NDArray[Any],
    *,
    n_splits: int,
    test_fraction: float,
    validation_fraction: float,
    seed: int,
) -> list[Split]:
    """``n_splits`` independent random splits, each class shared out in the stated fractions.

    Split ``i`` depends on the labels, the fractions, ``seed`` and ``i`` only, not on ``n_splits``. Of each class at
    least one row goes to every part that is asked for.

    Args:
        labels: class of each row, shape (n_rows,).
        n_splits: number of splits, at least 1.
        test_fraction: share of the rows in ``test``, in (0, 1).
        validation_fraction: share of the rows in ``validation``, in [0, 1); with 0 that part is empty.
        seed: non-negative seed.

    Raises:
        DatasetTooSmallError: a class has fewer rows than there are parts; details name the class and its count.
        ValueError: fractions or n_splits out of range.

    Cost: O(n_splits * n_rows log n_rows).
    """
    if n_splits < 1 or not 0 < test_fraction < 1 or not 0 <= validation_fraction < 1:
        raise ValueError(
            f"Need n_splits >= 1, 0 < test_fraction < 1, 0 <= validation_fraction < 1; got n_splits={n_splits}, "
            f"test_fraction={test_fraction}, validation_fraction={validation_fraction}."
        )
    if test_fraction + validation_fraction >= 1:
        raise ValueError(
            f"test_fraction + validation_fraction must be below 1 to leave rows to train on, got "
            f"{test_fraction} + {validation_fraction}."
        )
    values = np.asarray(labels)
    classes, codes = np.unique(values, return_inverse=True)
    members = [np.flatnonzero(codes == code) for code in range(len(classes))]
    sizes = [
        _part_sizes(str(c), len(m), test_fraction, validation_fraction) for c, m in zip(classes, members, strict=True)
    ]
    return [_split(members, sizes, np.random.default_rng([seed, i])) for i in range(n_splits)]


def _part_sizes(label: str, count: int, test_fraction: float, validation_fraction: float) -> tuple[int, int]:
    """Rows of one class in test and in validation."""
    n_parts = 2 + (validation_fraction > 0)
    if count < n_parts:
        raise DatasetTooSmallError(
            f"Class {label!r} has {count} row(s); at least {n_parts} are needed, one for each of train, "
            f"{'validation and ' if n_parts == 3 else ''}test. Add rows of this class, or drop it.",
            class_label=label,
            count=count,
            needed=n_parts,
        )
    n_validation = max(1, math.floor(validation_fraction * count + 0.5)) if validation_fraction > 0 else 0
    n_test = max(1, math.floor(test_fraction * count + 0.5))
    while n_test + n_validation >= count:  # rounding left nothing to train on
        n_test, n_validation = (n_test - 1, n_validation) if n_test > n_validation else (n_test, n_validation - 1)
    return n_test, n_validation


def _split(members: list[Indices], sizes: list[tuple[int, int]], rng: np.random.Generator) -> Split:
    train, validation, test = [], [], []
    for rows, (n_test, n_validation) in zip(members, sizes, strict=True):
        shuffled = rows[np.argsort(rng.random(len(rows)), kind="stable")]
        test.append(shuffled[:n_test])
        validation.append(shuffled[n_test : n_test + n_validation])
        train.append(shuffled[n_test + n_validation :])
    return Split(train=_joined(train), validation=_joined(validation), test=_joined(test))


def _joined(parts: list[Indices]) -> Indices:
    return np.sort(np.concatenate(parts)).astype(np.int64)
