"""Where to cut: the search for the parts of a circuit whose joining again costs least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["QUBIT_OVERHEAD", "Parts", "Timeline", "find_parts"]

QUBIT_OVERHEAD = 16.0
"""``gamma**2`` of a cut qubit without communication between its ends."""
_TRIES_PER_NODE = 120
_MOST_TRIES = 24_000
_LEAST_TRIES = 1_500
_TOO_WIDE = 50.0  # what a qubit too many costs, in units of log(overhead)
_A_PART = 1e-3  # so that fewer parts are better at equal overhead
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Timeline:
    """The ends of the operations that join qubits, as nodes; those of one qubit follow each other in time.

    Attributes:
        qubits: Of each node, ``(n_nodes,)``; nodes stand qubit by qubit, in the order of time.
        pairs: Nodes that a gate joins which can be cut, ``(n_gates, 2)``.
        costs: ``log(gamma**2)`` of cutting each of those, ``(n_gates,)``.
        tied: Nodes that must stay together, ``(n_ties, 2)``.
        reads: Whether a cut gate takes a qubit more on each of its sides, to be measured.
    """

    qubits: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]
    costs: npt.NDArray[np.float64]
    tied: npt.NDArray[np.int64]
    reads: bool
    follows: npt.NDArray[np.int64] = field(init=False)
    """Nodes that have one before them on the same qubit: where that can be cut."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "follows", np.flatnonzero(self.qubits[1:] == self.qubits[:-1]) + 1)

    def widths(self, labels: Labels) -> npt.NDArray[np.int64]:
        """Qubits that each part takes, ``(n_labels,)``: stretches between cuts, and those to be measured."""
        begins = np.ones(len(labels), np.bool_)
        begins[self.follows] = labels[self.follows] != labels[self.follows - 1]
        out = np.bincount(labels[begins], minlength=int(labels.max(initial=0)) + 1)
        if self.reads and len(self.pairs):
            cut = labels[self.pairs[:, 0]] != labels[self.pairs[:, 1]]
            out = out + np.bincount(labels[self.pairs[cut].reshape(-1)], minlength=len(out))
        return out

    def cost(self, labels: Labels) -> float:
        """``log`` of the overhead, infinite where what cannot be cut is."""
        if len(self.tied) and (labels[self.tied[:, 0]] != labels[self.tied[:, 1]]).any():
            return math.inf
        total = math.log(QUBIT_OVERHEAD) * int((labels[self.follows] != labels[self.follows - 1]).sum())
        if len(self.pairs):
            total += float(self.costs[labels[self.pairs[:, 0]] != labels[self.pairs[:, 1]]].sum())
        return total


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A way to cut.

    Attributes:
        labels: The part of each node, ``(n_nodes,)``.
        cost: ``log`` of the overhead.
        fits: Whether every part is narrow enough.
    """

    labels: Labels
    cost: float
    fits: bool


def find_parts(timeline: Timeline, max_qubits: int) -> Parts:
    """Return parts of at most ``max_qubits`` qubits, with the smallest overhead that was found.

    Beginnings are contiguous runs of qubits (in their own order and in that of the Fiedler vector of the graph of
    gates) with the fewest gates between them, and runs of gates in the order of time, which cut qubits. From each,
    simulated annealing (seeded) moves stretches of qubits and gates between parts; that finds what is best in small
    circuits (the tests compare with all ways) and something good in large ones.

    Cost: some tenths of a second for a hundred gates.
    """
    n_nodes = len(timeline.qubits)
    if not n_nodes:
        return Parts(np.zeros(0, np.int64), 0.0, True)
    anneal = _Annealing(timeline, max_qubits)
    n_qubits = len(np.unique(timeline.qubits))
    least = max(1, -(-n_qubits // max_qubits))
    found = [anneal.judged(_components(timeline))]
    if found[0].fits:
        return found[0]
    found += [anneal.judged(start) for start in _beginnings(timeline, max_qubits)]
    one_cut = min([math.log(QUBIT_OVERHEAD), *timeline.costs.tolist()])
    best = min(found, key=_order)
    if best.fits and best.cost <= one_cut + 1e-12:  # at least one cut is needed
        return best
    for n_parts in range(max(2, least), least + 3):
        near = [one for one in found if int(one.labels.max()) < n_parts]
        start = min(near, key=_order).labels if near else np.zeros(n_nodes, np.int64)
        found.append(anneal.run(start, n_parts))
    return min(found, key=_order)


def _order(parts: Parts) -> tuple[bool, float, int]:
    return not parts.fits, round(parts.cost, 9), int(parts.labels.max(initial=0))


class _Annealing:
    """Moves of stretches and gates between parts, accepted as they pay or by chance while it is hot."""

    def __init__(self, timeline: Timeline, max_qubits: int) -> None:
        self.timeline, self.max_qubits = timeline, max_qubits
        n = len(timeline.qubits)
        self.partner: list[list[int]] = [[] for _ in range(n)]
        for a, b in (*timeline.pairs.tolist(), *timeline.tied.tolist()):
            self.partner[a].append(b)
            self.partner[b].append(a)
        self.bounds = [
            (int(np.searchsorted(timeline.qubits, q, "left")), int(np.searchsorted(timeline.qubits, q, "right")))
            for q in range(int(timeline.qubits.max()) + 1)
        ]
        self.n_tries = min(_MOST_TRIES, max(_LEAST_TRIES, _TRIES_PER_NODE * n))

    def judged(self, labels: Labels) -> Parts:
        widths = self.timeline.widths(labels)
        return Parts(labels, self.timeline.cost(labels), bool((widths <= self.max_qubits).all()))

    def energy(self, labels: Labels) -> float:
        widths = self.timeline.widths(labels)
        over = np.maximum(widths - self.max_qubits, 0).sum()
        return self.timeline.cost(labels) + _TOO_WIDE * float(over) + _A_PART * np.count_nonzero(widths)

    def run(self, start: Labels, n_parts: int) -> Parts:
        rng = np.random.default_rng(n_parts)
        labels, best = start.copy(), start.copy()
        now = least = self.energy(labels)
        for step in range(self.n_tries):
            heat = 6.0 * (0.002 ** (step / self.n_tries))
            moved = self._moved(labels, n_parts, rng)
            after = self.energy(moved)
            if after <= now or rng.random() < math.exp(-(after - now) / heat):
                labels, now = moved, after
                if now < least - 1e-12:
                    best, least = labels, now
        return self.judged(_renumbered(best))

    def _moved(self, labels: Labels, n_parts: int, rng: np.random.Generator) -> Labels:
        """Labels with a node, a stretch of its qubit, or both with their gates' other ends, in another part."""
        out = labels.copy()
        node, label = int(rng.integers(len(labels))), int(rng.integers(n_parts))
        first, last = self.bounds[int(self.timeline.qubits[node])]
        kind = int(rng.integers(5))
        begin, end = ((node, node + 1), (node, last), (first, node + 1), (first, last), (node, node + 1))[kind]
        out[begin:end] = label
        if kind == 4:
            for other in self.partner[node]:
                low, high = self.bounds[int(self.timeline.qubits[other])]
                out[(slice(other, high), slice(low, other + 1), slice(other, other + 1))[int(rng.integers(3))]] = label
        for a, b in self.timeline.tied.tolist():
            if out[a] != out[b]:
                out[a] = out[b] = label
        return out


