"""Writes the tape, the flat arrays that the kernels read; `superpose.engine.kernels.layout` says what stands where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.engine.collector import collector_paused
from superpose.engine.kernels import layout as at
from superpose.engine.kernels.limits import CHUNKS, LANES_AT_ONCE, SPLIT_FROM, STREAM_ROWS, TABLE_ROWS
from superpose.engine.layouts import Layout
from superpose.engine.lowering import Layer, Lowered, Strings
from superpose.engine.steps import Sparse, Writer, below_top, kind_of

__all__ = ["Tape", "build_tape"]

KEPT_TABLES_BITS = 18
"""From so many qubits on, a single sample's tables are made piece by piece where they are used."""
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


def build_tape(lowered: Lowered, names: tuple[Sequence[str], Sequence[str]], layout: Layout, lanes: int) -> Tape:
    """Return the tape.

    Args:
        lowered: The circuit and what is measured.
        names: Parameters given per sample, and those shared, in order.
        layout: Where amplitudes lie at first; it is moved to where they lie at the end.
        lanes: Numbers in one vector.

    Cost: linear in the rotations, some 5 to 15 us each.
    """
    with collector_paused():
        return _build(lowered, names, layout, lanes)


def _build(lowered: Lowered, names: tuple[Sequence[str], Sequence[str]], layout: Layout, lanes: int) -> Tape:
    writer = Writer(layout, *names)
    layers = lowered.layers
    n_start = 0
    seen: _Seen | None = None
    for number, layer in enumerate(layers):
        if number == lowered.n_seen:
            seen = _measure(writer, lowered.strings)
        items = layer.items
        if layer.diagonal:
            writer.add_diagonal_layer(items)
            continue
        if number == 0:
            n_start, items = writer.add_start(items)
        writer.add_layer(items, lambda number=number: _later(layers, number))  # type: ignore[misc]  # mypy cannot type a default of a lambda
    writer.close()
    if seen is None:
        seen = _measure(writer, lowered.strings)
    factors = [lowered.strings[key] for key in seen.order]
    return _assemble(writer, seen, factors, (lanes, lowered.n_observables, n_start))


class _Seen(NamedTuple):
    """What is known where expectations end."""

    n_steps: int
    n_steps_measured: int
    """With the exchanges between strings."""
    n_rotations: int
    order: list[tuple[int, int]]
    """Strings in the order in which they are measured, diagonal ones first."""
    rows: list[tuple[int, ...]]
    """What the tape says of them."""


def _later(layers: Sequence[Layer], number: int) -> Iterator[int]:
    """Return the X masks of the layers after this one."""
    return (item[0] for layer in layers[number + 1 :] if not layer.diagonal for item in layer.items)


def _measure(writer: Writer, strings: Strings) -> _Seen:
    """Lay the strings out: those that flip lane bits wait for exchanges that make them flip rows only."""
    writer.close()
    n_steps, layout = writer.n_steps, writer.layout
    shift = layout.n_lane_bits
    left = sorted(strings, key=lambda string: string[0] != 0)
    order: list[tuple[int, int]] = []
    rows: list[tuple[int, ...]] = []
    while left:
        if not writer.runs(left[0][0]):
            writer.make_way_now([x for x, _ in left])
        for x, z in (string for string in left if writer.runs(string[0])):
            row_x, placed_z = writer.place_x(x) >> shift, layout.place_z(z)
            low, kind = below_top(row_x, 128), kind_of(x, z)
            row_z, lane_z = placed_z >> shift, placed_z & layout.lanes
            order.append((x, z))
            rows.append((row_x << 7, row_z << 7, lane_z, low, kind, x, z, writer.n_steps))
        left = [string for string in left if not writer.runs(string[0])]
    return _Seen(n_steps, writer.n_steps, len(writer.turns), order, rows)


