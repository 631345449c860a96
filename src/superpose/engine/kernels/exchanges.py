"""Vector loops that exchange lane bits with rows; see `superpose.engine.layouts`. Arguments: the state PSI, rows that
count in Z, the partner row in X, LOW the bits below the partner's, COUNT pairs of rows (all rows to flip)."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from superpose.engine.kernels import slots
from superpose.engine.kernels.rotations import AMPLITUDE_SHIFT, Argument
from superpose.engine.kernels.simd import Simd, Value, operation

__all__ = ["flip_0", "flip_1", "flip_2", "flip_3", "swap_0", "swap_1", "swap_2", "swap_3"]

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


swap_0, swap_1, swap_2, swap_3 = (operation(_swap(bit)) for bit in range(4))
flip_0, flip_1, flip_2, flip_3 = (operation(_flip(bit)) for bit in range(4))
