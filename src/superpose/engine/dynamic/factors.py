"""From operations to factors, constants and rotations in the Pauli basis, and from factors to fused blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from superpose.circuits import Affine, Instruction
from superpose.circuits.gates import GATES
from superpose.circuits.operations import Channel, KrausChannel, Operation, Reset
from superpose.engine.dynamic.superoperators import RESET, Real, gate_transfer, permuted, transfer_matrix

__all__ = ["Block", "Factor", "factors_of", "fuse"]


@dataclass(frozen=True, eq=False)
class Factor:
    """A linear map on some qubits: a constant transfer matrix, or a rotation about a Pauli string.

    Attributes:
        qubits: Ascending.
        matrix: Transfer matrix, the first qubit the most significant digit; None for a rotation.
        letters: A letter X, Y or Z per qubit, for a rotation ``exp(-i angle P / 2)``.
        angle: Its angle.
    """

    qubits: tuple[int, ...]
    matrix: Real | None = None
    letters: str = ""
    angle: Affine = field(default_factory=Affine)


@dataclass(eq=False)
class Block:
    """Factors that run as one matrix on one or two qubits, or a constant on more.

    Attributes:
        qubits: Ascending.
        factors: First applied first.
    """

    qubits: tuple[int, ...]
    factors: list[Factor]

    @property
    def is_constant(self) -> bool:
        """Whether no angle stands in it."""
        return all(factor.matrix is not None for factor in self.factors)


def constant(qubits: Sequence[int], matrix: Real) -> Factor:
    """Return a constant factor on qubits in any order."""
    order = tuple(int(k) for k in np.argsort(qubits))
    return Factor(tuple(qubits[k] for k in order), permuted(matrix, order))


def factors_of(operation: Operation) -> list[Factor]:
    """Return the factors of a gate, a channel or a reset, first applied first.

    Gates of at most two qubits without parameters are one constant; others come down to rotations by their generators
    or, without those, by their decompositions.
    """
    if isinstance(operation, Reset):
        return [Factor(operation.qubits, RESET)]
    if isinstance(operation, Channel | KrausChannel):
        return [constant(operation.qubits, transfer_matrix(operation.kraus()))]
    if not isinstance(operation, Instruction):
        return []  # barriers, and delays, whose noise a noise model writes out
    return _gate_factors(operation.gate, operation.qubits, operation.angles)


def _gate_factors(gate: str, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Factor]:
    row = GATES[gate]
    if len(qubits) <= 2 and all(angle.is_constant for angle in angles):
        return [constant(qubits, gate_transfer(gate, tuple(angle.constant for angle in angles)))]
    if row.generator is not None:
        return [
            _rotation(qubits, letters, 2.0 * coefficient * angles[0])
            for letters, coefficient in row.generator
            if letters.strip("I")
        ]
    if gate == "u":
        theta, phi, lam = angles
        return [_rotation(qubits, letter, angle) for letter, angle in (("Z", lam), ("Y", theta), ("Z", phi))]
    steps = (row.call(step, qubits, angles) for step in row.decomposition)
    return [f for step in steps for f in _gate_factors(step.gate, step.qubits, tuple(map(Affine.of, step.angles)))]


def _rotation(qubits: tuple[int, ...], letters: str, angle: Affine) -> Factor:
    acting = sorted((q, letter) for q, letter in zip(qubits, letters, strict=True) if letter != "I")
    return Factor(tuple(q for q, _ in acting), None, "".join(letter for _, letter in acting), angle)


def fuse(factors: Iterable[Factor]) -> list[Block]:
    """Return blocks that do what the factors do, each as early as its qubits allow.

    A factor joins the last block on its qubits where it fits into it; a block of one qubit joins the next one of two.
    """
    blocks: list[Block | None] = []
    last: dict[int, int] = {}
    for factor in factors:
        places = {last.get(q, -1) for q in factor.qubits}
        found = blocks[min(places)] if len(places) == 1 and places != {-1} else None
        if found is not None and len(found.qubits) <= 2 and set(factor.qubits) <= set(found.qubits):
            found.factors.append(factor)
            continue
        before: list[Factor] = []
        if len(factor.qubits) == 2:
            for place in sorted(places - {-1}):
                single = blocks[place]
                if single is not None and len(single.qubits) == 1:
                    before += single.factors
                    blocks[place] = None
        for q in factor.qubits:
            last[q] = len(blocks)
        blocks.append(Block(factor.qubits, [*before, factor]))
    out = [block for block in blocks if block is not None]
    for block in out:
        block.factors = _folded(block.factors, block.qubits)
    return out


def _folded(factors: list[Factor], qubits: tuple[int, ...]) -> list[Factor]:
    """Return the factors with neighbouring constants multiplied; a block of constants becomes one constant."""
    if len(factors) > 1 and all(f.matrix is not None for f in factors):
        factors = [Factor(qubits, _within(f, qubits)) for f in factors]
    out: list[Factor] = []
    for factor in factors:
        if out and factor.matrix is not None and out[-1].matrix is not None:
            before = out[-1]
            if before.qubits == factor.qubits or qubits in (before.qubits, factor.qubits):
                both = before.qubits if len(before.qubits) > len(factor.qubits) else factor.qubits
                out[-1] = Factor(both, _within(factor, both) @ _within(before, both))
                continue
        out.append(factor)
    return out


def _within(factor: Factor, qubits: tuple[int, ...]) -> Real:
    """Return a constant factor's matrix on all of a block's qubits, at most two."""
    if factor.matrix is None:
        raise TypeError("a rotation has no constant matrix")
    if factor.qubits == qubits:
        return factor.matrix
    one = np.eye(4)
    pair = (factor.matrix, one) if factor.qubits[0] == qubits[0] else (one, factor.matrix)
    return np.kron(*pair).astype(np.float64, copy=False)
