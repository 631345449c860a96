"""QUBO and Ising forms of a problem without constraints, and the exact ways between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from superpose.circuits import Observable
from superpose.errors import ProblemError
from superpose.optimization.quadratic import Pairs, QuadraticProblem

__all__ = ["Ising", "Qubo"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ising:
    """``constant + sum(fields_i s_i) + sum(couplings_ij s_i s_j)`` over spins s = 1 - 2x, to be minimised.

    Spin 1 is bit 0, so that s_i is what Z measures on qubit i.

    Attributes:
        fields: Float64 ``(n_variables,)``.
        couplings: `Pairs`.
        constant: The part without spins.
    """

    fields: Floats
    couplings: Pairs
    constant: float = 0.0

    @property
    def n_variables(self) -> int:
        """Number of spins."""
        return len(self.fields)

    def energy(self, spins: npt.ArrayLike) -> Floats:
        """Return the energies, float64 ``(batch,)``, of spins ``(batch, n_variables)`` of -1 and 1."""
        s = np.atleast_2d(np.asarray(spins, np.float64))
        return self.constant + s @ self.fields + self.couplings.energy(s)

    def observable(self) -> Observable:
        """Return the diagonal `Observable` whose value on a basis state is the energy of its bits.

        >>> Ising(np.array([0.5, 0.0]), Pairs([0], [1], [2.0], 2), 1.0).observable()
        Observable({'II': 1.0, 'ZI': 0.5, 'ZZ': 2.0})
        """
        n = self.n_variables
        identity = ["I"] * n

        def word(*places: int) -> str:
            letters = identity.copy()
            for place in places:
                letters[place] = "Z"
            return "".join(letters)

        terms = [("I" * n, self.constant)]
        terms += [(word(k), float(h)) for k, h in enumerate(self.fields)]
        pairs = self.couplings
        terms += [(word(i, j), float(v)) for i, j, v in zip(pairs.rows, pairs.cols, pairs.values, strict=True)]
        return Observable(terms, n)

    @classmethod
    def of_observable(cls, observable: Observable) -> Ising:
        """Return the Ising form of a diagonal observable of at most two Z in a string.

        Raises:
            ProblemError: A string has X or Y, or more than two Z.
        """
        fields, constant = np.zeros(observable.n_qubits), 0.0
        rows, cols, values = [], [], []
        for word, coefficient in observable.terms:
            places = [k for k, letter in enumerate(word) if letter != "I"]
            if len(places) > 2 or set(word) - {"I", "Z"}:
                raise ProblemError(f"An Ising problem has strings of at most two Z, got {word!r}.")
            if len(places) == 2:
                rows.append(places[0])
                cols.append(places[1])
                values.append(coefficient)
            elif places:
                fields[places[0]] = coefficient
            else:
                constant = coefficient
        return cls(fields, Pairs(rows, cols, values, observable.n_qubits), constant)

    def qubo(self) -> Qubo:
        """Return the same energies over bits x = (1 - s) / 2; exact but for rounding."""
        n, pairs = self.n_variables, self.couplings
        linear = -2 * self.fields
        linear -= 2 * np.bincount(pairs.rows, pairs.values, n) + 2 * np.bincount(pairs.cols, pairs.values, n)
        constant = self.constant + float(self.fields.sum() + pairs.values.sum())
        return Qubo(linear, Pairs(pairs.rows, pairs.cols, 4 * pairs.values, n), constant)


@dataclass(frozen=True, eq=False)
class Qubo:
    """``constant + linear . x + sum(q_ij x_i x_j)`` over bits, to be minimised, without constraints.

    Attributes:
        linear: Float64 ``(n_variables,)``.
        quadratic: `Pairs`.
        constant: The part without variables.

    >>> qubo = Qubo.of_matrix([[1.0, -2.0], [0.0, 1.0]])
    >>> qubo.energy([[0, 0], [1, 0], [1, 1]]).tolist()
    [0.0, 1.0, 0.0]
    >>> qubo.ising().qubo().energy([[1, 1]]).tolist()
    [0.0]
    """

    linear: Floats
    quadratic: Pairs
    constant: float = 0.0

    @classmethod
    def of_matrix(cls, matrix: npt.ArrayLike, constant: float = 0.0) -> Qubo:
        """Return ``x^T matrix x + constant``; the matrix need not be symmetric or triangular."""
        q = np.asarray(matrix, np.float64)
        if q.ndim != 2 or q.shape[0] != q.shape[1]:
            raise ProblemError(f"A QUBO matrix is square, got shape {q.shape}.")
        both = q + q.T
        rows, cols = np.nonzero(np.triu(both, 1))
        return cls(np.diag(q).copy(), Pairs(rows, cols, both[rows, cols], len(q)), constant)

    @property
    def n_variables(self) -> int:
        """Number of bits."""
        return len(self.linear)

    def matrix(self) -> Floats:
        """Return the upper triangular matrix, float64 ``(n_variables, n_variables)``, linear terms on the diagonal."""
        out = np.diag(self.linear)
        out[self.quadratic.rows, self.quadratic.cols] = self.quadratic.values
        return out

    def energy(self, x: npt.ArrayLike) -> Floats:
        """Return the energies, float64 ``(batch,)``, of bits ``(batch, n_variables)``."""
        bits = np.atleast_2d(np.asarray(x, np.float64))
        return self.constant + bits @ self.linear + self.quadratic.energy(bits)

    def all_energies(self) -> Floats:
        """Return the energy of every bit string, ``(2**n_variables,)``; variable 0 is the most significant bit.

        Raises:
            ProblemError: More than 24 variables.

        Cost: ``2**n_variables`` numbers and a few passes over them for each variable.
        """
        n = self.n_variables
        if n > 24:
            raise ProblemError(f"All energies of {n} variables are too many; at most 24.")
        matrix = self.matrix()
        out = np.full(1, self.constant)
        for k in range(n - 1, -1, -1):  # prepend variable k: with it, its own term and what it shares with later ones
            with_it = np.full(1, self.linear[k])
            for later in range(n - 1, k, -1):
                with_it = np.concatenate([with_it, with_it + matrix[k, later]])
            out = np.concatenate([out, out + with_it])
        return out

    def ising(self) -> Ising:
        """Return the same energies over spins s = 1 - 2x; exact but for rounding."""
        n, pairs = self.n_variables, self.quadratic
        shares = np.bincount(pairs.rows, pairs.values, n) + np.bincount(pairs.cols, pairs.values, n)
        fields = -self.linear / 2 - shares / 4
        constant = self.constant + float(self.linear.sum() / 2 + pairs.values.sum() / 4)
        return Ising(fields, Pairs(pairs.rows, pairs.cols, pairs.values / 4, n), constant)

    def problem(self, names: Mapping[int, str] | None = None) -> QuadraticProblem:
        """Return this as a problem without constraints, to be minimised."""
        labels = [(names or {}).get(k, f"x{k}") for k in range(self.n_variables)]
        return QuadraticProblem(self.linear, self.quadratic, constant=self.constant, names=labels)
