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
from superpose.engine.kernels.angles import fill, fill_table, odd, prepare, turn_lanes
from superpose.engine.kernels.exchanges import exchange
from superpose.engine.kernels.measuring import expect, start_adjoint
from superpose.engine.kernels.modes import (
    BACKWARD,
    BAD_GRADIENT,
    BAD_INPUTS,
    BAD_WEIGHTS,
    EXPECT,
    FINISH,
    FORWARD,
    PREPARE,
    SAVE,
    WHOLE,
)
from superpose.engine.kernels.simd import LINE, kernel
from superpose.engine.kernels.walsh import transform_numbers

__all__ = ["run_tape"]


@kernel
def load_turn(zero: Any, rotation: int, sign: int, ints: Any, turns: Any, work: Any, block: Any, at: int) -> None:
    """Put cosine, sine and minus sine of a rotation where the loops with the arguments at ``at`` look for them."""
    size = LINE // ints[t.LANES]
    lane = ints[ints[t.LANE_OF] + rotation]
    block[at + s.SIGNS] = work.ctypes.data + (ints[t.AT_SIGNS] + sign * ints[t.LANES]) * size
    if lane >= 0:
        block[at + s.SRC] = work.ctypes.data + ints[t.AT_LANE] * size + 2 * LINE * lane
        r.take_coefficients(zero, block.ctypes.data + 8 * at)
    else:
        block[at + s.SRC] = turns.ctypes.data + rotation * size
        block[at + s.DST] = block[at + s.SRC] + ints[t.PADDED] * size
        r.spread_coefficients(zero, block.ctypes.data + 8 * at)


@kernel
def load_block(zero: Any, step: int, ints: Any, turns: Any, work: Any, block: Any) -> None:
    """Fill the arguments of all operations of a block, one set behind the other."""
    size, first = LINE // ints[t.LANES], ints[step + t.STEP_FIRST]
    for number in range(first, ints[step + t.STEP_LAST]):
        k, op = number - first, ints[t.OPS] + number * t.OP_WIDTH
        at = k * s.SIZE
        kind = ints[op]
        block[at + s.PSI] = work.ctypes.data + ints[t.AT_PSI] * size
        block[at + s.LAM] = work.ctypes.data + ints[t.AT_LAM] * size
        block[at + s.SIGMA] = work.ctypes.data + ints[t.AT_SIGMA] * size
        block[at + s.ELEMENTS] = ints.ctypes.data + 8 * (ints[t.ELEMENTS] + ints[step + t.STEP_ELEMENTS])
        block[at + s.X], block[at + s.Z], block[at + s.LOW] = ints[op + t.OP_X], ints[op + t.OP_Z], ints[op + t.OP_LOW]
        block[at + s.COUNT] = 1 << ints[step + t.STEP_BITS]
        coef = work.ctypes.data + ints[t.AT_COEF] * size + 6 * LINE * k
        block[at + s.COEF] = coef
        load_turn(zero, ints[op + t.OP_R], ints[op + t.OP_SIGN], ints, turns, work, block, at)
        acc = ints[t.AT_ACC] + 2 * k * ints[t.LANES]
        block[at + s.ACC] = work.ctypes.data + acc * size
        fill(work, acc, acc + 2 * ints[t.LANES], 0.0)
        if kind == t.PAIR_REAL or kind == t.PAIR_IMAGINARY:
            block[at + s.COUNT] >>= 2
            block[at + s.X2], block[at + s.Z2] = ints[op + t.OP_X2], ints[op + t.OP_Z2]
            block[at + s.LOW2] = ints[op + t.OP_LOW2]
            block[at + s.CROSS] = odd(block[at + s.Z] & block[at + s.X2]) * LINE
            block[at + s.CROSS2] = odd(block[at + s.Z2] & block[at + s.X]) * LINE
            block[at + s.COEF] = coef + 3 * LINE
            load_turn(zero, ints[op + t.OP_R2], ints[op + t.OP_SIGN2], ints, turns, work, block, at)
            block[at + s.COEF] = coef
        elif kind != t.DIAGONAL:
            block[at + s.COUNT] >>= 1


