"""Operators given in other ways than as Pauli sums, written as Pauli sums: projectors on bit strings, matrices."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits.wording import shown
from superpose.errors import ObservableError

__all__ = ["MAX_EXPANDED_QUBITS", "MAX_FIXED_BITS", "matrix_terms", "projector_terms", "walsh_hadamard"]

MAX_EXPANDED_QUBITS = 6
"""A matrix on so many qubits has up to ``4**6`` = 4096 Pauli strings."""
MAX_FIXED_BITS = 12
"""A projector that fixes so many bits has ``2**12`` = 4096 Pauli strings."""
HERMITIAN_TOLERANCE = 1e-10
"""How far, relative to its largest entry, a matrix may be from its own adjoint."""
_ROUNDING = 2.0**-50  # coefficients below this, relative to the largest entry, are what rounding leaves of zeros


def walsh_hadamard(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return ``out[..., z] = sum_j (-1)^parity(j & z) array[..., j]``; the last axis has ``2**n`` entries.

    Its own inverse up to the factor ``2**n``. Real or complex.

    Cost: ``n * 2**n`` additions per row.

    >>> walsh_hadamard(np.array([1.0, 2.0, 3.0, 5.0])).tolist()
    [11.0, -3.0, -5.0, 1.0]
    """
    out = np.array(array, order="C")
    rows = out.reshape(-1, out.shape[-1])
    half = 1
    while half < rows.shape[1]:
        pairs = rows.reshape(len(rows), -1, 2, half)  # (row, block, bit, place)
        low, high = pairs[:, :, 0].copy(), pairs[:, :, 1].copy()
        np.add(low, high, out=pairs[:, :, 0])
        np.subtract(low, high, out=pairs[:, :, 1])
        half *= 2
    return out


def projector_terms(bits: str) -> dict[str, float]:
    """Return the Pauli strings of ``|bits><bits|``, in which "-" stands for any bit: a product of ``(I +- Z)/2``.

    Raises:
        ObservableError: Other characters, none, or more than 12 fixed bits.

    >>> projector_terms("0-1")
    {'III': 0.25, 'IIZ': -0.25, 'ZII': 0.25, 'ZIZ': -0.25}
    """
    if not isinstance(bits, str) or not bits or not set(bits) <= set("01-"):
        raise ObservableError(f"A projector's bits are 0, 1 and - (for any), one per qubit, got {shown(bits)}.")
    fixed = sum(bit != "-" for bit in bits)
    if fixed > MAX_FIXED_BITS:
        raise ObservableError(
            f"A projector that fixes {fixed} bits has 2**{fixed} Pauli strings; at most {MAX_FIXED_BITS} bits can be "
            "fixed. Ask for probabilities, or for counts, instead.",
            got=fixed,
            allowed=MAX_FIXED_BITS,
        )
    factors = [[("I", 1.0)] if bit == "-" else [("I", 0.5), ("Z", 0.5 if bit == "0" else -0.5)] for bit in bits]
    return {
        "".join(letter for letter, _ in choice): float(np.prod([factor for _, factor in choice]))
        for choice in product(*factors)
    }


def matrix_terms(matrix: npt.ArrayLike) -> dict[str, float]:
    """Return the Pauli strings that a Hermitian matrix is made of, on the qubits of its index (the first the highest).

    For masks x and z, the string ``P = i^|x & z| X^x Z^z`` has the coefficient ``tr(P M) / 2**k``. With
    ``X^x Z^z |j> = (-1)^parity(j & z) |j ^ x>``, this is a Walsh-Hadamard transform over j of ``M[j, j ^ x]``.

    Args:
        matrix: ``(2**k, 2**k)``, Hermitian, ``1 <= k <= 6``.

    Raises:
        ObservableError: Another shape, numbers that are not finite, or a matrix that is not Hermitian.

    Cost: ``k * 4**k`` operations.

    >>> matrix_terms([[1, 0], [0, 0]])
    {'I': 0.5, 'Z': 0.5}
    """
    values = _hermitian(matrix)
    size = len(values)
    n = size.bit_length() - 1
    index = np.arange(size)
    diagonals = values[index, index ^ index[:, np.newaxis]]  # (x, j): M[j, j ^ x]
    sums = walsh_hadamard(diagonals) / size  # (x, z)
    n_y = np.bitwise_count(index[:, np.newaxis] & index)  # (x, z): how many Y
    coefficients = (sums * np.array([1, 1j, -1, -1j])[n_y & 3]).real
    least = _ROUNDING * np.abs(values).max(initial=0.0)
    found: dict[str, float] = {}
    for x, z in np.argwhere(np.abs(coefficients) > least).tolist():
        letters = ("IZXY"[(x >> bit & 1) * 2 + (z >> bit & 1)] for bit in range(n - 1, -1, -1))
        found["".join(letters)] = float(coefficients[x, z])
    return found


def _hermitian(matrix: npt.ArrayLike) -> npt.NDArray[np.complex128]:
    """Return the matrix, complex128, after looking at its shape and symmetry; rounding errors of the latter go."""
    try:
        given = np.asarray(matrix)
        if given.dtype.kind not in "iufc":
            raise TypeError
    except (TypeError, ValueError, RuntimeError):
        raise ObservableError("The matrix of an observable must be an array of numbers.") from None
    sizes = [2**k for k in range(1, MAX_EXPANDED_QUBITS + 1)]
    if given.ndim != 2 or given.shape[0] != given.shape[1] or len(given) not in sizes:
        raise ObservableError(
            f"The matrix of an observable must be square with 2**k rows, k from 1 to {MAX_EXPANDED_QUBITS}, got shape "
            f"{given.shape}; write larger operators as sums of Pauli strings.",
            got=list(given.shape),
            allowed=sizes,
        )
    values = given.astype(np.complex128)
    if not np.isfinite(values).all():
        raise ObservableError("The matrix of an observable must be finite, got NaN or infinity.", got="non-finite")
    adjoint = values.conj().T
    off = np.abs(values - adjoint)
    if off.max() > HERMITIAN_TOLERANCE * max(1.0, float(np.abs(values).max())):
        row, column = map(int, np.unravel_index(off.argmax(), off.shape))
        raise ObservableError(
            f"The matrix of an observable must be Hermitian: entry [{row}, {column}] is {values[row, column]:.6g}, "
            f"where the conjugate of [{column}, {row}] is {adjoint[row, column]:.6g}. (M + M.conj().T) / 2 is.",
            row=row,
            column=column,
        )
    made: npt.NDArray[np.complex128] = (values + adjoint) / 2
    return made
