"""Clifford gates as tables: what becomes of each Pauli string that goes through."""

from __future__ import annotations

import math
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.circuits import gate

__all__ = ["PAULIS", "Table", "clifford_table", "quarter_turns"]

PAULIS = (
    np.eye(2, dtype=np.complex128),
    np.array([[0, 1], [1, 0]], np.complex128),
    np.diag([1, -1]).astype(np.complex128),
    np.array([[0, -1j], [1j, 0]], np.complex128),
)
"""By code: I is 0, X 1, Z 2, Y 3, so that a product's code is the XOR of its factors'."""


class Table(NamedTuple):
    """A Clifford gate: ``U P U^dagger = sign[P] * to[P]``.

    Attributes:
        to: Codes of strings, ``(4**n,)``: of two qubits ``4 * first + second``.
        sign: 1 or -1, ``(4**n,)``.
    """

    to: npt.NDArray[np.int8]
    sign: npt.NDArray[np.int8]

    def inverse(self) -> Table:
        """The table of the inverse gate."""
        to, sign = np.empty_like(self.to), np.empty_like(self.sign)
        to[self.to], sign[self.to] = np.arange(len(self.to)), self.sign
        return Table(to, sign)


@cache
def clifford_table(name: str, angles: tuple[float, ...] = ()) -> Table | None:
    """Return the table of a gate on one or two qubits; None for what is no Clifford gate.

    >>> table = clifford_table("h")
    >>> table.to.tolist(), table.sign.tolist()
    ([0, 2, 1, 3], [1, 1, 1, -1])
    """
    row = gate(name)
    if row.n_qubits > 2:
        return None
    matrix = np.asarray(row.matrix(angles), np.complex128)
    strings = [_string(codes) for codes in product(range(4), repeat=row.n_qubits)]
    to, sign = np.zeros(len(strings), np.int8), np.zeros(len(strings), np.int8)
    for place, string in enumerate(strings):
        moved = matrix @ string @ matrix.conj().T
        overlaps = np.array([np.trace(one @ moved).real for one in strings]) / len(moved)
        found = int(np.abs(overlaps).argmax())
        if abs(abs(overlaps[found]) - 1.0) > 1e-9:
            return None
        to[place], sign[place] = found, round(overlaps[found])
    return Table(to, sign)


@cache
def quarter_turns(name: str) -> Table:
    """Return the tables of a rotation by 0, 1, 2 and 3 quarter turns, backwards: ``U^dagger P U``, ``(4, 4**n)``."""
    found = [clifford_table(name, (turns * math.pi / 2,)) for turns in range(4)]
    tables = [table.inverse() for table in found if table is not None]
    return Table(np.stack([table.to for table in tables]), np.stack([table.sign for table in tables]))


def _string(codes: tuple[int, ...]) -> npt.NDArray[np.complex128]:
    out: npt.NDArray[Any] = np.eye(1, dtype=np.complex128)
    for code in codes:
        out = np.kron(out, PAULIS[code])
    return out
