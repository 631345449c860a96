"""Writes the tape, the flat arrays that the kernels read; `superpose.engine.kernels.layout` says what stands where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits import Observable
from superpose.engine.frame import anticommute
from superpose.engine.kernels import layout as at
from superpose.engine.lowering import Angle, Layer, Lowered

__all__ = ["Tape", "build_tape"]

BYTES_PER_AMPLITUDE = 128
TABLE_MIN_TERMS = 3
"""From so many shared diagonal rotations in one layer on, one table of phases is cheaper."""
TRANSFORM_MIN_STRINGS = 5
"""From so many diagonal Pauli strings on, one Walsh-Hadamard transform is cheaper."""
KEPT_TABLES_BYTES = 8 << 20
"""Tables up to this size in sum are built once per call; others for each tile and use."""


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


class _Writer:
    def __init__(self, n_qubits: int, inputs: Sequence[str], weights: Sequence[str]) -> None:
        self.n_qubits = n_qubits
        self.place_of_input = {name: k for k, name in enumerate(inputs)}
        self.place_of_weight = {name: k for k, name in enumerate(weights)}
        self.const: list[float] = []
        self.weights, self.inputs = _Sparse(), _Sparse()
        self.masks: list[int] = []
        self.of_lanes: list[int] = []
        self.ops: list[tuple[int, ...]] = []
        self.n_tables = 0

    def depends_on_inputs(self, angle: Angle) -> bool:
        return any(name in self.place_of_input for affine, _ in angle for name, _ in affine.terms)

    def add_rotation(self, mask: int, angle: Angle) -> tuple[int, bool]:
        """Return the rotation's number and whether its angle depends on parameters."""
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
        self.masks.append(mask)
        if inputs:
            self.of_lanes.append(r)
        return r, bool(weights or inputs)

    def add_single(self, kind: int, x: int, z: int, angle: Angle) -> None:
        r, gradient = self.add_rotation(z, angle)
        self.ops.append((kind, x << 7, z << 7, r, _below_top(x), 0, 0, 0, 0, gradient))

    def add_pair(self, kind: int, first: tuple[int, int, Angle], second: tuple[int, int, Angle]) -> None:
        (x, z, angle), (x2, z2, angle2) = first, second
        r, gradient = self.add_rotation(z, angle)
        r2, gradient2 = self.add_rotation(z2, angle2)
        top = 1 << (x.bit_length() - 1)
        lows = sorted((_below_top(x), _below_top(x2 ^ x if x2 & top else x2)))
        self.ops.append((kind, x << 7, z << 7, r, lows[0], x2 << 7, z2 << 7, r2, lows[1], gradient or gradient2))

    def add_diagonal_layer(self, layer: Layer) -> None:
        shared = []
        for (_, z), angle in zip(layer.masks, layer.angles, strict=True):
            if self.depends_on_inputs(angle):
                self.add_single(at.DIAGONAL, 0, z, angle)
            else:
                shared.append((z, angle))
        if len(shared) < TABLE_MIN_TERMS:
            for z, angle in shared:
                self.add_single(at.DIAGONAL, 0, z, angle)
            return
        first, gradient = len(self.const), False
        for z, angle in shared:
            gradient |= self.add_rotation(z, angle)[1]
        self.ops.append((at.TABLE, self.n_tables, 0, first, 0, 0, 0, len(self.const), 0, gradient))
        self.n_tables += 1

    def add_start(self, layer: Layer) -> int:
        """Write rotations that commute and each flip one bit of their own; return how many of the layer these are."""
        items: list[tuple[int, int, Angle]] = []
        for (x, z), angle in zip(layer.masks, layer.angles, strict=True):
            if x & (x - 1) or any(x == x2 or anticommute(x, z, x2, z2) for x2, z2, _ in items):
                break
            items.append((x, z, angle))
        for x, z, angle in sorted(items, key=lambda item: item[0]):
            self.add_single(_kind(x, z), x, z, angle)
        return len(items)

    def add_layer(self, layer: Layer, skip: int) -> None:
        items = list(zip(layer.masks, layer.angles, strict=True))[skip:]
        place = 0
        while place < len(items):
            (x, z), angle = items[place]
            kind = _kind(x, z)
            if place + 1 < len(items):
                (x2, z2), angle2 = items[place + 1]
                if x2 != x and _kind(x2, z2) == kind:
                    self.add_pair(kind + at.PAIR_REAL, (x, z, angle), (x2, z2, angle2))
                    place += 2
                    continue
            self.add_single(kind, x, z, angle)
            place += 1


def _kind(x: int, z: int) -> int:
    return at.REAL if (x & z).bit_count() & 1 else at.IMAGINARY


def _below_top(x: int) -> int:
    """Return the mask, in bytes, of the offsets below the highest bit of ``x``."""
    return (BYTES_PER_AMPLITUDE << max(x.bit_length() - 1, 0)) - 1


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
    n_kept_layers = len(layers) - _count_trailing(layers, strings)
    n_expect = n_start = 0
    for number, layer in enumerate(layers):
        if layer.diagonal:
            writer.add_diagonal_layer(layer)
        else:
            skip = writer.add_start(layer) if number == 0 else 0
            n_start = n_start or skip
            writer.add_layer(layer, skip)
        if number < n_kept_layers:
            n_expect = len(writer.ops)
    return _assemble(writer, strings, factors, (lanes, len(inputs), len(weights), len(observables), n_expect, n_start))


