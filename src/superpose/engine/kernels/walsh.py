"""The Walsh-Hadamard transform, in place, of numbers that fill whole vectors.

It turns angles of Pauli Z strings into phases, and sums over amplitudes into expectations and gradients of such
strings.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from superpose.engine.kernels import numbers
from superpose.engine.kernels import slots as s
from superpose.engine.kernels.sharing import share_rows
from superpose.engine.kernels.simd import LINE, Argument, Simd, address, kernel

__all__ = ["butterflies", "butterfly_pairs", "transform_numbers", "transform_vectors", "within_vectors"]


_VECTOR_SHIFT = 6  # 64 bytes


def butterflies(v: Simd, arg: Argument) -> None:
    """One level, over the offset bit X, of COUNT pairs of vectors ``1 << CROSS`` bytes from SRC on."""
    base, x, shift, spread = arg(s.SRC), arg(s.X), arg(s.CROSS), v.opener(arg(s.LOW))
    with v.loop(arg(s.COUNT)) as turn:
        first = v.b.add(base, spread(v.b.shl(turn, shift)))
        second = v.b.add(first, x)
        a, b = v.load(first), v.load(second)
        v.store(v.add(a, b), first)
        v.store(v.sub(a, b), second)


def butterfly_pairs(v: Simd, arg: Argument) -> None:
    """Two levels at once, over the neighbouring offset bits X and 2 X."""
    base, x, shift, bits = arg(s.SRC), arg(s.X), arg(s.CROSS), arg(s.LOW)
    with v.loop(arg(s.COUNT)) as turn:
        offset = v.b.shl(turn, shift)
        low = v.b.and_(offset, bits)
        places = [v.b.add(base, v.b.or_(v.b.shl(v.b.sub(offset, low), v.const(2)), low))]
        for _ in range(3):
            places.append(v.b.add(places[-1], x))
        a, b, c, d = (v.load(place) for place in places)
        a, b = v.add(a, b), v.sub(a, b)
        c, d = v.add(c, d), v.sub(c, d)
        for value, place in zip((v.add(a, c), v.add(b, d), v.sub(a, c), v.sub(b, d)), places, strict=True):
            v.store(value, place)


def within_vectors(v: Simd, arg: Argument) -> None:
    """All levels over the lanes of COUNT vectors from SRC on."""
    base = arg(s.SRC)
    picks = ir.VectorType(ir.IntType(32), v.lanes)
    with v.loop(arg(s.COUNT)) as turn:
        place = v.b.add(base, v.b.mul(turn, v.const(LINE)))
        value, bit = v.load(place), 1
        while bit < v.lanes:
            other = v.b.shuffle_vector(value, value, ir.Constant(picks, [lane ^ bit for lane in range(v.lanes)]))
            sign = ir.Constant(v.type, [-1.0 if lane & bit else 1.0 for lane in range(v.lanes)])
            value, bit = v.fma(value, sign, other), 2 * bit
        v.store(value, place)


@kernel
def transform_vectors(zero: Any, n: int, precision: int, block: Any) -> None:
    """Transform the ``n`` vectors at SRC, ``1 << CROSS`` bytes each lane for itself.

    ``precision`` is 0, or FLOAT64 for float64 whatever the tile's.
    """
    shift, bit = block[s.CROSS], 1
    while bit < n:
        block[s.X] = bit << shift
        block[s.LOW] = (bit << shift) - 1
        if 2 * bit < n:
            block[s.COUNT] = n // 4
            share_rows(zero, numbers.BUTTERFLY_PAIRS + precision, 0, block)
            bit *= 4
        else:
            block[s.COUNT] = n // 2
            share_rows(zero, numbers.BUTTERFLIES + precision, 0, block)
            bit *= 2


@kernel
def transform_numbers(zero: Any, lanes: int, values: Any, at: int, n: int, precision: int, block: Any) -> None:
    """Transform ``values[at : at + n]``, which starts at the beginning of a vector of so many lanes."""
    if n >= lanes:
        block[s.SRC], block[s.CROSS] = address(values) + at * (LINE // lanes), _VECTOR_SHIFT
        block[s.COUNT] = n // lanes
        share_rows(zero, numbers.WITHIN_VECTORS + precision, 0, block)
        transform_vectors(zero, n // lanes, precision, block)
        return
    h = 1
    while h < n:
        for base in range(at, at + n, 2 * h):
            for j in range(base, base + h):
                x, y = values[j], values[j + h]
                values[j] = x + y
                values[j + h] = x - y
        h *= 2
