"""Exact means and covariances of what one shot of every measurement setting tells of a circuit's observables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from superpose.backends.grouping import group_terms
from superpose.circuits import Observable
from superpose.engine import compile_program
from superpose.errors import ExplanationError
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["rows_at_once", "shot_covariances", "shot_variances"]

Floats = NDArray[np.float64]

_MOST_STRINGS = 20_000
_COVARIANCES = 2**23
"""Of all rows that are worked on together, 64 MB."""


def rows_at_once(n_observables: int) -> int:
    """Rows whose covariances may stand in memory together: of all Pauli strings on 5 qubits 8."""
    return max(1, _COVARIANCES // max(1, n_observables**2))


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
    return _moments(block, angles, weights, every=True)


def shot_variances(block: QuantumBlock, angles: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """The same with the variances alone, ``(n_rows, n_observables)`` twice: less work, and memory of each row."""
    return _moments(block, angles, weights, every=False)


def _moments(block: QuantumBlock, angles: Floats, weights: Floats, *, every: bool) -> tuple[Floats, Floats]:
    groups, constants = group_terms(block.observables)
    n_qubits, n_observables = block.circuit.n_qubits, len(block.observables)
    pairs = {
        _product(first, second)
        for group in groups
        for i, first, _ in group.terms
        for j, second, _ in group.terms
        if first <= second and (every or i == j)
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
    spread = np.zeros((len(angles), n_observables, n_observables) if every else (len(angles), n_observables))
    for group in groups:
        for i, first, a in group.terms:
            means[:, i] += a * values[first]
            for j, second, b in group.terms:
                if every or i == j:
                    place = (slice(None), i, j) if every else (slice(None), i)
                    spread[place] += a * b * (values[_product(first, second)] - values[first] * values[second])
    return means, spread


def _product(first: str, second: str) -> str:
    """Of two strings that commute qubit by qubit: no phase, equal letters cancel."""
    return "".join(b if a == "I" else a if b == "I" else "I" for a, b in zip(first, second, strict=True))