@kernel
def rotate(zero: Any, kind: int, address: int) -> None:
    """Run a loaded operation on the state PSI."""
    if kind == t.PAIR_REAL:
        r.rotate_pair_real(zero, address)
    elif kind == t.PAIR_IMAGINARY:
        r.rotate_pair_imaginary(zero, address)
    elif kind == t.SCALED_REAL:
        r.rotate_scaled_real(zero, address)
    elif kind == t.SCALED_IMAGINARY:
        r.rotate_scaled_imaginary(zero, address)
    elif kind == t.REAL:
        r.rotate_real(zero, address)
    elif kind == t.IMAGINARY:
        r.rotate_imaginary(zero, address)
    else:
        r.rotate_diagonal(zero, address)


@kernel
def adjoint(zero: Any, kind: int, address: int) -> None:
    """Sum the gradient of a loaded operation and turn PSI and LAM back."""
    if kind == t.PAIR_REAL:
        r.adjoint_pair_real(zero, address)
    elif kind == t.PAIR_IMAGINARY:
        r.adjoint_pair_imaginary(zero, address)
    elif kind == t.SCALED_REAL:
        r.adjoint_scaled_real(zero, address)
    elif kind == t.SCALED_IMAGINARY:
        r.adjoint_scaled_imaginary(zero, address)
    elif kind == t.REAL:
        r.adjoint_real(zero, address)
    elif kind == t.IMAGINARY:
        r.adjoint_imaginary(zero, address)
    else:
        r.adjoint_diagonal(zero, address)


@kernel
def run_block(zero: Any, step: int, way: int, ints: Any, block: Any) -> None:
    """Run a loaded block coset by coset: forth or back, or only its gradients if its rotations commute (any other
    way)."""
    first, last = ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST]
    inside = ints[step + t.STEP_INSIDE]
    base = 0
    for _ in range(ints[t.ROWS] >> ints[step + t.STEP_BITS]):
        for turn in range(last - first):
            k = last - first - 1 - turn if way == BACKWARD else turn
            block[k * s.SIZE + s.BASE] = base
            address = block.ctypes.data + 8 * k * s.SIZE
            kind = ints[ints[t.OPS] + (first + k) * t.OP_WIDTH]
            if way == FORWARD:
                rotate(zero, kind, address)
            elif way == BACKWARD:
                adjoint(zero, kind, address)
            elif kind == t.REAL:
                r.gradient_real(zero, address)
            else:
                r.gradient_imaginary(zero, address)
        base = ((base | inside) + 128) & ~inside  # the next number on the bits outside the coset


@kernel
def load_table(zero: Any, step: int, ints: Any, angles: Any, tables: Any, work: Any, wide: Any, block: Any) -> None:
    """Fill the arguments for a table, which is made now unless it was kept."""
    number, padded = ints[step + t.STEP_BITS], ints[t.TABLE_SIZE]
    size = LINE // ints[t.LANES]
    if number < ints[t.N_KEPT]:
        place = tables.ctypes.data + number * 2 * padded * size
    else:
        place = work.ctypes.data + ints[t.AT_TABLE] * size
        fill_table(zero, step, ints, angles, place, wide, block)
    block[s.PSI] = work.ctypes.data + ints[t.AT_PSI] * size
    block[s.LAM] = work.ctypes.data + ints[t.AT_LAM] * size
    block[s.SRC] = place
    block[s.DST] = place + padded * size
    block[s.COUNT] = ints[t.ROWS_PADDED]


@kernel
def load_state(ints: Any, initial: Any, tile: int, n_rows: int, work: Any) -> None:
    """Write the tile's initial states, given per sample or one for all; samples beyond the batch get zeros."""
    lanes, rows, at = ints[t.LANES], ints[t.ROWS], ints[t.AT_PSI]
    shift, first = ints[t.LANE_BITS], tile * ints[t.SAMPLES]
    size = 2 * rows << shift
    fill(work, at, at + 2 * ints[t.ROWS_PADDED] * lanes, 0.0)
    for lane in range(min(lanes, (n_rows - first) << shift)):
        base = (first + (lane >> shift)) * size if initial.size > size else 0
        base += 2 * (lane & ((1 << shift) - 1))
        for j in range(rows):
            place = at + 2 * j * lanes + lane
            work[place] = initial[base + (2 * j << shift)]
            work[place + lanes] = initial[base + (2 * j << shift) + 1]


