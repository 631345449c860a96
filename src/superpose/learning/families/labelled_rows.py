"""What a family learns from: encoded rows with the classes and, where they are known, the groups of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelledRows"]


class LabelledRows(NamedTuple):
    """Rows to learn from.

    Attributes:
        rows: encoded, ``(n_rows, n_encoded)``.
        codes: index of each row's class, ``(n_rows,)``.
        groups: which rows belong together, any integers ``(n_rows,)``; None if each stands for itself.
    """

    rows: NDArray[np.float64]
    codes: NDArray[np.integer]
    groups: NDArray[np.integer] | None = None

    def at(self, places: NDArray[np.integer]) -> LabelledRows:
        """Some of the rows."""
        groups = None if self.groups is None else self.groups[places]
        return LabelledRows(self.rows[places], self.codes[places], groups)

    def sample(self, most: int, seed: int) -> LabelledRows:
        """At most so many rows, in their order; each class keeps its share, and at least two rows if it has them."""
        return self.at(_stratified_rows(self.codes, most, seed))


def _stratified_rows(codes: NDArray[np.integer], most: int, seed: int) -> NDArray[np.intp]:
    """Places of the rows of a sample, ascending."""
    if len(codes) <= most:
        return np.arange(len(codes))
    order = np.random.default_rng([seed, 0x50B]).permutation(len(codes))
    share = most / len(codes)
    kept = []
    for label in np.unique(codes):
        places = order[codes[order] == label]
        kept.append(places[: max(min(2, len(places)), int(share * len(places)))])
    return np.sort(np.concatenate(kept))
