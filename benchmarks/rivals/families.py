"""The circuit families of the benchmarks, described neutrally: blocks over all qubits, or one gate after the other.

    strongly_entangling  RY(x) on every qubit; layers of RZ RY RZ on every qubit and a ring of CNOTs
    reuploading          the same, with RY(x) before every layer
    iqp                  layers of H on every qubit, RZ(x), RZZ(w) on neighbours of a chain; H on every qubit at the end
    hardware_efficient   RY(x) on every qubit; layers of RY RZ on every qubit and CZ on neighbours of a chain
    varied@SEED          layers drawn by the seed, for circuits that nobody has seen before

Rings have range ``layer mod (n_qubits - 1) + 1``. Z is measured on every qubit. A rival that works gate by gate
translates ``gates``; one that works on whole states, ``blocks``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rivals.circuit import Case

__all__ = ["FAMILIES", "Block", "Family", "Gate", "blocks", "family_of", "gates", "weights_shape"]


@dataclass(frozen=True)
class Block:
    """The same on every qubit, or along a ring or a chain.

    ``kind`` is one of "encode" (R_axes(inputs[:, q])), "rotate" (for each axis of ``axes`` in turn
    R_axis(weights[layer, q, k]), k from ``first``), "hadamard", "couple" (RZZ(weights[layer, q]) on q and q + 1),
    "ring" (CNOT from q to q + reach), "signs" (CZ on q and q + 1).
    """

    kind: str
    axes: str = ""
    layer: int = -1
    reach: int = 0
    first: int = 0


@dataclass(frozen=True)
class Gate:
    """One gate: "ry", "rz", "rzz", "h", "cx" or "cz", and where its angle comes from.

    ``source`` is "input" or "weight" with ``index`` a column of inputs or a place in the flat weights; "" for none.
    """

    name: str
    qubits: tuple[int, ...]
    source: str = ""
    index: int = -1


@dataclass(frozen=True)
class Family:
    """How a family is built: its words for people, its blocks, the axes of its weights behind the layers."""

    words: str
    blocks: Callable[[Case], list[Block]]
    weights: Callable[[int], tuple[int, ...]]


def _reach(n_qubits: int, layer: int) -> int:
    return layer % (n_qubits - 1) + 1


def _entangling_layer(case: Case, layer: int) -> list[Block]:
    return [Block("rotate", "zyz", layer), Block("ring", reach=_reach(case.n_qubits, layer))]


def _strongly_entangling(case: Case) -> list[Block]:
    layers = [block for layer in range(case.layers) for block in _entangling_layer(case, layer)]
    return [Block("encode", "y"), *layers]


def _reuploading(case: Case) -> list[Block]:
    return [b for layer in range(case.layers) for b in (Block("encode", "y"), *_entangling_layer(case, layer))]


def _iqp(case: Case) -> list[Block]:
    layer_of = (Block("hadamard"), Block("encode", "z"))
    layers = [block for layer in range(case.layers) for block in (*layer_of, Block("couple", layer=layer))]
    return [*layers, Block("hadamard")]


def _hardware_efficient(case: Case) -> list[Block]:
    layers = [b for layer in range(case.layers) for b in (Block("rotate", "yz", layer), Block("signs"))]
    return [Block("encode", "y"), *layers]


def _varied(case: Case) -> list[Block]:
    rng = np.random.default_rng(case.seed)
    found = [Block("encode", "y")]
    for layer in range(case.layers):
        found.append(Block("rotate", ("zyz", "yzy")[int(rng.integers(2))], layer))
        reach = int(rng.integers(case.n_qubits))
        found.append(Block("ring", reach=reach) if reach else Block("signs"))
    return found


FAMILIES = {
    "strongly_entangling": Family(
        "RY encoding + strongly entangling layers, Z on every qubit", _strongly_entangling, lambda n: (n, 3)
    ),
    "reuploading": Family(
        "RY encoding before every strongly entangling layer, Z on every qubit", _reuploading, lambda n: (n, 3)
    ),
    "iqp": Family("layers of H, RZ encoding, RZZ on a chain; H, Z on every qubit", _iqp, lambda n: (n - 1,)),
    "hardware_efficient": Family(
        "RY encoding + layers of RY RZ and a CZ chain, Z on every qubit", _hardware_efficient, lambda n: (n, 2)
    ),
    "varied": Family("RY encoding + layers drawn by a seed, Z on every qubit", _varied, lambda n: (n, 3)),
}
"""All families by name."""


def family_of(case: Case) -> Family:
    """The row of ``FAMILIES`` of a case."""
    return FAMILIES[case.family]


def weights_shape(case: Case) -> tuple[int, ...]:
    """Shape of the weights, layers first."""
    return (case.layers, *family_of(case).weights(case.n_qubits))


def blocks(case: Case) -> list[Block]:
    """The circuit as blocks, in order."""
    return family_of(case).blocks(case)


def _gates_of(block: Block, n: int, shape: tuple[int, ...]) -> Iterator[Gate]:
    for qubit in range(n):
        if block.kind == "encode":
            yield Gate("r" + block.axes, (qubit,), "input", qubit)
        elif block.kind == "rotate":
            for which, axis in enumerate(block.axes):
                yield Gate("r" + axis, (qubit,), "weight", (block.layer * n + qubit) * shape[-1] + block.first + which)
        elif block.kind == "hadamard":
            yield Gate("h", (qubit,))
        elif block.kind == "ring":
            yield Gate("cx", (qubit, (qubit + block.reach) % n))
        elif block.kind == "couple" and qubit < n - 1:
            yield Gate("rzz", (qubit, qubit + 1), "weight", block.layer * (n - 1) + qubit)
        elif block.kind == "signs" and qubit < n - 1:
            yield Gate("cz", (qubit, qubit + 1))


def gates(case: Case) -> list[Gate]:
    """The circuit gate by gate, in order."""
    shape = weights_shape(case)
    return [gate for block in blocks(case) for gate in _gates_of(block, case.n_qubits, shape)]
