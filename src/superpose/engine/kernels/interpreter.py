"""The tape interpreter, compiled by Numba once per precision; see `superpose.engine.cache` for when and where.

One entry runs any part of a call (`run_tape`, chosen by the bits of ``mode``) over a range of tiles, without the GIL.
Every argument array stays referenced by the caller while it runs: the vector loops know them by address only.
"""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels import diagonals as d
from superpose.engine.kernels import layout as t
from superpose.engine.kernels import rotations as r
from superpose.engine.kernels import slots as s
from superpose.engine.kernels.angles import fill_table, prepare, transform, turn_lanes
from superpose.engine.kernels.measuring import expect, start_adjoint
from superpose.engine.kernels.modes import BACKWARD, EXPECT, FINISH, FORWARD, PREPARE, SAVE, WHOLE
from superpose.engine.kernels.simd import LINE, kernel

__all__ = ["run_tape"]


@kernel
def odd(bits: int) -> int:
    """Return the parity of the number of bits set."""
    shift = 32
    while shift:
        bits ^= bits >> shift
        shift >>= 1
    return bits & 1


@kernel
def load_turn(zero: Any, rotation: int, second: int, ints: Any, turns: Any, work: Any, block: Any) -> None:
    """Put cosine, sine and minus sine of a rotation where the vector loops look for them."""
    size = LINE // ints[t.LANES]
    coef = work.ctypes.data + ints[t.AT_COEF] * size
    block[s.COEF] = coef + 3 * LINE * second
    lane = ints[ints[t.LANE_OF] + rotation]
    if lane >= 0:
        block[s.SRC] = work.ctypes.data + ints[t.AT_LANE] * size + 2 * LINE * lane
        r.coefficients_of_lanes(zero, block.ctypes.data)
    else:
        block[s.SRC] = turns.ctypes.data + rotation * size
        block[s.DST] = block[s.SRC] + ints[t.PADDED] * size
        r.coefficients_shared(zero, block.ctypes.data)
    block[s.COEF] = coef


@kernel
def load_op(
    zero: Any, op: int, ints: Any, angles: Any, turns: Any, tables: Any, work: Any, wide: Any, block: Any
) -> None:
    """Fill the argument block for an operation."""
    kind, rows = ints[op], ints[t.ROWS]
    size = LINE // ints[t.LANES]
    if kind == t.TABLE:
        number, padded = ints[op + t.OP_X], ints[t.ROWS_PADDED]
        if number < ints[t.N_KEPT]:
            place = tables.ctypes.data + number * 2 * padded * size
        else:
            place = work.ctypes.data + ints[t.AT_TABLE] * size
            fill_table(zero, op, ints, angles, place, wide, block)
        block[s.SRC] = place
        block[s.DST] = place + padded * size
        block[s.COUNT] = padded
        return
    load_turn(zero, ints[op + t.OP_R], 0, ints, turns, work, block)
    block[s.COUNT] = rows
    block[s.X], block[s.Z], block[s.LOW] = ints[op + t.OP_X], ints[op + t.OP_Z], ints[op + t.OP_LOW]
    if kind == t.REAL or kind == t.IMAGINARY:
        block[s.COUNT] = rows // 2
    elif kind == t.PAIR_REAL or kind == t.PAIR_IMAGINARY:
        load_turn(zero, ints[op + t.OP_R2], 1, ints, turns, work, block)
        block[s.COUNT] = rows // 4
        block[s.X2], block[s.Z2], block[s.LOW2] = ints[op + t.OP_X2], ints[op + t.OP_Z2], ints[op + t.OP_LOW2]
        block[s.CROSS] = odd(block[s.Z] & block[s.X2]) * LINE
        block[s.CROSS2] = odd(block[s.Z2] & block[s.X]) * LINE


@kernel
def rotate(zero: Any, kind: int, block: Any) -> None:
    """Run the loaded operation on the state PSI."""
    address = block.ctypes.data
    if kind == t.PAIR_REAL:
        r.rotate_pair_real(zero, address)
    elif kind == t.PAIR_IMAGINARY:
        r.rotate_pair_imaginary(zero, address)
    elif kind == t.REAL:
        r.rotate_real(zero, address)
    elif kind == t.IMAGINARY:
        r.rotate_imaginary(zero, address)
    elif kind == t.DIAGONAL:
        r.rotate_diagonal(zero, address)
    else:
        d.rotate_table(zero, address)


