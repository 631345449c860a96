"""Blocks as the tables of numbers that the kernels of density matrices read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from superpose.circuits import Affine
from superpose.engine.dynamic.angles import Angles
from superpose.engine.dynamic.factors import Block, Factor
from superpose.engine.dynamic.superoperators import rotation_pairs
from superpose.engine.kernels import transfer_columns as c
from superpose.engine.kernels import vector_slots as s

__all__ = ["LANE_COLUMNS", "LANE_ROWS", "Group", "Tables"]

Ints = npt.NDArray[np.int64]

TILE_QUBITS = 8
"""A tile of ``4**8`` numbers (512 KiB) and its scratch stay in the second cache."""
MAX_BLOCKS = 24
"""Most blocks of a group: the gradient keeps a tile per block of a group."""
CHUNK_QUBITS = 3
"""The last three qubits belong to every tile: 64 numbers are copied at a time; with 16 it takes a third longer."""


def _lane_tables() -> tuple[Ints, Ints, dict[tuple[int, tuple[int, ...]], int]]:
    """Return which row and column of a matrix each lane of each coefficient is, by number of table."""
    kinds = [(2, lanes) for lanes in s.REAL_LANES_1[1:]] + [(4, lanes) for lanes in s.REAL_LANES_2[1:]]
    rows, columns = (np.zeros((1 + len(kinds), 16, s.N_LANES), np.int64) for _ in range(2))
    for number, (n_bits, lanes) in enumerate(kinds, start=1):
        inside = [sum((lane >> p & 1) << k for k, p in enumerate(lanes)) for lane in range(s.N_LANES)]
        for lane in range(s.N_LANES):
            for out in range(1 << n_bits - len(lanes)):
                rows[number, out, lane] = out << len(lanes) | inside[lane]
            for column in range(1 << n_bits):
                columns[number, column, lane] = column ^ inside[lane]
    return rows, columns, {kind: number for number, kind in enumerate(kinds, start=1)}


LANE_ROWS, LANE_COLUMNS, _TABLES = _lane_tables()


@dataclass(frozen=True, eq=False)
class Group:
    """Blocks that run on one tile after the other.

    Attributes:
        rows: ``(n_blocks, WIDTH)``, see `superpose.engine.kernels.transfer_columns`.
        starts: Where the tiles of a state start.
        chunks: Offsets of the contiguous pieces of a tile.
        chunk: Numbers per piece; 0 where a tile is the whole state.
        size: Numbers per tile.
        environment_size: Numbers of the gradients by all matrices; 0 where no angle stands in the group.
        n_kept: Tiles that a gradient keeps.
        work: Multiplications for a state.
    """

    rows: Ints
    starts: Ints
    chunks: Ints
    chunk: int
    size: int
    environment_size: int
    n_kept: int
    work: int


class Tables:
    """Grows with the groups of a program.

    Args:
        n_qubits: Of the states, at least 2.
        inputs: Parameters that differ between samples.
    """

    def __init__(self, n_qubits: int, inputs: Collection[str]) -> None:
        self.n_qubits = n_qubits
        self.angles = Angles()
        self._inputs = frozenset(inputs)
        self._factors: list[tuple[int, int, int, int]] = []
        self._constants: list[npt.NDArray[np.float64]] = []
        self._n_constants = 0
        self._pairs: list[tuple[int, int]] = []
        self._pairs_of: dict[tuple[str, int], int] = {}
        self._offsets: list[int] = []
        self.sizes = [0, 0]
        """Numbers of the coefficients that all samples share, and of each sample's own."""
        self.most_factors = 1
        """Of one block."""

    def groups(self, blocks: Sequence[Block]) -> list[Group]:
        """Return groups that run the blocks, in an order that keeps each qubit's."""
        out, rest = [], list(blocks)
        while rest:
            chosen, qubits, rest = self._next(rest)
            out.append(self._group(chosen, qubits))
        return out

    def _next(self, blocks: list[Block]) -> tuple[list[Block], tuple[int, ...], list[Block]]:
        """Take the blocks that the next tile can run; return them, the tile's qubits, and the others."""
        n = self.n_qubits
        if n <= TILE_QUBITS:
            return blocks[:MAX_BLOCKS], tuple(range(n)), blocks[MAX_BLOCKS:]
        inside = set(range(n - CHUNK_QUBITS, n))
        blocked: set[int] = set()
        chosen: list[Block] = []
        others: list[Block] = []
        for block in blocks:
            grown = inside | set(block.qubits)
            fits = len(grown) <= TILE_QUBITS or not chosen
            if fits and not blocked & set(block.qubits) and len(chosen) < MAX_BLOCKS:
                inside = grown
                chosen.append(block)
            else:
                blocked |= set(block.qubits)
                others.append(block)
        for q in range(n - 1, -1, -1):  # whole tiles copy better than short ones
            if len(inside) < TILE_QUBITS:
                inside.add(q)
        return chosen, tuple(sorted(inside)), others

    def _group(self, blocks: list[Block], qubits: tuple[int, ...]) -> Group:
        n, k = self.n_qubits, len(qubits)
        rows = np.zeros((len(blocks), c.WIDTH), np.int64)
        place = {q: at for at, q in enumerate(qubits)}
        size, n_kept = 0, 0
        for row, block in zip(rows, blocks, strict=True):
            self._fill(row, block, [place[q] for q in block.qubits], k)
            if block.is_constant:
                row[c.ENVIRONMENT] = -1
            else:
                row[c.ENVIRONMENT], row[c.HISTORY] = size, n_kept
                size, n_kept = size + int(row[c.DIMENSION]) ** 2, n_kept + 1
        starts = _spread([q for q in range(n) if q not in place], n)
        chunks = _spread(qubits[: k - CHUNK_QUBITS], n) if k < n else np.zeros(1, np.int64)
        chunk = 4**CHUNK_QUBITS if k < n else 0
        work = sum(4 ** len(block.qubits) for block in blocks) * 4**n
        return Group(rows, starts, chunks, chunk, 4**k, size, n_kept, work)

    def _fill(self, row: Ints, block: Block, places: list[int], k: int) -> None:
        """Write a block's row for a tile of ``k`` qubits in which its qubits have these places."""
        dim = 4 ** len(places)
        bits = [2 * (k - 1 - q) + b for q in reversed(places) for b in range(2)]  # of the element index, ascending
        row[c.DIMENSION] = dim
        if len(places) <= 2:
            lanes = tuple(bit for bit in bits if bit < s.LANE_BITS)
            outside = [bit - s.LANE_BITS for bit in bits if bit >= s.LANE_BITS]
            table = s.REAL_LANES_1 if len(places) == 1 else s.REAL_LANES_2
            row[c.LOOP] = s.APPLY_REAL[len(bits)] + table.index(lanes)
            row[c.OUTER] = s.OUTER_REAL[len(bits)] + table.index(lanes)
            row[c.TABLE] = _TABLES[len(bits), lanes] if lanes else 0
            row[c.N_OUT] = len(outside)
            row[c.COUNT] = 4**k // s.N_LANES >> len(outside)
            for j, bit in enumerate(outside):
                row[c.LOWS + j], row[c.STRIDES + j] = (1 << bit) - 1, 64 << bit
            size = (dim << len(outside)) * (s.N_LANES if lanes else 1)
        else:
            row[c.LOOP] = -1
            row[c.COUNT] = 4**k // dim
            row[c.OFFSETS], row[c.N_BITS] = len(self._offsets), len(bits)
            self._offsets += [sum((i >> j & 1) << bit for j, bit in enumerate(bits)) for i in range(dim)]
            self._offsets += [(1 << bit) - 1 for bit in bits]
            size = dim * dim
        own = any(self._is_own(factor.angle) for factor in block.factors)
        size = -(-size // s.N_LANES) * s.N_LANES
        row[c.OWN], row[c.FORWARD], row[c.BACKWARD] = own, self.sizes[own], self.sizes[own] + size
        self.sizes[own] += 2 * size
        row[c.FIRST] = len(self._factors)
        self._factors += [self._factor(factor, block.qubits) for factor in block.factors]
        row[c.LAST] = len(self._factors)
        self.most_factors = max(self.most_factors, len(block.factors))

    def _is_own(self, angle: Affine) -> bool:
        return not self._inputs.isdisjoint(angle.names)

    def _factor(self, factor: Factor, qubits: tuple[int, ...]) -> tuple[int, int, int, int]:
        if factor.matrix is not None:
            at, self._n_constants = self._n_constants, self._n_constants + factor.matrix.size
            self._constants.append(factor.matrix.reshape(-1))
            if factor.qubits == qubits:
                return c.WHOLE, at, 0, 0
            return c.ONE, at, qubits.index(factor.qubits[0]), 0
        letters = "".join(factor.letters[factor.qubits.index(q)] if q in factor.qubits else "I" for q in qubits)
        pairs = rotation_pairs(letters)
        first = self._pairs_of.get((letters, len(qubits)))
        if first is None:
            first = self._pairs_of[letters, len(qubits)] = len(self._pairs)
            self._pairs += pairs
        return c.ROTATION, self.angles.number(factor.angle), first, len(pairs)

    def arrays(self) -> tuple[Ints, npt.NDArray[np.float64], Ints, Ints]:
        """Return factors, constants, pairs and offsets."""
        return (
            np.array(self._factors, np.int64).reshape(-1, 4),
            np.concatenate([np.zeros(0), *self._constants]),
            np.array(self._pairs, np.int64).reshape(-1, 2),
            np.array(self._offsets, np.int64),
        )


def _spread(qubits: Sequence[int], n_qubits: int) -> Ints:
    """Return the offsets that all digits of these qubits make, the first one the most significant."""
    out = np.zeros(1, np.int64)
    for q in qubits:
        out = (out[:, None] + np.arange(4) * 4 ** (n_qubits - 1 - q)).reshape(-1)
    return out
