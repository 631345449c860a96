"""What is read of mixed states in the Pauli basis: expectations, and probabilities of classical bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits import Observable
from superpose.circuits.operations import Measure

__all__ = ["Expectations", "bit_probabilities", "flipped", "pauli_index"]

Array = npt.NDArray[np.float64]


def pauli_index(letters: str) -> int:
    """Return the entry of a Pauli string, qubit 0 the most significant digit."""
    return int("".join(str("IXYZ".index(letter)) for letter in letters), 4)


class Expectations:
    """Observables as sums over a few entries of a state."""

    def __init__(self, observables: Sequence[Observable]) -> None:
        numbers: dict[str, int] = {}
        entries = [
            (numbers.setdefault(pauli, len(numbers)), column, coefficient)
            for column, observable in enumerate(observables)
            for pauli, coefficient in observable.terms
        ]
        self.indices = np.array([pauli_index(pauli) for pauli in numbers], np.int64)
        self.coefficients = np.zeros((len(numbers), len(observables)))
        for row, column, coefficient in entries:
            self.coefficients[row, column] += coefficient

    def values(self, states: Array, slots: Sequence[int]) -> Array:
        """Return ``(batch, n_observables)`` of states ``(batch, n_slots, 4**n)``, summed over some slots."""
        entries = sum((states[:, slot, self.indices] for slot in slots), np.zeros((len(states), len(self.indices))))
        out: Array = entries @ self.coefficients
        return out

    def adjoint(self, gradients: Array, states: Array, slots: Sequence[int]) -> None:
        """Write the gradient of the expectations' weighted sum by the states into ``states``, same shape as those."""
        states[:] = 0.0
        entries = gradients @ self.coefficients.T  # (batch, n_terms)
        for slot in slots:
            states[:, slot, self.indices] += entries


def bit_probabilities(states: Mapping[int, Array], finals: Sequence[Measure], n_qubits: int, n_bits: int) -> Array:
    """Return the probabilities of all bits' values, ``(batch, 2**n_bits)``, bit 0 the most significant.

    Args:
        states: By record (bit b of it is classical bit b): ``(batch, 4**n_qubits)``, their weights included.
        finals: Measurements at the end, each into a bit that no record sets.
        n_qubits, n_bits: Numbers of qubits and bits.
    """
    batch = len(next(iter(states.values())))
    out = np.zeros((batch, 1 << n_bits))
    qubits = [measure.qubit for measure in finals]
    digits = np.zeros(1, np.int64)  # entries with I or Z on the measured qubits, I elsewhere
    for q in qubits:
        digits = (digits[:, None] + np.array([0, 3]) * 4 ** (n_qubits - 1 - q)).reshape(-1)
    places = np.zeros(1, np.int64)  # where the values of the measured bits stand
    for measure in finals:
        places = (places[:, None] + np.array([0, 1]) * 2 ** (n_bits - 1 - measure.bit)).reshape(-1)
    for record, state in states.items():
        found = walsh(state[:, digits]) / len(digits)  # (batch, 2**n_final)
        for k, measure in enumerate(finals):
            found = flipped(found, len(finals), k, measure.flip0, measure.flip1)
        at = sum((record >> bit & 1) << n_bits - 1 - bit for bit in range(n_bits))
        out[:, at + places] += found
    return np.clip(out, 0.0, None, out=out)  # rounding may leave -1e-17


def walsh(values: Array) -> Array:
    """Return the Walsh-Hadamard transform along the last axis, a power of 2 long."""
    batch, size = values.shape
    step = 1
    while step < size:
        pairs = values.reshape(batch, -1, 2, step)
        values = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2)
        step *= 2
    return values.reshape(batch, size)


def flipped(probabilities: Array, n_bits: int, bit: int, flip0: float, flip1: float) -> Array:
    """Return probabilities ``(batch, 2**n_bits)`` after bit ``bit`` (0 the most significant) is read with errors."""
    if flip0 == 0.0 and flip1 == 0.0:
        return probabilities
    pairs = probabilities.reshape(len(probabilities), 1 << bit, 2, 1 << n_bits - 1 - bit)
    zero, one = pairs[:, :, 0], pairs[:, :, 1]
    read = [(1 - flip0) * zero + flip1 * one, flip0 * zero + (1 - flip1) * one]
    return np.stack(read, axis=2).reshape(probabilities.shape)


def bit_probabilities_of_pure(
    states: npt.NDArray[Any], bits: npt.NDArray[np.uint8], finals: Sequence[Measure], n_bits: int
) -> Array:
    """Return the probabilities of all bits' values, ``(n, 2**n_bits)``, of pure states ``(n, 2**n_qubits)``.

    Args:
        states: Normalised.
        bits: Bits measured before, ``(n, n_bits)``.
        finals: Measurements at the end, each into a bit of its own.
        n_bits: Number of bits.
    """
    n_qubits = states.shape[1].bit_length() - 1
    found = np.abs(states.reshape(-1, *(2,) * n_qubits)).astype(np.float64) ** 2
    measured = [measure.qubit for measure in finals]
    found = found.sum(axis=tuple(1 + q for q in range(n_qubits) if q not in measured))
    order = sorted(measured)
    found = found.transpose(0, *(1 + order.index(q) for q in measured)).reshape(len(states), -1)
    for k, measure in enumerate(finals):
        found = flipped(found, len(finals), k, measure.flip0, measure.flip1)
    places = np.zeros(1, np.int64)
    for measure in finals:
        places = (places[:, None] + np.array([0, 1]) * 2 ** (n_bits - 1 - measure.bit)).reshape(-1)
    earlier = bits.astype(np.int64)
    earlier[:, [measure.bit for measure in finals]] = 0  # written again
    at = earlier @ (1 << np.arange(n_bits - 1, -1, -1, dtype=np.int64))
    out = np.zeros((len(states), 1 << n_bits))
    np.put_along_axis(out, at[:, None] + places, found, axis=1)
    return out