def _renumbered(labels: Labels) -> Labels:
    found: Labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return found


def _beginnings(timeline: Timeline, max_qubits: int) -> list[Labels]:
    """Ways to cut from which the search sets out."""
    out: list[Labels] = []
    weights = _graph(timeline)
    for order in (np.arange(len(weights)), _fiedler(weights)):
        for spare in range(0, min(3, max_qubits)):
            out.append(_runs(weights, order, max_qubits - spare)[timeline.qubits])
    out += [_in_time(timeline, max_qubits - spare) for spare in range(0, min(3, max_qubits))]
    return [one for one in out if math.isfinite(timeline.cost(one))]


def _components(timeline: Timeline) -> Labels:
    """Nodes that gates and qubits join, uncut."""
    labels = np.unique(timeline.qubits, return_inverse=True)[1].astype(np.int64)
    joins = [*timeline.pairs.tolist(), *timeline.tied.tolist()]
    changed = True
    while changed:
        changed = False
        for a, b in joins:
            if labels[a] != labels[b]:
                labels[labels == max(labels[a], labels[b])] = min(labels[a], labels[b])
                changed = True
    return _renumbered(labels)


def _graph(timeline: Timeline) -> npt.NDArray[np.float64]:
    """What joins each two qubits, ``(n_qubits, n_qubits)``: the summed costs of their gates."""
    n = int(timeline.qubits.max()) + 1
    out = np.zeros((n, n))
    for (a, b), cost in zip(timeline.pairs.tolist(), timeline.costs.tolist(), strict=True):
        out[timeline.qubits[a], timeline.qubits[b]] += cost
    for a, b in timeline.tied.tolist():
        out[timeline.qubits[a], timeline.qubits[b]] += 1e3
    return out + out.T


