"""Compiled parts of the tape interpreter: observables, read from the state or applied to it."""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels import layout as t
from superpose.engine.kernels import numbers
from superpose.engine.kernels import slots as s
from superpose.engine.kernels.angles import fill
from superpose.engine.kernels.exchanges import exchange, exchange_up_to
from superpose.engine.kernels.limits import D_KIND, D_SPLIT, D_SUMS, EXPECT_STREAM, WEIGH_STREAM
from superpose.engine.kernels.lines import add_weighted, lanes_of, negate, odd
from superpose.engine.kernels.rotations import AMPLITUDE_SHIFT
from superpose.engine.kernels.sharing import add_up, clear, share, share_rows, share_sums
from superpose.engine.kernels.simd import LINE, address, call, kernel
from superpose.engine.kernels.walsh import transform_vectors

__all__ = ["expect", "start_adjoint"]


@kernel
def load_string(string: int, ints: Any, frame: Any, block: Any) -> float:
    """Fill the argument block for a Pauli string and return its sign behind the frame."""
    place = ints[t.STRINGS] + t.STRING_WIDTH * string
    block[s.X], block[s.Z] = ints[place + t.STRING_X], ints[place + t.STRING_Z]
    block[s.LOW] = ints[place + t.STRING_LOW]
    block[s.COUNT] = ints[t.ROWS] // 2
    return -1.0 if odd((ints[place + t.STRING_OWN_X] & frame[4]) ^ (ints[place + t.STRING_OWN_Z] & frame[3])) else 1.0


@kernel
def load_stream(zero: Any, ints: Any, work: Any, block: Any) -> None:
    """Fill the argument block for all diagonal strings in one pass."""
    size = LINE // lanes_of(zero)
    block[s.ELEMENTS] = address(ints) + 8 * (ints[t.STRINGS] + t.STRING_Z)
    block[s.X], block[s.COUNT] = ints[t.N_DIAGONAL], ints[t.ROWS]
    block[s.SRC] = address(work) + ints[t.AT_STREAM] * size
    block[s.DST] = address(work) + ints[t.AT_STREAM_SUMS] * size


@kernel
def of_string(string: int, what: int, ints: Any) -> int:
    """Return an entry of a Pauli string."""
    return ints[ints[t.STRINGS] + t.STRING_WIDTH * string + what]  # type: ignore[no-any-return]  # Numba's arrays are not typed


@kernel
def expect(
    zero: Any, ints: Any, floats: Any, angles: Any, frame: Any, tile: int, work: Any, out: Any, block: Any
) -> None:
    """Write the tile's expectations."""
    lanes, rows, at, acc = lanes_of(zero), ints[t.ROWS], ints[t.AT_LAM], ints[t.AT_ACC]
    values, size = ints[t.AT_VALUES], LINE // lanes_of(zero)
    n_observables, n_diagonal = ints[t.N_OBSERVABLES], ints[t.N_DIAGONAL]
    shrink = angles[3 * ints[t.PADDED] + ints[t.N_TABLES]]  # of the amplitudes
    fill(work, values, values + n_observables * lanes, 0.0)
    streams = block[D_SPLIT] and n_diagonal
    if streams:
        load_stream(zero, ints, work, block)
        block[D_KIND], block[D_SUMS] = EXPECT_STREAM, n_diagonal * LINE
        share(zero, block)
        add_up(zero, block[s.DST], n_diagonal * LINE, n_diagonal, block)
    elif n_diagonal:
        block[s.COUNT] = rows
        call(zero, block[s.OPERATE], numbers.PROBABILITIES, address(block))
        if ints[t.TRANSFORM]:
            block[s.SRC], block[s.CROSS] = block[s.LAM], AMPLITUDE_SHIFT
            transform_vectors(zero, rows, 0, block)
    done = ints[t.N_STEPS_EXPECT]
    for string in range(ints[t.N_STRINGS]):
        source = acc
        both = tile < 0  # never
        done = exchange_up_to(zero, done, of_string(string, t.STRING_STEP, ints), both, ints, work, block)
        scale = load_string(string, ints, frame, block) * shrink * shrink
        if string < n_diagonal:
            if streams:
                source = ints[t.AT_STREAM_SUMS] + string * lanes
            elif ints[t.TRANSFORM]:
                source = at + (block[s.Z] >> 7) * 2 * lanes
            else:
                block[s.COUNT] = rows
                call(zero, block[s.OPERATE], numbers.EXPECT_DIAGONAL, address(block))
        else:
            scale *= 2.0
            share_sums(zero, numbers.EXPECT + of_string(string, t.STRING_KIND, ints), block)
        for place in range(ints[ints[t.STRING_START] + string], ints[ints[t.STRING_START] + string + 1]):
            factor = scale * floats[ints[t.STRING_FACTOR] + place]
            to = address(work) + values * size + LINE * ints[ints[t.STRING_OBSERVABLE] + place]
            signs = address(work) + ints[t.AT_SIGNS] * size + LINE * of_string(string, t.STRING_SIGN, ints)
            add_weighted(zero, factor, signs, address(work) + source * size, to)
    for k in range(done - 1, ints[t.N_STEPS_EXPECT] - 1, -1):
        exchange(zero, ints[t.STEPS] + k * t.STEP_WIDTH, ints[t.AT_PSI], ints, work, block)
    write_rows(zero, ints, tile, work, out, block)