@kernel
def adjoint(zero: Any, kind: int, block: Any) -> None:
    """Sum the gradient of the loaded operation and turn PSI and LAM back."""
    address = block.ctypes.data
    if kind == t.PAIR_REAL:
        r.adjoint_pair_real(zero, address)
    elif kind == t.PAIR_IMAGINARY:
        r.adjoint_pair_imaginary(zero, address)
    elif kind == t.REAL:
        r.adjoint_real(zero, address)
    elif kind == t.IMAGINARY:
        r.adjoint_imaginary(zero, address)
    elif kind == t.DIAGONAL:
        r.adjoint_diagonal(zero, address)
    else:
        d.adjoint_table(zero, address)


@kernel
def load_state(ints: Any, initial: Any, tile: int, n_rows: int, work: Any) -> None:
    """Write the tile's initial states, given per sample or one for all; samples beyond the batch get zeros."""
    lanes, rows, at = ints[t.LANES], ints[t.ROWS], ints[t.AT_PSI]
    several = initial.size > 2 * rows
    for lane in range(lanes):
        row = tile * lanes + lane
        base = row * 2 * rows if several else 0
        for j in range(rows):
            place = at + 2 * j * lanes + lane
            if row < n_rows:
                work[place] = initial[base + 2 * j]
                work[place + lanes] = initial[base + 2 * j + 1]
            else:
                work[place] = 0.0
                work[place + lanes] = 0.0


@kernel
def start(zero: Any, ints: Any, angles: Any, turns: Any, tables: Any, work: Any, wide: Any, block: Any) -> None:
    """Write the state |0...0> after the rotations at its start, which flip one bit each, in ascending order."""
    lanes, at = ints[t.LANES], ints[t.AT_PSI]
    ready = 1
    work[at : at + lanes] = 1.0
    work[at + lanes : at + 2 * lanes] = 0.0
    for k in range(ints[t.N_START]):
        op = ints[t.OPS] + k * t.OP_WIDTH
        load_op(zero, op, ints, angles, turns, tables, work, wide, block)
        rows = ints[op + t.OP_X] >> 7
        work[at + 2 * ready * lanes : at + 2 * rows * lanes] = 0.0
        block[s.COUNT] = rows
        if ints[op] == t.REAL:
            r.start_real(zero, block.ctypes.data)
        else:
            r.start_imaginary(zero, block.ctypes.data)
        ready = 2 * rows
    work[at + 2 * ready * lanes : at + 2 * ints[t.ROWS_PADDED] * lanes] = 0.0


@kernel
def note(rotation: int, at: int, ints: Any, floats: Any, tile: int, work: Any, grad_inputs: Any, sums: Any) -> None:
    """Store a rotation's gradient: the sum over the tile, and the inputs' share per sample."""
    lanes = ints[t.LANES]
    total = 0.0
    for lane in range(lanes):
        total += work[at + lane]
    sums[tile, rotation] = total
    first = ints[ints[t.INPUT_START] + rotation]
    last = ints[ints[t.INPUT_START] + rotation + 1]
    if first < last:
        for lane in range(min(lanes, grad_inputs.shape[0] - tile * lanes)):
            for place in range(first, last):
                factor = floats[ints[t.INPUT_FACTOR] + place]
                grad_inputs[tile * lanes + lane, ints[ints[t.INPUT_INDEX] + place]] += factor * work[at + lane]


