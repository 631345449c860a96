"""Density matrices and channels in the Pauli basis, where everything is real.

A state of n qubits is ``r_P = tr(P rho)`` for all ``4**n`` Pauli strings P, the letters I, X, Y, Z being the digits
0 .. 3 and qubit 0 the most significant digit. So an expectation of a Pauli string is one entry, half the memory of the
complex matrix is enough, and a channel on m qubits is a real ``4**m`` matrix, its Pauli transfer matrix.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits.gates import GATES

__all__ = [
    "DEPHASE",
    "RESET",
    "density_matrices",
    "gate_transfer",
    "instrument",
    "pauli_vectors",
    "permuted",
    "rotation_pairs",
    "transfer_matrix",
]

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

PAULIS: Complex = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
LETTERS = "IXYZ"

DEPHASE: Real = np.diag([1.0, 0.0, 0.0, 1.0])
"""A measurement whose outcome nobody keeps."""
RESET: Real = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])


@lru_cache(maxsize=8)
def _strings(n_qubits: int) -> Complex:
    """Return all Pauli strings, ``(4**n, 2**n, 2**n)``."""
    out = PAULIS
    for _ in range(n_qubits - 1):
        d = out.shape[1] * 2
        out = np.einsum("aij,bkl->abikjl", out, PAULIS).reshape(-1, d, d)
    return out


def transfer_matrix(kraus: npt.ArrayLike) -> Real:
    """Return ``R[P, Q] = tr(P E(Q)) / 2**m`` of the channel with these operators ``(k, 2**m, 2**m)``."""
    operators = np.asarray(kraus, dtype=np.complex128)
    d = operators.shape[-1]
    strings = _strings(d.bit_length() - 1)
    images = np.einsum("kab,qbc,kdc->qad", operators, strings, operators.conj(), optimize=True)
    return np.ascontiguousarray(np.einsum("pij,qji->pq", strings, images, optimize=True).real / d)


@lru_cache(maxsize=1024)
def gate_transfer(gate: str, angles: tuple[float, ...]) -> Real:
    """Return the transfer matrix of a gate of the table."""
    return transfer_matrix(GATES[gate].matrix(angles)[None])


@lru_cache(maxsize=64)
def rotation_pairs(letters: str) -> tuple[tuple[int, int], ...]:
    """Return pairs ``(i, j)`` that ``exp(-i a P / 2)`` rotates: ``r_i' = cos a r_i - sin a r_j`` and likewise for j."""
    string = _strings(len(letters))[int("".join(str(LETTERS.index(letter)) for letter in letters), 4)]
    quarter = transfer_matrix(((np.eye(len(string)) - 1j * string) / np.sqrt(2))[None])
    return tuple((int(i), int(j)) for j, i in np.argwhere(quarter > 0.5) if i != j)


def instrument(bit: int, flip0: float, flip1: float) -> Real:
    """Return the transfer matrix of a measurement that is read as ``bit``, its weight included.

    Args:
        bit: What is read.
        flip0, flip1: Probability to read 1 where the state gave 0, and 0 where it gave 1.
    """
    read = (flip0, 1.0 - flip1) if bit else (1.0 - flip0, flip1)  # by outcome
    out = np.zeros((4, 4))
    for outcome, weight in enumerate(read):
        sign = -1.0 if outcome else 1.0
        out[np.ix_((0, 3), (0, 3))] += weight / 2 * np.array([[1.0, sign], [sign, 1.0]])
    return out


def permuted(transfer: Real, order: tuple[int, ...]) -> Real:
    """Return the matrix with its qubits in another order: place k of the result is place ``order[k]`` of the input."""
    m = len(order)
    if order == tuple(range(m)):
        return transfer
    axes = [*order, *(m + k for k in order)]
    return np.ascontiguousarray(transfer.reshape((4,) * (2 * m)).transpose(axes).reshape(transfer.shape))


def pauli_vectors(density: Complex) -> Real:
    """Return ``(batch, 4**n)`` for density matrices ``(batch, 2**n, 2**n)``."""
    n = density.shape[-1].bit_length() - 1
    array = density.reshape(-1, *(2,) * (2 * n))
    for q in range(n):  # take the row and column axes of the qubit, put its digit behind what is done
        array = np.moveaxis(array, (1 + q, 1 + n), (-2, -1))  # rows of later qubits still stand from 1 + q on
        a, b, c, d = array[..., 0, 0], array[..., 0, 1], array[..., 1, 0], array[..., 1, 1]
        digits = np.stack([a + d, b + c, 1j * (b - c), a - d], axis=-1)
        array = np.moveaxis(digits, -1, 1 + q)
    return np.ascontiguousarray(array.reshape(len(array), -1).real)


def density_matrices(vectors: Real, dtype: type[np.complex64] | type[np.complex128]) -> npt.NDArray[Any]:
    """Return ``(batch, 2**n, 2**n)`` for states ``(batch, 4**n)`` in the Pauli basis."""
    batch, size = vectors.shape
    n = (size.bit_length() - 1) // 2
    array: npt.NDArray[Any] = vectors.astype(dtype).reshape(batch, 1, size, 1)
    for _ in range(n):  # axes: batch, rows so far, digits to come, columns so far
        left, right = array.shape[1], array.shape[3]
        digits = array.reshape(batch, left, 4, -1, right) / 2
        i, x, y, z = (digits[:, :, k] for k in range(4))
        out = np.empty((batch, left, 2, digits.shape[3], right, 2), dtype)
        out[:, :, 0, :, :, 0], out[:, :, 1, :, :, 1] = i + z, i - z
        out[:, :, 0, :, :, 1], out[:, :, 1, :, :, 0] = x - 1j * y, x + 1j * y
        array = out.reshape(batch, 2 * left, -1, 2 * right)
    return array.reshape(batch, 1 << n, 1 << n)
