"""Exchanges of lane bits with rows; see `superpose.engine.layouts`.

Arguments of the vector loops: the state PSI, rows whose parity counts in Z, the partner row in X, LOW the bits below
the partner's, COUNT pairs of rows (or rows, to flip). Inside a block they run on one coset after the other like its
rotations, and cost no pass over the memory of their own; backwards they run once more, on both states.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from superpose.engine.kernels import layout as t
from superpose.engine.kernels import numbers, slots
from superpose.engine.kernels.lines import lanes_of
from superpose.engine.kernels.rotations import AMPLITUDE_SHIFT, Coset
from superpose.engine.kernels.sharing import share_rows
from superpose.engine.kernels.simd import LINE, Argument, Body, Simd, Value, address, kernel

__all__ = ["exchange", "exchange_up_to", "flip", "flip_inside", "swap", "swap_inside"]


def _shuffle(v: Simd, left: Value, right: Value, picks: list[int]) -> Value:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), v.lanes), [pick % (2 * v.lanes) for pick in picks])
    return v.b.shuffle_vector(left, right, mask)


def _is_odd(v: Simd, j: Value, z: Value) -> Value:
    return v.b.icmp_signed("!=", v.line_of_parity(j, z), v.const(0))


def _swap_rows(v: Simd, bit: int, state: Value, even: Value, odd: Value) -> None:
    low = [lane if not lane & bit else v.lanes + (lane ^ bit) for lane in range(v.lanes)]
    high = [lane ^ bit if not lane & bit else v.lanes + lane for lane in range(v.lanes)]
    places = v.b.add(state, even), v.b.add(state, odd)
    a, b = (v.load_amplitude(place) for place in places)
    for place, picks in zip(places, (low, high), strict=True):
        v.store_amplitude((_shuffle(v, a[0], b[0], picks), _shuffle(v, a[1], b[1], picks)), place)


def _flip_row(v: Simd, bit: int, state: Value, row: Value) -> None:
    place, picks = v.b.add(state, row), [lane ^ bit for lane in range(v.lanes)]
    a = v.load_amplitude(place)
    v.store_amplitude((_shuffle(v, a[0], a[0], picks), _shuffle(v, a[1], a[1], picks)), place)


def swap(lane_bit: int) -> Body:
    """The even row of each pair gets the odd one's lanes with a zero bit in the place of its own with a one."""

    def body(v: Simd, arg: Argument) -> None:
        psi, x, z, spread = arg(slots.PSI), arg(slots.X), arg(slots.Z), v.opener(arg(slots.LOW))
        with v.loop(arg(slots.COUNT)) as turn:
            j = spread(v.b.shl(turn, v.const(AMPLITUDE_SHIFT)))
            odd, other = _is_odd(v, j, z), v.b.xor(j, x)
            _swap_rows(v, 1 << lane_bit, psi, v.b.select(odd, other, j), v.b.select(odd, j, other))

    return body


def swap_inside(lane_bit: int, *states: int) -> Body:
    """The same inside a coset, of one state or both."""

    def body(v: Simd, arg: Argument) -> None:
        coset = Coset(v, arg, states)
        with v.loop(coset.count) as turn:
            j = coset.offset(turn)
            odd, other = _is_odd(v, j, coset.z), v.b.xor(j, coset.x)
            even, other = v.b.select(odd, other, j), v.b.select(odd, j, other)
            for state in coset.states:
                _swap_rows(v, 1 << lane_bit, state, even, other)

    return body


def flip_inside(lane_bit: int, *states: int) -> Body:
    """As `flip`, inside a coset, of one state or both."""

    def body(v: Simd, arg: Argument) -> None:
        coset = Coset(v, arg, states)
        with v.loop(coset.count) as turn:
            j = coset.element(turn)
            with v.b.if_then(_is_odd(v, j, coset.z)):
                for state in coset.states:
                    _flip_row(v, 1 << lane_bit, state, j)

    return body


def flip(lane_bit: int) -> Body:
    """Rows of odd parity get their lanes turned over in one bit."""

    def body(v: Simd, arg: Argument) -> None:
        psi, z = arg(slots.PSI), arg(slots.Z)
        with v.loop(arg(slots.COUNT)) as turn:
            j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
            with v.b.if_then(_is_odd(v, j, z)):
                _flip_row(v, 1 << lane_bit, psi, j)

    return body


@kernel
def exchange(zero: Any, step: int, state: int, ints: Any, work: Any, block: Any) -> None:
    """Run an exchange on the state that starts at the place ``state`` of the workspace."""
    flips = ints[step + t.STEP_LAST]
    block[slots.PSI] = address(work) + state * (LINE // lanes_of(zero))
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
    block[slots.PSI] = address(work) + ints[t.AT_PSI] * (LINE // lanes_of(zero))
    return last