def _assemble(writer: Writer, seen: _Seen, factors: list[dict[int, float]], counts: tuple[int, int, int]) -> Tape:
    layout = writer.layout
    of_observable, turns = Sparse(factors), writer.turns
    weights, inputs = Sparse([turn[3] for turn in turns]), Sparse([turn[4] for turn in turns])
    of_lanes = [r for r, turn in enumerate(turns) if turn[4] and r not in writer.own_terms]
    lanes, n_observables, n_start = counts
    n_rotations = len(turns)
    lane_of = np.full(n_rotations, -1, dtype=np.int64)
    lane_of[of_lanes] = np.arange(len(of_lanes))
    shift = layout.n_lane_bits
    rows = 1 << layout.n_row_bits
    table_size = max(1 << layout.n_bits, lanes)
    n_kept = min(writer.n_shared, KEPT_TABLES_BYTES // (2 * table_size * (64 // lanes)))
    tables_stream = shift > 0 and rows >= SPLIT_FROM
    if tables_stream and layout.n_bits >= KEPT_TABLES_BITS:
        n_kept = 0
    n_strings, n_diagonal = len(seen.order), sum(x == 0 for x, _ in seen.order)
    first_gradient = writer.n_steps if writer.first_gradient is None else writer.first_gradient
    header = np.zeros(at.HEADER, dtype=np.int64)
    for place, value in (
        (at.ROWS, rows), (at.ROWS_PADDED, max(rows, lanes)), (at.LANES, lanes), (at.LANE_BITS, shift),
        (at.SAMPLES, lanes >> shift), (at.TABLE_SIZE, table_size), (at.N_STEPS, writer.n_steps),
        (at.N_STEPS_EXPECT, seen.n_steps), (at.N_STEPS_MEASURED, seen.n_steps_measured), (at.N_START, n_start),
        (at.FIRST_GRADIENT, first_gradient),
        (at.N_ROTATIONS, n_rotations), (at.N_ROTATIONS_EXPECT, seen.n_rotations),
        (at.PADDED, -(-n_rotations // 8) * 8), (at.N_OF_LANES, len(of_lanes)),
        (at.N_WEIGHTS, writer.n_weights), (at.N_INPUTS, writer.n_inputs),
        (at.N_OBSERVABLES, n_observables), (at.N_STRINGS, n_strings), (at.N_DIAGONAL, n_diagonal),
        (at.N_TABLES, writer.n_tables), (at.N_SHARED, writer.n_shared), (at.N_KEPT, n_kept),
        (at.TABLES_STREAM, tables_stream), (at.TRANSFORM, n_diagonal >= TRANSFORM_MIN_STRINGS),
    ):  # fmt: skip
        header[place] = value
    _lay_out_workspace(header)
    floats = _join(
        header,
        0,
        np.float64,
        (at.CONST, [turn[2] for turn in turns]),
        (at.WEIGHT_FACTOR, weights.factor),
        (at.INPUT_FACTOR, inputs.factor),
        (at.STRING_FACTOR, of_observable.factor),
    )
    sections = (
        (at.STEPS, writer.steps),
        (at.OPS, writer.ops),
        (at.WEIGHT_START, weights.start),
        (at.WEIGHT_INDEX, weights.index),
        (at.INPUT_START, inputs.start),
        (at.INPUT_INDEX, inputs.index),
        (at.LANE_OF, lane_of),
        (at.OF_LANES, of_lanes),
        (at.X_OF, [turn[0] for turn in turns]),
        (at.Z_OF, [turn[1] for turn in turns]),
        (at.PLACED_Z, writer.placed_zs),
        (at.BOOK, writer.books),
        (at.STRINGS, seen.rows),
        (at.STRING_START, of_observable.start),
        (at.STRING_OBSERVABLE, of_observable.index),
        (at.ELEMENTS, writer.elements),
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
    lanes, rows, table = int(header[at.LANES]), int(header[at.ROWS_PADDED]), int(header[at.TABLE_SIZE])
    split = rows >= SPLIT_FROM
    n_chunks = CHUNKS if split else 1
    streams, kept = bool(header[at.TABLES_STREAM]), int(header[at.N_KEPT])
    scratch_table = 2 * table // lanes
    if streams:
        scratch_table = CHUNKS * (TABLE_ROWS * lanes // 8 + 3 * TABLE_ROWS)
    end = 0
    for place, vectors in (
        (at.AT_SIGMA, 2), (at.AT_SIGNS, 1 << int(header[at.LANE_BITS])), (at.AT_COEF, 3 * at.MOST * at.MAX_OPS),
        (at.AT_ACC, at.MOST * at.MAX_OPS * n_chunks), (at.AT_PSI, 2 * rows + 6),
        (at.AT_LANE, 2 * header[at.N_OF_LANES]), (at.AT_VALUES, header[at.N_OBSERVABLES]), (at.AT_STRINGS, 2),
        (at.AT_SUMS, table // lanes * (kept > 0 if streams else header[at.N_TABLES] > 0)),
        (at.AT_TABLE, scratch_table * (header[at.N_TABLES] > (0 if streams else kept))),
        (at.AT_STREAM, STREAM_ROWS * n_chunks * split),
        (at.AT_STREAM_SUMS, (n_chunks * header[at.N_DIAGONAL] + 1) * split),
        (at.AT_LAM, 2 * rows + 6),  # from here on what only goes forward leaves it out
        (at.AT_GRADS, header[at.N_INPUTS] * (header[at.LANE_BITS] == 0)),
    ):  # fmt: skip
        header[place] = end
        end += int(vectors) * lanes
    header[at.SIZE] = end
    padded, n_tables = int(header[at.PADDED]), int(header[at.N_TABLES])
    whole = table if kept or (n_tables and not streams) else 0
    sums = CHUNKS * (padded + 8) if streams else 0
    own_lanes = bool(header[at.N_OF_LANES])
    scratch = max(whole, sums, own_lanes * (LANES_AT_ONCE * lanes + 1), 2 * padded + 1, header[at.N_WEIGHTS])
    header[at.AT_COLUMNS] = -(-scratch // 8) * 8
    header[at.AT_OWN] = header[at.AT_COLUMNS] + own_lanes * lanes * header[at.N_INPUTS]
    header[at.SIZE_WIDE] = header[at.AT_OWN] + (padded if header[at.N_SHARED] < n_tables else 0)
    header[at.SIZE_ANGLES] = 3 * padded + n_tables + 2
