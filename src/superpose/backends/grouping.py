"""Which Pauli strings can be measured together, and the rotations that turn them into Z."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Observable

__all__ = ["MeasurementGroup", "group_terms"]


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

    Cost: number of terms times number of groups.
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
    groups: list[tuple[str, list[tuple[int, str, float]]]] = []
    for term in terms:
        for place, (basis, members) in enumerate(groups):
            merged = _merged(basis, term[1])
            if merged is not None:
                members.append(term)
                groups[place] = (merged, members)
                break
        else:
            groups.append((term[1], [term]))
    return [MeasurementGroup(basis, tuple(members)) for basis, members in groups], constants


def _merged(basis: str, pauli: Iterable[str]) -> str | None:
    """The basis that serves both, or None where they disagree on a qubit."""
    letters = []
    for a, b in zip(basis, pauli, strict=True):
        if "I" not in (a, b) and a != b:
            return None
        letters.append(a if b == "I" else b)
    return "".join(letters)
