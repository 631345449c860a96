"""What tree-shaped and amplitude-encoded circuits are read by: products of Z on the few qubits that are left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from superpose.circuits import Observable

__all__ = ["n_kept_for", "z_products"]


def n_kept_for(n_classes: int, n_qubits: int) -> int:
    """Qubits that tell ``n_classes`` apart, one for two; at most ``n_qubits``."""
    return min(max(1, (n_classes - 1).bit_length()), n_qubits)


def z_products(qubits: Sequence[int], n_qubits: int) -> tuple[Observable, ...]:
    """Products of Z on every non-empty subset of ``qubits``: what a diagonal measurement of them can say."""
    subsets = [subset for size in range(1, len(qubits) + 1) for subset in combinations(qubits, size)]
    return tuple(
        Observable({"".join("Z" if q in subset else "I" for q in range(n_qubits)): 1.0}, n_qubits) for subset in subsets
    )
