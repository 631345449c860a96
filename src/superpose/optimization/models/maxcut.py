"""Maximum cut: parts of a graph such that the edges between them weigh most."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError
from superpose.optimization.budgets import OnStep
from superpose.optimization.models.base import Bits, ClassicalResult, Decoded, Model
from superpose.optimization.models.numbers import as_numbers, as_whole_numbers
from superpose.optimization.quadratic import Pairs, QuadraticProblem

__all__ = ["MaxCut"]

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
MAX_NODES: Final = 1_000_000


class MaxCut(Model[Bits]):
    """Maximise the weight of the edges whose ends lie in different parts.

    Args:
        n_nodes: Number of nodes, at most a million.
        edges: Node pairs ``(n_edges, 2)``, counted from 0; an edge that stands twice has the sum of the weights.
        weights: One for each edge; default 1.
        name: Of the graph.
        reference: Best cut known.

    A solution is the part, 0 or 1, of each node.

    >>> MaxCut(3, [[0, 1], [1, 2], [0, 2]]).value(np.array([0, 1, 1], np.uint8))
    2.0
    """

    kind: ClassVar[str] = "maxcut"

    def __init__(
        self,
        n_nodes: int,
        edges: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        *,
        name: str = "graph",
        reference: float | None = None,
    ) -> None:
        ends = as_whole_numbers("Edges", edges)
        if ends.size and (ends.ndim != 2 or ends.shape[1] != 2):
            raise ProblemError(f"Edges are pairs of nodes, got shape {ends.shape}.")
        ends = ends.reshape(-1, 2)
        values = np.ones(len(ends)) if weights is None else as_numbers("Weights", weights)
        n_nodes = int(as_whole_numbers("Numbers of nodes", n_nodes))
        if values.shape != (len(ends),):
            raise ProblemError(f"Each of {len(ends)} edges has one weight, got {values.size}.")
        if n_nodes < 2 or not len(ends):
            raise ProblemError("A cut needs at least two nodes and an edge.")
        loop = np.flatnonzero(ends[:, 0] == ends[:, 1])
        if loop.size:
            raise ProblemError(f"Edge {int(loop[0]) + 1} joins a node with itself; no cut cuts it, so leave it out.")
        if ends.min() < 0 or ends.max() >= n_nodes:
            raise ProblemError(f"Edges join nodes 0 to {n_nodes - 1}, got one of {ends.min()} to {ends.max()}.")
        if n_nodes > MAX_NODES:
            raise ProblemError(f"A graph has at most {MAX_NODES:,} nodes, counted from 0; got {n_nodes:,}.")
        self.pairs = Pairs(ends[:, 0], ends[:, 1], values, n_nodes)
        self.n_nodes, self.sense, self.name, self.reference = n_nodes, "max", name, reference
        order = np.argsort(np.concatenate([self.pairs.rows, self.pairs.cols]), kind="stable")
        self._neighbours = np.concatenate([self.pairs.cols, self.pairs.rows])[order]
        degrees = np.bincount(self.pairs.rows, minlength=n_nodes) + np.bincount(self.pairs.cols, minlength=n_nodes)
        self._starts = np.concatenate([[0], np.cumsum(degrees)])

    @property
    def n_variables(self) -> int:
        """One for each node."""
        return self.n_nodes

    @property
    def amounts(self) -> Floats:
        """All weights."""
        return self.pairs.values

    @property
    def terms_size(self) -> float:
        """Of all weights."""
        return float(np.abs(self.pairs.values).sum())

    def _build(self) -> QuadraticProblem:
        n, pairs = self.n_nodes, self.pairs
        linear = np.bincount(pairs.rows, pairs.values, n) + np.bincount(pairs.cols, pairs.values, n)
        quadratic = Pairs(pairs.rows, pairs.cols, -2 * pairs.values, n)
        return QuadraticProblem(
            linear, quadratic, sense="max", names=[f"node{k + 1}" for k in range(n)], name=self.name
        )

    def decode(self, bits: Bits) -> Decoded[Bits]:
        """Every bit string is a cut."""
        return Decoded(np.asarray(bits, np.uint8), self.value(bits), False)

    def encode(self, solution: Bits) -> Bits:
        """The parts themselves."""
        return np.asarray(solution, np.uint8)

    def value(self, solution: Bits) -> float:
        """Weight of the edges that are cut."""
        parts = np.asarray(solution)
        return float(self.pairs.values @ (parts[self.pairs.rows] != parts[self.pairs.cols]))

    def start(self, rng: np.random.Generator) -> Bits:
        """Parts drawn at random."""
        return rng.integers(0, 2, self.n_nodes, np.uint8)

    def neighbourhood(self, bits: Bits, size: int, rng: np.random.Generator) -> Indices:
        """A connected patch around a random node, grown breadth first, neighbours in random order."""
        found: dict[int, None] = {}
        queue: list[int] = []
        while len(found) < min(size, self.n_nodes):
            if not queue:
                queue = [int(rng.integers(self.n_nodes))]
            node = queue.pop(0)
            if node in found:
                continue
            found[node] = None
            near = self._neighbours[self._starts[node] : self._starts[node + 1]]
            queue += [int(k) for k in rng.permutation(near) if int(k) not in found]
        return np.array(sorted(found), np.int64)

    def classical(self, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[Bits]:
        """Colouring, HiGHS or tabu search; bounds: weights above 0, and the largest eigenvalue."""
        from superpose.optimization.classical.cuts import best_cut

        return best_cut(self, limit_s, seed, on_step)

    def to_json(self, solution: Bits) -> dict[str, Any]:
        """Nodes of part 1, counted from 1."""
        return {"part": (np.flatnonzero(solution) + 1).tolist()}