def _fiedler(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Qubits along the second eigenvector of the graph's Laplacian: those much joined stand near each other."""
    laplacian = np.diag(weights.sum(axis=1)) - weights
    vectors = np.linalg.eigh(laplacian)[1]
    return np.argsort(vectors[:, min(1, len(weights) - 1)], kind="stable").astype(np.int64)


def _runs(weights: npt.NDArray[np.float64], order: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """The part of each qubit: runs of at most ``size`` along ``order`` with the least between them (dynamic
    programming)."""
    n = len(order)
    there = weights[np.ix_(order, order)]
    total = np.zeros((n + 1, n + 1))
    total[1:, 1:] = there.cumsum(0).cumsum(1)
    best, origin = np.full(n + 1, np.inf), np.zeros(n + 1, np.int64)
    best[0] = 0.0
    for end in range(1, n + 1):
        for begin in range(max(0, end - size), end):
            across = total[end, begin] - total[begin, begin]  # gates between this run and those before it
            if best[begin] + across < best[end] - 1e-12:
                best[end], origin[end] = best[begin] + across, begin
    out, end, label = np.zeros(n, np.int64), n, 0
    while end > 0:
        out[order[origin[end] : end]] = label
        end, label = int(origin[end]), label + 1
    return out


def _in_time(timeline: Timeline, size: int) -> Labels:
    """Gates in the order of time, a new part where the qubits of the last are too many: those that go on are cut."""
    out = np.zeros(len(timeline.qubits), np.int64)
    inside: set[int] = set()
    label = 0
    ends = [tuple(sorted(pair)) for pair in (*timeline.pairs.tolist(), *timeline.tied.tolist())]
    for pair in _by_time(timeline, ends):
        qubits = {int(timeline.qubits[node]) for node in pair}
        if len(inside | qubits) > size:
            label, inside = label + 1, set()
        inside |= qubits
        out[list(pair)] = label
    return out


def _by_time(timeline: Timeline, ends: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Pairs in an order in which each stands behind those before it on both qubits."""
    rank = np.zeros(len(timeline.qubits))
    for _ in range(len(ends)):
        before = rank.copy()
        for a, b in ends:
            low = max(
                (rank[node - 1] + 1 for node in (a, b) if node and timeline.qubits[node - 1] == timeline.qubits[node]),
                default=0.0,
            )
            rank[a] = rank[b] = max(rank[a], rank[b], low)
        if (rank == before).all():
            break
    return sorted(ends, key=lambda pair: (rank[pair[0]], timeline.qubits[pair[0]]))
