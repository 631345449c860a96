"""What one thread does of a loop that is cut into chunks; see `superpose.engine.kernels.sharing`.

Everything it needs to know stands in the argument block, and every chunk has its own part of the block, its own sums
and its own scratch.
"""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels import numbers
from superpose.engine.kernels import slots as s
from superpose.engine.kernels.layout import MAX_OPS, MOST
from superpose.engine.kernels.limits import (
    CHUNK_ARGUMENTS,
    CHUNKS,
    COSETS,
    D_AT,
    D_COSETS,
    D_INSIDE,
    D_KIND,
    D_NUMBER,
    D_OPS,
    D_REVERSE,
    D_SUMS,
    ROWS,
    STREAM_ROWS,
    TABLE_BACK_STREAM,
    TABLE_ROWS,
    WEIGH_STREAM,
)
from superpose.engine.kernels.simd import LINE, address, call, kernel

__all__ = ["run_chunk"]


@kernel
def _outside(number: int, inside: int) -> int:
    """Return the offset of coset ``number``: its bits, spread over those of an offset that are not ``inside``."""
    out, bit = 0, 128
    while number:
        if not inside & bit:
            out |= bit * (number & 1)
            number >>= 1
        bit <<= 1
    return out


@kernel
def _run_cosets(zero: Any, chunk: int, own: int, block: Any) -> None:
    """Run a block's operations on the chunk's cosets."""
    n_ops, n, inside, sums = block[D_OPS], block[D_COSETS], block[D_INSIDE], block[D_SUMS]
    first, last = n * chunk // CHUNKS, n * (chunk + 1) // CHUNKS
    operate = block[s.OPERATE]
    if sums:
        block[own + s.FIRST], block[own + s.COUNT] = 0, MOST * n_ops
        block[own + s.DST] = block[s.ACC] + chunk * sums
        call(zero, operate, numbers.CLEAR, address(block) + 8 * own)
    if first == last:
        return
    for k in range(n_ops * s.SIZE):
        block[own + k] = block[k]
    for k in range(n_ops):
        block[own + k * s.SIZE + s.ACC] += chunk * sums
    base = _outside(first, inside)
    reverse = n_ops - 1 if block[D_REVERSE] else 0
    for _ in range(first, last):
        for turn in range(n_ops):
            at = own + (reverse - turn if reverse else turn) * s.SIZE
            block[at + s.BASE] = base
            call(zero, operate, block[at + s.NUMBER], address(block) + 8 * at)
        base = ((base | inside) + 128) & ~inside


@kernel
def _transform_rows(zero: Any, at: int, operate: int, block: Any) -> None:
    """Walsh-Hadamard transform of the STREAM_ROWS vectors at SRC of the arguments at ``at``."""
    block[at + s.CROSS], block[at + s.COUNT] = 6, STREAM_ROWS // 4
    bit = 1
    while bit < STREAM_ROWS:
        block[at + s.X], block[at + s.LOW] = bit << 6, (bit << 6) - 1
        call(zero, operate, numbers.BUTTERFLY_PAIRS, address(block) + 8 * at)
        bit *= 4


