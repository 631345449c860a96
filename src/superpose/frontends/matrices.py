"""Unitary matrices as gates: rotations, phases and CX that give the same matrix, global phase included.

Source: Shende, Bullock, Markov, "Synthesis of quantum logic circuits", IEEE TCAD 25 (2006), theorems 8 and 13 (quantum
Shannon decomposition: cosine-sine decomposition, then demultiplexing), with multiplexed rotations by Gray code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cossin, schur

from superpose.circuits import Instruction
from superpose.errors import ConversionError
from superpose.frontends.words import phase

__all__ = ["MAX_MATRIX_QUBITS", "gates_of"]

MAX_MATRIX_QUBITS = 8
"""A matrix on n qubits takes some ``2 * 4**n`` gates."""
_TOLERANCE = 1e-7
_Matrix = npt.NDArray[np.complex128]


def gates_of(matrix: npt.ArrayLike, qubits: Sequence[int]) -> Iterator[Instruction]:
    """Give gates whose product is the matrix.

    Args:
        matrix: Unitary ``(2**n, 2**n)``, the first qubit the most significant bit of an index.
        qubits: n qubits.

    Raises:
        ConversionError: Not unitary to 1e-7, or on more than 8 qubits.

    >>> [item.gate for item in gates_of([[0, 1], [1, 0]], [0])]
    ['rz', 'ry', 'rz', 'p', 'rz']
    """
    given = np.asarray(matrix, dtype=np.complex128)
    n = len(qubits)
    if n > MAX_MATRIX_QUBITS or given.shape != (1 << n, 1 << n):
        raise ConversionError(
            f"A matrix gate acts on 1 to {MAX_MATRIX_QUBITS} qubits, got shape {given.shape} on {n}.", feature="matrix"
        )
    if not np.allclose(given.conj().T @ given, np.eye(1 << n), atol=_TOLERANCE):
        raise ConversionError("A gate is given by a matrix that is not unitary.", feature="matrix")
    yield from _unitary(given, tuple(qubits))


def _unitary(u: _Matrix, qubits: tuple[int, ...]) -> Iterator[Instruction]:
    if len(qubits) == 1:
        yield from _one_qubit(u, qubits[0])
        return
    half = len(u) // 2
    left, angles, right = cossin(u, p=half, q=half, separate=True)
    yield from _multiplexed(right[0], right[1], qubits)
    yield from _rotations("ry", 2 * np.asarray(angles), qubits[0], qubits[1:])
    yield from _multiplexed(left[0], left[1], qubits)


def _one_qubit(u: _Matrix, qubit: int) -> Iterator[Instruction]:
    """``exp(i a) rz(b) ry(c) rz(d)``."""
    global_phase = float(np.angle(np.linalg.det(u))) / 2
    special = u * np.exp(-1j * global_phase)
    c = 2 * float(np.arctan2(abs(special[1, 0]), abs(special[0, 0])))
    total, difference = 2 * float(np.angle(special[1, 1])), 2 * float(np.angle(special[1, 0]))
    if abs(special[0, 0]) < abs(special[1, 0]) * 1e-12:
        total = 0.0
    if abs(special[1, 0]) < abs(special[0, 0]) * 1e-12:
        difference = 0.0
    b, d = (total + difference) / 2, (total - difference) / 2
    for gate, angle in (("rz", d), ("ry", c), ("rz", b)):
        yield Instruction(gate, (qubit,), (angle,))  # type: ignore[arg-type]  # made Affine there
    yield from phase(global_phase, qubit)


def _multiplexed(zero: _Matrix, one: _Matrix, qubits: tuple[int, ...]) -> Iterator[Instruction]:
    """The matrix ``zero`` on the other qubits where the first one is 0, ``one`` where it is 1."""
    triangle, v = schur(zero @ one.conj().T, output="complex")  # normal, so the triangle is diagonal
    root = np.exp(0.5j * np.angle(np.diag(triangle)))
    w = (root[:, None] * v.conj().T) @ one
    yield from _unitary(w, qubits[1:])
    yield from _rotations("rz", -2 * np.angle(root), qubits[0], qubits[1:])
    yield from _unitary(v, qubits[1:])


def _rotations(gate: str, angles: npt.NDArray[Any], target: int, controls: tuple[int, ...]) -> Iterator[Instruction]:
    """Rotations of the target by ``angles[k]`` where the controls read ``k``."""
    n = len(controls)
    size = 1 << n
    gray = [k ^ k >> 1 for k in range(size)]
    signs = np.array([[(-1.0) ** (row & code).bit_count() for code in gray] for row in range(size)])
    for k, angle in enumerate(signs.T @ angles / size):
        yield Instruction(gate, (target,), (float(angle),))  # type: ignore[arg-type]  # made Affine there
        changed = gray[k] ^ gray[(k + 1) % size]
        if size > 1:
            yield Instruction("cx", (controls[n - changed.bit_length()], target))