def _assemble(
    writer: _Writer,
    strings: list[tuple[int, int]],
    factors: list[dict[int, float]],
    counts: tuple[int, int, int, int, int, int],
) -> Tape:
    lanes, n_inputs, n_weights, n_observables, n_expect, n_start = counts
    rows = 1 << writer.n_qubits
    rows_padded = max(rows, lanes)
    n_rotations, n_diagonal = len(writer.const), sum(x == 0 for x, _ in strings)
    of_observable = _Sparse()
    for row in factors:
        of_observable.add_row(row)
    lane_of = np.full(n_rotations, -1, dtype=np.int64)
    lane_of[writer.of_lanes] = np.arange(len(writer.of_lanes))
    first = next((k for k, op in enumerate(writer.ops) if op[at.OP_GRADIENT]), len(writer.ops))
    table_bytes = 2 * rows_padded * (64 // lanes)
    header = np.zeros(at.HEADER, dtype=np.int64)
    sections: list[tuple[int, Any]] = [
        (at.OPS, np.array(writer.ops, dtype=np.int64).ravel()),
        (at.WEIGHT_START, writer.weights.start),
        (at.WEIGHT_INDEX, writer.weights.index),
        (at.INPUT_START, writer.inputs.start),
        (at.INPUT_INDEX, writer.inputs.index),
        (at.LANE_OF, lane_of),
        (at.OF_LANES, writer.of_lanes),
        (at.MASK, writer.masks),
        (at.STRINGS, [value for x, z in strings for value in (x << 7, z << 7, _below_top(x), _kind(x, z))]),
        (at.STRING_START, of_observable.start),
        (at.STRING_OBSERVABLE, of_observable.index),
    ]
    numbers: list[tuple[int, Any]] = [
        (at.CONST, writer.const),
        (at.WEIGHT_FACTOR, writer.weights.factor),
        (at.INPUT_FACTOR, writer.inputs.factor),
        (at.STRING_FACTOR, of_observable.factor),
    ]
    n_kept = min(writer.n_tables, KEPT_TABLES_BYTES // table_bytes)
    places = (
        (at.ROWS, rows), (at.ROWS_PADDED, rows_padded), (at.LANES, lanes), (at.N_OPS, len(writer.ops)), (at.N_OPS_EXPECT, n_expect),
        (at.N_START, n_start), (at.FIRST_GRADIENT, first), (at.N_ROTATIONS, n_rotations), (at.PADDED, -(-n_rotations // 8) * 8),
        (at.N_OF_LANES, len(writer.of_lanes)), (at.N_WEIGHTS, n_weights), (at.N_INPUTS, n_inputs),
        (at.N_OBSERVABLES, n_observables), (at.N_STRINGS, len(strings)), (at.N_DIAGONAL, n_diagonal),
        (at.N_TABLES, writer.n_tables), (at.N_KEPT, n_kept), (at.TRANSFORM, n_diagonal >= TRANSFORM_MIN_STRINGS),
    )  # fmt: skip
    for place, value in places:
        header[place] = value
    _lay_out_workspace(header)
    floats = _join(header, numbers, 0, np.float64)
    return Tape(_join(header, sections, at.HEADER, np.int64), floats)


def _join(header: Any, sections: list[tuple[int, Any]], start: int, dtype: Any) -> Any:
    """Concatenate the sections (after the header, where that is of the same kind) and note their starts in the header."""
    arrays = [np.asarray(section, dtype=dtype) for _, section in sections]
    for (place, _), array in zip(sections, arrays, strict=True):
        header[place] = start
        start += len(array)
    return np.concatenate([header, *arrays] if dtype == np.int64 else arrays)


def _lay_out_workspace(header: npt.NDArray[np.int64]) -> None:
    """Give each part of the workspace its place, in elements and multiples of one vector.

    The two states lie an odd number of cache lines apart, or they would fight for the same sets of the cache.
    """
    lanes, rows = int(header[at.LANES]), int(header[at.ROWS_PADDED])
    needs_scratch_table = header[at.N_TABLES] > header[at.N_KEPT]
    end = 0
    for place, vectors in (
        (at.AT_SIGMA, 2), (at.AT_COEF, 6), (at.AT_ACC, 3), (at.AT_PSI, 2 * rows + 6), (at.AT_LAM, 2 * rows + 6),
        (at.AT_LANE, 2 * header[at.N_OF_LANES]), (at.AT_VALUES, header[at.N_OBSERVABLES]), (at.AT_STRINGS, 2),
        (at.AT_SUMS, rows // lanes), (at.AT_TABLE, 2 * rows // lanes * needs_scratch_table),
    ):  # fmt: skip
        header[place] = end
        end += int(vectors) * lanes
    header[at.SIZE] = end
    header[at.SIZE_WIDE] = max(rows if header[at.N_TABLES] else 0, 16, header[at.PADDED])
