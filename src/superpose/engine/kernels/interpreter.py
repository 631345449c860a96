"""The tape interpreter, compiled by Numba once per precision; see `superpose.engine.kernel_table` for when and where.

One entry runs any part of a call (`run_tape`, chosen by the bits of ``mode``) over a range of tiles, without the GIL.
Every argument array stays referenced by the caller while it runs: the kernels know them by address only.
"""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels import arguments as a
from superpose.engine.kernels import layout as t
from superpose.engine.kernels import numbers
from superpose.engine.kernels import slots as s
from superpose.engine.kernels.angles import (
    fill,
    fill_table,
    not_finite,
    own_angles,
    place_of_angles,
    prepare,
    turn_lanes,
)
from superpose.engine.kernels.exchanges import exchange
from superpose.engine.kernels.limits import (
    CHUNKS,
    COSETS,
    D_COSETS,
    D_FILLED,
    D_INSIDE,
    D_KEEP,
    D_KIND,
    D_OPS,
    D_REVERSE,
    D_SPLIT,
    D_SUMS,
    D_TEAM,
    KEEP_TILES,
    SPLIT_FROM,
    TABLE_BACK_STREAM,
    TABLE_STREAM,
)
from superpose.engine.kernels.lines import (
    add_multiple,
    lanes_of,
    odd,
    put_coefficients,
    spread_coefficients,
    sum_of_products,
)
from superpose.engine.kernels.measuring import expect, start_adjoint
from superpose.engine.kernels.modes import (
    BACKWARD,
    BAD_GRADIENT,
    BAD_INPUTS,
    BAD_WEIGHTS,
    EXPECT,
    FINISH,
    FORWARD,
    HELP,
    KEPT,
    PREPARE,
    SAVE,
    TEAM,
    WHOLE,
)
from superpose.engine.kernels.sharing import add_up, clear, finish_team, help_out, share, share_rows
from superpose.engine.kernels.simd import LINE, address, call, data, kernel
from superpose.engine.kernels.walsh import transform_numbers

__all__ = ["run_tape"]


@kernel
def load_turn(zero: Any, rotation: int, sign: int, ints: Any, turns: Any, work: Any, to: int) -> None:
    """Put sine, minus sine and cosine of a rotation to the address ``to``, where loops look for them."""
    size = LINE // lanes_of(zero)
    lane = ints[ints[t.LANE_OF] + rotation]
    signs = address(work) + (ints[t.AT_SIGNS] + sign * lanes_of(zero)) * size
    if lane >= 0:
        cosines = address(work) + ints[t.AT_LANE] * size + LINE * lane
        put_coefficients(zero, cosines, cosines + LINE * ints[t.N_OF_LANES], signs, to)
    else:
        cosine = address(turns) + rotation * size
        spread_coefficients(zero, cosine, cosine + ints[t.PADDED] * size, signs, to)


