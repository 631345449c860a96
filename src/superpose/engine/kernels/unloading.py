"""Copies a final state out of the workspace: amplitudes or probabilities of the circuit's own basis states, in order.

The place of an amplitude (row and lane) and the index of its basis state are linear maps of one another over the
two-element field, and its phase is a quarter turn to a power that is quadratic in the bits of the place;
`superpose.engine.unloading` writes both into a plan. Rows are taken coset by coset, so chosen that their amplitudes go
to runs of neighbours.
"""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels.lines import odd
from superpose.engine.kernels.simd import data, kernel

__all__ = [
    "AT",
    "COLUMNS",
    "ELEMENTS",
    "FACTORS",
    "FIRST",
    "INSIDE",
    "LANES",
    "LANE_BITS",
    "LAST",
    "N_BITS",
    "N_ELEMENTS",
    "OUT",
    "PLAN",
    "PLAN_HEADER",
    "PROBABILITIES",
    "SIZE",
    "TO",
    "WORK",
    "unload",
]

FIRST, LAST, PROBABILITIES, PLAN, FACTORS, WORK, OUT, AT, SIZE = range(9)
"""Places in the array of arguments. FIRST, LAST: range of cosets. PROBABILITIES: whether these are wanted (float64 OUT,
shrunk by the first factor) or amplitudes (the tile's precision). Arrays by the ``id``: PLAN int64; FACTORS, WORK, OUT.
AT: where the state starts in WORK. FACTORS are real parts, then imaginary parts, of ``scale i^t (-1)^parity(lane & v)``
by v, t and lane."""

N_BITS, LANE_BITS, N_ELEMENTS, INSIDE, TO, COLUMNS, LANES, ELEMENTS, PLAN_HEADER = range(9)
"""Places in the plan: numbers; the rows' bits that number a coset's amplitudes; the index at place 0; starts of lists:
per bit of the place (change of the index, quarter turns, mask of the bilinear part), per lane the change of the index,
per element of a coset (place, change of the index, quarter turns, mask)."""


@kernel
def _row(coset: int, inside: int) -> int:
    """Return the first row of a coset: its number, spread over the bits that are not ``inside``."""
    out, bit = 0, 1
    while coset:
        if not inside & bit:
            out |= bit * (coset & 1)
            coset >>= 1
        bit <<= 1
    return out


@kernel
def _write_row(
    f: int, to: int, src: int, lanes: int, lane_to: int, plan: Any, factors: Any, work: Any, out: Any
) -> None:
    """Write a row's amplitudes, its factors at ``f``."""
    imaginary = 4 * lanes * lanes
    for lane in range(lanes):
        place = 2 * (to ^ plan[lane_to + lane])
        re, im = work[src + lane], work[src + lanes + lane]
        c, s = factors[f + lane], factors[imaginary + f + lane]
        out[place] = c * re - s * im
        out[place + 1] = c * im + s * re


def unload(zero: Any, array: int) -> int:
    """Write a range of cosets; ``array`` is the ``id`` of the array of arguments. Returns 0."""
    arguments = data(0, array)
    plan, factors, work = data(0, arguments[PLAN]), data(zero, arguments[FACTORS]), data(zero, arguments[WORK])
    out, wide = data(zero, arguments[OUT]), data(0.0, arguments[OUT])
    n_bits, lane_bits, inside, lane_to = plan[N_BITS], plan[LANE_BITS], plan[INSIDE], plan[LANES]
    lanes = 1 << lane_bits
    scale = factors[0] * 1.0
    for coset in range(arguments[FIRST], arguments[LAST]):
        row = _row(coset, inside)
        to, turns, mask = plan[TO], 0, 0
        for bit in range(lane_bits, n_bits):
            if row >> (bit - lane_bits) & 1:
                at = plan[COLUMNS] + 3 * bit
                to ^= plan[at]
                turns += plan[at + 1] + 2 * (mask >> bit & 1)
                mask ^= plan[at + 2]
        for element in range(plan[N_ELEMENTS]):
            at = plan[ELEMENTS] + 4 * element
            place = plan[at]
            src = arguments[AT] + ((row ^ place >> lane_bits) << (lane_bits + 1))
            own = to ^ plan[at + 1]
            if arguments[PROBABILITIES]:
                for lane in range(lanes):
                    re, im = scale * work[src + lane], scale * work[src + lanes + lane]
                    wide[own ^ plan[lane_to + lane]] = re * re + im * im
                continue
            quarter = turns + plan[at + 2] + 2 * odd(place & mask) & 3
            f = ((mask ^ plan[at + 3]) & (lanes - 1)) * 4 + quarter << lane_bits
            _write_row(f, own, src, lanes, lane_to, plan, factors, work, out)
    return 0
