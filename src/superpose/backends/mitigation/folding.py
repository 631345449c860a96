"""Circuits that do the same with more noise: what was done is undone and done again."""

from __future__ import annotations

from superpose.circuits import Circuit
from superpose.errors import UnsupportedProgramError

__all__ = ["fold"]


def fold(circuit: Circuit, factor: int) -> Circuit:
    """Return ``U (U^dagger U)^k`` with ``k = (factor - 1) / 2``: the same unitary, ``factor`` times the gates.

    Barriers stand between the parts, so that no compiler cancels them. Final measurements stay at the end.

    Args:
        circuit: Gates, and measurements at the end.
        factor: 1, 3, 5, ...

    Raises:
        UnsupportedProgramError: The factor is even or below 1, or the circuit does more than gates and final
            measurements.

    Source: Giurgica-Tiron et al. 2020, arXiv 2005.10921, section IV A (global folding).

    >>> fold(Circuit(1).s(0), 3).instructions[2]
    Instruction(gate='sdg', qubits=(0,), angles=())
    """
    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1 or factor % 2 == 0:
        raise UnsupportedProgramError(f"A circuit is folded by an odd number of at least 1, got {factor!r}.")
    body, finals = circuit.without_final_measurements()
    inverse = body.inverse()
    out = body.copy()
    for _ in range((factor - 1) // 2):
        for part in (inverse, body):
            out.barrier(*range(circuit.n_qubits)).extend(part.instructions)
    return out.extend(finals)
