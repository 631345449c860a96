"""Exact means and covariances of what one shot of every measurement setting tells of a circuit's observables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from superpose.backends.grouping import group_terms
from superpose.circuits import Observable
from superpose.engine import compile_program
from superpose.errors import ExplanationError
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["shot_covariances"]

Floats = NDArray[np.float64]

_MOST_STRINGS = 20_000


def shot_covariances(block: QuantumBlock, angles: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Exact expectations of a circuit's observables and their covariances in one shot of every setting.

    Args:
        block: the circuit.
        angles: ``(n_rows, n_angles)``, in radians.
        weights: ``(n_weights,)``.

    Returns:
        ``(n_rows, n_observables)`` and ``(n_rows, n_observables, n_observables)``.

    Raises:
        ExplanationError: the observables have too many terms.
    """
    groups, constants = group_terms(block.observables)
    n_qubits, n_observables = block.circuit.n_qubits, len(block.observables)
    pairs = {
        _product(first, second)
        for group in groups
        for _, first, _ in group.terms
        for _, second, _ in group.terms
        if first <= second
    }
    strings = sorted({pauli for group in groups for _, pauli, _ in group.terms} | pairs)
    if len(strings) > _MOST_STRINGS:
        raise ExplanationError(
            f"The observables need {len(strings):,} Pauli strings; at most {_MOST_STRINGS:,} are computed."
        )
    program = compile_program(
        block.circuit,
        [Observable(s, n_qubits) for s in strings] or block.observables,
        inputs=block.angle_names,
        dtype="float64",
    )
    values = dict(zip(strings, np.asarray(program.expectation(angles, weights), dtype=np.float64).T, strict=False))
    means = np.tile(constants, (len(angles), 1))
    spread = np.zeros((len(angles), n_observables, n_observables))
    for group in groups:
        for i, first, a in group.terms:
            means[:, i] += a * values[first]
            for j, second, b in group.terms:
                spread[:, i, j] += a * b * (values[_product(first, second)] - values[first] * values[second])
    return means, spread


def _product(first: str, second: str) -> str:
    """Of two strings that commute qubit by qubit: no phase, equal letters cancel."""
    return "".join(b if a == "I" else a if b == "I" else "I" for a, b in zip(first, second, strict=True))
