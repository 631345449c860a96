"""What is asked of each fragment: Pauli strings, and the settings in which they are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from superpose.backends.cutting.plan import CutPlan, Fragment
from superpose.backends.grouping import group_terms
from superpose.circuits import Observable

__all__ = ["FragmentQuestion", "Question", "Setting", "asked"]

END_LETTERS = "IXYZ"
_END_BASES = "ZXY"


@dataclass(frozen=True, slots=True)
class Setting:
    """A basis in which a fragment's qubits are measured, and what that answers.

    Attributes:
        basis: One letter for each of the fragment's qubits, I where nothing is read.
        strings: Places of the strings, among those of `FragmentQuestion`, that are read off here.
        weight: How much they matter.
    """

    basis: str
    strings: tuple[int, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class FragmentQuestion:
    """The Pauli strings asked of a fragment.

    Attributes:
        strings: Over the fragment's qubits: each part of a term, times each letter of IXYZ on each that
            ends at a cut.
        n_parts: How many parts of terms there are.
        settings: In which they are measured.
    """

    strings: tuple[str, ...]
    n_parts: int
    settings: tuple[Setting, ...]

    @property
    def is_trivial(self) -> bool:
        """Whether nothing is asked but the trace."""
        return all(not string.strip("I") for string in self.strings)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Observables as products over fragments.

    Attributes:
        constants: What does not depend on any fragment, ``(n_observables,)``.
        owners: The observable of each term, ``(n_terms,)``.
        coefficients: Of each term, ``(n_terms,)``.
        parts: For each fragment, which part each term has there, ``(n_fragments, n_terms)``.
        fragments: What is asked of each.
    """

    constants: npt.NDArray[np.float64]
    owners: npt.NDArray[np.int64]
    coefficients: npt.NDArray[np.float64]
    parts: npt.NDArray[np.int64]
    fragments: tuple[FragmentQuestion, ...]


def asked(plan: CutPlan, observables: Sequence[Observable]) -> Question:
    """Return what the observables ask of each fragment of ``plan``.

    Qubits on which nothing happens are in the state 0.

    Cost: terms times qubits, and the grouping of strings.
    """
    constants = np.zeros(len(observables))
    owners: list[int] = []
    coefficients: list[float] = []
    rows: list[list[str]] = []
    for index, observable in enumerate(observables):
        for pauli, coefficient in observable.terms:
            there = {plan.home[qubit]: letter for qubit, letter in enumerate(pauli) if letter != "I"}
            strings = [_part(fragment, there) for fragment in plan.fragments]
            busy = {qubit for fragment in plan.fragments for qubit in fragment.home}
            idle = [letter for qubit, letter in there.items() if qubit not in busy]
            if any(letter in "XY" for letter in idle):
                continue
            if not any(string.strip("I") for string in strings):
                constants[index] += coefficient
                continue
            owners.append(index)
            coefficients.append(coefficient)
            rows.append(strings)
    places: list[list[int]] = []
    questions: list[FragmentQuestion] = []
    for number, fragment in enumerate(plan.fragments):
        own = list(dict.fromkeys(row[number] for row in rows)) or ["I" * fragment.n_qubits]
        at = {string: place for place, string in enumerate(own)}
        places.append([at[row[number]] for row in rows])
        weights = np.zeros((len(own), len(observables)))
        for row, owner, coefficient in zip(rows, owners, coefficients, strict=True):
            weights[at[row[number]], owner] += abs(coefficient)
        questions.append(_question(fragment, own, weights))
    parts = np.array(places, np.int64).reshape(len(plan.fragments), len(rows))
    return Question(constants, np.array(owners, np.int64), np.array(coefficients), parts, tuple(questions))


def _part(fragment: Fragment, there: dict[int, str]) -> str:
    letters = ["I"] * fragment.n_qubits
    for qubit, place in fragment.home.items():
        letters[place] = there.get(qubit, "I")
    return "".join(letters)


def _with(string: str, qubits: Sequence[int], letters: Sequence[str]) -> str:
    out = list(string)
    for qubit, letter in zip(qubits, letters, strict=True):
        out[qubit] = letter
    return "".join(out)


def _question(fragment: Fragment, own: Sequence[str], weights: npt.NDArray[np.float64]) -> FragmentQuestion:
    """Strings and settings; weights are of each part in each observable, ``(n_parts, n_observables)``."""
    ends = [end.qubit for end in fragment.ends]
    choices = list(product(END_LETTERS, repeat=len(ends)))
    strings = [_with(string, ends, letters) for string in own for letters in choices]
    groups, _ = group_terms([Observable(string) for string in own])
    members = [[place for place, _, _ in group.terms] for group in groups] or [[]]
    plain = [place for place, string in enumerate(own) if not string.strip("I")]
    members[0] = sorted({*members[0], *plain})
    bases = [group.basis for group in groups] or ["I" * fragment.n_qubits]
    settings = []
    for basis, some in zip(bases, members, strict=True):
        weight = float(weights[some].sum(axis=0).max(initial=0.0))
        for letters in product(_END_BASES, repeat=len(ends)):
            inside = [
                part * len(choices) + number
                for part in some
                for number, wanted in enumerate(choices)
                if all(("Z" if want == "I" else want) == have for want, have in zip(wanted, letters, strict=True))
            ]
            settings.append(Setting(_with(basis, ends, letters), tuple(inside), weight))
    return FragmentQuestion(tuple(strings), len(own), tuple(settings))