@kernel
def _stream(zero: Any, chunk: int, own: int, block: Any) -> None:
    """Diagonal Pauli strings, the chunk's rows in passes of STREAM_ROWS.

    Arguments: PSI, COUNT rows; strings' masks at ELEMENTS, X of them; SRC a chunk's rows of numbers, one chunk's behind
    the other's. To expect: sums at DST, SUMS from one chunk's to the next one's. To weigh: weights at DST, result LAM.
    """
    n, operate, weighs = block[s.COUNT] // STREAM_ROWS, block[s.OPERATE], block[D_KIND] == WEIGH_STREAM
    n_strings, sums = block[s.X], block[s.DST]
    rows, string, butterfly = own, own + s.SIZE, own + 2 * s.SIZE
    for k in range(s.SIZE):
        block[rows + k] = block[string + k] = block[butterfly + k] = block[k]
    scratch = block[s.SRC] + chunk * STREAM_ROWS * LINE
    block[rows + s.SRC] = block[string + s.SRC] = block[butterfly + s.SRC] = scratch
    block[string + s.X] = STREAM_ROWS * 128 - 1
    block[rows + s.DST] = scratch
    if not weighs:
        sums += chunk * block[D_SUMS]
        block[butterfly + s.DST], block[butterfly + s.COUNT] = sums, n_strings
        call(zero, operate, numbers.CLEAR, address(block) + 8 * butterfly)
    block[string + s.DST], block[string + s.COUNT] = sums, n_strings
    for part in range(n * chunk // CHUNKS, n * (chunk + 1) // CHUNKS):
        offset = part * STREAM_ROWS * 128
        block[string + s.BASE] = offset
        block[rows + s.COUNT] = STREAM_ROWS
        block[rows + s.PSI] = block[s.PSI] + offset
        if weighs:
            call(zero, operate, numbers.CLEAR, address(block) + 8 * rows)
            call(zero, operate, numbers.SPREAD_STRINGS, address(block) + 8 * string)
        else:
            call(zero, operate, numbers.PROBABILITY_ROWS, address(block) + 8 * rows)
        _transform_rows(zero, butterfly, operate, block)
        if weighs:
            block[rows + s.LAM] = block[s.LAM] + offset
            call(zero, operate, numbers.SCALE_ROWS, address(block) + 8 * rows)
        else:
            call(zero, operate, numbers.ADD_STRINGS, address(block) + 8 * string)


@kernel
def _transform(zero: Any, at: int, n: int, precision: int, operate: int, block: Any) -> None:
    """Walsh-Hadamard transform of the numbers in the ``n`` vectors at SRC of the arguments at ``at``."""
    block[at + s.CROSS], block[at + s.COUNT] = 6, n
    call(zero, operate, numbers.WITHIN_VECTORS + precision, address(block) + 8 * at)
    bit = 1
    while bit < n:
        block[at + s.X], block[at + s.LOW] = bit << 6, (bit << 6) - 1
        if 2 * bit < n:
            block[at + s.COUNT] = n // 4
            call(zero, operate, numbers.BUTTERFLY_PAIRS + precision, address(block) + 8 * at)
            bit *= 4
        else:
            block[at + s.COUNT] = n // 2
            call(zero, operate, numbers.BUTTERFLIES + precision, address(block) + 8 * at)
            bit *= 2


@kernel
def _stream_table(zero: Any, chunk: int, own: int, block: Any) -> None:
    """A layer of diagonal rotations, forth or back, TABLE_ROWS rows at a time with phases made for them.

    Arguments: PSI, LAM, COUNT rows of X2 lanes; X terms with masks at ELEMENTS and float64 angles at SRC; a factor of
    the phases at COEF; scratch at DST; back, a float64 sum per term at ACC, SUMS from one chunk's to the next one's.
    """
    operate, lanes, back = block[s.OPERATE], block[s.X2], block[D_KIND] == TABLE_BACK_STREAM
    angles, phases, turned, sums = own, own + s.SIZE, own + 2 * s.SIZE, own + 3 * s.SIZE
    for k in range(s.SIZE):
        block[angles + k] = block[phases + k] = block[turned + k] = block[sums + k] = block[k]
    n_wide, block_rows = TABLE_ROWS * lanes // 8, TABLE_ROWS * LINE
    wide = block[s.DST] + chunk * (n_wide * LINE + 3 * block_rows)
    cosines = wide + n_wide * LINE
    block[angles + s.COUNT] = block[sums + s.COUNT] = block[s.X]
    block[angles + s.X] = block[sums + s.X] = TABLE_ROWS * lanes - 1
    block[angles + s.SRC], block[angles + s.DST] = wide, block[s.SRC]
    block[turned + s.SRC], block[turned + s.DST] = cosines, cosines + block_rows
    block[turned + s.DST2], block[turned + s.COUNT] = cosines + 2 * block_rows, TABLE_ROWS
    block[sums + s.SRC], block[sums + s.DST] = cosines + 2 * block_rows, block[s.ACC] + chunk * block[D_SUMS]
    if back:
        block[phases + s.DST], block[phases + s.COUNT] = block[sums + s.DST], block[D_SUMS] // LINE
        call(zero, operate, numbers.CLEAR, address(block) + 8 * phases)
    n = block[s.COUNT] // TABLE_ROWS
    for part in range(n * chunk // CHUNKS, n * (chunk + 1) // CHUNKS):
        block[angles + s.BASE] = block[sums + s.BASE] = part * TABLE_ROWS * lanes
        block[phases + s.SRC] = block[phases + s.DST] = wide
        block[phases + s.COUNT] = n_wide
        call(zero, operate, numbers.CLEAR, address(block) + 8 * phases)
        call(zero, operate, numbers.SPREAD_ANGLES, address(block) + 8 * angles)
        _transform(zero, phases, n_wide, numbers.FLOAT64, operate, block)
        block[phases + s.DST], block[phases + s.DST2] = cosines, cosines + block_rows
        block[phases + s.COUNT] = TABLE_ROWS
        call(zero, operate, numbers.SINES, address(block) + 8 * phases)
        block[turned + s.PSI] = block[s.PSI] + 2 * part * block_rows
        if back:
            block[turned + s.LAM] = block[s.LAM] + 2 * part * block_rows
            call(zero, operate, numbers.ADJOINT_TABLE + 1, address(block) + 8 * turned)
            block[phases + s.SRC] = block[sums + s.SRC]
            _transform(zero, phases, TABLE_ROWS, 0, operate, block)
            call(zero, operate, numbers.ADD_TERMS, address(block) + 8 * sums)
        else:
            call(zero, operate, numbers.ROTATE_TABLE + 1, address(block) + 8 * turned)


@kernel
def run_chunk(zero: Any, chunk: int, block: Any) -> None:
    """Do one chunk of what is to be done."""
    own, kind = CHUNK_ARGUMENTS + chunk * s.SIZE * MAX_OPS, block[D_KIND]
    if kind == COSETS:
        _run_cosets(zero, chunk, own, block)
    elif kind == ROWS:
        at = block[D_AT]
        count = block[at + s.COUNT]
        for k in range(s.SIZE):
            block[own + k] = block[at + k]
        block[own + s.FIRST], block[own + s.COUNT] = count * chunk // CHUNKS, count * (chunk + 1) // CHUNKS
        block[own + s.ACC] += chunk * block[D_SUMS]
        call(zero, block[s.OPERATE], block[D_NUMBER], address(block) + 8 * own)
    elif kind <= WEIGH_STREAM:
        _stream(zero, chunk, own, block)
    else:
        _stream_table(zero, chunk, own, block)
