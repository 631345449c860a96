"""Which parts of a circuit make its expectations: Shapley values of gates and of qubits.

A part's value is measured by what a circuit of some parts alone gives, ``v(S) = 1 - D(S) / D(none)`` with the mean
squared distance D of its expectations from those of the whole circuit over random parameters: 0 for no gate at all, 1
for the whole. A share is the mean gain in v when the part joins, over all orders of joining; shares add up to 1. A
negative one belongs to a part that others must make good again.

Up to 8 parts all subsets are taken, and the shares are exact for the parameters drawn; beyond, drawn orders each
beside its reverse, with an interval of confidence 95 % from Student's t over those pairs. Source: Heese et al.,
Quantum Mach. Intell. 7 (2025), arXiv 2301.09138; Castro, Gomez and Tejada, Comput. Oper. Res. 36 (2009) 1726.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from superpose.circuits import Instruction

__all__ = ["MOST_PARTS", "Share", "gate_groups", "shapley_shares"]

Floats = NDArray[np.float64]
Expectations = Callable[[Sequence[bool]], Floats]

MOST_PARTS = 12
_ALL_SUBSETS = 8
_PAIRS = 16
_CONFIDENCE = 0.95
_NOTHING = 1e-18


@dataclass(frozen=True)
class Share:
    """What a part contributes.

    Attributes:
        part: gates with their places, or a qubit.
        share: of what the circuit does to its expectations.
        error: half the width of the interval of confidence 95 %; 0 where all subsets were taken.
    """

    part: str
    share: float
    error: float


def shapley_shares(
    expectations: Expectations, names: Sequence[str], members: Sequence[Sequence[bool]], seed: int, *, joined: bool
) -> tuple[Share, ...]:
    """Shares of parts, the largest first.

    Args:
        expectations: ``(n_samples, n_observables)`` of the circuit with only the gates that are marked.
        names: of the parts.
        members: for each part which gates it has, ``(n_parts, n_gates)``.
        seed: of the orders.
        joined: whether a gate is there only when all parts that have it are (a gate on two qubits); else each gate
            belongs to one part.

    Cost: a compilation (milliseconds) for each subset: ``2**n_parts`` up to 8 parts, else at most ``32 * n_parts``.
    """
    marked = np.asarray(members, dtype=bool).reshape(len(names), -1)
    whole = expectations([True] * marked.shape[1])
    distance: dict[tuple[bool, ...], float] = {}

    def away(parts: Sequence[bool]) -> float:
        absent = marked[~np.asarray(parts, dtype=bool)].any(axis=0)
        keep = ~absent if joined else marked[np.asarray(parts, dtype=bool)].any(axis=0)
        key = tuple(keep.tolist())
        if key not in distance:
            distance[key] = float(np.mean((expectations(key) - whole) ** 2))
        return distance[key]

    none = away([False] * len(names))
    if none <= _NOTHING:
        return tuple(Share(name, 0.0, 0.0) for name in names)

    def value(parts: Sequence[bool]) -> float:
        return 1.0 - away(parts) / none

    exact = len(names) <= _ALL_SUBSETS
    shares, errors = _over_subsets(value, len(names)) if exact else _over_orders(value, len(names), seed)
    found = [Share(*one) for one in zip(names, shares.tolist(), errors.tolist(), strict=True)]
    return tuple(sorted(found, key=lambda one: -one.share))


def gate_groups(calls: Sequence[Instruction]) -> tuple[list[str], list[list[bool]]]:
    """Names and members of at most 12 groups: single gates, else runs of one gate, else neighbouring runs together."""
    groups = [[place] for place in range(len(calls))]
    if len(groups) > MOST_PARTS:
        groups = []
        for place, call in enumerate(calls):
            if groups and calls[groups[-1][0]].gate == call.gate:
                groups[-1].append(place)
            else:
                groups.append([place])
    if len(groups) > MOST_PARTS:
        parted = np.array_split(np.arange(len(groups)), MOST_PARTS)
        groups = [[place for run in part for place in groups[run]] for part in parted]
    names = [_words(calls, group) for group in groups]
    return names, [[place in set(group) for place in range(len(calls))] for group in groups]


def _words(calls: Sequence[Instruction], group: Sequence[int]) -> str:
    first = calls[group[0]]
    if len(group) == 1:
        return f"{group[0]}: {first.gate} {', '.join(map(str, first.qubits))}"
    kinds = list(dict.fromkeys(calls[place].gate for place in group))
    return f"{group[0]} to {group[-1]}: {', '.join(kinds[:4])}{', ...' if len(kinds) > 4 else ''}"


def _over_subsets(value: Callable[[Sequence[bool]], float], n: int) -> tuple[Floats, Floats]:
    shares = np.zeros(n)
    for size in range(n + 1):
        for chosen in combinations(range(n), size):
            worth = value([part in chosen for part in range(n)])
            for part in range(n):
                without = size - (part in chosen)
                weight = math.factorial(without) * math.factorial(n - without - 1) / math.factorial(n)
                shares[part] += weight * worth if part in chosen else -weight * worth
    return shares, np.zeros(n)


def _over_orders(value: Callable[[Sequence[bool]], float], n: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    pairs = np.zeros((_PAIRS, n))
    for pair in pairs:
        drawn = rng.permutation(n)
        for order in (drawn, drawn[::-1]):
            there = [False] * n
            before = value(there)
            for part in order:
                there[part] = True
                after = value(there)
                pair[part] += 0.5 * (after - before)
                before = after
    spread = pairs.std(axis=0, ddof=1) / math.sqrt(_PAIRS)
    return pairs.mean(axis=0), spread * float(stdtrit(_PAIRS - 1, 0.5 + _CONFIDENCE / 2.0))
