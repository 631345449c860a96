"""Compiled parts of the tape interpreter: angles, their sines, and tables of phases."""

from __future__ import annotations

import math
from typing import Any

from superpose.engine.kernels import diagonals as d
from superpose.engine.kernels import layout as t
from superpose.engine.kernels import slots as s
from superpose.engine.kernels.simd import LINE, kernel

__all__ = ["fill_table", "prepare", "transform", "turn_lanes"]

_BIG_ANGLE = 1e5
"""Beyond this many radians the fast sine loses digits; such angles are reduced first."""


@kernel
def transform(values: Any, start: int, n: int) -> None:
    """Walsh-Hadamard transform of ``values[start : start + n]``, in place."""
    h = 1
    while h < n:
        for base in range(start, start + n, 2 * h):
            for j in range(base, base + h):
                x, y = values[j], values[j + h]
                values[j] = x + y
                values[j + h] = x - y
        h *= 2


@kernel
def fill_table(zero: Any, op: int, ints: Any, angles: Any, to: int, wide: Any, block: Any) -> None:
    """Write a table's phases to the address ``to``: cosines, then sines, of minus half the sum of its signed angles."""
    rows, padded = ints[t.ROWS], ints[t.ROWS_PADDED]
    wide[:padded] = 0.0
    for k in range(ints[op + t.OP_R], ints[op + t.OP_R2]):
        wide[ints[ints[t.MASK] + k]] -= angles[k]
    transform(wide, 0, rows)
    block[s.SRC] = wide.ctypes.data
    block[s.DST] = to
    block[s.DST2] = to + padded * (LINE // ints[t.LANES])
    block[s.COUNT] = padded // 8
    d.sines_of_halves(zero, block.ctypes.data)


@kernel
def prepare(
    zero: Any, ints: Any, floats: Any, weights: Any, angles: Any, turns: Any, tables: Any, wide: Any, block: Any
) -> None:
    """Angles of all rotations (their shared part), cosines and sines of the halves, and the tables that are kept."""
    n, padded = ints[t.N_ROTATIONS], ints[t.PADDED]
    start, index = ints[t.WEIGHT_START], ints[t.WEIGHT_INDEX]
    const, factor = ints[t.CONST], ints[t.WEIGHT_FACTOR]
    for k in range(n):
        angle = floats[const + k]
        for place in range(ints[start + k], ints[start + k + 1]):
            angle += floats[factor + place] * weights[ints[index + place]]
        if abs(angle) > _BIG_ANGLE:
            angle %= 4.0 * math.pi
        angles[k] = angle
    angles[n:padded] = 0.0
    size = LINE // ints[t.LANES]
    block[s.SRC] = angles.ctypes.data
    block[s.DST] = turns.ctypes.data
    block[s.DST2] = turns.ctypes.data + padded * size
    block[s.COUNT] = padded // 8
    d.sines_of_halves(zero, block.ctypes.data)
    if ints[t.N_KEPT]:
        for k in range(ints[t.N_OPS]):
            op = ints[t.OPS] + k * t.OP_WIDTH
            if ints[op] == t.TABLE and ints[op + t.OP_X] < ints[t.N_KEPT]:
                to = tables.ctypes.data + ints[op + t.OP_X] * 2 * ints[t.ROWS_PADDED] * size
                fill_table(zero, op, ints, angles, to, wide, block)


@kernel
def turn_lanes(
    zero: Any, ints: Any, floats: Any, angles: Any, inputs: Any, tile: int, work: Any, wide: Any, block: Any
) -> None:
    """Cosines and sines of the rotations whose angles differ between the samples of the tile."""
    lanes = ints[t.LANES]
    start, index, factor = ints[t.INPUT_START], ints[t.INPUT_INDEX], ints[t.INPUT_FACTOR]
    size = LINE // lanes
    for k in range(ints[t.N_OF_LANES]):
        rotation = ints[ints[t.OF_LANES] + k]
        for lane in range(lanes):
            angle = angles[rotation]
            row = tile * lanes + lane
            if row < inputs.shape[0]:
                for place in range(ints[start + rotation], ints[start + rotation + 1]):
                    angle += floats[factor + place] * inputs[row, ints[index + place]]
            if abs(angle) > _BIG_ANGLE:
                angle %= 4.0 * math.pi
            wide[lane] = angle
        block[s.SRC] = wide.ctypes.data
        block[s.DST] = work.ctypes.data + (ints[t.AT_LANE] + 2 * k * lanes) * size
        block[s.DST2] = block[s.DST] + LINE
        block[s.COUNT] = lanes // 8
        d.sines_of_halves(zero, block.ctypes.data)