@kernel
def start(zero: Any, ints: Any, turns: Any, work: Any, block: Any) -> None:
    """Write the state |0...0> after the blocks at its start, whose rotations have highest bits that only ascend."""
    lanes, at = ints[t.LANES], ints[t.AT_PSI]
    ready = 1
    fill(work, at, at + 2 * lanes, 0.0)
    fill(work, at, at + ints[t.SAMPLES], 1.0)  # the lanes of index 0
    for k in range(ints[t.N_START]):
        step = ints[t.STEPS] + k * t.STEP_WIDTH
        load_block(zero, step, ints, turns, work, block)
        for number in range(ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST]):
            op, place = ints[t.OPS] + number * t.OP_WIDTH, (number - ints[step + t.STEP_FIRST]) * s.SIZE
            rows = 1
            while 2 * rows <= ints[op + t.OP_X] >> 7:
                rows *= 2
            fill(work, at + 2 * ready * lanes, at + 2 * rows * lanes, 0.0)
            block[place + s.COUNT] = rows
            if ints[op] == t.REAL:
                r.start_real(zero, block.ctypes.data + 8 * place)
            else:
                r.start_imaginary(zero, block.ctypes.data + 8 * place)
            ready = 2 * rows
    fill(work, at + 2 * ready * lanes, at + 2 * ints[t.ROWS_PADDED] * lanes, 0.0)


@kernel
def forward(
    zero: Any, first: int, last: int, ints: Any, angles: Any, turns: Any, tables: Any, work: Any, wide: Any, block: Any
) -> None:
    """Run steps ``first .. last - 1`` on PSI."""
    way = FORWARD if first >= 0 else 0  # not a literal, for which Numba would compile `run_block` once more
    for k in range(first, last):
        step = ints[t.STEPS] + k * t.STEP_WIDTH
        if ints[step] == t.TABLE:
            load_table(zero, step, ints, angles, tables, work, wide, block)
            if ints[t.LANE_BITS]:
                d.rotate_table_wide(zero, block.ctypes.data)
            else:
                d.rotate_table(zero, block.ctypes.data)
        elif ints[step] == t.EXCHANGE:
            exchange(zero, step, ints[t.AT_PSI], ints, work, block)
        else:
            load_block(zero, step, ints, turns, work, block)
            run_block(zero, step, way, ints, block)


@kernel
def note(
    rotation: int,
    sign: int,
    at: int,
    ints: Any,
    floats: Any,
    angles: Any,
    tile: int,
    work: Any,
    grad_inputs: Any,
    sums: Any,
) -> None:
    """Store a rotation's gradient: the sum over the tile, and the inputs' share per sample."""
    lanes = ints[t.LANES]
    signs, scale, total = ints[t.AT_SIGNS] + sign * lanes, angles[ints[t.PADDED] + rotation], 0.0
    for lane in range(lanes):
        total += work[signs + lane] * work[at + lane]
    sums[tile, rotation] = scale * total
    shift, row = ints[t.LANE_BITS], tile * ints[t.SAMPLES]
    n = min(lanes, (grad_inputs.shape[0] - row) << shift)
    for place in range(ints[ints[t.INPUT_START] + rotation], ints[ints[t.INPUT_START] + rotation + 1]):
        factor, column = scale * floats[ints[t.INPUT_FACTOR] + place], ints[ints[t.INPUT_INDEX] + place]
        for lane in range(n):
            grad_inputs[row + (lane >> shift), column] += factor * work[signs + lane] * work[at + lane]


