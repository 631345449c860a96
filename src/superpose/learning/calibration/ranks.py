"""How far held-out scores bind new ones where rows of one group, such as a patient, hang together. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bound_of", "members_of"]

Floats = NDArray[np.float64]
Groups = NDArray[np.integer]


def members_of(n_rows: int, groups: Groups | None) -> tuple[NDArray[np.intp], int]:
    """The number of each row's group, ``(n_rows,)``, from 0, and how many groups there are; without any, rows are."""
    if groups is None:
        return np.arange(n_rows), n_rows
    names, members = np.unique(groups, return_inverse=True)
    return np.asarray(members, dtype=np.intp), len(names)


def bound_of(scores: Floats, share: float, groups: Groups | None = None) -> tuple[float, float]:
    """The smallest held-out score that a new one is not above with a probability of at least ``share``.

    Of ``K`` groups each weighs ``1 / (K + 1)``, its rows equal parts of that; what is left of 1 stands for a new score
    that could be anything. The bound is the smallest score at which the weights up to it reach ``share``. It holds for
    a row picked at random from a new group, if the groups are exchangeable, however rows of one hang together. Without
    groups it is the ``ceil((n + 1) * share)``-th smallest score.

    Args:
        scores: of held-out rows, ``(n_rows,)``, at least one.
        share: above 0 and below 1.
        groups: which rows belong together, any integers ``(n_rows,)``; None if each stands for itself.

    Returns:
        The bound, and the share that it promises: less than asked, at the largest score, of too few groups.

    Source: Lee, Barber and Willett 2023, arXiv 2306.06342 (hierarchical conformal prediction); without groups Vovk,
    Gammerman and Shafer 2005.
    """
    members, n_groups = members_of(len(scores), groups)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum((1.0 / np.bincount(members))[members[order]])  # in rows' worth of a group
    wanted = (n_groups + 1) * share - 1e-9  # a rounding error does not make it one row more
    place = min(int(np.searchsorted(reached, wanted, side="left")), len(scores) - 1)
    promised = reached[place] / (n_groups + 1)
    return float(scores[order[place]]), float(min(promised, n_groups / (n_groups + 1)))
