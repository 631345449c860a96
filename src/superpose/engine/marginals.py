"""Probabilities of the bits of some of the qubits."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.circuits.wording import shown
from superpose.engine.arrays import Array
from superpose.errors import QubitOutOfRangeError

__all__ = ["checked_qubits", "marginal"]


def checked_qubits(qubits: Sequence[int] | None, n_qubits: int) -> tuple[int, ...]:
    """Return the qubits asked for, all of them for None.

    Raises:
        QubitOutOfRangeError: They are none, repeat, or are not in ``0 .. n_qubits - 1``.
    """
    chosen = tuple(range(n_qubits)) if qubits is None else tuple(int(q) for q in qubits)
    if not chosen or len(set(chosen)) != len(chosen) or not all(0 <= q < n_qubits for q in chosen):
        raise QubitOutOfRangeError(
            f"qubits must be distinct numbers in 0 .. {n_qubits - 1}, at least one, got {shown(chosen)}.",
            qubits=list(chosen)[:100],
            n_qubits=n_qubits,
        )
    return chosen


def marginal(probabilities: Array, chosen: tuple[int, ...]) -> Array:
    """Return the probabilities of the bits of some qubits, ``(batch, 2**k)``, the first qubit the most significant.

    Args:
        probabilities: ``(batch, 2**n_qubits)``.
        chosen: The k qubits, checked.
    """
    n_qubits = probabilities.shape[1].bit_length() - 1
    if chosen == tuple(range(n_qubits)):
        return probabilities
    others = tuple(q for q in range(n_qubits) if q not in set(chosen))
    axes = (0, *(1 + q for q in chosen), *(1 + q for q in others))
    moved = probabilities.reshape(len(probabilities), *(2,) * n_qubits).transpose(axes)
    found: Array = moved.reshape(len(probabilities), 1 << len(chosen), -1).sum(axis=2)
    return found
