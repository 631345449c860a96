"""Which parts of a circuit make its expectations: Shapley values of gates and of qubits.

A part's value is measured by what a circuit of some parts alone gives, ``v(S) = 1 - D(S) / D(none)`` with the mean
squared distance D of its expectations from those of the whole circuit over random parameters: 0 for no gate at all, 1
for the whole. A share is the mean gain in v when the part joins, over all orders of joining; shares add up to 1. A
negative one belongs to a part that others must make good again.

Up to 8 parts all subsets are taken; beyond, drawn orders each beside its reverse. Intervals of confidence 95 % are for
other random parameters too: a share is a ratio of two means over them, whose variance is that of ``gain - share * D``
over samples (Cochran, Sampling Techniques (3rd ed. 1977), sec. 6.4); that over pairs of orders is added where they are
drawn. Source: Heese et al., Quantum Mach. Intell. 7 (2025), arXiv 2301.09138; Castro, Gomez and Tejada, Comput. Oper.
Res. 36 (2009) 1726.
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
        error: half the width of the interval of confidence 95 %, of random parameters and drawn orders.
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
    distance: dict[tuple[bool, ...], Floats] = {}

    def away(parts: Sequence[bool]) -> Floats:
        absent = marked[~np.asarray(parts, dtype=bool)].any(axis=0)
        keep = ~absent if joined else marked[np.asarray(parts, dtype=bool)].any(axis=0)
        key = tuple(keep.tolist())
        if key not in distance:
            distance[key] = np.mean((expectations(key) - whole) ** 2, axis=1)  # (n_samples,)
        return distance[key]

    none = away([False] * len(names))
    scale = float(none.mean())
    if scale <= _NOTHING:
        return tuple(Share(name, 0.0, 0.0) for name in names)

    def gain(parts: Sequence[bool]) -> Floats:
        return none - away(parts)

    exact = len(names) <= _ALL_SUBSETS
    gains = _over_subsets(gain, len(names))[None] if exact else _over_orders(gain, len(names), seed)
    shares = gains.mean(axis=(0, 2)) / scale
    errors = _errors(gains, shares, none)
    found = [Share(*one) for one in zip(names, shares.tolist(), errors.tolist(), strict=True)]
    return tuple(sorted(found, key=lambda one: -one.share))


def _errors(gains: Floats, shares: Floats, none: Floats) -> Floats:
    """Half widths of the intervals of shares ``(n_parts,)``, from gains ``(n_pairs, n_parts, n_samples)``."""
    n_pairs, _, n_samples = gains.shape
    variance, freedom = np.zeros(len(shares)), []
    if n_samples > 1:
        off = gains.mean(axis=0) - shares[:, None] * none
        variance += (off**2).sum(axis=1) / (n_samples * (n_samples - 1))
        freedom.append(n_samples - 1)
    if n_pairs > 1:
        variance += gains.mean(axis=2).var(axis=0, ddof=1) / n_pairs
        freedom.append(n_pairs - 1)
    if not freedom:
        return variance
    reach: Floats = float(stdtrit(min(freedom), 0.5 + _CONFIDENCE / 2.0)) * np.sqrt(variance) / float(none.mean())
    return reach


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


def _over_subsets(value: Callable[[Sequence[bool]], Floats], n: int) -> Floats:
    """Shapley values of each sample ``(n_parts, n_samples)``."""
    shares: Floats = np.zeros((n, len(value([True] * n))))
    for size in range(n + 1):
        for chosen in combinations(range(n), size):
            worth = value([part in chosen for part in range(n)])
            for part in range(n):
                without = size - (part in chosen)
                weight = math.factorial(without) * math.factorial(n - without - 1) / math.factorial(n)
                shares[part] += weight * worth if part in chosen else -weight * worth
    return shares


def _over_orders(value: Callable[[Sequence[bool]], Floats], n: int, seed: int) -> Floats:
    """Mean gains in each drawn order and its reverse, ``(n_pairs, n_parts, n_samples)``."""
    rng = np.random.default_rng(seed)
    pairs = np.zeros((_PAIRS, n, len(value([True] * n))))
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
    return pairs
