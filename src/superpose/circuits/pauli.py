"""Pauli strings as matrices."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import numpy.typing as npt

__all__ = ["PAULI_MATRICES", "pauli_matrix"]

PAULI_MATRICES = MappingProxyType(
    {
        "I": np.array([[1, 0], [0, 1]], dtype=np.complex128),
        "X": np.array([[0, 1], [1, 0]], dtype=np.complex128),
        "Y": np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
        "Z": np.array([[1, 0], [0, -1]], dtype=np.complex128),
    }
)
for _matrix in PAULI_MATRICES.values():
    _matrix.setflags(write=False)


def pauli_matrix(pauli: str) -> npt.NDArray[np.complex128]:
    """Return the Kronecker product of the string's letters, the leftmost acting on qubit 0.

    Returns:
        Array of shape ``(2**n, 2**n)``, complex128, for ``n = len(pauli) >= 1`` letters out of I, X, Y, Z.

    Cost: ``4**n`` numbers.
    """
    out: npt.NDArray[np.complex128] = np.ones((1, 1), dtype=np.complex128)
    for letter in pauli:
        out = np.kron(out, PAULI_MATRICES[letter]).astype(np.complex128, copy=False)
    return out
