"""Splits that respect how rows hang together: by group, by time, by site, and in folds that test every row once.

A random split tests a model on rows like those it has seen. Rows of one patient, of one afternoon or of one scanner are
more alike than rows of the next, so these splits keep them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.splits import Indices, Split, stratified_splits
from superpose.errors import DatasetTooSmallError

__all__ = ["grouped_splits", "k_fold_splits", "site_splits", "time_splits"]

Labels = Sequence[Any] | npt.NDArray[Any]

_TRIES = 50
"""Random orders of the groups that are tried until every part has every class."""

_TESTED_SPAN = 0.5
"""Share of the rows, the newest ones, that the test windows of a split by time may take together."""


def grouped_splits(
    labels: Labels, groups: Labels, *, n_splits: int, test_fraction: float, validation_fraction: float, seed: int
) -> list[Split]:
    """Random splits in which no group, such as a patient, is in two parts; classes shared out as evenly as that allows.

    The groups are taken in a random order; each goes to the part that then comes closest to its share of every class
    (least sum of ``(count - share)**2 / share``). Split ``i`` depends on ``seed`` and ``i``, not on ``n_splits``.

    Args:
        labels: class of each row, shape (n_rows,).
        groups: group of each row, shape (n_rows,).
        n_splits: number of splits.
        test_fraction: share of the rows in ``test``, approximately.
        validation_fraction: share of the rows in ``validation``; with 0 that part is empty.
        seed: non-negative seed.

    Raises:
        DatasetTooSmallError: a class is in fewer groups than there are parts, or no order of the groups was found that
            gives every part every class.

    Cost: O(n_splits * n_groups * n_classes).
    """
    shares = [1.0 - test_fraction - validation_fraction, validation_fraction, test_fraction]
    parts = [place for place, share in enumerate(shares) if share > 0]
    table, members = _table_of_groups(labels, groups, len(parts))
    found = []
    for number in range(n_splits):
        rng = np.random.default_rng([seed, number])
        where = _dealt(table, np.array([shares[p] for p in parts]), rng, "a group may be in one part only")
        places = np.array(parts)[where][members]  # (n_rows,)
        found.append(Split(*(np.flatnonzero(places == place) for place in range(3))))
    return found


def k_fold_splits(
    labels: Labels, *, n_splits: int, validation_fraction: float, seed: int, groups: Labels | None = None
) -> list[Split]:
    """Cross-validation: every row is tested in exactly one of ``n_splits`` folds, classes shared out evenly.

    Validation rows (``validation_fraction`` of all rows) are drawn from the rows outside the fold.

    Args:
        labels: class of each row, shape (n_rows,).
        n_splits: number of folds, at least 2.
        validation_fraction: share of all rows in ``validation``, less than ``1 - 1/n_splits``.
        seed: non-negative seed.
        groups: with them, no group is in two parts of a split, and each is tested in one fold.

    Raises:
        DatasetTooSmallError: a class has fewer rows, or is in fewer groups, than there are folds.
        ValueError: the validation rows would leave nothing to train on.
    """
    rest_share = validation_fraction / (1.0 - 1.0 / n_splits)
    if rest_share >= 1:
        raise ValueError(
            f"validation_fraction {validation_fraction} with {n_splits} folds leaves no rows to train on; it must be "
            f"below {1 - 1 / n_splits:.3g}."
        )
    values = np.asarray(labels)
    folds = _folds(values, n_splits, seed) if groups is None else _grouped_folds(values, groups, n_splits, seed)
    keys = None if groups is None else np.asarray(groups)
    return [
        _with_validation(values, np.flatnonzero(folds == fold), rest_share, (seed, fold), keys)
        for fold in range(n_splits)
    ]


def site_splits(labels: Labels, sites: Labels, *, n_splits: int, validation_fraction: float, seed: int) -> list[Split]:
    """Splits that each test on one site (hospital, scanner) of which no row was trained on; the largest site first.

    Args:
        labels: class of each row, shape (n_rows,).
        sites: site of each row, shape (n_rows,).
        n_splits: sites to hold out at most; with fewer sites there are that many splits.
        validation_fraction: share of all rows in ``validation``, drawn from the other sites by class.
        seed: non-negative seed.

    Raises:
        DatasetTooSmallError: fewer than two sites, or a site without rows of some class.
    """
    values = np.asarray(labels)
    names, codes, counts = np.unique(np.asarray(sites), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise DatasetTooSmallError(
            f"Holding out a site needs at least two sites, got {len(names)}. Split at random, or by another column.",
            n_sites=len(names),
        )
    found = []
    for number, site in enumerate(np.argsort(-counts, kind="stable")[:n_splits]):
        test = np.flatnonzero(codes == site)
        _require_classes(values, test, f"Site {str(names[site])[:80]!r}")
        share = min(0.9, validation_fraction * len(values) / (len(values) - len(test)))
        found.append(_with_validation(values, test, share, (seed, number), None))
    return found


def time_splits(
    labels: Labels, times: npt.NDArray[np.float64], *, n_splits: int, test_fraction: float, validation_fraction: float
) -> list[Split]:
    """Splits that train on the past and test on what came after; the first one tests the newest rows.

    The rows are ordered by time. Split ``i`` tests the ``i``-th newest window, validates on the rows just before it and
    trains on all rows before those; newer rows are left out. A window is ``min(test_fraction, 0.5 / n_splits)`` of the
    rows, so that the earliest split still trains on about half of them. Rows of one time are never parted.

    Args:
        labels: class of each row, shape (n_rows,).
        times: time of each row in any unit, finite, shape (n_rows,).
        n_splits: number of windows.
        test_fraction: share of all rows in one window, at most.
        validation_fraction: share of all rows in ``validation``.

    Raises:
        DatasetTooSmallError: a part lacks a class, because the class does not occur in its time, or because many rows
            share one time.
    """
    values = np.asarray(labels)
    order = np.argsort(times, kind="stable")
    ordered, n_rows = times[order], len(times)
    window = min(test_fraction, _TESTED_SPAN / n_splits) * n_rows

    def cut(position: float) -> int:
        """The first row of the time that stands at a position."""
        if position >= n_rows:
            return n_rows
        return int(np.searchsorted(ordered, ordered[max(0, int(position))], side="left"))

    found = []
    for number in range(n_splits):
        start, end = cut(n_rows - (number + 1) * window), cut(n_rows - number * window)
        middle = cut(start - validation_fraction * n_rows) if validation_fraction > 0 else start
        parts = [np.sort(part) for part in (order[:middle], order[middle:start], order[start:end])]
        for part, name in zip(parts, ("training", "validation", "test"), strict=True):
            if name != "validation" or validation_fraction > 0:
                _require_classes(values, part, f"The {name} rows of split {number + 1} of {n_splits} by time")
        found.append(Split(*parts))
    return found


def _require_classes(values: npt.NDArray[Any], part: Indices, what: str) -> None:
    """Refuse a part in which a class does not occur: its model could not be trained or judged."""
    absent = sorted(set(np.unique(values)) - set(np.unique(values[part])))
    if absent:
        raise DatasetTooSmallError(
            f"{what} ({len(part)} rows) have no row of class {str(absent[0])[:80]!r}. Use fewer splits or larger "
            "parts, or split by another column.",
            class_label=str(absent[0]),
            n_rows=len(part),
        )


def _folds(values: npt.NDArray[Any], n_splits: int, seed: int) -> npt.NDArray[np.int64]:
    """Fold of each row; each class is shuffled and dealt out, going on with the fold where the last one ended."""
    rng = np.random.default_rng([seed, n_splits])
    folds, start = np.empty(len(values), dtype=np.int64), 0
    for label in np.unique(values):
        rows = np.flatnonzero(values == label)
        if len(rows) < n_splits:
            raise DatasetTooSmallError(
                f"Class {str(label)!r} has {len(rows)} row(s); {n_splits} folds need at least one each. Use fewer "
                "splits, add rows of this class, or drop it.",
                class_label=str(label),
                count=len(rows),
                needed=n_splits,
            )
        folds[rng.permutation(rows)] = (start + np.arange(len(rows))) % n_splits
        start += len(rows)
    return folds


def _grouped_folds(values: npt.NDArray[Any], groups: Labels, n_splits: int, seed: int) -> npt.NDArray[np.int64]:
    table, members = _table_of_groups(values, groups, n_splits)
    shares = np.full(n_splits, 1.0 / n_splits)
    return _dealt(table, shares, np.random.default_rng([seed, n_splits]), "a group is tested in one fold")[members]


def _with_validation(
    values: npt.NDArray[Any], test: Indices, share: float, seed: tuple[int, int], groups: npt.NDArray[Any] | None
) -> Split:
    """The split that tests ``test``; ``share`` of the other rows validate."""
    rest = np.setdiff1d(np.arange(len(values)), test)
    _require_classes(values, rest, "The rows to train on")
    if share == 0:
        return Split(rest, rest[:0], test)
    sown = int(np.random.SeedSequence(seed).generate_state(1)[0])
    options: Any = {"n_splits": 1, "test_fraction": share, "validation_fraction": 0.0, "seed": sown}
    if groups is None:
        (inner,) = stratified_splits(values[rest], **options)
    else:
        try:
            (inner,) = grouped_splits(values[rest], groups[rest], **options)
        except DatasetTooSmallError as error:
            raise DatasetTooSmallError(
                f"Outside a fold training and validation rows cannot be told apart by whole groups: {error.message}",
                **error.details,
            ) from None
    return Split(rest[inner.train], rest[inner.test], test)


def _table_of_groups(
    labels: Labels, groups: Labels, n_parts: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of each class in each group, ``(n_groups, n_classes)``, and the group of each row."""
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    table = np.bincount(members * len(classes) + codes, minlength=len(names) * len(classes))
    table = table.reshape(len(names), len(classes))
    for label, n_groups in zip(classes, (table > 0).sum(axis=0), strict=True):
        if n_groups < n_parts:
            raise DatasetTooSmallError(
                f"Class {str(label)!r} is in {n_groups} group(s); at least {n_parts} are needed, one for each part. "
                "Add groups with this class, use fewer parts, or drop the class.",
                class_label=str(label),
                count=int(n_groups),
                needed=n_parts,
            )
    return table, members


def _dealt(
    table: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], rng: np.random.Generator, rule: str
) -> npt.NDArray[np.int64]:
    """The part of each group, ``(n_groups,)``, such that every part has every class."""
    wanted = np.outer(shares, table.sum(axis=0))  # (n_parts, n_classes)
    for _ in range(_TRIES):
        where = np.empty(len(table), dtype=np.int64)
        counts = np.zeros_like(wanted)
        for group in rng.permutation(len(table)):
            # what putting the group there adds to sum((count - wanted)**2 / wanted)
            added = table[group] * (2.0 * (counts - wanted) + table[group]) / wanted
            where[group] = part = int(added.sum(axis=1).argmin())
            counts[part] += table[group]
        if (counts > 0).all():
            return where
    raise DatasetTooSmallError(
        f"No way was found to deal {len(table)} groups to {len(shares)} parts so that each has every class ({rule}). "
        "Use fewer splits or larger parts.",
        n_groups=len(table),
        n_parts=len(shares),
    )