@kernel
def write_rows(zero: Any, ints: Any, tile: int, work: Any, out: Any, block: Any) -> None:
    """Write the tile's rows of results, summed over the lanes of each sample."""
    lanes, shift, first = lanes_of(zero), ints[t.LANE_BITS], tile * ints[t.SAMPLES]
    for k in range(ints[t.N_OBSERVABLES]):
        values = ints[t.AT_VALUES] + k * lanes
        for row in range(first, min(first + ints[t.SAMPLES], block[s.BATCH])):
            total = 0.0
            for lane in range((row - first) << shift, (row - first + 1) << shift):
                total += work[values + lane]
            out[row * ints[t.N_OBSERVABLES] + k] = total


@kernel
def weigh_string(
    zero: Any,
    string: int,
    sign: float,
    weights: int,
    ints: Any,
    floats: Any,
    tile: int,
    work: Any,
    grad: Any,
    block: Any,
) -> None:
    """Write a string's weight, and minus that, for each sample to the place ``weights``."""
    lanes = lanes_of(zero)
    size, shift, first = LINE // lanes, ints[t.LANE_BITS], tile * ints[t.SAMPLES]
    n, width = min(lanes, (block[s.BATCH] - first) << shift), ints[t.N_OBSERVABLES]
    to, signs = address(work) + weights * size, ints[t.AT_SIGNS] + of_string(string, t.STRING_SIGN, ints) * lanes
    fill(work, weights, weights + 2 * lanes, 0.0)
    for place in range(ints[ints[t.STRING_START] + string], ints[ints[t.STRING_START] + string + 1]):
        factor, column = sign * floats[ints[t.STRING_FACTOR] + place], ints[ints[t.STRING_OBSERVABLE] + place]
        for lane in range(n):
            work[weights + lanes + lane] = grad[(first + (lane >> shift)) * width + column]
        add_weighted(zero, factor, address(work) + signs * size, to + LINE, to)
    negate(zero, to, to + LINE)


@kernel
def start_adjoint(zero: Any, ints: Any, floats: Any, frame: Any, tile: int, work: Any, grad: Any, block: Any) -> None:
    """Write LAM, the observables weighted by the incoming gradient, applied to PSI."""
    lanes, rows, at = lanes_of(zero), ints[t.ROWS], ints[t.AT_LAM]
    weights, n_diagonal = ints[t.AT_STRINGS], ints[t.N_DIAGONAL]
    block[s.COEF] = address(work) + weights * (LINE // lanes)
    if block[D_SPLIT] and n_diagonal:
        for string in range(n_diagonal):
            sign = load_string(string, ints, frame, block)
            place = ints[t.AT_STREAM_SUMS] + string * lanes  # the second half is overwritten by the next string's
            weigh_string(zero, string, sign, place, ints, floats, tile, work, grad, block)
        load_stream(zero, ints, work, block)
        block[D_KIND] = WEIGH_STREAM
        share(zero, block)
        n_diagonal = 0
    else:
        clear(zero, block[s.LAM], 2 * ints[t.ROWS_PADDED], block)
    for string in range(n_diagonal):
        weigh_string(
            zero, string, load_string(string, ints, frame, block), weights, ints, floats, tile, work, grad, block
        )
        if ints[t.TRANSFORM]:
            to = at + (block[s.Z] >> 7) * 2 * lanes
            for lane in range(lanes):
                work[to + lane] += work[weights + lane]
        else:
            block[s.COUNT] = rows
            call(zero, block[s.OPERATE], numbers.WEIGH_DIAGONAL, address(block))
    if n_diagonal:
        if ints[t.TRANSFORM]:
            block[s.SRC], block[s.CROSS] = block[s.LAM], AMPLITUDE_SHIFT
            transform_vectors(zero, rows, 0, block)
        block[s.COUNT] = rows
        call(zero, block[s.OPERATE], numbers.SCALE_ADJOINT, address(block))
    done = ints[t.N_STEPS_EXPECT]
    for string in range(ints[t.N_DIAGONAL], ints[t.N_STRINGS]):
        both = tile >= 0  # always
        done = exchange_up_to(zero, done, of_string(string, t.STRING_STEP, ints), both, ints, work, block)
        block[s.COEF] = address(work) + weights * (LINE // lanes)
        sign = load_string(string, ints, frame, block)
        weigh_string(zero, string, sign, weights, ints, floats, tile, work, grad, block)
        share_rows(zero, numbers.WEIGH + of_string(string, t.STRING_KIND, ints), 0, block)
