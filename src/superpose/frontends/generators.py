"""Unitary families ``exp(-i sum(x_k H_k))`` with commuting ``H_k``, as gates whose angles are affine in the ``x_k``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm, schur

from superpose.circuits import Affine, Instruction
from superpose.errors import ConversionError
from superpose.frontends.matrices import MAX_MATRIX_QUBITS, gates_of
from superpose.frontends.words import phase

__all__ = ["Term", "exponential", "family"]

_Matrix = npt.NDArray[np.complex128]
Term = tuple[str, tuple[int, ...], Affine]
"""Letters of X, Y, Z (and I), the qubits they stand on, and a coefficient."""

_STEP = 1e-2
_N_CHECKS = 5
_TOLERANCE = 1e-8
_PAULIS = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1.0 + 0j, -1.0]),
}


def exponential(terms: Sequence[Term], qubits: Sequence[int]) -> Iterator[Instruction]:
    """Give gates for ``exp(-i sum(c P))``.

    Args:
        terms: Pauli strings ``P`` with coefficients ``c``.
        qubits: All qubits that terms may stand on.

    Raises:
        ConversionError: Terms do not commute, and their coefficients depend on parameters in different ways.
    """
    if all(_commute(one, other) for one, other in combinations(terms, 2)):
        for letters, on, coefficient in terms:
            yield from _rotation(letters, on, 2 * coefficient)
        return
    names = sorted({name for _, _, coefficient in terms for name in coefficient.names})

    def at(values: Sequence[float]) -> _Matrix:
        given = dict(zip(names, values, strict=True))
        total = sum(float(c.evaluate(given)) * _string(letters, on, qubits) for letters, on, c in terms)
        return np.asarray(expm(-1j * np.asarray(total)))

    yield from family(at, [Affine(((name, 1.0),)) for name in names], qubits)


def family(
    at: Callable[[Sequence[float]], npt.NDArray[Any]], angles: Sequence[Affine], qubits: Sequence[int]
) -> Iterator[Instruction]:
    """Give gates for the matrix ``at(values)``, the values being those of the angles.

    Where an angle depends on parameters, the matrix must be ``exp(-i sum(x_k H_k)) at(0)`` with commuting ``H_k`` in
    these angles ``x_k``: found from small angles, then compared at five other choices.

    Raises:
        ConversionError: The matrix is not unitary, too large, or not of this form.
    """
    free = [place for place, angle in enumerate(angles) if not angle.is_constant]
    constants = [angle.constant if angle.is_constant else 0.0 for angle in angles]
    if len(qubits) > MAX_MATRIX_QUBITS:
        raise ConversionError(f"A matrix gate acts on 1 to {MAX_MATRIX_QUBITS} qubits, got {len(qubits)}.")

    def free_at(values: Sequence[float]) -> _Matrix:
        given = list(constants)
        for place, value in zip(free, values, strict=True):
            given[place] = float(value)
        return np.asarray(at(given), dtype=np.complex128)

    start = free_at([0.0] * len(free))
    yield from gates_of(start, qubits)
    if not free:
        return
    basis, rates = _spectrum(lambda values: free_at(values) @ start.conj().T, len(free), len(start))
    rng = np.random.default_rng(7)
    for _ in range(_N_CHECKS):
        values = rng.uniform(-7, 7, len(free))
        got = (basis * np.exp(-1j * (values @ rates))) @ basis.conj().T @ start
        if not np.allclose(got, free_at(list(values)), atol=_TOLERANCE):
            raise ConversionError("The matrix is not an exponential of commuting generators.", feature="matrix")
    yield from gates_of(basis.conj().T, qubits)
    yield from _diagonal(rates, [angles[place] for place in free], qubits)
    yield from gates_of(basis, qubits)


def _spectrum(at: Callable[[Sequence[float]], _Matrix], n: int, size: int) -> tuple[_Matrix, npt.NDArray[np.float64]]:
    """Return eigenvectors ``(size, size)`` that all generators share, and their eigenvalues ``(n, size)``."""
    mixed = np.random.default_rng(3).uniform(0.3, 1.0, n)
    basis = schur(at(list(_STEP * mixed)), output="complex")[1]
    rates = np.empty((n, size))
    for k in range(n):
        one = basis.conj().T @ at([_STEP * (place == k) for place in range(n)]) @ basis
        rates[k] = -np.angle(np.diag(one)) / _STEP
    tidy = np.round(rates, 9)
    return basis, np.where(np.abs(rates - tidy) < 1e-11, tidy, rates)


def _diagonal(rates: npt.NDArray[np.float64], angles: Sequence[Affine], qubits: Sequence[int]) -> Iterator[Instruction]:
    """``exp(-i sum(x_k d_k))`` for diagonals ``d_k``, by their Walsh transforms."""
    n, size = len(qubits), rates.shape[1]
    for mask in range(size):
        signs = np.array([(-1.0) ** (index & mask).bit_count() for index in range(size)])
        weights = np.round(rates @ signs / size, 12)
        total = Affine.of(0.0)
        for weight, angle in zip(weights, angles, strict=True):
            total = total + float(weight) * angle
        on = tuple(qubit for place, qubit in enumerate(qubits) if mask >> (n - 1 - place) & 1)
        if total != Affine.of(0.0):
            yield from _rotation("Z" * len(on), on or tuple(qubits[:1]), 2 * total)


def _rotation(letters: str, on: Sequence[int], angle: Affine) -> Iterator[Instruction]:
    """``exp(-i angle/2 P)``: turned into Z, gathered on the last qubit."""
    turned = [(letter, qubit) for letter, qubit in zip(letters, on, strict=False) if letter != "I"]
    if not turned:
        yield from phase(-0.5 * angle, on[0])
        return
    before = {"X": ("h",), "Y": ("sdg", "h"), "Z": ()}
    first = [Instruction(gate, (qubit,)) for letter, qubit in turned for gate in before[letter]]
    chain = [Instruction("cx", (one, other)) for (_, one), (_, other) in pairwise(turned)]
    yield from (*first, *chain, Instruction("rz", (turned[-1][1],), (angle,)))
    yield from (item.inverse() for item in reversed([*first, *chain]))


def _commute(one: Term, other: Term) -> bool:
    there = dict(zip(other[1], other[0], strict=True))
    differing = sum(
        letter != "I" and there.get(qubit, "I") not in ("I", letter)
        for letter, qubit in zip(one[0], one[1], strict=True)
    )
    return differing % 2 == 0


def _string(letters: str, on: Sequence[int], qubits: Iterable[int]) -> _Matrix:
    of = dict(zip(on, letters, strict=True))
    out = np.eye(1, dtype=np.complex128)
    for qubit in qubits:
        out = np.kron(out, _PAULIS[of.get(qubit, "I")])
    return out
