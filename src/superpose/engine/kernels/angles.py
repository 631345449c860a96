"""Compiled parts of the tape interpreter: angles, their sines, growth of scaled states, and tables of phases.

A scaled rotation makes the states grow by ``1/cos(theta/2)``. To keep that below the square root of 2, its angle is
first brought to ``[-pi/2, pi/2]`` by taking half turns ``(-i P)**k`` out, which a Pauli frame, built up while the
angles are computed, collects behind all rotations: it turns the sign of those angles and observables that it
anticommutes with. The growth is taken back where tables and "reset" rotations stand, which the lowering provides
often enough.

``angles`` holds, one after the other: the angles (signed); the factors of the rotations' gradients; the signs; the
growths of the tables; and the inverse of the final states' growth, for expectations and for the whole tape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from superpose.engine.kernels import layout as t
from superpose.engine.kernels import numbers
from superpose.engine.kernels import slots as s
from superpose.engine.kernels.limits import D_KEEP, LANES_AT_ONCE
from superpose.engine.kernels.lines import add_multiple, lanes_of, odd, put
from superpose.engine.kernels.sharing import clear, share_rows
from superpose.engine.kernels.simd import LINE, address, call, kernel, kernel_of_sums
from superpose.engine.kernels.walsh import transform_numbers

__all__ = ["fill", "fill_table", "not_finite", "own_angles", "place_of_angles", "prepare", "turn_lanes"]

_BIG_ANGLE = 1e5
"""Beyond this many radians the fast sine loses digits; such angles are reduced first."""


@kernel
def fill(values: Any, start: int, stop: int, value: float) -> None:
    """Set ``values[start:stop]``. (Assignments to slices take Numba long to compile.)"""
    for k in range(start, stop):
        values[k] = value


@kernel_of_sums
def not_finite(values: Any, first: int, last: int) -> bool:
    """Return whether NaN or infinity stands in this range."""
    total = 0.0
    for k in range(first, last):
        total += values[k] * 0.0
    return total != 0.0  # NaN too


@kernel
def place_of_angles(step: int, ints: Any, angles: Any, wide: Any) -> int:
    """Return the address of the angles that a table takes: those of all samples, or the tile's own."""
    place: int = address(angles)
    if ints[step + t.STEP_ELEMENTS] == t.OWN:
        place = address(wide) + 8 * ints[t.AT_OWN]
    return place


@kernel
def own_angles(ints: Any, floats: Any, angles: Any, inputs: Any, tile: int, wide: Any) -> None:
    """Note the angles of the tables that the tile's only sample has for itself."""
    start, index, factor = ints[t.INPUT_START], ints[t.INPUT_INDEX], ints[t.INPUT_FACTOR]
    own, signs, row = ints[t.AT_OWN], 2 * ints[t.PADDED], tile * ints[t.N_INPUTS]
    for k in range(ints[t.N_STEPS]):
        step = ints[t.STEPS] + k * t.STEP_WIDTH
        if ints[step] != t.TABLE or ints[step + t.STEP_ELEMENTS] != t.OWN:
            continue
        for r in range(ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST]):
            angle = angles[r]
            for place in range(ints[start + r], ints[start + r + 1]):
                angle += angles[signs + r] * floats[factor + place] * inputs[row + ints[index + place]]
            wide[own + r] = angle
        reduce_large(wide, own + ints[step + t.STEP_FIRST], own + ints[step + t.STEP_LAST])


