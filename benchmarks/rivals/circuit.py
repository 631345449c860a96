"""A case and its numbers, equal for every contestant, and what whole-state rivals need: permutations and signs."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rivals.families import FAMILIES, weights_shape

__all__ = ["PLAIN", "Case", "Task", "chain_signs", "make_task", "ring_pairs", "ring_permutation", "z_signs", "zz_signs"]

PLAIN = "strongly_entangling"
"""The family of a case that names none."""

_CASE = re.compile(r"(?:([a-z_]+)(?:@(\d+))?:)?(\d+)x(\d+)x(\d+)")


@dataclass(frozen=True)
class Case:
    """Family and size of one step; ``seed`` is that of the family "varied"."""

    n_qubits: int
    layers: int
    batch: int
    family: str = PLAIN
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Case:
        """Reads ``iqp:8x4x64`` (family, then qubits x layers x batch); plain ``8x4x64`` is strongly entangling.

        Raises:
            ValueError: not a family and three positive integers, or fewer than two qubits.
        """
        found = _CASE.fullmatch(text)
        if found and (found[1] is None or found[1] in FAMILIES):
            case = cls(int(found[3]), int(found[4]), int(found[5]), found[1] or PLAIN, int(found[2] or 0))
            if case.n_qubits >= 2 and case.layers and case.batch:
                return case
        raise ValueError(
            f"A case reads [FAMILY:]QUBITSxLAYERSxBATCH with at least 2 qubits, such as 8x4x64 or iqp:8x4x64, "
            f"with a family of {', '.join(FAMILIES)}; got {text!r}"
        )

    @property
    def size(self) -> str:
        """``8x4x64``."""
        return f"{self.n_qubits}x{self.layers}x{self.batch}"

    def __str__(self) -> str:
        if self.family == PLAIN:
            return self.size
        return f"{self.family}{f'@{self.seed}' if self.seed else ''}:{self.size}"


@dataclass(frozen=True)
class Task:
    """One case with its numbers, equal for all contestants.

    inputs ``(batch, n_qubits)``, weights (``families.weights_shape``) and upstream ``(batch, n_qubits)`` are float32;
    upstream is the gradient of the loss with respect to the expectations. ``gradients`` False asks for expectations
    alone. ``options`` are the contestant's own.
    """

    case: Case
    inputs: NDArray[np.float32]
    weights: NDArray[np.float32]
    upstream: NDArray[np.float32]
    threads: int
    options: dict[str, str]
    gradients: bool = True


def make_task(case: Case, threads: int, seed: int = 20260, *, gradients: bool = True) -> Task:
    """The numbers of a case: inputs in [-pi, pi), angles in [0, 2 pi), a normal upstream gradient."""
    rng = np.random.default_rng([seed, case.n_qubits, case.layers, case.batch])
    return Task(
        case=case,
        inputs=rng.uniform(-np.pi, np.pi, (case.batch, case.n_qubits)).astype(np.float32),
        weights=rng.uniform(0, 2 * np.pi, weights_shape(case)).astype(np.float32),
        upstream=rng.standard_normal((case.batch, case.n_qubits)).astype(np.float32),
        threads=threads,
        options={},
        gradients=gradients,
    )


def ring_pairs(n_qubits: int, reach: int) -> list[tuple[int, int]]:
    """(control, target) of a ring of CNOTs, each from a qubit to the one ``reach`` further."""
    return [(qubit, (qubit + reach) % n_qubits) for qubit in range(n_qubits)]


def ring_permutation(n_qubits: int, reach: int) -> NDArray[np.int64]:
    """The whole ring as one gather: ``new_state[i] = old_state[permutation[i]]``; qubit 0 is the high bit."""
    index = np.arange(1 << n_qubits)
    permutation = index
    for control, target in ring_pairs(n_qubits, reach):
        flipped = index ^ (1 << (n_qubits - 1 - target))
        permutation = permutation[np.where(index & (1 << (n_qubits - 1 - control)), flipped, index)]
    return permutation


def z_signs(n_qubits: int) -> NDArray[np.float32]:
    """Eigenvalues ``(2**n_qubits, n_qubits)`` of Z on each qubit; qubit 0 is the high bit of the index."""
    index = np.arange(1 << n_qubits)[:, None]
    return (1 - 2 * ((index >> np.arange(n_qubits - 1, -1, -1)) & 1)).astype(np.float32)


def zz_signs(n_qubits: int) -> NDArray[np.float32]:
    """Eigenvalues ``(2**n_qubits, n_qubits - 1)`` of ZZ on the neighbours of a chain."""
    signs = z_signs(n_qubits)
    return signs[:, :-1] * signs[:, 1:]


def chain_signs(n_qubits: int) -> NDArray[np.float32]:
    """Diagonal ``(2**n_qubits,)`` of CZ on all neighbours of a chain."""
    ones = z_signs(n_qubits) < 0
    return np.where((ones[:, :-1] & ones[:, 1:]).sum(1) % 2, np.float32(-1), np.float32(1))