@kernel
def backward(
    zero: Any,
    ints: Any,
    floats: Any,
    angles: Any,
    turns: Any,
    tables: Any,
    tile: int,
    work: Any,
    wide: Any,
    grad_inputs: Any,
    sums: Any,
    block: Any,
) -> None:
    """Go back through the tape with PSI and LAM."""
    lanes, at = ints[t.LANES], ints[t.AT_SUMS]
    for k in range(ints[t.N_STEPS_MEASURED] - 1, ints[t.FIRST_GRADIENT] - 1, -1):
        step = ints[t.STEPS] + k * t.STEP_WIDTH
        first, last = ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST]
        if ints[step] == t.TABLE:
            load_table(zero, step, ints, angles, tables, work, wide, block)
            block[s.DST2] = work.ctypes.data + at * (LINE // lanes)
            if ints[t.LANE_BITS]:
                d.adjoint_table_wide(zero, block.ctypes.data)
            else:
                block[s.COUNT] //= lanes
                d.adjoint_table(zero, block.ctypes.data)
            transform_numbers(zero, work, at, ints[t.ROWS] << ints[t.LANE_BITS], block)
            for rotation in range(first, last):
                value = work[at + ints[ints[t.PLACED_Z] + rotation]]
                sums[tile, rotation] = angles[ints[t.PADDED] + rotation] * value
            continue
        if ints[step] == t.EXCHANGE:
            exchange(zero, step, ints[t.AT_PSI], ints, work, block)
            exchange(zero, step, ints[t.AT_LAM], ints, work, block)
            continue
        load_block(zero, step, ints, turns, work, block)
        run_block(zero, step, FINISH if k < ints[t.N_START] else BACKWARD, ints, block)
        for number in range(first, last):
            op, acc = ints[t.OPS] + number * t.OP_WIDTH, ints[t.AT_ACC] + 2 * (number - first) * lanes
            note(ints[op + t.OP_R], ints[op + t.OP_SIGN], acc, ints, floats, angles, tile, work, grad_inputs, sums)
            if ints[op] == t.PAIR_REAL or ints[op] == t.PAIR_IMAGINARY:
                note(
                    ints[op + t.OP_R2],
                    ints[op + t.OP_SIGN2],
                    acc + lanes,
                    ints,
                    floats,
                    angles,
                    tile,
                    work,
                    grad_inputs,
                    sums,
                )


@kernel
def finish(ints: Any, floats: Any, sums: Any, wide: Any, grad_weights: Any) -> None:
    """Sum the rotations' gradients over the tiles, in their order, and give each weight its share."""
    start, index, factor = ints[t.WEIGHT_START], ints[t.WEIGHT_INDEX], ints[t.WEIGHT_FACTOR]
    n = ints[t.N_WEIGHTS]
    for k in range(n):
        wide[k] = 0.0
    for k in range(ints[t.N_ROTATIONS]):
        if ints[start + k] == ints[start + k + 1]:
            continue
        total = 0.0
        for tile in range(sums.shape[0]):
            total += sums[tile, k]
        for place in range(ints[start + k], ints[start + k + 1]):
            wide[ints[index + place]] += floats[factor + place] * total
    for k in range(n):
        grad_weights[k] = wide[k]


@kernel
def not_finite(values: Any, first: int, last: int) -> bool:
    """Return whether NaN or infinity stands in these rows."""
    total = 0.0
    for row in range(first, last):
        for column in range(values.shape[1]):
            total += values[row, column] * 0.0
    return total != 0.0  # NaN too


@kernel
def bring_state(
    zero: Any,
    mode: int,
    tile: int,
    ints: Any,
    inputs: Any,
    initial: Any,
    angles: Any,
    turns: Any,
    tables: Any,
    work: Any,
    wide: Any,
    block: Any,
    saved: Any,
) -> None:
    """Bring the tile's final states into PSI: run the circuit, or take what was saved."""
    at, n = ints[t.AT_PSI], 2 * ints[t.ROWS_PADDED] * ints[t.LANES]
    if not mode & FORWARD:
        for k in range(n):
            work[at + k] = saved[tile, k]
        return
    end = ints[t.N_STEPS] if mode & WHOLE else ints[t.N_STEPS_EXPECT]
    begin = 0
    if initial.size:
        load_state(ints, initial, tile, inputs.shape[0], work)
    else:
        start(zero, ints, turns, work, block)
        begin = ints[t.N_START]
    forward(zero, begin, end, ints, angles, turns, tables, work, wide, block)
    if mode & SAVE:
        for k in range(n):
            saved[tile, k] = work[at + k]


@kernel
def clear_gradients(first: int, last: int, tile: int, ints: Any, grad_inputs: Any, sums: Any) -> None:
    """Set the tile's rows of gradients to zero."""
    for k in range(ints[t.N_ROTATIONS]):
        sums[tile, k] = 0.0
    for row in range(first, last):
        for k in range(ints[t.N_INPUTS]):
            grad_inputs[row, k] = 0.0


def run_tape(
    zero: Any,
    mode: int,
    first: int,
    last: int,
    ints: Any,
    floats: Any,
    inputs: Any,
    weights: Any,
    initial: Any,
    grad: Any,
    angles: Any,
    turns: Any,
    tables: Any,
    frame: Any,
    work: Any,
    wide: Any,
    block: Any,
    saved: Any,
    out: Any,
    grad_inputs: Any,
    grad_weights: Any,
    sums: Any,
) -> int:
    """Run the parts of a call that ``mode`` names over tiles ``first .. last - 1``.

    Args:
        zero: 0 of the tile's precision; the arrays called "tile's" below have that precision too.
        mode: Sum of the bits of `superpose.engine.kernels.modes`.
        first, last: Range of tiles.
        ints, floats: The tape; see `superpose.engine.kernels.layout`.
        inputs, weights: Float64 ``(batch, n_inputs)`` and ``(n_weights,)``.
        initial: Tile's; empty for |0...0>, else real and imaginary parts ``(1 or batch, 2**n_qubits, 2)``, flat.
        grad: Tile's ``(batch, n_observables)``, the gradient that comes in.
        angles, turns, tables, frame: What PREPARE writes: float64, tile's, tile's, int64.
        work, wide, block: Workspace of this thread: tile's, float64, int64; starts on multiples of 64 bytes.
        saved: Tile's ``(n_tiles, 2 * lanes * rows)``: final states that SAVE writes, and that are read without FORWARD.
        out, grad_inputs, grad_weights: Results, tile's.
        sums: Float64 ``(n_tiles, n_rotations)``, scratch between BACKWARD and FINISH.

    Returns:
        0, or a sum of the BAD bits of `superpose.engine.kernels.modes`; then the results mean nothing.
    """
    if mode & PREPARE and not prepare(zero, ints, floats, weights, angles, turns, tables, frame, wide, block):
        return BAD_WEIGHTS
    status, lanes = 0, ints[t.LANES]
    size, sigma = LINE // lanes, ints[t.AT_SIGMA]
    fill(work, sigma, sigma + lanes, 1.0)
    fill(work, sigma + lanes, sigma + 2 * lanes, -1.0)
    for k in range(1 << ints[t.LANE_BITS]):
        for lane in range(lanes):
            work[ints[t.AT_SIGNS] + k * lanes + lane] = -1.0 if odd(k & lane) else 1.0
    for tile in range(first, last):
        row = tile * ints[t.SAMPLES]
        end_row = min(row + ints[t.SAMPLES], inputs.shape[0])
        if mode & FORWARD and not_finite(inputs, row, end_row):
            status |= BAD_INPUTS
        if ints[t.N_OF_LANES]:
            turn_lanes(zero, ints, floats, angles, inputs, tile, work, wide, block)
        bring_state(zero, mode, tile, ints, inputs, initial, angles, turns, tables, work, wide, block, saved)
        block[s.PSI] = work.ctypes.data + ints[t.AT_PSI] * size
        block[s.LAM] = work.ctypes.data + ints[t.AT_LAM] * size
        block[s.ACC] = work.ctypes.data + ints[t.AT_ACC] * size
        block[s.SIGMA] = work.ctypes.data + sigma * size
        if mode & EXPECT:
            expect(zero, ints, floats, angles, frame, tile, work, out, block)
        if mode & BACKWARD:
            if not_finite(grad, row, end_row):
                status |= BAD_GRADIENT
            clear_gradients(row, end_row, tile, ints, grad_inputs, sums)
            start_adjoint(zero, ints, floats, frame, tile, work, grad, block)
            backward(zero, ints, floats, angles, turns, tables, tile, work, wide, grad_inputs, sums, block)
    if mode & FINISH:
        finish(ints, floats, sums, wide, grad_weights)
    return status
