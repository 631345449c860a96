"""Maximum cuts: colouring, tabu search and CP-SAT, and bounds that need no search."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, eigsh

from superpose.optimization.budgets import OnStep
from superpose.optimization.classical.bits import best_bits
from superpose.optimization.models.base import ClassicalResult

if TYPE_CHECKING:
    from superpose.optimization.models.maxcut import MaxCut

__all__ = ["best_cut", "bipartition", "cut_bound"]

Bits = npt.NDArray[np.uint8]

MAX_PROVED_EDGES = 250


def best_cut(model: MaxCut, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[Bits]:
    """Return two colours where they cut every edge of a graph with weights above 0; else what search finds.

    Up to 250 edges HiGHS tries to prove first; graphs are searched by tabu, and bounded by `cut_bound`.
    """
    parts = bipartition(model) if np.all(model.pairs.values >= 0) else None
    if parts is not None:
        return ClassicalResult(parts, model.value(parts), "two-colouring")  # every edge is cut
    bound = cut_bound(model)
    found = best_bits(model.problem, limit_s, seed, on_step, proving=len(model.pairs) <= MAX_PROVED_EDGES)
    return replace(found, bound=bound if found.bound is None else min(bound, found.bound))


def cut_bound(model: MaxCut) -> float:
    """Return an upper bound of all cuts: the weights above 0, or ``n / 4`` times the Laplacian's largest eigenvalue.

    Source: Mohar and Poljak, Eigenvalues and the max-cut problem, Czechoslovak Math. J. 40 (1990).
    """
    pairs, n = model.pairs, model.n_nodes
    positive = float(np.maximum(pairs.values, 0).sum())
    if positive == 0:  # the cut of no edge
        return 0.0
    both = coo_array(
        (np.tile(pairs.values, 2), (np.r_[pairs.rows, pairs.cols], np.r_[pairs.cols, pairs.rows])), shape=(n, n)
    ).tocsr()
    laplacian = diags_array(np.asarray(both.sum(axis=1)).reshape(-1)) - both
    bound = min(positive, n / 4 * _largest(laplacian.tocsr()))
    whole = bool(np.all(pairs.values == np.rint(pairs.values)))
    return float(np.floor(bound * (1 + 1e-12) + 1e-6)) if whole else bound  # what rounding takes away is given back


def _largest(matrix: Any) -> float:
    """The largest eigenvalue of a symmetric matrix, rounded up; infinity where none is found.

    Lanczos' method can end at another eigenvalue only if it begins orthogonal to the largest one's vectors, so that
    it begins in a direction drawn at random, which no order of the nodes knows.
    """
    n = matrix.shape[0]
    if n <= 50:
        return float(np.linalg.eigvalsh(matrix.toarray())[-1])
    try:
        values, vectors = eigsh(matrix.astype(np.float64), k=1, which="LA", v0=np.random.default_rng(0).normal(size=n))
    except ArpackError:  # eigenvalues too close to one another for its iterations
        return float("inf")
    missed = float(np.linalg.norm(matrix @ vectors[:, 0] - values[0] * vectors[:, 0]))
    return float(values[0]) + missed + 1e-9 * abs(float(values[0]))


def bipartition(model: MaxCut) -> Bits | None:
    """Return parts such that every edge joins two of them, or None where a cycle of odd length forbids it.

    Cost: linear in nodes and edges, whatever the number of components: a search of the graph's double cover, whose
    edges lead from one copy of a node to the other copy of its neighbour. A component with an odd cycle has one
    component there; any other has two, one for each colour of its first node.
    """
    pairs, n = model.pairs, model.n_nodes
    ends = (np.r_[pairs.rows, pairs.cols], np.r_[pairs.cols, pairs.rows] + n)
    cover = coo_array((np.ones(len(ends[0])), ends), shape=(2 * n, 2 * n)).tocsr()
    labels = connected_components(cover, directed=False)[1]
    here, there = labels[:n], labels[n:]
    return None if np.any(here == there) else (here > there).astype(np.uint8)
