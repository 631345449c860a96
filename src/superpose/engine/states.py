"""From the engine's states, in tiles and without the frame, to those of the circuit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.engine.arrays import Array
from superpose.engine.frame import Frame, Pauli
from superpose.engine.lowering import Lowered

__all__ = ["FinalStates", "PlacedStates"]

_SMALL, _AT_ONCE = 1 << 8, 1 << 16
"""States of so many amplitudes are put in their places many at a time; larger ones one by one, which is sooner done."""


def _basis_indices(frame: Frame) -> npt.NDArray[np.int64]:
    """Return ``p`` with ``F|j> = phase_j |p_j>``, int64 ``(2**n_qubits,)``.

    ``F^-1 Z_q F`` is a sign times ``Z^z``: bit q of ``p_j`` is the parity of ``j & z``, turned round by the sign. So
    ``p`` is linear over bits up to ``p_0`` and doubles bit by bit.
    """
    n = frame.n_qubits
    out = np.array([frame.origin], dtype=np.int64)
    for bit in range(n):
        column = sum(1 << (n - 1 - q) for q, (_, z, _) in enumerate(frame.z) if z >> bit & 1)
        out = np.concatenate([out, out ^ column])
    return out


def _quarter_turns(frame: Frame) -> npt.NDArray[np.int64]:
    """Return ``t`` with ``F|j> = i^t_j |p_j>``, int64 ``(2**n_qubits,)``.

    From ``X_q F|j> = F i^k X^x Z^z|j>`` follows ``t_(j ^ x) = t_j - k - 2 parity(j & z)`` for every qubit q, and the
    ``x`` of all qubits span all bits.
    """
    turns = np.zeros(1 << frame.n_qubits, dtype=np.int64)
    turns[0] = frame.quarters
    reached = np.zeros(1, dtype=np.int64)
    for x, z, k in frame.x:
        turns[reached ^ x] = turns[reached] - k - 2 * (np.bitwise_count(reached & z) & 1).astype(np.int64)
        reached = np.concatenate([reached, reached ^ x])
    return turns & 3


class FinalStates(NamedTuple):
    """States at the end of a tape: ``exp(i phase) F Q shrink (real + i imaginary)``, Q a Pauli string.

    Attributes:
        lowered: Has the frame F and the phase.
        indices: Index of the amplitude at each place.
        string: Q.
        shrink: Inverse of the states' growth.
        real, imaginary: ``(batch, 2**n_qubits)``, by places.
    """

    lowered: Lowered
    indices: npt.NDArray[np.int64]
    string: Pauli
    shrink: float
    real: Array
    imaginary: Array

    def _ends(self) -> npt.NDArray[np.int64]:
        """Return which basis state the amplitude at each place belongs to."""
        moved: npt.NDArray[np.int64] = _basis_indices(self.lowered.frame)[self.indices ^ self.string[0]]
        return moved

    def vectors(self, values: Mapping[str, Any], dtype: Any) -> Array:
        """Return complex ``(batch, 2**n_qubits)`` for the parameters' values, numbers or arrays ``(batch,)``."""
        _, z, k = self.string
        phase = self.lowered.phases(values, len(self.real))
        ends = self._ends()
        turns = _quarter_turns(self.lowered.frame)[self.indices ^ self.string[0]]
        turns += k + 2 * (np.bitwise_count(self.indices & z) & 1).astype(np.int64)
        factors = (self.shrink * np.array([1, 1j, -1, -1j]))[turns & 3]
        states = np.empty(self.real.shape, dtype)
        turned = np.exp(1j * phase)
        if len(ends) > _SMALL:
            for state, real, imaginary, turn in zip(states, self.real, self.imaginary, turned, strict=True):
                state[ends] = (real + 1j * imaginary) * factors * turn
            return states
        places = np.argsort(ends)
        factors, turned = factors[places].astype(dtype), turned[:, None].astype(dtype)
        step = _AT_ONCE // len(ends)
        for first in range(0, len(states), step):
            some = slice(first, first + step)
            found = np.multiply(self.imaginary[some, places], 1j, dtype=dtype)
            found += self.real[some, places]
            found *= factors
            np.multiply(found, turned[some], out=states[some])
        return states

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Return the probability of each basis state, float64 ``(batch, 2**n_qubits)``."""
        ends = self._ends()
        out = np.empty(self.real.shape)
        for row, real, imaginary in zip(out, self.real, self.imaginary, strict=True):
            row[ends] = real.astype(np.float64) ** 2 + imaginary.astype(np.float64) ** 2
        out *= self.shrink**2
        return out


class PlacedStates(NamedTuple):
    """States at the end of a tape as they stand in memory: those of the circuit but for phases and one unitary.

    Attributes:
        tiles: ``(tile, row, 2, lane)``, real and imaginary parts.
        samples: Samples of a tile, one per lane; 1 where the lanes have amplitudes of the same sample.
        batch: Samples in all; further lanes are anything.
        shrink: Inverse of the states' growth.
    """

    tiles: Array
    samples: int
    batch: int
    shrink: float

    @property
    def n_places(self) -> int:
        """Amplitudes of a state."""
        return self.tiles.shape[1] * (self.tiles.shape[3] if self.samples == 1 else 1)

    def parts(self, first: int, last: int, scale: float, out: Array) -> Array:
        """Copy a range of places: ``scale x``, nothing yet, and ``scale y`` of amplitudes ``x + iy``.

        Args:
            first, last: The range; multiples of the number of lanes.
            scale: A factor.
            out: Numbers to write to, ``3 (last - first)`` for each sample and for each lane that fills a tile up.

        Returns:
            A part of ``out``, ``(3, last - first, batch)``.
        """
        n_tiles, _, _, lanes = self.tiles.shape
        if self.samples == 1:
            rows = self.tiles[:, first // lanes : last // lanes].transpose(2, 0, 1, 3)  # (part, sample, row, lane)
            found = out[: 3 * rows[0].size].reshape(3, *rows.shape[1:])
            np.multiply(rows, scale * self.shrink, out=found[::2])
            return found.reshape(3, n_tiles, -1).transpose(0, 2, 1)
        rows = self.tiles[:, first:last].transpose(2, 1, 0, 3)  # (part, row, tile, sample)
        found = out[: 3 * rows[0].size].reshape(3, *rows.shape[1:])
        with np.errstate(all="ignore"):  # in lanes beyond the batch
            np.multiply(rows, scale * self.shrink, out=found[::2])
        return found.reshape(3, last - first, -1)[:, :, : self.batch]