@kernel
def load_block(zero: Any, step: int, ints: Any, turns: Any, work: Any, block: Any) -> None:
    """Fill the arguments of all operations of a block, one set behind the other."""
    size, first = LINE // lanes_of(zero), ints[step + t.STEP_FIRST]
    for number in range(first, ints[step + t.STEP_LAST]):
        k, op = number - first, ints[t.OPS] + number * t.OP_WIDTH
        at, n_own, coef = k * s.SIZE, ints[op + t.OP_COUNT], address(work) + ints[t.AT_COEF] * size + 9 * LINE * k
        block[at + s.PSI] = address(work) + ints[t.AT_PSI] * size
        block[at + s.LAM] = address(work) + ints[t.AT_LAM] * size
        block[at + s.SIGMA] = address(work) + ints[t.AT_SIGMA] * size
        for number_own in range(n_own):
            own = op + t.OP_FIRST + number_own * t.OP_EACH
            block[at + s.X + 2 * number_own], block[at + s.Z + 2 * number_own] = ints[own + t.OP_X], ints[own + t.OP_Z]
            load_turn(zero, ints[own + t.OP_R], ints[own + t.OP_SIGN], ints, turns, work, coef + 3 * LINE * number_own)
        block[at + s.COEF] = coef
        acc = ints[t.AT_ACC] + t.MOST * k * lanes_of(zero)
        block[at + s.ACC] = address(work) + acc * size
        fill(work, acc, acc + t.MOST * lanes_of(zero), 0.0)
        elements = ints[step + t.STEP_ELEMENTS]
        block[at + s.COUNT] = 1 << ints[step + t.STEP_BITS]
        if ints[op] != t.DIAGONAL:
            block[at + s.COUNT] >>= n_own
        if ints[op] >= t.SWAP_LANE:
            block[at + s.X], block[at + s.Z] = ints[op + t.OP_FIRST + t.OP_X], ints[op + t.OP_FIRST + t.OP_Z]
            if ints[op] < t.FLIP_LANE:
                block[at + s.COUNT] >>= 1
        if ints[op + t.OP_BASIS] >= 0:
            elements = ints[op + t.OP_BASIS]
        else:
            block[at + s.LOW], block[at + s.LOW2] = ints[op + t.OP_LOW], ints[op + t.OP_LOW2]
            block[at + s.CROSS] = odd(block[at + s.Z] & block[at + s.X2]) * LINE
            block[at + s.CROSS2] = odd(block[at + s.Z2] & block[at + s.X]) * LINE
        block[at + s.ELEMENTS] = address(ints) + 8 * (ints[t.ELEMENTS] + elements)


@kernel
def back(op: int, ints: Any) -> int:
    """Return what turns the states back, to be added to the operation's kind."""
    return numbers.TURN_BACK if ints[op + t.OP_FIXED] else numbers.ADJOINT


@kernel
def run_block(zero: Any, step: int, way: int, ints: Any, block: Any) -> None:
    """Run a loaded block coset by coset: forth or back, or only its gradients if its rotations commute (any other
    way)."""
    first, last = ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST]
    inside = ints[step + t.STEP_INSIDE]
    if block[D_SPLIT]:
        for k in range(last - first):
            number = numbers.ROTATE
            if way == BACKWARD:
                number = back(ints[t.OPS] + (first + k) * t.OP_WIDTH, ints)
            elif way != FORWARD:
                number = numbers.GRADIENT
            block[k * s.SIZE + s.NUMBER] = number + ints[ints[t.OPS] + (first + k) * t.OP_WIDTH]
        sums = t.MOST * (last - first) * LINE if way != FORWARD else 0
        block[D_KIND], block[D_OPS], block[D_REVERSE] = COSETS, last - first, way == BACKWARD
        block[D_COSETS], block[D_INSIDE] = ints[t.ROWS] >> ints[step + t.STEP_BITS], inside
        block[D_SUMS] = sums
        share(zero, block)
        if sums:
            add_up(zero, block[s.ACC], sums, t.MOST * (last - first), block)
        return
    base = 0
    for _ in range(ints[t.ROWS] >> ints[step + t.STEP_BITS]):
        for turn in range(last - first):
            k, number = turn, numbers.ROTATE
            if way == BACKWARD:
                k = last - first - 1 - turn
                number = back(ints[t.OPS] + (first + k) * t.OP_WIDTH, ints)
            elif way != FORWARD:
                number = numbers.GRADIENT
            block[k * s.SIZE + s.BASE] = base
            number += ints[ints[t.OPS] + (first + k) * t.OP_WIDTH]
            call(zero, block[s.OPERATE], number, address(block) + 8 * k * s.SIZE)
        base = ((base | inside) + 128) & ~inside  # the next number on the bits outside the coset


