"""The adjoint method differentiated once more, along a direction.

States are carried with their tangents, the derivatives along the direction, forward through the rotations; then both,
with the observable applied to them, backward. NumPy in complex128, a few batch entries at a time, so that they stay in
the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpose.circuits import Observable
from superpose.circuits.expansion import walsh_hadamard
from superpose.engine.arrays import Array
from superpose.engine.gradients.rotations import Rotations
from superpose.engine.lowering import Lowered
from superpose.engine.memory import check_memory
from superpose.engine.program import CompiledProgram

__all__ = ["carried_tangents"]

CHUNK_AMPLITUDES = 1 << 13
"""Amplitudes per state of the entries that are computed together: the six arrays of them stay in the cache."""


def carried_tangents(
    program: CompiledProgram, rotations: Rotations, given: tuple[Array, Array, Array], state: Array | None
) -> tuple[Array, Array]:
    """Return how expectations, and gradients with respect to the rotations' angles, change along a direction.

    Args:
        program: The circuit and its observables.
        rotations: Its rotations.
        given: Angles and how fast they turn, ``(batch, n_rotations)``, and the gradient that comes in,
            ``(batch, n_observables)``.
        state: Initial state, ``(1 or batch, 2**n_qubits)``, or None for ``|0...0>``.

    Returns:
        Float64 ``(batch, n_observables)`` and ``(batch, n_rotations)``.
    """
    angles, turns, grad = given
    n, batch = program.n_qubits, len(angles)
    size = max(1, CHUNK_AMPLITUDES >> n)
    check_memory(12 * min(size, batch) << (n + 4), n, batch)
    sweep = _Sweep(rotations, program.lowered, program.observables)
    expectations, changes = np.empty((batch, program.n_observables)), np.empty(angles.shape)
    for first in range(0, batch, size):
        some = slice(first, first + size)
        start = np.zeros((len(angles[some]), 1 << n), np.complex128)
        if state is None:
            start[:, 0] = 1.0
        else:
            start[:] = state if len(state) == 1 else state[some]
        expectations[some], changes[some] = sweep.run(start, angles[some], turns[some], grad[some])
    return expectations, changes


class _Sweep:
    """The rotations and observables of a program, ready to be applied to NumPy states without the frame."""

    def __init__(self, rotations: Rotations, lowered: Lowered, observables: Sequence[Observable]) -> None:
        self.masks = rotations.masks
        factors = np.concatenate([rotations.by_input, rotations.by_weight], axis=1)
        self.wanted = frozenset(np.flatnonzero(np.abs(factors).sum(axis=1)).tolist())
        self.first = min(self.wanted, default=len(self.masks))
        self.index = np.arange(1 << lowered.n_qubits)
        self.strings = _strings(lowered, observables)
        self.n_observables = len(observables)

    def run(self, start: Array, angles: Array, turns: Array, grad: Array) -> tuple[Array, Array]:
        """Return changes of expectations ``(batch, n_observables)`` and of rotations' gradients."""
        cos, sin = np.cos(angles / 2).T[..., np.newaxis], np.sin(angles / 2).T[..., np.newaxis]  # (rotation, batch, 1)
        half = 0.5 * turns.T[..., np.newaxis]  # (rotation, batch, 1)
        psi, tangent = start, np.zeros_like(start)  # (batch, index)
        for r, mask in enumerate(self.masks):
            psi = cos[r] * psi - 1j * sin[r] * self._apply(mask, psi)
            moved = self._apply(mask, tangent)
            tangent = cos[r] * tangent - 1j * sin[r] * moved - 1j * half[r] * self._apply(mask, psi)
        pairs = np.stack([psi, tangent])
        weighted = np.zeros_like(pairs)  # the observables, weighted by grad, applied to both
        changes = np.zeros((len(start), self.n_observables))
        for x, (zs, factors) in self.strings.items():
            for image, one in zip(weighted, pairs, strict=True):
                image += self._phases(x, zs, grad @ factors) * one[:, self.index ^ x]
            overlaps = psi.conj() * tangent[:, self.index ^ x] + tangent.conj() * psi[:, self.index ^ x]
            changes += self._sums(x, zs, overlaps) @ factors.T
        return changes, self._back(np.stack([pairs, weighted]), cos, sin, half)

    def _back(self, both: Array, cos: Array, sin: Array, half: Array) -> Array:
        """Go back through the rotations with psi and lambda (rows of ``both``) and their tangents (columns)."""
        states, tangents = both[:, 0].copy(), both[:, 1].copy()  # (psi and lambda, batch, index)
        out = np.zeros((states.shape[1], len(self.masks)))
        for r in range(len(self.masks) - 1, self.first - 1, -1):
            moved, moved_tangents = self._apply(self.masks[r], states), self._apply(self.masks[r], tangents)
            if r in self.wanted:  # d/d angle is Im <lambda|P|psi>
                out[:, r] = np.einsum("bi,bi->b", tangents[1].conj(), moved[0]).imag
                out[:, r] += np.einsum("bi,bi->b", states[1].conj(), moved_tangents[0]).imag
            c, s, h = cos[r], 1j * sin[r], 1j * half[r]
            tangents = c * tangents + s * moved_tangents + h * (c * moved + s * states)
            states = c * states + s * moved
        return out

    def _apply(self, mask: tuple[int, int], states: Array) -> Array:
        """Return the Pauli string applied: ``P|j> = i^parity(x & z) (-1)^parity(j & z) |j ^ x>``."""
        x, z = mask
        signs = 1.0 - 2.0 * (np.bitwise_count((self.index ^ x) & z) & 1)  # (index,)
        phases: Array = signs * 1j if (x & z).bit_count() & 1 else signs
        return phases * (states[..., self.index ^ x] if x else states)

    def _phases(self, x: int, zs: Array, factors: Array) -> Array:
        """Return ``D`` with sum of strings = ``D X^x``, ``(batch, index)``, for factors ``(batch, string)``."""
        sums = np.zeros((len(factors), len(self.index)), np.complex128)
        sums[:, zs] = factors * _quarter_turns(x, zs)
        found: Array = walsh_hadamard(sums)[:, self.index ^ x]
        return found

    def _sums(self, x: int, zs: Array, overlaps: Array) -> Array:
        """Return the strings' means from ``conj(a_j) b_(j ^ x)``, ``(batch, string)``."""
        found: Array = (walsh_hadamard(overlaps)[:, zs] * _quarter_turns(x, zs) * _signs(x, zs)).real
        return found


def _quarter_turns(x: int, zs: Array) -> Array:
    """Return ``i^parity(x & z)`` for each z."""
    return np.where(np.bitwise_count(zs & x) & 1, 1j, 1.0)


def _signs(x: int, zs: Array) -> Array:
    """Return ``(-1)^parity(x & z)`` for each z."""
    found: Array = 1.0 - 2.0 * (np.bitwise_count(zs & x) & 1)
    return found


def _strings(lowered: Lowered, observables: Sequence[Observable]) -> dict[int, tuple[Array, Array]]:
    """Return by x the z of the strings behind the frame, ``(string,)``, and factors ``(observable, string)``."""
    found: dict[int, dict[int, Array]] = {}
    for place, observable in enumerate(observables):
        for letters, coefficient in observable.terms:
            x, z, k = lowered.frame.pull((q, letter) for q, letter in enumerate(letters) if letter != "I")
            sign = -1.0 if (k - ((x & z).bit_count() & 1)) & 2 else 1.0
            column = found.setdefault(x, {}).setdefault(z, np.zeros(len(observables)))
            column[place] += sign * coefficient
    return {x: (np.array(list(rows)), np.stack(list(rows.values()), axis=1)) for x, rows in found.items()}
