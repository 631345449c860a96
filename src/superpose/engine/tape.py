"""Writes the tape, the flat arrays that the kernels read; `superpose.engine.kernels.layout` says what stands where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.circuits import Observable
from superpose.engine.blocks import Span
from superpose.engine.frame import anticommute
from superpose.engine.kernels import layout as at
from superpose.engine.lowering import Angle, Layer, Lowered

__all__ = ["Tape", "build_tape"]

TABLE_MIN_TERMS = 3
"""From so many shared diagonal rotations in one layer on, one table of phases is cheaper."""
TRANSFORM_MIN_STRINGS = 5
"""From so many diagonal Pauli strings on, one Walsh-Hadamard transform is cheaper."""
KEPT_TABLES_BYTES = 8 << 20
"""Tables up to this size in sum are built once per call; others for each tile and use."""
WHOLE_BITS = 8
"""Up to so many qubits, both states of a tile fit the fast cache and a coset is all amplitudes."""
BLOCK_BITS = 6
"""Beyond, cosets have ``2**BLOCK_BITS`` amplitudes."""
RESET_AFTER = 24
"""So many scaled rotations may make the states grow, each by at most the square root of 2, until that is undone."""


@dataclass(frozen=True, eq=False)
class Tape:
    """A lowered circuit with its observables, for tiles of ``lanes`` samples."""

    ints: npt.NDArray[np.int64]
    floats: npt.NDArray[np.float64]

    def __getitem__(self, place: int) -> int:
        return int(self.ints[place])


class _Sparse:
    """Rows of (index, factor)."""

    def __init__(self) -> None:
        self.start, self.index, self.factor = [0], list[int](), list[float]()

    def add_row(self, row: dict[int, float]) -> None:
        self.index.extend(row)
        self.factor.extend(row.values())
        self.start.append(len(self.index))


class _Block(NamedTuple):
    """An open block: rotations as (kind, masks and numbers) that wait for their coset."""

    span: Span
    ops: list[tuple[int, list[tuple[int, int, int]]]]
    """Kind, and one or two of (x, z, rotation)."""


class _Writer:
    """Collects the sections of the tape, step by step."""

    def __init__(self, n_qubits: int, inputs: Sequence[str], weights: Sequence[str]) -> None:
        self.n_qubits = n_qubits
        self.bits = n_qubits if n_qubits <= WHOLE_BITS else BLOCK_BITS
        self.place_of_input = {name: k for k, name in enumerate(inputs)}
        self.place_of_weight = {name: k for k, name in enumerate(weights)}
        self.const: list[float] = []
        self.weights, self.inputs = _Sparse(), _Sparse()
        self.xs: list[int] = []
        self.zs: list[int] = []
        self.books: list[int] = []
        self.of_lanes: list[int] = []
        self.steps: list[list[int]] = []
        self.ops: list[tuple[int, ...]] = []
        self.first_gradient: int | None = None
        self.n_tables = 0
        self.n_scaled = 0  # since the states' growth was undone
        self.elements: list[npt.NDArray[np.int64]] = []
        self.n_elements = 0
        self.place_of_elements: dict[tuple[tuple[int, int], ...], int] = {}
        self.block = self._new_block()

    def _new_block(self) -> _Block:
        return _Block(Span(self.bits, self.n_qubits), [])

    def depends_on_inputs(self, angle: Angle) -> bool:
        return any(name in self.place_of_input for affine, _ in angle for name, _ in affine.terms)

    def add_rotation(self, x: int, z: int, angle: Angle, book: int) -> int:
        """Note a rotation of the step that is being written and return its number."""
        const, weights, inputs = 0.0, dict[int, float](), dict[int, float]()
        for affine, factor in angle:
            const += factor * affine.constant
            for name, coefficient in affine.terms:
                where, place = weights, self.place_of_weight.get(name)
                if place is None:
                    where, place = inputs, self.place_of_input[name]
                where[place] = where.get(place, 0.0) + factor * coefficient
        r = len(self.const)
        self.const.append(const)
        self.weights.add_row(weights)
        self.inputs.add_row(inputs)
        self.xs.append(x << 7)
        self.zs.append(z << 7)
        self.books.append(book)
        if inputs:
            self.of_lanes.append(r)
        if self.first_gradient is None and (weights or inputs):
            self.first_gradient = len(self.steps)
        return r

    def add(self, kind: int, *items: tuple[int, int, Angle], book: int = at.PLAIN) -> None:
        """Write one rotation, or a pair, into the open block or a new one."""
        xs = [x for x, _, _ in items]
        if len(self.block.ops) == at.MAX_OPS or not self.block.span.add(*xs):
            self.close()
            self.block.span.add(*xs)
        self.block.ops.append((kind, [(x, z, self.add_rotation(x, z, angle, book)) for x, z, angle in items]))

    def close(self) -> None:
        """Close the open block, if it has anything."""
        span, waiting = self.block
        if not waiting:
            return
        span.fill()
        first = len(self.ops)
        for kind, items in waiting:
            (x, z, r), (x2, z2, r2) = items[0], items[-1]
            n, n2 = span.number(x), span.number(x2)
            lows = [-1 if kind == at.DIAGONAL else _below_top(n, 8), 0]
            if len(items) == 2:
                top = 1 << (n.bit_length() - 1)
                lows = sorted((_below_top(n, 8), _below_top(n2 ^ n if n2 & top else n2, 8)))
            self.ops.append((kind, x << 7, z << 7, r, lows[0], x2 << 7, z2 << 7, r2, lows[1]))
        inside = sum(span.basis) << 7 | 127
        elements = self._place_elements(span)
        self.steps.append([at.BLOCK, first, len(self.ops), len(span.basis), elements, inside])
        self.block = self._new_block()

    def _place_elements(self, span: Span) -> int:
        key = tuple(sorted(span.basis.items())) if span.dimension < self.n_qubits else ()
        place = self.place_of_elements.get(key)
        if place is None:
            place = self.place_of_elements[key] = self.n_elements
            self.elements.append(span.elements() << 7)
            self.n_elements += len(self.elements[-1])
        return place

    def add_diagonal_layer(self, layer: Layer) -> None:
        shared = []
        for (_, z), angle in zip(layer.masks, layer.angles, strict=True):
            if self.depends_on_inputs(angle):
                self.add(at.DIAGONAL, (0, z, angle))
            else:
                shared.append((z, angle))
        if len(shared) < TABLE_MIN_TERMS:
            for z, angle in shared:
                self.add(at.DIAGONAL, (0, z, angle))
            return
        self.close()
        first = len(self.const)
        for k, (z, angle) in enumerate(shared):
            self.add_rotation(0, z, angle, at.FIRST_TABLE + self.n_tables if k == 0 else at.PLAIN)
        self.steps.append([at.TABLE, first, len(self.const), self.n_tables, 0, 0])
        self.n_tables += 1
        self.n_scaled = 0

    def add_start(self, layer: Layer) -> int:
        """Write rotations that commute and whose highest flipped bits differ; return how many of the layer these
        are."""
        items: list[tuple[int, int, Angle]] = []
        for (x, z), angle in zip(layer.masks, layer.angles, strict=True):
            if any(x.bit_length() == x2.bit_length() or anticommute(x, z, x2, z2) for x2, z2, _ in items):
                break
            items.append((x, z, angle))
        for x, z, angle in sorted(items, key=lambda item: item[0]):
            self.add(_kind(x, z), (x, z, angle))
        self.close()
        return len(items)

    def add_layer(self, layer: Layer, skip: int) -> None:
        """Write rotations that are not diagonal: neighbours with shared angles, of one kind, in pairs."""
        items = [(x, z, angle) for (x, z), angle in zip(layer.masks, layer.angles, strict=True)][skip:]
        place = 0
        while place < len(items):
            item, kind = items[place], _kind(*items[place][:2])
            place += 1
            if self.depends_on_inputs(item[2]):
                self.add(kind, item)
                continue
            if self.n_scaled >= RESET_AFTER:
                self.add(kind, item, book=at.RESET)
                self.n_scaled = 0
                continue
            if place < len(items):
                other = items[place]
                if other[0] != item[0] and _kind(*other[:2]) == kind and not self.depends_on_inputs(other[2]):
                    self.add(kind + at.PAIR_REAL, item, other, book=at.SCALED)
                    self.n_scaled += 2
                    place += 1
                    continue
            self.add(kind + at.SCALED_REAL, item, book=at.SCALED)
            self.n_scaled += 1


def _kind(x: int, z: int) -> int:
    return at.REAL if (x & z).bit_count() & 1 else at.IMAGINARY


def _below_top(x: int, size: int) -> int:
    """Return the mask, in bytes, of the places below the highest bit of ``x``."""
    return (size << max(x.bit_length() - 1, 0)) - 1


def _strings(
    lowered: Lowered, observables: Sequence[Observable]
) -> tuple[list[tuple[int, int]], list[dict[int, float]]]:
    """Return the Pauli strings that the frame turns the observables into, diagonal ones first, and their coefficients.

    Coefficients are per string a mapping from observable to factor.
    """
    found: dict[tuple[int, int], dict[int, float]] = {}
    for place, observable in enumerate(observables):
        for letters, coefficient in observable.terms:
            x, z, k = lowered.frame.pull((q, letter) for q, letter in enumerate(letters) if letter != "I")
            sign = -1.0 if (k - ((x & z).bit_count() & 1)) & 2 else 1.0
            row = found.setdefault((x, z), {})
            row[place] = row.get(place, 0.0) + sign * coefficient
    strings = sorted(found, key=lambda key: key[0] != 0)
    return strings, [found[key] for key in strings]


def _count_trailing(layers: Sequence[Layer], strings: Sequence[tuple[int, int]]) -> int:
    """Return how many layers at the end commute with all strings, so that expectations do not depend on them."""
    count = 0
    for layer in reversed(layers):
        if len(layer.masks) * len(strings) > 100_000:
            break
        if any(anticommute(*mask, *string) for mask in layer.masks for string in strings):
            break
        count += 1
    return count


def build_tape(
    lowered: Lowered, observables: Sequence[Observable], inputs: Sequence[str], weights: Sequence[str], lanes: int
) -> Tape:
    """Return the tape; ``inputs`` and ``weights`` order the parameters."""
    writer = _Writer(lowered.n_qubits, inputs, weights)
    strings, factors = _strings(lowered, observables)
    layers = lowered.layers
    n_seen = len(layers) - _count_trailing(layers, strings)
    n_expect = n_rotations_expect = n_start = 0
    for number, layer in enumerate(layers):
        if number == n_seen:
            writer.close()
            n_expect, n_rotations_expect = len(writer.steps), len(writer.const)
        if layer.diagonal:
            writer.add_diagonal_layer(layer)
            continue
        skip = writer.add_start(layer) if number == 0 else 0
        n_start = n_start or len(writer.steps) * (skip > 0)
        writer.add_layer(layer, skip)
    writer.close()
    if n_seen == len(layers):
        n_expect, n_rotations_expect = len(writer.steps), len(writer.const)
    header = np.zeros(at.HEADER, dtype=np.int64)
    rows = 1 << lowered.n_qubits
    n_kept = min(writer.n_tables, KEPT_TABLES_BYTES // (2 * max(rows, lanes) * (64 // lanes)))
    n_diagonal = sum(x == 0 for x, _ in strings)
    n_rotations = len(writer.const)
    first_gradient = len(writer.steps) if writer.first_gradient is None else writer.first_gradient
    for place, value in (
        (at.ROWS, rows), (at.ROWS_PADDED, max(rows, lanes)), (at.LANES, lanes), (at.N_STEPS, len(writer.steps)),
        (at.N_STEPS_EXPECT, n_expect), (at.N_START, n_start), (at.FIRST_GRADIENT, first_gradient),
        (at.N_ROTATIONS, n_rotations), (at.N_ROTATIONS_EXPECT, n_rotations_expect),
        (at.PADDED, -(-n_rotations // 8) * 8), (at.N_OF_LANES, len(writer.of_lanes)),
        (at.N_WEIGHTS, len(weights)), (at.N_INPUTS, len(inputs)), (at.N_OBSERVABLES, len(observables)),
        (at.N_STRINGS, len(strings)), (at.N_DIAGONAL, n_diagonal), (at.N_TABLES, writer.n_tables), (at.N_KEPT, n_kept),
        (at.TRANSFORM, n_diagonal >= TRANSFORM_MIN_STRINGS),
    ):  # fmt: skip
        header[place] = value
    _lay_out_workspace(header)
    return _assemble(header, writer, strings, factors)


def _assemble(
    header: npt.NDArray[np.int64], writer: _Writer, strings: list[tuple[int, int]], factors: list[dict[int, float]]
) -> Tape:
    of_observable = _Sparse()
    for row in factors:
        of_observable.add_row(row)
    lane_of = np.full(len(writer.const), -1, dtype=np.int64)
    lane_of[writer.of_lanes] = np.arange(len(writer.of_lanes))
    floats = _join(
        header,
        0,
        np.float64,
        (at.CONST, writer.const),
        (at.WEIGHT_FACTOR, writer.weights.factor),
        (at.INPUT_FACTOR, writer.inputs.factor),
        (at.STRING_FACTOR, of_observable.factor),
    )
    sections = (
        (at.STEPS, writer.steps),
        (at.OPS, writer.ops),
        (at.WEIGHT_START, writer.weights.start),
        (at.WEIGHT_INDEX, writer.weights.index),
        (at.INPUT_START, writer.inputs.start),
        (at.INPUT_INDEX, writer.inputs.index),
        (at.LANE_OF, lane_of),
        (at.OF_LANES, writer.of_lanes),
        (at.X_OF, writer.xs),
        (at.Z_OF, writer.zs),
        (at.BOOK, writer.books),
        (at.STRINGS, [(x << 7, z << 7, _below_top(x, 128), _kind(x, z)) for x, z in strings]),
        (at.STRING_START, of_observable.start),
        (at.STRING_OBSERVABLE, of_observable.index),
        (at.ELEMENTS, np.concatenate([np.empty(0, dtype=np.int64), *writer.elements])),
    )
    ints = _join(header, at.HEADER, np.int64, *sections)
    ints[: at.HEADER] = header
    return Tape(ints, floats)


def _join(header: npt.NDArray[np.int64], start: int, dtype: Any, *sections: tuple[int, Any]) -> npt.NDArray[Any]:
    """Concatenate the sections behind ``start`` empty places, and note in the header where each starts."""
    arrays = [np.zeros(start, dtype=dtype)]
    for place, section in sections:
        header[place] = start
        arrays.append(np.asarray(section, dtype=dtype).ravel())
        start += len(arrays[-1])
    return np.concatenate(arrays)


def _lay_out_workspace(header: npt.NDArray[np.int64]) -> None:
    """Give each part of the workspace its place, in elements and multiples of one vector.

    The two states lie an odd number of cache lines apart, or they would fight for the same sets of the cache.
    """
    lanes, rows = int(header[at.LANES]), int(header[at.ROWS_PADDED])
    needs_scratch_table = header[at.N_TABLES] > header[at.N_KEPT]
    end = 0
    for place, vectors in (
        (at.AT_SIGMA, 2), (at.AT_COEF, 6 * at.MAX_OPS), (at.AT_ACC, 2 * at.MAX_OPS),
        (at.AT_PSI, 2 * rows + 6), (at.AT_LAM, 2 * rows + 6),
        (at.AT_LANE, 2 * header[at.N_OF_LANES]), (at.AT_VALUES, header[at.N_OBSERVABLES]), (at.AT_STRINGS, 2),
        (at.AT_SUMS, rows // lanes), (at.AT_TABLE, 2 * rows // lanes * needs_scratch_table),
    ):  # fmt: skip
        header[place] = end
        end += int(vectors) * lanes
    header[at.SIZE] = end
    padded, n_tables = int(header[at.PADDED]), int(header[at.N_TABLES])
    header[at.SIZE_WIDE] = max(rows if n_tables else 0, lanes + 1, 2 * padded + 1, header[at.N_WEIGHTS])
    header[at.SIZE_ANGLES] = 3 * padded + n_tables + 2
