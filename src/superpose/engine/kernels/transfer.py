"""Serial kernels of density matrices in the Pauli basis: coefficients, runs of blocks on tiles, and their gradients."""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels import transfer_columns as c
from superpose.engine.kernels import vector_slots as s
from superpose.engine.kernels.simd import call, data
from superpose.engine.kernels.views import array_kernel, start_of, view1, view2, view3

__all__ = ["run_transfer"]


@array_kernel
def _rotate(row: Any, dim: int, pairs: Any, u: float, v: float, m: Any) -> None:
    """Turn pairs of rows of ``m`` by the angle with cosine ``u`` and sine ``v``."""
    for p in range(row[2], row[2] + row[3]):
        i, j = pairs[p, 0], pairs[p, 1]
        for k in range(dim):
            x, y = m[i, k], m[j, k]
            m[i, k] = u * x - v * y
            m[j, k] = v * x + u * y


@array_kernel
def _times(
    constants: Any, at: int, size: int, down: int, along: int, base: int, step: int, dim: int, m: Any, temporary: Any
) -> None:
    """Multiply ``size`` rows of ``m``, from ``base`` in steps, by the constant matrix with these strides."""
    for i in range(size):
        for k in range(dim):
            temporary[i, k] = 0.0
        for j in range(size):
            f = constants[at + i * down + j * along]
            if f != 0.0:
                for k in range(dim):
                    temporary[i, k] += f * m[base + j * step, k]
    for i in range(size):
        for k in range(dim):
            m[base + i * step, k] = temporary[i, k]


@array_kernel
def _multiply(
    forward: bool, row: Any, dim: int, constants: Any, pairs: Any, cos: Any, sin: Any, m: Any, temporary: Any
) -> None:
    """Replace the matrix ``m``, ``(dim, dim)``, by a factor, or its transpose, times ``m``."""
    if row[0] == c.ROTATION:
        sine = sin[row[1]]
        _rotate(row, dim, pairs, cos[row[1]], sine if forward else -sine, m)
        return
    whole = row[0] == c.WHOLE
    size = dim if whole else 4
    down, along = (size, 1) if forward else (1, size)
    first = row[2] == 0  # of a block's two qubits
    for other in range(1 if whole else 4):
        base = other if first else 4 * other
        step = 1 if whole or not first else 4
        _times(constants, row[1], size, down, along, base, step, dim, m, temporary)


@array_kernel
def _coefficients(row: Any, lane_rows: Any, lane_columns: Any, matrix: Any, out: Any) -> None:
    """Spread a block's matrix over what the vector loops load, forward and transposed."""
    dim, table = row[c.DIMENSION], row[c.TABLE]
    a, b = row[c.FORWARD], row[c.BACKWARD]
    if table == 0:
        for i in range(dim):
            for j in range(dim):
                out[a + dim * i + j] = matrix[i, j]
                out[b + dim * i + j] = matrix[j, i]
        return
    for i in range(1 << row[c.N_OUT]):
        for j in range(dim):
            for lane in range(s.N_LANES):
                k = (i * dim + j) * s.N_LANES + lane
                x, y = lane_rows[table, i, lane], lane_columns[table, j, lane]
                out[a + k] = matrix[x, y]
                out[b + k] = matrix[y, x]


@array_kernel
def prepare(
    own: int, blocks: Any, factors: Any, constants: Any, pairs: Any, cos: Any, sin: Any, lane_rows: Any,
    lane_columns: Any, coefficients: Any, scratch: Any,
) -> None:  # fmt: skip
    """Write the coefficients of all blocks that are ``own`` to a sample (1), or of all others (0).

    Args:
        own: Which blocks.
        blocks, factors, constants, pairs: The program's tables.
        cos, sin: Of the sample's angles.
        lane_rows, lane_columns: Entry of the matrix for each lane.
        coefficients: Written.
        scratch: ``(2, 16, 16)`` or more.
    """
    matrix, temporary = scratch[0], scratch[1]
    for b in range(len(blocks)):
        row = blocks[b]
        if row[c.OWN] != own:
            continue
        dim = row[c.DIMENSION]
        if row[c.LOOP] < 0:
            at = factors[row[c.FIRST], 1]
            for i in range(dim):
                for j in range(dim):
                    coefficients[row[c.FORWARD] + dim * i + j] = constants[at + dim * i + j]
                    coefficients[row[c.BACKWARD] + dim * j + i] = constants[at + dim * i + j]
            continue
        matrix[:] = 0.0
        for i in range(dim):
            matrix[i, i] = 1.0
        for f in range(row[c.FIRST], row[c.LAST]):
            _multiply(True, factors[f], dim, constants, pairs, cos, sin, matrix, temporary)
        _coefficients(row, lane_rows, lane_columns, matrix, coefficients)


