"""Which Pauli strings can be measured together, and the rotations that turn them into Z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Observable

__all__ = ["MeasurementGroup", "group_terms"]

_I = ord("I")


@dataclass(frozen=True, slots=True)
class MeasurementGroup:
    """Pauli strings that one measurement setting answers.

    Attributes:
        basis: One letter per qubit; I where no string of the group acts.
        terms: Triples (index of the observable, string, coefficient).
    """

    basis: str
    terms: tuple[tuple[int, str, float], ...]

    def rotation(self) -> Circuit:
        """Return the circuit before a measurement in the basis: H turns X into Z, RX(pi/2) turns Y into Z."""
        circuit = Circuit(len(self.basis), name=f"basis {self.basis}")
        for qubit, letter in enumerate(self.basis):
            if letter == "X":
                circuit.h(qubit)
            elif letter == "Y":
                circuit.rx(pi / 2, qubit)
        return circuit

    def estimates(self, samples: npt.NDArray[np.int64], n_observables: int) -> npt.NDArray[np.float64]:
        """Return what the group's terms add to each observable.

        Args:
            samples: Basis indices ``(batch, shots)`` measured after `rotation`, qubit 0 the most significant bit.
            n_observables: Number of columns.

        Returns:
            Float64 ``(batch, n_observables)``.
        """
        out = np.zeros((len(samples), n_observables))
        for observable, pauli, coefficient in self.terms:
            mask = int("".join("0" if letter == "I" else "1" for letter in pauli), 2)
            odd = np.bitwise_count(samples & mask) & 1  # (batch, shots)
            out[:, observable] += coefficient * (1.0 - 2.0 * odd.mean(axis=1))
        return out


def group_terms(observables: Sequence[Observable]) -> tuple[list[MeasurementGroup], npt.NDArray[np.float64]]:
    """Return groups of qubit-wise commuting terms, and the constant that identity terms add to each observable.

    Greedy: longest strings first, each into the first group whose basis it fits; equal strings of several observables
    fall together.

    Returns:
        The groups, and float64 ``(n_observables,)``.

    Cost: number of terms times number of groups, a few nanoseconds each: 4095 terms in 729 groups take 0.1 s.
    """
    constants = np.zeros(len(observables))
    terms: list[tuple[int, str, float]] = []
    for index, observable in enumerate(observables):
        for pauli, coefficient in observable.terms:
            if pauli.strip("I"):
                terms.append((index, pauli, coefficient))
            else:
                constants[index] += coefficient
    terms.sort(key=lambda term: (term[1].count("I"), term[1], term[0]))
    bases: npt.NDArray[np.uint8] = np.zeros(
        (16, len(terms[0][1]) if terms else 0), dtype=np.uint8
    )  # (group, qubit): a letter, 0 for I
    members: list[list[tuple[int, str, float]]] = []
    for term in terms:
        letters = np.frombuffer(term[1].encode(), np.uint8).copy()  # (qubit,)
        letters[letters == _I] = 0
        known = bases[: len(members)]
        fits = ~((known != letters) & (known != 0) & (letters != 0)).any(axis=1)  # (group,)
        place = int(fits.argmax()) if fits.any() else len(members)
        if place == len(members):
            members.append([])
            if place == len(bases):
                bases = np.concatenate([bases, np.zeros_like(bases)])
        bases[place] = np.where(letters == 0, bases[place], letters)
        members[place].append(term)
    names = [np.where(basis == 0, _I, basis).astype(np.uint8).tobytes().decode() for basis in bases[: len(members)]]
    return [MeasurementGroup(name, tuple(some)) for name, some in zip(names, members, strict=True)], constants