@kernel
def backward(
    zero: Any, ints: Any, floats: Any, angles: Any, turns: Any, tables: Any, tile: int, work: Any, wide: Any,
    grad_inputs: Any, sums: Any, block: Any,
) -> None:  # fmt: skip
    """Go back through the tape with PSI and LAM."""
    lanes = ints[t.LANES]
    acc, start = ints[t.AT_ACC], ints[t.N_START]
    for k in range(ints[t.N_OPS_EXPECT] - 1, ints[t.FIRST_GRADIENT] - 1, -1):
        op = ints[t.OPS] + k * t.OP_WIDTH
        kind = ints[op]
        load_op(zero, op, ints, angles, turns, tables, work, wide, block)
        if k < start:
            if kind == t.REAL:
                r.gradient_real(zero, block.ctypes.data)
            else:
                r.gradient_imaginary(zero, block.ctypes.data)
            note(ints[op + t.OP_R], acc, ints, floats, tile, work, grad_inputs, sums)
            continue
        if kind == t.TABLE:
            block[s.DST2] = work.ctypes.data + ints[t.AT_SUMS] * (LINE // lanes)
            block[s.COUNT] //= lanes
        adjoint(zero, kind, block)
        if kind == t.TABLE:
            at = ints[t.AT_SUMS]
            transform(work, at, ints[t.ROWS])
            for rotation in range(ints[op + t.OP_R], ints[op + t.OP_R2]):
                sums[tile, rotation] = work[at + ints[ints[t.MASK] + rotation]]
            continue
        note(ints[op + t.OP_R], acc, ints, floats, tile, work, grad_inputs, sums)
        if kind == t.PAIR_REAL or kind == t.PAIR_IMAGINARY:
            note(ints[op + t.OP_R2], acc + lanes, ints, floats, tile, work, grad_inputs, sums)


@kernel
def finish(ints: Any, floats: Any, sums: Any, grad_weights: Any) -> None:
    """Sum the rotations' gradients over the tiles, in their order, and give each weight its share."""
    start, index, factor = ints[t.WEIGHT_START], ints[t.WEIGHT_INDEX], ints[t.WEIGHT_FACTOR]
    grad_weights[:] = 0.0
    for k in range(ints[t.N_ROTATIONS]):
        if ints[start + k] == ints[start + k + 1]:
            continue
        total = 0.0
        for tile in range(sums.shape[0]):
            total += sums[tile, k]
        for place in range(ints[start + k], ints[start + k + 1]):
            grad_weights[ints[index + place]] += floats[factor + place] * total


def run_tape(
    zero: Any, mode: int, first: int, last: int, ints: Any, floats: Any, inputs: Any, weights: Any, initial: Any, grad: Any,
    angles: Any, turns: Any, tables: Any, work: Any, wide: Any, block: Any, saved: Any, out: Any, grad_inputs: Any,
    grad_weights: Any, sums: Any,
) -> None:  # fmt: skip
    """Run the parts of a call that ``mode`` names over tiles ``first .. last - 1``.

    Args:
        zero: 0 of the tile's precision; the arrays called "tile's" below have that precision too.
        mode: Sum of the bits of `superpose.engine.modes`.
        first, last: Range of tiles.
        ints, floats: The tape.
        inputs, weights: Float64 ``(batch, n_inputs)`` and ``(n_weights,)``.
        initial: Tile's; empty for |0...0>, else real and imaginary parts ``(1 or batch, 2**n_qubits, 2)``, flat.
        grad: Tile's ``(batch, n_observables)``, the gradient that comes in.
        angles, turns, tables: What PREPARE writes: float64, tile's, tile's.
        work, wide, block: Workspace of this thread: tile's, float64, int64; starts on multiples of 64 bytes.
        saved: Tile's ``(n_tiles, 2 * lanes * rows)``: final states that SAVE writes, and that are read without FORWARD.
        out, grad_inputs, grad_weights: Results, float64.
        sums: Float64 ``(n_tiles, n_rotations)``; written by BACKWARD, zero before.
    """
    if mode & PREPARE:
        prepare(zero, ints, floats, weights, angles, turns, tables, wide, block)
    lanes = ints[t.LANES]
    size = LINE // lanes
    at, n = ints[t.AT_PSI], 2 * ints[t.ROWS_PADDED] * lanes
    sigma = ints[t.AT_SIGMA]
    work[sigma : sigma + lanes] = 1.0
    work[sigma + lanes : sigma + 2 * lanes] = -1.0
    block[s.PSI] = work.ctypes.data + at * size
    block[s.LAM] = work.ctypes.data + ints[t.AT_LAM] * size
    block[s.ACC] = work.ctypes.data + ints[t.AT_ACC] * size
    block[s.SIGMA] = work.ctypes.data + sigma * size
    for tile in range(first, last):
        if ints[t.N_OF_LANES] and mode & (FORWARD | BACKWARD):
            turn_lanes(zero, ints, floats, angles, inputs, tile, work, wide, block)
        if mode & FORWARD:
            skip = 0
            if initial.size:
                work[at : at + n] = 0.0
                load_state(ints, initial, tile, inputs.shape[0], work)
            else:
                start(zero, ints, angles, turns, tables, work, wide, block)
                skip = ints[t.N_START]
            for k in range(skip, ints[t.N_OPS] if mode & WHOLE else ints[t.N_OPS_EXPECT]):
                op = ints[t.OPS] + k * t.OP_WIDTH
                load_op(zero, op, ints, angles, turns, tables, work, wide, block)
                rotate(zero, ints[op], block)
        else:
            work[at : at + n] = saved[tile]
        if mode & SAVE:
            saved[tile] = work[at : at + n]
        if mode & EXPECT:
            expect(zero, ints, floats, tile, work, out, block)
        if mode & BACKWARD:
            start_adjoint(zero, ints, floats, tile, work, grad, block)
            backward(zero, ints, floats, angles, turns, tables, tile, work, wide, grad_inputs, sums, block)
    if mode & FINISH:
        finish(ints, floats, sums, grad_weights)