@kernel
def load_table(zero: Any, step: int, ints: Any, angles: Any, tables: Any, work: Any, wide: Any, block: Any) -> None:
    """Fill the arguments for a table, which is made now unless it was kept."""
    number, padded = ints[step + t.STEP_ELEMENTS], ints[t.TABLE_SIZE]
    size = LINE // lanes_of(zero)
    if 0 <= number < ints[t.N_KEPT]:
        place = address(tables) + number * 2 * padded * size
    else:
        place = address(work) + ints[t.AT_TABLE] * size
        if block[D_FILLED] != step:
            fill_table(zero, step, ints, angles, place, wide, block)
            block[D_FILLED] = step
    block[s.PSI] = address(work) + ints[t.AT_PSI] * size
    block[s.LAM] = address(work) + ints[t.AT_LAM] * size
    block[s.SRC] = place
    block[s.DST] = place + padded * size
    block[s.COUNT] = ints[t.ROWS_PADDED]


@kernel
def streams(step: int, ints: Any, block: Any) -> bool:
    """Return whether a table is made bit by bit where it is used, instead of whole."""
    number = ints[step + t.STEP_ELEMENTS]
    return ints[t.TABLES_STREAM] and (not block[D_KEEP] or number == t.OWN or number >= ints[t.N_KEPT])


@kernel
def stream_table(zero: Any, kind: int, step: int, ints: Any, angles: Any, work: Any, wide: Any, block: Any) -> None:
    """Turn PSI, or turn PSI and LAM back and leave the terms' sums in ``wide``, chunk by chunk."""
    block[D_FILLED] = 0
    first, size = ints[step + t.STEP_FIRST], LINE // lanes_of(zero)
    n_terms = ints[step + t.STEP_LAST] - first
    block[s.PSI] = address(work) + ints[t.AT_PSI] * size
    block[s.LAM] = address(work) + ints[t.AT_LAM] * size
    block[s.COUNT], block[s.X2], block[s.X] = ints[t.ROWS], lanes_of(zero), n_terms
    block[s.ELEMENTS] = address(ints) + 8 * (ints[t.PLACED_Z] + first)
    block[s.SRC], block[s.ACC] = place_of_angles(step, ints, angles, wide) + 8 * first, address(wide)
    block[s.COEF] = address(angles) + 8 * (3 * ints[t.PADDED] + ints[step + t.STEP_BITS])
    block[s.DST] = address(work) + ints[t.AT_TABLE] * size
    block[D_KIND], block[D_SUMS] = kind, (n_terms + 7 >> 3) * LINE
    share(zero, block)