@kernel
def fill_table(zero: Any, step: int, ints: Any, angles: Any, to: int, wide: Any, block: Any) -> None:
    """Write a table's phases to the address ``to``: cosines, then sines, of minus half the sum of its angles."""
    size = ints[t.TABLE_SIZE]
    clear(zero, address(wide), max(1, size // 8), block)
    own, given = ints[t.AT_OWN], ints[step + t.STEP_ELEMENTS] == t.OWN
    for r in range(ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST]):
        wide[ints[ints[t.PLACED_Z] + r]] -= wide[own + r] if given else angles[r]
    transform_numbers(zero, 8, wide, 0, ints[t.ROWS] << ints[t.LANE_BITS], numbers.FLOAT64, block)
    growth = 3 * ints[t.PADDED] + ints[step + t.STEP_BITS]
    block[s.SRC] = address(wide)
    block[s.COEF] = address(angles) + 8 * growth
    block[s.DST] = to
    block[s.DST2] = to + size * (LINE // lanes_of(zero))
    block[s.COUNT] = size // lanes_of(zero)
    share_rows(zero, numbers.SINES, 0, block)


@kernel
def reduce_large(angles: Any, first: int, last: int) -> None:
    """Take whole turns of the rotation off angles that are very large.

    The loops that make angles do not do so themselves: then LLVM divides every angle, which was 5 % of a training step.
    """
    n_large = 0
    for k in range(first, last):
        n_large += abs(angles[k]) > _BIG_ANGLE
    if n_large:
        for k in range(first, last):
            if abs(angles[k]) > _BIG_ANGLE:
                angles[k] %= 4.0 * math.pi


@kernel
def count_turns(ints: Any, angles: Any, turns: Any) -> None:
    """Count the half turns that are taken out of the angles: those of scaled rotations alone."""
    book = ints[t.BOOK]
    for r in range(ints[t.N_ROTATIONS]):
        found = np.rint(angles[r] / math.pi)
        turns[r] = found if t.SCALED <= ints[book + r] <= t.JOINED else 0.0


@kernel
def follow_frame(ints: Any, turns: Any, angles: Any, frame: Any) -> None:
    """Take half turns into the frame, which signs what follows; keep it where expectations end and at the very end."""
    xs, zs, signs = ints[t.X_OF], ints[t.Z_OF], 2 * ints[t.PADDED]
    x = z = quarters = 0
    for r in range(ints[t.N_ROTATIONS]):
        if r == ints[t.N_ROTATIONS_EXPECT]:
            frame[3], frame[4], frame[5] = x, z, quarters
        own_x, own_z = ints[xs + r], ints[zs + r]
        sign, n_turns = 1 - 2 * odd((own_x & z) ^ (own_z & x)), int(turns[r])
        angles[signs + r] = sign
        if n_turns & 1:  # frame <- frame * P
            quarters += odd(own_x & own_z) + 2 * odd(z & own_x)
            x ^= own_x
            z ^= own_z
        quarters = (quarters + 3 * sign * n_turns) & 3  # times (-i) ** turns
    frame[0], frame[1], frame[2] = x, z, quarters
    if ints[t.N_ROTATIONS_EXPECT] == ints[t.N_ROTATIONS]:
        frame[3], frame[4], frame[5] = x, z, quarters


@kernel
def sign_angles(ints: Any, angles: Any, frame: Any, turns: Any) -> None:
    """Sign the angles by the frame and move half turns into it."""
    signs = 2 * ints[t.PADDED]
    count_turns(ints, angles, turns)
    follow_frame(ints, turns, angles, frame)
    for r in range(ints[t.N_ROTATIONS]):
        angles[r] = angles[signs + r] * (angles[r] - math.pi * turns[r])


@kernel
def keep_books(ints: Any, angles: Any, turns: Any, wide: Any) -> None:
    """Follow the growth of the states forth, then back, and write coefficients and the gradients' factors.

    ``wide`` holds the cosines, then the sines, which each rotation's own growth replaces.
    """
    padded, books, seen = ints[t.PADDED], ints[t.BOOK], ints[t.N_ROTATIONS_EXPECT]
    growths, final = 3 * padded, 3 * padded + ints[t.N_TABLES]
    growth = 1.0
    angles[final] = 1.0
    for r in range(ints[t.N_ROTATIONS]):
        if r == seen:
            angles[final] = 1.0 / growth
        book, c, sine, own = ints[books + r], wide[r], wide[padded + r], 1.0
        if t.SCALED <= book <= t.JOINED:
            own = 1.0 / c
        elif book != t.PLAIN:
            own = 1.0 / growth
            c *= own
            if book >= t.FIRST_TABLE:
                angles[growths + book - t.FIRST_TABLE] = own
        turns[r] = c
        turns[padded + r] = sine * own
        wide[padded + r] = own
        growth *= own
    angles[final + 1] = 1.0 / growth
    if seen == ints[t.N_ROTATIONS]:
        angles[final] = angles[final + 1]
    growth = noted = 1.0 / angles[final]
    for r in range(seen - 1, -1, -1):
        if ints[books + r] != t.JOINED:
            noted = growth
        angles[padded + r] = angles[2 * padded + r] / (noted * noted)
        growth *= wide[padded + r]


@kernel
def prepare(
    zero: Any,
    ints: Any,
    floats: Any,
    weights: Any,
    angles: Any,
    turns: Any,
    tables: Any,
    frame: Any,
    wide: Any,
    block: Any,
) -> bool:
    """Compute everything that the samples of the batch share, unless a weight is not finite; return whether it was
    done."""
    n, padded = ints[t.N_ROTATIONS], ints[t.PADDED]
    start, index = ints[t.WEIGHT_START], ints[t.WEIGHT_INDEX]
    const, factor = ints[t.CONST], ints[t.WEIGHT_FACTOR]
    if not_finite(weights, 0, ints[t.N_WEIGHTS]):
        return False
    for r in range(n):
        angle = floats[const + r]
        for place in range(ints[start + r], ints[start + r + 1]):
            angle += floats[factor + place] * weights[ints[index + place]]
        angles[r] = angle
    reduce_large(angles, 0, n)
    for r in range(n, padded):
        angles[r] = 0.0
    sign_angles(ints, angles, frame, wide)
    wide[2 * padded] = 1.0
    block[s.SRC] = address(angles)
    block[s.COEF] = address(wide) + 16 * padded
    block[s.DST] = address(wide)
    block[s.DST2] = address(wide) + 8 * padded
    block[s.COUNT] = padded // 8
    call(zero, block[s.OPERATE], numbers.SINES + numbers.FLOAT64, address(block))
    keep_books(ints, angles, turns, wide)
    if ints[t.N_KEPT] and block[D_KEEP]:
        size = LINE // lanes_of(zero)
        for k in range(ints[t.N_STEPS]):
            step = ints[t.STEPS] + k * t.STEP_WIDTH
            number = ints[step + t.STEP_ELEMENTS]
            if ints[step] == t.TABLE and 0 <= number < ints[t.N_KEPT]:
                to = address(tables) + number * 2 * ints[t.TABLE_SIZE] * size
                fill_table(zero, step, ints, angles, to, wide, block)
    return True


@kernel
def turn_lanes(
    zero: Any, ints: Any, floats: Any, angles: Any, inputs: Any, tile: int, work: Any, wide: Any, block: Any
) -> None:
    """Cosines, then sines, of the rotations whose angles differ between the samples of the tile."""
    lanes, signs, n = lanes_of(zero), 2 * ints[t.PADDED], ints[t.N_OF_LANES]
    start, index, factor = ints[t.INPUT_START], ints[t.INPUT_INDEX], ints[t.INPUT_FACTOR]
    columns, lines = address(wide) + 8 * ints[t.AT_COLUMNS], 8 * lanes // LINE
    turn_columns(zero, ints, inputs, tile, wide, block)
    wide[LANES_AT_ONCE * lanes] = 1.0
    block[s.COEF] = address(wide) + 8 * LANES_AT_ONCE * lanes
    for first in range(0, n, LANES_AT_ONCE):
        block[s.COUNT] = min(LANES_AT_ONCE, n - first)
        for k in range(block[s.COUNT]):
            r = ints[ints[t.OF_LANES] + first + k]
            for line in range(lines):  # whole vectors: what reads them next would wait for single numbers
                put(0.0, angles[r], address(wide) + LINE * (k * lines + line))
            for place in range(ints[start + r], ints[start + r + 1]):
                scale, column = angles[signs + r] * floats[factor + place], columns + 8 * lanes * ints[index + place]
                for line in range(lines):
                    add_multiple(0.0, scale, column + LINE * line, address(wide) + LINE * (k * lines + line))
        reduce_large(wide, 0, block[s.COUNT] * lanes)
        block[s.SRC] = address(wide)
        block[s.DST] = address(work) + ints[t.AT_LANE] * (LINE // lanes) + first * LINE
        block[s.DST2] = block[s.DST] + n * LINE
        call(zero, block[s.OPERATE], numbers.SINES, address(block))


@kernel
def turn_columns(zero: Any, ints: Any, inputs: Any, tile: int, wide: Any, block: Any) -> None:
    """Write each input of the tile's samples to the lanes of a vector; lanes without a sample get 0."""
    lanes, shift, width = lanes_of(zero), ints[t.LANE_BITS], ints[t.N_INPUTS]
    row = tile * ints[t.SAMPLES]
    n = min(lanes, (block[s.BATCH] - row) << shift)
    for column in range(width):
        at = ints[t.AT_COLUMNS] + column * lanes
        for lane in range(n):
            wide[at + lane] = inputs[(row + (lane >> shift)) * width + column]
        fill(wide, at + n, at + lanes, 0.0)