@array_kernel
def _apply(row: Any, offset: int, states: Any, start: int, table: Any, offsets: Any, found: Any, args: Any) -> None:
    """Multiply the tile that starts at ``states[start]`` by the matrix with coefficients at ``table[offset]``."""
    if row[c.LOOP] >= 0:
        args[s.BASE] = start_of(states) + 8 * start
        args[s.COEFS] = start_of(table) + 8 * offset
        args[s.COUNT] = row[c.COUNT]
        for k in range(4):
            args[s.LOWS + k] = row[c.LOWS + k]
            args[s.STRIDES + k] = row[c.STRIDES + k]
        call(0.0, args[s.OPERATE], row[c.LOOP], start_of(args))
        return
    dim, where, n_bits = row[c.DIMENSION], row[c.OFFSETS], row[c.N_BITS]
    for turn in range(row[c.COUNT]):
        index = turn
        for k in range(n_bits):  # open a zero bit at each of the operator's bits
            low = offsets[where + dim + k]
            index = ((index & ~low) << 1) | (index & low)
        index += start
        for j in range(dim):
            found[j] = states[index + offsets[where + j]]
        for i in range(dim):
            total = 0.0
            for j in range(dim):
                total += table[offset + i * dim + j] * found[j]
            states[index + offsets[where + i]] = total


@array_kernel
def _copy(source: Any, at: int, target: Any, to: int, n: int) -> None:
    """Copy ``n`` numbers."""
    for k in range(n):
        target[to + k] = source[at + k]


@array_kernel
def _gather(states: Any, start: int, chunks: Any, chunk: int, tile: Any, to: int) -> None:
    """Copy the pieces of a tile together."""
    for k in range(len(chunks)):
        _copy(states, start + chunks[k], tile, to + k * chunk, chunk)


@array_kernel
def _scatter(states: Any, start: int, chunks: Any, chunk: int, tile: Any, at: int) -> None:
    """Copy the pieces of a tile back."""
    for k in range(len(chunks)):
        _copy(tile, at + k * chunk, states, start + chunks[k], chunk)