@kernel
def load_state(zero: Any, ints: Any, initial: Any, n_initial: int, tile: int, work: Any, block: Any) -> None:
    """Write the tile's initial states, given per sample or one for all; samples beyond the batch get zeros."""
    lanes, rows, at = lanes_of(zero), ints[t.ROWS], ints[t.AT_PSI]
    shift, first = ints[t.LANE_BITS], tile * ints[t.SAMPLES]
    size = 2 * rows << shift
    clear(zero, address(work) + at * (LINE // lanes), 2 * ints[t.ROWS_PADDED], block)
    for lane in range(min(lanes, (block[s.BATCH] - first) << shift)):
        base = (first + (lane >> shift)) * size if n_initial > size else 0
        base += 2 * (lane & ((1 << shift) - 1))
        for j in range(rows):
            place = at + 2 * j * lanes + lane
            work[place] = initial[base + (2 * j << shift)]
            work[place + lanes] = initial[base + (2 * j << shift) + 1]


@kernel
def start(zero: Any, ints: Any, turns: Any, work: Any, block: Any) -> None:
    """Write the state |0...0> after the blocks at its start, whose rotations have highest bits that only ascend."""
    lanes, at = lanes_of(zero), ints[t.AT_PSI]
    psi, ready = address(work) + at * (LINE // lanes), 1
    fill(work, at, at + 2 * lanes, 0.0)
    fill(work, at, at + ints[t.SAMPLES], 1.0)  # the lanes of index 0
    for k in range(ints[t.N_START]):
        step = ints[t.STEPS] + k * t.STEP_WIDTH
        load_block(zero, step, ints, turns, work, block)
        for number in range(ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST]):
            op, place = ints[t.OPS] + number * t.OP_WIDTH, (number - ints[step + t.STEP_FIRST]) * s.SIZE
            kind = numbers.START + (t.IMAGINARY if ints[op] == t.IMAGINARY else t.REAL)
            for own in range(ints[op + t.OP_COUNT]):
                block[place + s.X], block[place + s.Z] = block[place + s.X + 2 * own], block[place + s.Z + 2 * own]
                rows = 1
                while 2 * rows <= block[place + s.X] >> 7:
                    rows *= 2
                clear(zero, psi + 2 * ready * LINE, 2 * (rows - ready), block)
                block[place + s.COUNT] = rows
                share_rows(zero, kind, place, block)
                block[place + s.COEF] += 3 * LINE
                ready = 2 * rows
    clear(zero, psi + 2 * ready * LINE, 2 * (ints[t.ROWS_PADDED] - ready), block)


@kernel
def forward(
    zero: Any, first: int, last: int, ints: Any, angles: Any, turns: Any, tables: Any, work: Any, wide: Any, block: Any
) -> None:
    """Run steps ``first .. last - 1`` on PSI."""
    way = FORWARD if first >= 0 else 0  # not a literal, for which Numba would compile `run_block` once more
    for k in range(first, last):
        step = ints[t.STEPS] + k * t.STEP_WIDTH
        if ints[step] == t.TABLE:
            if streams(step, ints, block):
                stream_table(zero, TABLE_STREAM, step, ints, angles, work, wide, block)
                continue
            load_table(zero, step, ints, angles, tables, work, wide, block)
            number = numbers.ROTATE_TABLE + (1 if ints[t.LANE_BITS] else 0)
            share_rows(zero, number, 0, block)
        elif ints[step] == t.EXCHANGE:
            exchange(zero, step, ints[t.AT_PSI], ints, work, block)
        else:
            load_block(zero, step, ints, turns, work, block)
            run_block(zero, step, way, ints, block)


@kernel
def note(
    zero: Any,
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
    """Store a rotation's gradient: the sum over the tile for weights, and the inputs' share per sample."""
    size, scale = LINE // lanes_of(zero), angles[ints[t.PADDED] + rotation]
    found, signs = address(work) + at * size, address(work) + (ints[t.AT_SIGNS] + sign * lanes_of(zero)) * size
    start, index, factor = ints[t.INPUT_START] + rotation, ints[t.INPUT_INDEX], ints[t.INPUT_FACTOR]
    if ints[ints[t.WEIGHT_START] + rotation] < ints[ints[t.WEIGHT_START] + rotation + 1]:
        sums[tile * ints[t.N_ROTATIONS] + rotation] = scale * sum_of_products(zero, signs, found)
    if ints[start] == ints[start + 1]:
        return
    if ints[t.LANE_BITS]:
        total, row = scale * sum_of_products(zero, signs, found), tile * ints[t.N_INPUTS]
        for place in range(ints[start], ints[start + 1]):
            grad_inputs[row + ints[index + place]] += floats[factor + place] * total
        return
    for place in range(ints[start], ints[start + 1]):
        to = address(work) + ints[t.AT_GRADS] * size + LINE * ints[index + place]
        add_multiple(zero, scale * floats[factor + place], found, to)


@kernel
def write_gradients(zero: Any, ints: Any, tile: int, work: Any, grad_inputs: Any, block: Any) -> None:
    """Write the rows of gradients of a tile whose samples have a lane each."""
    first, lanes, width = tile * ints[t.SAMPLES], lanes_of(zero), ints[t.N_INPUTS]
    for lane in range(min(lanes, block[s.BATCH] - first)):
        for column in range(width):
            grad_inputs[(first + lane) * width + column] = work[ints[t.AT_GRADS] + column * lanes + lane]


@kernel
def note_term(
    rotation: int, value: float, ints: Any, floats: Any, angles: Any, tile: int, grad_inputs: Any, sums: Any
) -> None:
    """Store the gradient of a rotation in a table, and its share in the inputs of the tile's only sample."""
    scaled, row = angles[ints[t.PADDED] + rotation] * value, tile * ints[t.N_INPUTS]
    sums[tile * ints[t.N_ROTATIONS] + rotation] = scaled
    for place in range(ints[ints[t.INPUT_START] + rotation], ints[ints[t.INPUT_START] + rotation + 1]):
        grad_inputs[row + ints[ints[t.INPUT_INDEX] + place]] += scaled * floats[ints[t.INPUT_FACTOR] + place]


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
    lanes, at = lanes_of(zero), ints[t.AT_SUMS]
    for k in range(ints[t.N_STEPS_MEASURED] - 1, ints[t.FIRST_GRADIENT] - 1, -1):
        step = ints[t.STEPS] + k * t.STEP_WIDTH
        first, last = ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST]
        if ints[step] == t.TABLE and streams(step, ints, block):
            stream_table(zero, TABLE_BACK_STREAM, step, ints, angles, work, wide, block)
            for rotation in range(first, last):
                value = 0.0
                for chunk in range(CHUNKS):
                    value += wide[(chunk * block[D_SUMS] >> 3) + rotation - first]
                note_term(rotation, value, ints, floats, angles, tile, grad_inputs, sums)
            continue
        if ints[step] == t.TABLE:
            load_table(zero, step, ints, angles, tables, work, wide, block)
            block[s.DST2] = address(work) + at * (LINE // lanes)
            number = numbers.ADJOINT_TABLE + 1
            if ints[t.LANE_BITS] == 0:
                number = numbers.ADJOINT_TABLE
                block[s.COUNT] //= lanes
            share_rows(zero, number, 0, block)
            transform_numbers(zero, lanes, work, at, ints[t.ROWS] << ints[t.LANE_BITS], 0, block)
            for rotation in range(first, last):
                value = work[at + ints[ints[t.PLACED_Z] + rotation]]
                note_term(rotation, value, ints, floats, angles, tile, grad_inputs, sums)
            continue
        if ints[step] == t.EXCHANGE:
            exchange(zero, step, ints[t.AT_PSI], ints, work, block)
            exchange(zero, step, ints[t.AT_LAM], ints, work, block)
            continue
        load_block(zero, step, ints, turns, work, block)
        run_block(zero, step, FINISH if k < ints[t.N_START] else BACKWARD, ints, block)
        for number in range(first, last):
            op, acc = ints[t.OPS] + number * t.OP_WIDTH, ints[t.AT_ACC] + t.MOST * (number - first) * lanes
            for place in range(ints[op + t.OP_COUNT]):
                own = op + t.OP_FIRST + place * t.OP_EACH
                r, sign = ints[own + t.OP_R], ints[own + t.OP_SIGN]
                note(zero, r, sign, acc + place * lanes, ints, floats, angles, tile, work, grad_inputs, sums)
    if ints[t.LANE_BITS] == 0:
        write_gradients(zero, ints, tile, work, grad_inputs, block)


@kernel
def finish(n_tiles: int, ints: Any, floats: Any, sums: Any, wide: Any, grad_weights: Any) -> None:
    """Sum the rotations' gradients over the tiles, in their order, and give each weight its share."""
    start, index, factor = ints[t.WEIGHT_START], ints[t.WEIGHT_INDEX], ints[t.WEIGHT_FACTOR]
    n = ints[t.N_WEIGHTS]
    for k in range(n):
        wide[k] = 0.0
    for k in range(ints[t.N_ROTATIONS]):
        if ints[start + k] == ints[start + k + 1]:
            continue
        total = 0.0
        for tile in range(n_tiles):
            total += sums[tile * ints[t.N_ROTATIONS] + k]
        for place in range(ints[start + k], ints[start + k + 1]):
            wide[ints[index + place]] += floats[factor + place] * total
    for k in range(n):
        grad_weights[k] = wide[k]


@kernel
def bring_state(
    zero: Any,
    mode: int,
    tile: int,
    ints: Any,
    initial: Any,
    n_initial: int,
    angles: Any,
    turns: Any,
    tables: Any,
    work: Any,
    wide: Any,
    block: Any,
    saved: Any,
) -> None:
    """Bring the tile's final states into PSI unless they are there: run the circuit, or take what was saved."""
    at, n = ints[t.AT_PSI], 2 * ints[t.ROWS_PADDED] * lanes_of(zero)
    if mode & KEPT:
        return
    if not mode & FORWARD:
        for k in range(n):
            work[at + k] = saved[tile * n + k]
        return
    end = ints[t.N_STEPS] if mode & WHOLE else ints[t.N_STEPS_EXPECT]
    begin = 0
    if n_initial:
        load_state(zero, ints, initial, n_initial, tile, work, block)
    else:
        start(zero, ints, turns, work, block)
        begin = ints[t.N_START]
    forward(zero, begin, end, ints, angles, turns, tables, work, wide, block)
    if mode & SAVE:
        for k in range(n):
            saved[tile * n + k] = work[at + k]


@kernel
def clear_gradients(zero: Any, tile: int, ints: Any, work: Any, grad_inputs: Any, sums: Any, block: Any) -> None:
    """Set the tile's gradients to zero."""
    fill(sums, tile * ints[t.N_ROTATIONS], (tile + 1) * ints[t.N_ROTATIONS], 0.0)
    if ints[t.LANE_BITS]:
        fill(grad_inputs, tile * ints[t.N_INPUTS], (tile + 1) * ints[t.N_INPUTS], 0.0)
    elif ints[t.N_INPUTS]:
        clear(zero, address(work) + ints[t.AT_GRADS] * (LINE // lanes_of(zero)), ints[t.N_INPUTS], block)


@kernel
def start_block(mode: int, n_tiles: int, ints: Any, block: Any) -> None:
    """Note how loops are run, and that none is cut yet."""
    block[D_KEEP] = not ints[t.TABLES_STREAM] or n_tiles >= KEEP_TILES
    block[D_TEAM], block[D_SPLIT] = mode & TEAM, ints[t.ROWS] >= SPLIT_FROM
    for k in range(t.MAX_OPS + 1):
        block[k * s.SIZE + s.FIRST] = 0


@kernel
def load_signs(zero: Any, mode: int, ints: Any, work: Any) -> None:
    """Write the vectors +1 and -1, and those of the signs of lanes, unless they are there."""
    if mode & KEPT:
        return
    lanes, sigma = lanes_of(zero), ints[t.AT_SIGMA]
    fill(work, sigma, sigma + lanes, 1.0)
    fill(work, sigma + lanes, sigma + 2 * lanes, -1.0)
    for k in range(1 << ints[t.LANE_BITS]):
        for lane in range(lanes):
            work[ints[t.AT_SIGNS] + k * lanes + lane] = -1.0 if odd(k & lane) else 1.0


def run_tape(zero: Any, array: int) -> int:
    """Run the parts of a call that MODE names over tiles ``FIRST .. LAST - 1``.

    Args:
        zero: 0 of the tile's precision; what is called "tile's" below has that precision too.
        array: The int64 array of arguments, by the address of its object; at the places of
            `superpose.engine.kernels.arguments`. Numbers:

            - MODE: sum of the bits of `superpose.engine.kernels.modes`;
            - FIRST, LAST, N_TILES, BATCH: range of tiles; tiles and samples of the whole call;
            - N_INITIAL: how many numbers INITIAL has; 0 for |0...0>;
            - OPERATE: address of the compiled `superpose.engine.kernels.operations.operate` of that precision.

            C-contiguous arrays, by the addresses of their objects:

            - INTS, FLOATS: the tape; see `superpose.engine.kernels.layout`;
            - INPUTS, WEIGHTS: float64 ``(batch, n_inputs)`` and ``(n_weights,)``;
            - INITIAL: tile's; real and imaginary parts ``(1 or batch, 2**n_qubits, 2)``;
            - GRAD: tile's ``(batch, n_observables)``, the gradient that comes in;
            - ANGLES, TURNS, TABLES, FRAME: what PREPARE writes: float64, tile's, tile's, int64;
            - SAVED: tile's ``(n_tiles, 2 * lanes * rows)``: final states that SAVE writes, and that are read without
              FORWARD;
            - OUT, GRAD_INPUTS, GRAD_WEIGHTS: results, tile's;
            - SUMS: float64 ``(n_tiles, n_rotations)``, scratch between BACKWARD and FINISH;
            - WORK, WIDE, BLOCK: workspace of this thread: tile's, float64, int64; starts on multiples of 64 bytes.

    Returns:
        0, or a sum of the BAD bits of `superpose.engine.kernels.modes`; then the results mean nothing.
    """
    arguments = data(0, array)
    mode, first, last = arguments[a.MODE], arguments[a.FIRST], arguments[a.LAST]
    batch, n_tiles, n_initial = arguments[a.BATCH], arguments[a.N_TILES], arguments[a.N_INITIAL]
    ints, floats = data(0, arguments[a.INTS]), data(0.0, arguments[a.FLOATS])
    inputs, weights = data(0.0, arguments[a.INPUTS]), data(0.0, arguments[a.WEIGHTS])
    initial, grad = data(zero, arguments[a.INITIAL]), data(zero, arguments[a.GRAD])
    angles, turns = data(0.0, arguments[a.ANGLES]), data(zero, arguments[a.TURNS])
    tables, frame = data(zero, arguments[a.TABLES]), data(0, arguments[a.FRAME])
    saved, out = data(zero, arguments[a.SAVED]), data(zero, arguments[a.OUT])
    grad_inputs, grad_weights = data(zero, arguments[a.GRAD_INPUTS]), data(zero, arguments[a.GRAD_WEIGHTS])
    sums = data(0.0, arguments[a.SUMS])
    work, wide, block = data(zero, arguments[a.WORK]), data(0.0, arguments[a.WIDE]), data(0, arguments[a.BLOCK])
    if mode & HELP:  # everything in the block is the leader's
        help_out(zero, block)
        return 0
    block[s.OPERATE], block[s.BATCH] = arguments[a.OPERATE], batch
    start_block(mode, n_tiles, ints, block)
    if mode & PREPARE and not prepare(zero, ints, floats, weights, angles, turns, tables, frame, wide, block):
        finish_team(block)
        return BAD_WEIGHTS
    status, lanes = 0, lanes_of(zero)
    size, sigma = LINE // lanes, ints[t.AT_SIGMA]
    load_signs(zero, mode, ints, work)
    for tile in range(first, last):
        row = tile * ints[t.SAMPLES]
        end_row = min(row + ints[t.SAMPLES], batch)
        if mode & FORWARD and not_finite(inputs, row * ints[t.N_INPUTS], end_row * ints[t.N_INPUTS]):
            status |= BAD_INPUTS
        block[D_FILLED] = 0
        if ints[t.N_OF_LANES] and not mode & KEPT:
            turn_lanes(zero, ints, floats, angles, inputs, tile, work, wide, block)
        if ints[t.N_SHARED] < ints[t.N_TABLES]:
            own_angles(ints, floats, angles, inputs, tile, wide)
        bring_state(zero, mode, tile, ints, initial, n_initial, angles, turns, tables, work, wide, block, saved)
        block[s.PSI] = address(work) + ints[t.AT_PSI] * size
        block[s.LAM] = address(work) + ints[t.AT_LAM] * size
        block[s.ACC] = address(work) + ints[t.AT_ACC] * size
        block[s.SIGMA] = address(work) + sigma * size
        if mode & EXPECT:
            expect(zero, ints, floats, angles, frame, tile, work, out, block)
        if mode & BACKWARD:
            if not_finite(grad, row * ints[t.N_OBSERVABLES], end_row * ints[t.N_OBSERVABLES]):
                status |= BAD_GRADIENT
            clear_gradients(zero, tile, ints, work, grad_inputs, sums, block)
            start_adjoint(zero, ints, floats, frame, tile, work, grad, block)
            backward(zero, ints, floats, angles, turns, tables, tile, work, wide, grad_inputs, sums, block)
    if mode & FINISH:
        finish(n_tiles, ints, floats, sums, wide, grad_weights)
    finish_team(block)
    return status
