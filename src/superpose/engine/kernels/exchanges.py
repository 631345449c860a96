"""Vector loops that exchange lane bits with rows; see `superpose.engine.layouts`. Arguments: the state PSI, rows that
count in Z, the partner row in X, LOW the bits below the partner's, COUNT pairs of rows (all rows to flip)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from superpose.engine.kernels import layout as t
from superpose.engine.kernels import slots
from superpose.engine.kernels.rotations import AMPLITUDE_SHIFT, Argument
from superpose.engine.kernels.simd import LINE, Simd, Value, kernel, operation

__all__ = ["exchange", "exchange_up_to"]

Body = Callable[[Simd, Argument], None]


def _shuffle(v: Simd, left: Value, right: Value, picks: list[int]) -> Value:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), v.lanes), [pick % (2 * v.lanes) for pick in picks])
    return v.b.shuffle_vector(left, right, mask)


def _swap(lane_bit: int) -> Body:
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


def _flip(lane_bit: int) -> Body:
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


_swap_0, _swap_1, _swap_2, _swap_3 = (operation(_swap(bit)) for bit in range(4))
_flip_0, _flip_1, _flip_2, _flip_3 = (operation(_flip(bit)) for bit in range(4))


@kernel
def exchange(zero: Any, step: int, state: int, ints: Any, work: Any, block: Any) -> None:
    """Run an exchange on the state that starts at the place ``state`` of the workspace."""
    bit, flip, address = ints[step + t.STEP_FIRST], ints[step + t.STEP_LAST], block.ctypes.data
    block[slots.PSI] = work.ctypes.data + state * (LINE // ints[t.LANES])
    block[slots.X], block[slots.Z] = ints[step + t.STEP_INSIDE], ints[step + t.STEP_ELEMENTS]
    block[slots.LOW] = ints[step + t.STEP_BITS]
    block[slots.COUNT] = ints[t.ROWS] if flip else ints[t.ROWS] // 2
    if flip:
        if bit == 0:
            _flip_0(zero, address)
        elif bit == 1:
            _flip_1(zero, address)
        elif bit == 2:
            _flip_2(zero, address)
        else:
            _flip_3(zero, address)
    elif bit == 0:
        _swap_0(zero, address)
    elif bit == 1:
        _swap_1(zero, address)
    elif bit == 2:
        _swap_2(zero, address)
    else:
        _swap_3(zero, address)


@kernel
def exchange_up_to(zero: Any, step: int, last: int, both: bool, ints: Any, work: Any, block: Any) -> int:
    """Run the exchanges that are steps ``step .. last - 1`` on PSI, and on LAM too if ``both``; return ``last``."""
    for k in range(step, last):
        place = ints[t.STEPS] + k * t.STEP_WIDTH
        exchange(zero, place, ints[t.AT_PSI], ints, work, block)
        if both:
            exchange(zero, place, ints[t.AT_LAM], ints, work, block)
    block[slots.PSI] = work.ctypes.data + ints[t.AT_PSI] * (LINE // ints[t.LANES])
    return last
