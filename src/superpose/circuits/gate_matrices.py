"""Matrices of the gates, as functions of their angles.

Every function takes angles that are numbers or arrays of one shape ``(...)`` and returns complex128 of shape
``(..., 2**k, 2**k)``. A gate's first qubit is the most significant bit of a row's index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Angle", "Matrix", "MatrixOf"]

Angle = float | npt.NDArray[np.float64]
Matrix = npt.NDArray[np.complex128]
MatrixOf = Callable[..., Matrix]


def stack(rows: Sequence[Sequence[complex | Matrix]]) -> Matrix:
    """Return the matrix with these entries, numbers or arrays of one shape ``(...)``, as ``(..., d, d)``."""
    shape = np.broadcast_shapes(*(np.shape(entry) for row in rows for entry in row))
    out = np.empty((*shape, len(rows), len(rows)), dtype=np.complex128)
    for r, row in enumerate(rows):
        for c, entry in enumerate(row):
            out[..., r, c] = entry
    return out


def constant(rows: Sequence[Sequence[complex]]) -> MatrixOf:
    """Return a function without angles that gives this matrix (a new array each time)."""
    matrix = np.array(rows, dtype=np.complex128)
    return lambda: matrix.copy()


def controlled(matrix_of: MatrixOf) -> MatrixOf:
    """Return the function of the gate with a control qubit put first: ``[[1, 0], [0, M]]``."""

    def matrix(*angles: Angle) -> Matrix:
        inner = matrix_of(*angles)
        d = inner.shape[-1]
        out = np.zeros((*inner.shape[:-2], 2 * d, 2 * d), dtype=np.complex128)
        out[..., range(d), range(d)] = 1.0
        out[..., d:, d:] = inner
        return out

    return matrix


def rx(theta: Angle) -> Matrix:
    """``[[cos, -i sin], [-i sin, cos]](theta/2)``."""
    c, s = np.cos(np.divide(theta, 2)), np.sin(np.divide(theta, 2))
    return stack([[c, -1j * s], [-1j * s, c]])


def ry(theta: Angle) -> Matrix:
    """``[[cos, -sin], [sin, cos]](theta/2)``."""
    c, s = np.cos(np.divide(theta, 2)), np.sin(np.divide(theta, 2))
    return stack([[c, -s], [s, c]])


def rz(theta: Angle) -> Matrix:
    """``diag(exp(-i theta/2), exp(i theta/2))``."""
    phase = np.exp(0.5j * np.asarray(theta))
    return stack([[phase.conj(), 0], [0, phase]])


def p(lam: Angle) -> Matrix:
    """``diag(1, exp(i lam))``."""
    return stack([[1, 0], [0, np.exp(1j * np.asarray(lam))]])


def u(theta: Angle, phi: Angle, lam: Angle) -> Matrix:
    """``exp(i theta/2) [[cos, -e^(i lam) sin], [e^(i phi) sin, e^(i(phi + lam)) cos]](theta/2)``.

    Source: OpenQASM 3 live specification, "Built-in gates" (there written ``(1 + e^(i theta))/2`` and so on).
    """
    phase = np.exp(0.5j * np.asarray(theta))
    c, s = phase * np.cos(np.divide(theta, 2)), phase * np.sin(np.divide(theta, 2))
    left, right = np.exp(1j * np.asarray(phi)), np.exp(1j * np.asarray(lam))
    return stack([[c, -right * s], [left * s, left * right * c]])


def cu(theta: Angle, phi: Angle, lam: Angle, gamma: Angle) -> Matrix:
    """``[[1, 0], [0, exp(i(gamma - theta/2)) u(theta, phi, lam)]]``."""
    phase = np.exp(1j * (np.asarray(gamma) - np.divide(theta, 2)))
    return controlled(lambda *angles: phase[..., None, None] * u(*angles))(theta, phi, lam)


def rxx(theta: Angle) -> Matrix:
    """``exp(-i theta/2 X(x)X)``."""
    c, s = np.cos(np.divide(theta, 2)), -1j * np.sin(np.divide(theta, 2))
    return stack([[c, 0, 0, s], [0, c, s, 0], [0, s, c, 0], [s, 0, 0, c]])


def ryy(theta: Angle) -> Matrix:
    """``exp(-i theta/2 Y(x)Y)``."""
    c, s = np.cos(np.divide(theta, 2)), -1j * np.sin(np.divide(theta, 2))
    return stack([[c, 0, 0, -s], [0, c, s, 0], [0, s, c, 0], [-s, 0, 0, c]])


def rzz(theta: Angle) -> Matrix:
    """``exp(-i theta/2 Z(x)Z)``."""
    phase = np.exp(0.5j * np.asarray(theta))
    back = phase.conj()
    return stack([[back, 0, 0, 0], [0, phase, 0, 0], [0, 0, phase, 0], [0, 0, 0, back]])
