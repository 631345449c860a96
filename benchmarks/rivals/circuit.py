"""The circuit that every contestant runs, as plain numbers: CNOT rings, their permutations, signs of Z."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Case", "Task", "make_task", "ring_pairs", "ring_permutation", "z_signs"]


@dataclass(frozen=True)
class Case:
    """Size of one training step."""

    n_qubits: int
    layers: int
    batch: int

    @classmethod
    def parse(cls, text: str) -> Case:
        """Reads ``8x4x64`` (qubits x layers x batch).

        Raises:
            ValueError: not three positive integers, or fewer than two qubits.
        """
        parts = text.split("x")
        if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts) or int(parts[0]) < 2:
            raise ValueError(f"A case reads QUBITSxLAYERSxBATCH with at least 2 qubits, such as 8x4x64; got {text!r}")
        return cls(*(int(part) for part in parts))

    def __str__(self) -> str:
        return f"{self.n_qubits}x{self.layers}x{self.batch}"


@dataclass(frozen=True)
class Task:
    """One case with its numbers, equal for all contestants.

    inputs ``(batch, n_qubits)``, weights ``(layers, n_qubits, 3)`` and upstream ``(batch, n_qubits)`` are float32;
    upstream is the gradient of the loss with respect to the expectations. ``options`` are the contestant's own.
    """

    case: Case
    inputs: NDArray[np.float32]
    weights: NDArray[np.float32]
    upstream: NDArray[np.float32]
    threads: int
    options: dict[str, str]


def make_task(case: Case, threads: int, seed: int = 20260) -> Task:
    """The numbers of a case: inputs in [-pi, pi), angles in [0, 2 pi), a normal upstream gradient."""
    rng = np.random.default_rng([seed, case.n_qubits, case.layers, case.batch])
    return Task(
        case=case,
        inputs=rng.uniform(-np.pi, np.pi, (case.batch, case.n_qubits)).astype(np.float32),
        weights=rng.uniform(0, 2 * np.pi, (case.layers, case.n_qubits, 3)).astype(np.float32),
        upstream=rng.standard_normal((case.batch, case.n_qubits)).astype(np.float32),
        threads=threads,
        options={},
    )


def ring_pairs(n_qubits: int, layer: int) -> list[tuple[int, int]]:
    """(control, target) of the CNOT ring that closes a layer; its range is ``layer mod (n_qubits - 1) + 1``."""
    reach = layer % (n_qubits - 1) + 1
    return [(qubit, (qubit + reach) % n_qubits) for qubit in range(n_qubits)]


def ring_permutation(n_qubits: int, layer: int) -> NDArray[np.int64]:
    """The whole ring as one gather: ``new_state[i] = old_state[permutation[i]]``; qubit 0 is the high bit."""
    index = np.arange(1 << n_qubits)
    permutation = index
    for control, target in ring_pairs(n_qubits, layer):
        flipped = index ^ (1 << (n_qubits - 1 - target))
        permutation = permutation[np.where(index & (1 << (n_qubits - 1 - control)), flipped, index)]
    return permutation


def z_signs(n_qubits: int) -> NDArray[np.float32]:
    """Eigenvalues ``(2**n_qubits, n_qubits)`` of Z on each qubit; qubit 0 is the high bit of the index."""
    index = np.arange(1 << n_qubits)[:, None]
    return (1 - 2 * ((index >> np.arange(n_qubits - 1, -1, -1)) & 1)).astype(np.float32)
