"""From the engine's states, in tiles and without the frame, to those of the circuit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.engine.lowering import Lowered

__all__ = ["basis_indices", "logical_states", "probabilities"]

Array = npt.NDArray[Any]


def basis_indices(lowered: Lowered) -> npt.NDArray[np.int64]:
    """Return ``p`` with ``F|j> = phase_j |p_j>``, int64 ``(2**n_qubits,)``.

    ``F^-1 Z_q F`` is a sign times ``Z^z``: bit q of ``p_j`` is the parity of ``j & z``, turned round by the sign. So ``p``
    is linear over bits up to ``p_0``, and doubles bit by bit.
    """
    n = lowered.n_qubits
    out = np.array([lowered.frame.origin], dtype=np.int64)
    for bit in range(n):
        column = sum(1 << (n - 1 - q) for q, (_, z, _) in enumerate(lowered.frame.z) if z >> bit & 1)
        out = np.concatenate([out, out ^ column])
    return out


def _phases(lowered: Lowered) -> npt.NDArray[np.int64]:
    """Return the quarter turns of ``F|j> = i^turns_j |p_j>``, int64 ``(2**n_qubits,)``.

    ``F X_b = P F`` where P, a Pauli string, is found by inverting the frame bit by bit: from
    ``X_q F|j> = F i^k X^x Z^z|j>`` follows ``turns_(j ^ x) = turns_j - k - 2 parity(j & z)`` for every qubit q, and the
    ``x`` of all qubits span all bits.
    """
    n = lowered.n_qubits
    turns = np.zeros(1 << n, dtype=np.int64)
    turns[0] = lowered.frame.quarters
    reached = np.zeros(1, dtype=np.int64)
    for x, z, k in lowered.frame.x:
        parity = np.bitwise_count(reached & z) & 1
        turns[reached ^ x] = turns[reached] - k - 2 * parity.astype(np.int64)
        reached = np.concatenate([reached, reached ^ x])
    return turns & 3


def _amplitudes(saved: Array, n_rows: int, batch: int) -> tuple[Array, Array]:
    """Return real and imaginary parts, ``(batch, n_rows)``, of tiles ``(n_tiles, rows * 2 * lanes)``."""
    lanes = 16 if saved.dtype == np.float32 else 8
    tiles = saved.reshape(len(saved), -1, 2, lanes)[:, :n_rows]  # (tile, row, part, lane)
    parts = tiles.transpose(2, 0, 3, 1).reshape(2, -1, n_rows)[:, :batch]  # (part, sample, row)
    return parts[0], parts[1]


def logical_states(
    lowered: Lowered,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    saved: Array,
    inputs: Array,
    weights: Array,
    dtype: Any,
) -> Array:
    """Return complex ``(batch, 2**n_qubits)``: the frame and the global phase applied."""
    batch = len(inputs)
    real, imaginary = _amplitudes(saved, 1 << lowered.n_qubits, batch)
    values: dict[str, Any] = dict(zip(names[0], inputs.T, strict=True))
    values.update(zip(names[1], weights, strict=True))
    phase = np.zeros(batch)
    for angle, factor in lowered.phase:
        phase = phase + factor * angle.evaluate(values)
    states = np.empty((batch, 1 << lowered.n_qubits), dtype)
    turned = (real + 1j * imaginary) * np.exp(1j * phase)[:, None] * np.array([1, 1j, -1, -1j])[_phases(lowered)]
    states[:, basis_indices(lowered)] = turned
    return states


def probabilities(lowered: Lowered, saved: Array, batch: int) -> npt.NDArray[np.float64]:
    """Return the probability of each basis state, float64 ``(batch, 2**n_qubits)``."""
    real, imaginary = _amplitudes(saved, 1 << lowered.n_qubits, batch)
    out = np.empty((batch, 1 << lowered.n_qubits))
    out[:, basis_indices(lowered)] = real.astype(np.float64) ** 2 + imaginary.astype(np.float64) ** 2
    return out
