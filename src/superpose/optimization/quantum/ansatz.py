"""The circuits: QAOA with three mixers, and layers of RY and CZ."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Parameter
from superpose.optimization.qubo import Ising

__all__ = ["qaoa_circuit", "vqe_circuit"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def qaoa_circuit(
    ising: Ising,
    layers: int,
    *,
    scale: float = 1.0,
    groups: Sequence[Indices] = (),
    relaxed: Floats | None = None,
) -> Circuit:
    """Return ``layers`` times ``exp(-i beta M) exp(-i gamma C / scale)`` behind the mixer's own start.

    Without further arguments M is the sum of X and the start is |+> on every qubit (Farhi, Goldstone and Gutmann 2014,
    arXiv:1411.4028). On a group M is ``(XX + YY) / 2`` around its ring, neighbour by neighbour, and the start a W state
    (Wang et al. 2020, arXiv:1904.09314): exactly one of its bits is 1 throughout. With ``relaxed``, qubits outside
    groups start in ``RY(theta)|0>`` with ``sin(theta/2)**2 = relaxed`` and have the mixer that this state belongs to,
    ``sin(theta) X + cos(theta) Z`` (Egger, Marecek and Woerner 2021, arXiv:2009.10095), and W states are weighted by
    it.

    Args:
        ising: The cost C.
        layers: p, 1 or more.
        scale: What C is divided by; expectations are of C itself.
        groups: Disjoint sets of qubits.
        relaxed: A number between 0 and 1 for each qubit.

    Returns:
        A circuit with parameters gamma0, beta0, gamma1, ...; every start state is the mixer's highest, so that beta
        below 0 and gamma above it go downhill.

    >>> from superpose.optimization.quadratic import Pairs
    >>> qaoa_circuit(Ising(np.zeros(2), Pairs([0], [1], [1.0], 2)), 1).parameters
    ('gamma0', 'beta0')
    """
    n = ising.n_variables
    circuit = Circuit(n, name=f"qaoa_{layers}")
    weights = np.full(n, 0.5) if relaxed is None else relaxed
    for group in groups:
        _one_hot_state(circuit, group, weights[group])
    grouped = {int(q) for group in groups for q in group}
    single = [q for q in range(n) if q not in grouped]
    angles = {q: 2 * math.asin(math.sqrt(float(weights[q]))) for q in single}
    for q in single:
        if relaxed is None:
            circuit.h(q)
        else:
            circuit.ry(angles[q], q)
    pairs = ising.couplings
    for layer in range(layers):
        gamma, beta = Parameter(f"gamma{layer}"), Parameter(f"beta{layer}")
        for q in np.flatnonzero(ising.fields):
            circuit.rz(2 * float(ising.fields[q]) / scale * gamma, int(q))
        for i, j, value in zip(pairs.rows, pairs.cols, pairs.values, strict=True):
            circuit.rzz(2 * float(value) / scale * gamma, int(i), int(j))
        for group in groups:
            for i, j in _ring(group):
                circuit.rxx(beta, i, j).ryy(beta, i, j)
        for q in single:
            if relaxed is None:
                circuit.rx(2 * beta, q)
            else:
                circuit.ry(-angles[q], q).rz(2 * beta, q).ry(angles[q], q)
    return circuit


def vqe_circuit(n_qubits: int, layers: int) -> Circuit:
    """Return RY on every qubit, then ``layers`` times CZ along the line and RY on every qubit.

    Source: Kandala et al. 2017, arXiv:1704.05018, with rotations that keep amplitudes real: costs are diagonal.

    >>> vqe_circuit(2, 1).n_params
    4
    """
    circuit = Circuit(n_qubits, name=f"vqe_{layers}")
    for layer in range(layers + 1):
        if layer:
            for q in range(n_qubits - 1):
                circuit.cz(q, q + 1)
        for q in range(n_qubits):
            circuit.ry(Parameter(f"theta{layer}_{q}"), q)
    return circuit


def _one_hot_state(circuit: Circuit, group: Indices, weights: Floats) -> None:
    """Sum over the group's qubits of ``sqrt(weight)`` times the state in which this one is 1."""
    qubits = [int(q) for q in group]
    shares = weights / weights.sum()
    circuit.x(qubits[0])
    left = 1.0
    for k in range(len(qubits) - 1):
        stay = min(1.0, float(shares[k]) / left)
        circuit.cry(2 * math.acos(math.sqrt(stay)), qubits[k], qubits[k + 1]).cx(qubits[k + 1], qubits[k])
        left = max(left - float(shares[k]), 1e-15)


def _ring(group: Indices) -> list[tuple[int, int]]:
    """Neighbours around a ring, first those that begin at even places."""
    qubits = [int(q) for q in group]
    k = len(qubits)
    if k < 2:
        return []
    pairs = [(qubits[a], qubits[(a + 1) % k]) for a in range(k if k > 2 else 1)]
    return pairs[0::2] + pairs[1::2]
