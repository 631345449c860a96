"""Exchanges of lane bits with rows; see `superpose.engine.layouts`.

Arguments of the vector loops: the state PSI, rows whose parity counts in Z, the partner row in X, LOW the bits below
the partner's, COUNT pairs of rows (or rows, to flip).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from superpose.engine.kernels import layout as t
from superpose.engine.kernels import numbers, slots
from superpose.engine.kernels.rotations import AMPLITUDE_SHIFT
from superpose.engine.kernels.sharing import share_rows
from superpose.engine.kernels.simd import LINE, Argument, Body, Simd, Value, address, kernel

__all__ = ["exchange", "exchange_up_to", "flip", "swap"]


def _shuffle(v: Simd, left: Value, right: Value, picks: list[int]) -> Value:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), v.lanes), [pick % (2 * v.lanes) for pick in picks])
    return v.b.shuffle_vector(left, right, mask)


def swap(lane_bit: int) -> Body:
    """The even row of each pair gets the odd one's lanes with a zero bit in the place of its own with a one."""
    bit = 1 << lane_bit

    def body(v: Simd, arg: Argument) -> None:
        psi, x, z, spread = arg(slots.PSI), arg(slots.X), arg(slots.Z), v.opener(arg(slots.LOW))
        low = [lane if not lane & bit else v.lanes + (lane ^ bit) for lane in range(v.lanes)]
        high = [lane ^ bit if not lane & bit else v.lanes + lane for lane in range(v.lanes)]
        with v.loop(arg(slots.COUNT)) as turn:
            j = spread(v.b.shl(turn, v.const(AMPLITUDE_SHIFT)))
            odd = v.b.icmp_signed("!=", v.line_of_parity(j, z), v.const(0))
            even = v.b.add(psi, v.b.select(odd, v.b.xor(j, x), j))
            other = v.b.add(psi, v.b.select(odd, j, v.b.xor(j, x)))
            a, b = v.load_amplitude(even), v.load_amplitude(other)
            for place, picks in ((even, low), (other, high)):
                v.store_amplitude((_shuffle(v, a[0], b[0], picks), _shuffle(v, a[1], b[1], picks)), place)

    return body


def flip(lane_bit: int) -> Body:
    """Rows of odd parity get their lanes turned over in one bit."""

    def body(v: Simd, arg: Argument) -> None:
        psi, z = arg(slots.PSI), arg(slots.Z)
        picks = [lane ^ 1 << lane_bit for lane in range(v.lanes)]
        with v.loop(arg(slots.COUNT)) as turn:
            j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
            with v.b.if_then(v.b.icmp_signed("!=", v.line_of_parity(j, z), v.const(0))):
                place = v.b.add(psi, j)
                a = v.load_amplitude(place)
                v.store_amplitude((_shuffle(v, a[0], a[0], picks), _shuffle(v, a[1], a[1], picks)), place)

    return body


@kernel
def exchange(zero: Any, step: int, state: int, ints: Any, work: Any, block: Any) -> None:
    """Run an exchange on the state that starts at the place ``state`` of the workspace."""
    flips = ints[step + t.STEP_LAST]
    block[slots.PSI] = address(work) + state * (LINE // ints[t.LANES])
    block[slots.X], block[slots.Z] = ints[step + t.STEP_INSIDE], ints[step + t.STEP_ELEMENTS]
    block[slots.LOW] = ints[step + t.STEP_BITS]
    block[slots.COUNT] = ints[t.ROWS] if flips else ints[t.ROWS] // 2
    number = ints[step + t.STEP_FIRST] + (numbers.FLIP if flips else numbers.SWAP)
    share_rows(zero, number, 0, block)


@kernel
def exchange_up_to(zero: Any, step: int, last: int, both: bool, ints: Any, work: Any, block: Any) -> int:
    """Run the exchanges that are steps ``step .. last - 1`` on PSI, and on LAM too if ``both``; return ``last``."""
    for k in range(step, last):
        place = ints[t.STEPS] + k * t.STEP_WIDTH
        exchange(zero, place, ints[t.AT_PSI], ints, work, block)
        if both:
            exchange(zero, place, ints[t.AT_LAM], ints, work, block)
    block[slots.PSI] = address(work) + ints[t.AT_PSI] * (LINE // ints[t.LANES])
    return last