@array_kernel
def forward_tiles(
    first: int, last: int, blocks: Any, shared: Any, own: Any, own_size: int, offsets: Any, states: Any,
    sample_size: int, places: Any, starts: Any, chunks: Any, chunk: int, tile: Any, sums: Any, args: Any,
) -> None:  # fmt: skip
    """Run a group of blocks on the tiles numbered ``first .. last - 1``: samples, then slots, then tiles of a state.

    Args:
        first, last: Range of tiles.
        blocks: Rows of the group.
        shared, own: Coefficients of all samples, and those per sample, ``own_size`` numbers each.
        own_size: See there.
        offsets: Of elements, for large blocks.
        states: All samples' states, ``sample_size`` numbers each.
        sample_size: See there.
        places: Where in a sample the slots start that the group runs on.
        starts: Where in a state its tiles start.
        chunks: Offsets of a tile's contiguous pieces.
        chunk: Numbers per piece; 0 runs in place.
        tile: Scratch.
        sums, args: Scratch, 2048 numbers and the vector loops' arguments.
    """
    n_starts, n_places = len(starts), len(places)
    for item in range(first, last):
        sample = item // (n_starts * n_places)
        rest = item - sample * n_starts * n_places
        start = sample * sample_size + places[rest // n_starts] + starts[rest % n_starts]
        work, at = states, start
        if chunk:
            _gather(states, start, chunks, chunk, tile, 0)
            work, at = tile, 0
        for b in range(len(blocks)):
            row = blocks[b]
            if row[c.OWN]:
                _apply(row, sample * own_size + row[c.FORWARD], work, at, own, offsets, sums, args)
            else:
                _apply(row, row[c.FORWARD], work, at, shared, offsets, sums, args)
        if chunk:
            _scatter(states, start, chunks, chunk, tile, 0)


@array_kernel
def _sum_products(
    row: Any, states: Any, adjoint: Any, lane_rows: Any, lane_columns: Any, sums: Any, args: Any, out: Any
) -> None:
    """Add a block's gradient by its matrix on one tile to ``out``, ``(dim * dim,)``."""
    dim, table = row[c.DIMENSION], row[c.TABLE]
    n = dim << row[c.N_OUT]
    sums[: n * s.N_LANES] = 0.0
    args[s.BASE] = states
    args[s.OTHER] = adjoint
    args[s.SUMS] = start_of(sums)
    args[s.COUNT] = row[c.COUNT]
    for k in range(4):
        args[s.LOWS + k] = row[c.LOWS + k]
        args[s.STRIDES + k] = row[c.STRIDES + k]
    call(0.0, args[s.OPERATE], row[c.OUTER], start_of(args))
    for i in range(1 << row[c.N_OUT]):
        for j in range(dim):
            for lane in range(s.N_LANES):
                x = lane_rows[table, i, lane] if table else i
                y = lane_columns[table, j, lane] if table else j
                out[x * dim + y] += sums[(i * dim + j) * s.N_LANES + lane]


@array_kernel
def backward_tiles(
    first: int, last: int, blocks: Any, shared: Any, own: Any, own_size: int, offsets: Any, states: Any, adjoints:
    Any, sample_size: int, places: Any, starts: Any, chunks: Any, chunk: int, size: int, tiles: Any, lane_rows: Any,
    lane_columns: Any, sums: Any, args: Any, environments: Any,
) -> None:  # fmt: skip
    """Run a group back: adjoint states from after to before it, and gradients by the blocks' matrices.

    ``states`` are those before the group; they are not changed. ``tiles`` is scratch for the tile's adjoint and for
    the states before each block that needs a gradient, ``size`` numbers each. ``environments`` has a row per tile,
    written. Other arguments as in `forward_tiles`.
    """
    n_starts, n_places, n_blocks = len(starts), len(places), len(blocks)
    base = start_of(tiles)
    for item in range(first, last):
        sample = item // (n_starts * n_places)
        rest = item - sample * n_starts * n_places
        start = sample * sample_size + places[rest // n_starts] + starts[rest % n_starts]
        environments[item, :] = 0.0
        work = size  # the tile behind the adjoint's is where blocks run
        if chunk:
            _gather(adjoints, start, chunks, chunk, tiles, 0)
            _gather(states, start, chunks, chunk, tiles, work)
        else:
            _copy(adjoints, start, tiles, 0, size)
            _copy(states, start, tiles, work, size)
        for b in range(n_blocks):
            row = blocks[b]
            if row[c.ENVIRONMENT] >= 0:
                kept = size * (2 + row[c.HISTORY])
                _copy(tiles, work, tiles, kept, size)
            if row[c.OWN]:
                _apply(row, sample * own_size + row[c.FORWARD], tiles, work, own, offsets, sums, args)
            else:
                _apply(row, row[c.FORWARD], tiles, work, shared, offsets, sums, args)
        for b in range(n_blocks - 1, -1, -1):
            row = blocks[b]
            if row[c.ENVIRONMENT] >= 0:
                a = row[c.ENVIRONMENT]
                out = environments[item, a : a + row[c.DIMENSION] * row[c.DIMENSION]]
                kept = base + 8 * size * (2 + row[c.HISTORY])
                _sum_products(row, kept, base, lane_rows, lane_columns, sums, args, out)
            if row[c.OWN]:
                _apply(row, sample * own_size + row[c.BACKWARD], tiles, 0, own, offsets, sums, args)
            else:
                _apply(row, row[c.BACKWARD], tiles, 0, shared, offsets, sums, args)
        if chunk:
            _scatter(adjoints, start, chunks, chunk, tiles, 0)
        else:
            _copy(tiles, 0, adjoints, start, size)


@array_kernel
def _slope(row: Any, dim: int, pairs: Any, gradient: Any, after: Any) -> float:
    """Return the derivative by a rotation's angle, given the gradient by the product up to it and that product."""
    total = 0.0
    for p in range(row[2], row[2] + row[3]):
        i, j = pairs[p, 0], pairs[p, 1]
        for k in range(dim):
            total += gradient[j, k] * after[i, k] - gradient[i, k] * after[j, k]
    return total


@array_kernel
def factor_gradients(
    blocks: Any, factors: Any, constants: Any, pairs: Any, cos: Any, sin: Any, environments: Any, scratch: Any, out: Any
) -> None:
    """Add to ``out``, the gradient by a sample's angles, what the gradients by the blocks' matrices give.

    Args:
        blocks, factors, constants, pairs, cos, sin: As in `prepare`, the blocks those of one group.
        environments: Gradient by the matrices, ``(size,)``.
        scratch: ``(2 + factors of a block, 16, 16)``.
        out: ``(n_angles,)``.
    """
    matrix, temporary = scratch[0], scratch[1]
    for b in range(len(blocks)):
        row = blocks[b]
        if row[c.ENVIRONMENT] < 0:
            continue
        dim, f0 = row[c.DIMENSION], row[c.FIRST]
        matrix[:] = 0.0
        for i in range(dim):
            matrix[i, i] = 1.0
        for f in range(f0, row[c.LAST]):
            _multiply(True, factors[f], dim, constants, pairs, cos, sin, matrix, temporary)
            for i in range(dim):
                for j in range(dim):
                    scratch[2 + f - f0, i, j] = matrix[i, j]
        for i in range(dim):
            for j in range(dim):
                matrix[i, j] = environments[row[c.ENVIRONMENT] + i * dim + j]
        for f in range(row[c.LAST] - 1, f0 - 1, -1):
            if factors[f, 0] == c.ROTATION:
                out[factors[f, 1]] += _slope(factors[f], dim, pairs, matrix, scratch[2 + f - f0])
            _multiply(False, factors[f], dim, constants, pairs, cos, sin, matrix, temporary)


@array_kernel
def _run(array: int) -> int:
    """See `run_transfer`."""
    a = data(0, array)
    first, last, own_size, sample_size = a[c.ARG_FIRST], a[c.ARG_LAST], a[c.ARG_OWN_SIZE], a[c.ARG_SAMPLE_SIZE]
    blocks, factors = view2(0, a[c.BLOCKS], a[c.BLOCKS + 1], c.WIDTH), view2(0, a[c.FACTORS], a[c.FACTORS + 1], 4)
    constants, pairs = view1(0.0, a[c.CONSTANTS], a[c.CONSTANTS + 1]), view2(0, a[c.PAIRS], a[c.PAIRS + 1], 2)
    n_samples, n_angles = a[c.COS + 1], a[c.COS + 2]
    cos, sin = view2(0.0, a[c.COS], n_samples, n_angles), view2(0.0, a[c.SIN], n_samples, n_angles)
    shared, own = view1(0.0, a[c.SHARED], a[c.SHARED + 1]), view1(0.0, a[c.OWN_TABLE], a[c.OWN_TABLE + 1])
    rows = view3(0, a[c.LANE_ROWS], a[c.LANE_ROWS + 1], 16, s.N_LANES)
    columns = view3(0, a[c.LANE_COLUMNS], a[c.LANE_COLUMNS + 1], 16, s.N_LANES)
    scratch = view3(0.0, a[c.SCRATCH], a[c.SCRATCH + 1], 16, 16)
    mode = a[c.ARG_MODE]
    if mode == c.PREPARE_SHARED:
        prepare(0, blocks, factors, constants, pairs, cos[0], sin[0], rows, columns, shared, scratch)
        return 0
    if mode == c.PREPARE_OWN:
        for sample in range(first, last):
            out = own[sample * own_size : (sample + 1) * own_size]
            prepare(1, blocks, factors, constants, pairs, cos[sample], sin[sample], rows, columns, out, scratch)
        return 0
    environments = view2(0.0, a[c.ENVIRONMENTS], a[c.ENVIRONMENTS + 1], a[c.ENVIRONMENTS + 2])
    if mode == c.ANGLES:
        by_angle = view2(0.0, a[c.BY_ANGLE], n_samples, n_angles)
        for sample in range(first, last):
            out = by_angle[sample]
            factor_gradients(
                blocks, factors, constants, pairs, cos[sample], sin[sample], environments[sample], scratch, out
            )
        return 0
    offsets, states = view1(0, a[c.OFFSET_TABLE], a[c.OFFSET_TABLE + 1]), view1(0.0, a[c.STATES], a[c.STATES + 1])
    adjoints = view1(0.0, a[c.ADJOINTS], a[c.ADJOINTS + 1])
    places, starts = view1(0, a[c.PLACES], a[c.PLACES + 1]), view1(0, a[c.STARTS], a[c.STARTS + 1])
    chunks, tiles = view1(0, a[c.CHUNKS], a[c.CHUNKS + 1]), view1(0.0, a[c.TILES], a[c.TILES + 1])
    sums, args = view1(0.0, a[c.SUMS], a[c.SUMS + 1]), view1(0, a[c.LOOP_ARGUMENTS], a[c.LOOP_ARGUMENTS + 1])
    args[s.OPERATE] = a[c.ARG_OPERATE]
    if mode == c.FORWARD_TILES:
        forward_tiles(
            first, last, blocks, shared, own, own_size, offsets, states, sample_size, places, starts, chunks,
            a[c.ARG_CHUNK], tiles, sums, args,
        )  # fmt: skip
    else:
        backward_tiles(
            first, last, blocks, shared, own, own_size, offsets, states, adjoints, sample_size, places, starts, chunks,
            a[c.ARG_CHUNK], a[c.ARG_SIZE], tiles, rows, columns, sums, args, environments,
        )  # fmt: skip
    return 0


def run_transfer(zero: Any, array: int) -> int:
    """Run the part of a call that ARG_MODE names; see `superpose.engine.kernels.transfer_columns` for the arguments.

    Args:
        zero: 0.0.
        array: The int64 array of arguments, by the address of its object.

    Returns:
        0.
    """
    return _run(array)
