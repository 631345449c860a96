"""Observables: real sums of Pauli strings, also of projectors and Hermitian matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Self

import numpy as np
import numpy.typing as npt

from superpose.circuits.expansion import matrix_terms, projector_terms
from superpose.circuits.finite import is_finite
from superpose.circuits.pauli import pauli_matrix
from superpose.circuits.wording import listed, shown
from superpose.errors import ObservableError

__all__ = ["Observable", "z_all"]

MAX_MATRIX_QUBITS = 12


@dataclass(frozen=True, slots=True, init=False)
class Observable:
    """A Hermitian operator ``sum(coefficient * Pauli string)``; the leftmost letter acts on qubit 0.

    Equal strings are merged and strings stand in alphabetical order, so equal operators are equal values.

    Args:
        terms: Mapping, or pairs, from strings of I, X, Y, Z (all of one length) to real coefficients; or one string.
        n_qubits: Number of qubits; needed only where there are no terms.

    Attributes:
        n_qubits: Length of the strings.
        terms: Pairs (string, coefficient), sorted by string, without zero coefficients.

    Raises:
        ObservableError: A string has other letters or another length, or a coefficient is not a finite real number.

    >>> Observable({"ZI": 1, "XX": 0.5}) + Observable("ZI")
    Observable({'XX': 0.5, 'ZI': 2.0})
    """

    n_qubits: int
    terms: tuple[tuple[str, float], ...]

    def __init__(
        self, terms: Mapping[str, float] | Iterable[tuple[str, float]] | str, n_qubits: int | None = None
    ) -> None:
        pairs: Iterable[tuple[str, float]]
        pairs = [(terms, 1.0)] if isinstance(terms, str) else terms.items() if isinstance(terms, Mapping) else terms
        found: dict[str, float] = {}
        for pauli, coefficient in pairs:
            n_qubits = _check_pauli(pauli, n_qubits)
            found[pauli] = found.get(pauli, 0.0) + _check_coefficient(pauli, coefficient)
        if n_qubits is None or n_qubits < 1:
            raise ObservableError("An observable without terms must say how many qubits it acts on (n_qubits >= 1).")
        object.__setattr__(self, "n_qubits", n_qubits)
        object.__setattr__(self, "terms", tuple(sorted(pair for pair in found.items() if pair[1] != 0.0)))

    @classmethod
    def z(cls, qubit: int, n_qubits: int) -> Self:
        """Return Z on ``qubit`` of ``n_qubits``.

        >>> Observable.z(0, 3)
        Observable({'ZII': 1.0})
        """
        return cls.on({qubit: "Z"}, n_qubits)

    @classmethod
    def x(cls, qubit: int, n_qubits: int) -> Self:
        """Return X on ``qubit`` of ``n_qubits``."""
        return cls.on({qubit: "X"}, n_qubits)

    @classmethod
    def y(cls, qubit: int, n_qubits: int) -> Self:
        """Return Y on ``qubit`` of ``n_qubits``."""
        return cls.on({qubit: "Y"}, n_qubits)

    @classmethod
    def on(cls, letters: Mapping[int, str], n_qubits: int, coefficient: float = 1.0) -> Self:
        """Return the Pauli string with ``letters`` on the qubits named and I elsewhere.

        >>> Observable.on({0: "X", 2: "Y"}, n_qubits=3)
        Observable({'XIY': 1.0})
        """
        outside = [qubit for qubit in letters if not 0 <= qubit < n_qubits]
        if outside:
            raise ObservableError(f"Qubits {listed(outside)} do not lie in 0 .. {n_qubits - 1}.", qubits=outside[:100])
        return cls([("".join(letters.get(qubit, "I") for qubit in range(n_qubits)), coefficient)], n_qubits)

    @classmethod
    def projector(cls, *bits: str) -> Self:
        """Return the projector on the basis states that a bit string, or one of several, names; "-" is any bit.

        Its expectation is the probability to measure such a string. Bit strings that have a state in common are
        refused, since the sum of their projectors is none; write that sum with ``+`` where it is meant.

        Args:
            bits: One character per qubit, qubit 0 leftmost; at most 12 of them 0 or 1.

        Raises:
            ObservableError: Other characters, more fixed bits, other lengths, or strings that overlap.

        Cost: ``2**f`` Pauli strings for f fixed bits.

        >>> Observable.projector("01")
        Observable({'II': 0.25, 'IZ': -0.25, 'ZI': 0.25, 'ZZ': -0.25})
        >>> Observable.projector("0-") + Observable.projector("11") == Observable.projector("0-", "11")
        True
        """
        if not bits:
            raise ObservableError("A projector needs at least one bit string, such as '01-'.")
        terms = [pair for one in bits for pair in projector_terms(one).items()]
        for place, one in enumerate(bits):
            for other in bits[:place]:
                if len(one) == len(other) and all(
                    "-" in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True)
                ):
                    raise ObservableError(
                        f"Bit strings {shown(other)} and {shown(one)} have a basis state in common, so their sum is no "
                        "projector; add the projectors with + if their sum is meant."
                    )
        return cls(terms, len(bits[0]))

    @classmethod
    def hermitian(cls, matrix: npt.ArrayLike, qubits: Sequence[int] | None = None, n_qubits: int | None = None) -> Self:
        """Return the observable with this matrix on some qubits, as the exact sum of Pauli strings.

        Coefficients that rounding leaves of zeros (below ``2**-50`` of the largest entry) are left out.

        Args:
            matrix: Hermitian to 1e-10 of its largest entry (and to 1e-10 where that is below 1), ``(2**k, 2**k)`` with
                k at most 6.
            qubits: The k qubits that it acts on, the first being the most significant bit of the matrix's index;
                default ``0 .. k - 1``.
            n_qubits: Number of qubits of the observable; default the fewest that hold ``qubits``.

        Raises:
            ObservableError: Another shape, numbers that are not finite or not Hermitian, or qubits that do not fit.

        Cost: at most ``4**k`` Pauli strings, found in ``k * 4**k`` operations.

        >>> Observable.hermitian([[0, 1], [1, 0]], [1], 3)
        Observable({'IXI': 1.0})
        """
        terms = matrix_terms(matrix)
        k = len(np.asarray(matrix)).bit_length() - 1
        places = list(range(k)) if qubits is None else list(qubits)
        if len(places) != k or len(set(places)) != k or not all(_is_index(q) for q in places):
            raise ObservableError(
                f"A matrix with {2**k} rows acts on {k} distinct qubits, got {shown(places)}.", n_qubits=k
            )
        size = max(places) + 1 if n_qubits is None else n_qubits
        outside = [qubit for qubit in places if not 0 <= qubit < size]
        if outside:
            raise ObservableError(f"Qubits {listed(outside)} do not lie in 0 .. {size - 1}.", qubits=outside[:100])
        found = []
        for pauli, coefficient in terms.items():
            letters = ["I"] * size
            for qubit, letter in zip(places, pauli, strict=True):
                letters[qubit] = letter
            found.append(("".join(letters), coefficient))
        return cls(found, size)

    def matrix(self) -> npt.NDArray[np.complex128]:
        """Return the matrix, complex128 ``(2**n_qubits, 2**n_qubits)``, for at most 12 qubits.

        Raises:
            ObservableError: More qubits.

        Cost: ``4**n_qubits`` numbers per term.
        """
        if self.n_qubits > MAX_MATRIX_QUBITS:
            raise ObservableError(
                f"The matrix of {self.n_qubits} qubits is too large (at most {MAX_MATRIX_QUBITS}); run a program."
            )
        out = np.zeros((2**self.n_qubits, 2**self.n_qubits), dtype=np.complex128)
        for pauli, coefficient in self.terms:
            out += coefficient * pauli_matrix(pauli)
        return out

    def __add__(self, other: Observable) -> Observable:
        if other.n_qubits != self.n_qubits:
            raise ObservableError(f"Observables on {self.n_qubits} and {other.n_qubits} qubits cannot be added.")
        return Observable([*self.terms, *other.terms], self.n_qubits)

    def __mul__(self, factor: float) -> Observable:
        return Observable([(pauli, coefficient * factor) for pauli, coefficient in self.terms], self.n_qubits)

    __rmul__ = __mul__

    def __neg__(self) -> Observable:
        return self * -1.0

    def __sub__(self, other: Observable) -> Observable:
        return self + -other

    def __repr__(self) -> str:
        return f"Observable({dict(self.terms)})" if self.terms else f"Observable({{}}, n_qubits={self.n_qubits})"


def z_all(n_qubits: int) -> tuple[Observable, ...]:
    """Return Z of every qubit, in order of the qubits.

    >>> z_all(2)
    (Observable({'ZI': 1.0}), Observable({'IZ': 1.0}))
    """
    return tuple(Observable.z(qubit, n_qubits) for qubit in range(n_qubits))


def _is_index(qubit: object) -> bool:
    return isinstance(qubit, int | np.integer) and not isinstance(qubit, bool)


def _check_pauli(pauli: object, n_qubits: int | None) -> int:
    if not isinstance(pauli, str) or not pauli or not set(pauli) <= set("IXYZ"):
        raise ObservableError(f"A Pauli string is made of I, X, Y and Z, got {shown(pauli)}.")
    if n_qubits is not None and len(pauli) != n_qubits:
        raise ObservableError(
            f"Pauli string {shown(pauli)} has {len(pauli)} letters where {n_qubits} qubits are meant."
        )
    return len(pauli)


def _check_coefficient(pauli: str, coefficient: object) -> float:
    if isinstance(coefficient, bool) or not isinstance(coefficient, Real) or not is_finite(coefficient):
        raise ObservableError(
            f"The coefficient of {shown(pauli)} must be a finite real number, got {shown(coefficient)}."
        )
    return float(coefficient)
