"""Vector loops over plain vectors, and those of diagonal Pauli strings that read or write a state in one pass.

Rows of numbers lie 64 bytes apart here, those of states 128. A string's mask Z of the rows stands, in bytes of a state,
at ELEMENTS plus 64 bytes per string; its low bits (X) choose a row of numbers, its high ones a sign for the whole pass.
"""

from __future__ import annotations

from llvmlite import ir

from superpose.engine.kernels import slots
from superpose.engine.kernels.rotations import AMPLITUDE_SHIFT
from superpose.engine.kernels.simd import Argument, Simd, Value

__all__ = [
    "add_strings",
    "add_terms",
    "add_vectors",
    "clear",
    "probability_rows",
    "scale_rows",
    "spread_angles",
    "spread_strings",
]

_VECTOR_SHIFT = 6


def _line(v: Simd, base: Value, turn: Value) -> Value:
    return v.b.add(base, v.b.shl(turn, v.const(_VECTOR_SHIFT)))


def clear(v: Simd, arg: Argument) -> None:
    """Set vectors at DST to zero."""
    to = arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as turn:
        v.store(v.all(0.0), _line(v, to, turn))


def add_vectors(v: Simd, arg: Argument) -> None:
    """Add the vectors at SRC to those at DST."""
    source, to = arg(slots.SRC), arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as turn:
        place = _line(v, to, turn)
        v.store(v.add(v.load(place), v.load(_line(v, source, turn))), place)


def probability_rows(v: Simd, arg: Argument) -> None:
    """Write ``|psi|**2`` to the rows at DST."""
    psi, to = arg(slots.PSI), arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as turn:
        a = v.load_amplitude(v.b.add(psi, v.b.shl(turn, v.const(AMPLITUDE_SHIFT))))
        v.store(v.fma(a[1], a[1], v.mul(a[0], a[0])), _line(v, to, turn))


def scale_rows(v: Simd, arg: Argument) -> None:
    """Write ``lam = d psi`` for the numbers ``d`` in the rows at SRC."""
    psi, lam, source = arg(slots.PSI), arg(slots.LAM), arg(slots.SRC)
    with v.loop(arg(slots.COUNT)) as turn:
        offset = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        d, a = v.load(_line(v, source, turn)), v.load_amplitude(v.b.add(psi, offset))
        v.store_amplitude((v.mul(d, a[0]), v.mul(d, a[1])), v.b.add(lam, offset))


def _string(v: Simd, arg: Argument, turn: Value) -> tuple[Value, Value]:
    """Return the address of the row that a string chooses at SRC, and the vector of its sign in this pass."""
    z = v.load_int(_line(v, arg(slots.ELEMENTS), turn))
    row = v.b.add(arg(slots.SRC), v.b.lshr(v.b.and_(z, arg(slots.X)), v.const(1)))
    return row, v.load(v.b.add(arg(slots.SIGMA), v.line_of_parity(arg(slots.BASE), z)))


def add_strings(v: Simd, arg: Argument) -> None:
    """Add to each string's sum at DST what it chooses."""
    to = arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as turn:
        (row, sign), place = _string(v, arg, turn), _line(v, to, turn)
        v.store(v.fma(sign, v.load(row), v.load(place)), place)


def spread_strings(v: Simd, arg: Argument) -> None:
    """Add each string's weight, at DST, to the row that it chooses."""
    weights = arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as turn:
        row, sign = _string(v, arg, turn)
        v.store(v.fma(sign, v.load(_line(v, weights, turn)), v.load(row)), row)


_WIDE_SHIFT = 3  # 8 bytes of float64, and of the terms' masks


def _term(v: Simd, arg: Argument, turn: Value, size: int) -> tuple[Value, Value]:
    """Return the address of the number of ``size`` bytes that a term chooses from SRC on by its mask at ELEMENTS, and
    whether its sign is minus for the amplitudes from BASE on."""
    z = v.load_int(v.b.add(arg(slots.ELEMENTS), v.b.shl(turn, v.const(_WIDE_SHIFT))))
    place = v.b.mul(v.b.and_(z, arg(slots.X)), v.const(size))
    odd = v.b.icmp_signed("!=", v.line_of_parity(arg(slots.BASE), z), v.const(0))
    return v.b.add(arg(slots.SRC), place), odd


def _double_at(v: Simd, address: Value) -> Value:
    return v.b.inttoptr(address, ir.DoubleType().as_pointer())


def spread_angles(v: Simd, arg: Argument) -> None:
    """Subtract each term's float64 angle, at DST, from the float64 number that it chooses."""
    angles = arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as turn:
        address, odd = _term(v, arg, turn, 8)
        angle = v.b.load(_double_at(v, v.b.add(angles, v.b.shl(turn, v.const(_WIDE_SHIFT)))))
        place = _double_at(v, address)
        v.b.store(v.b.fadd(v.b.load(place), v.b.select(odd, angle, v.b.fneg(angle))), place)


def add_terms(v: Simd, arg: Argument) -> None:
    """Add to each term's float64 sum, at DST, the number that it chooses."""
    sums = arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as turn:
        address, odd = _term(v, arg, turn, v.size)
        number = v.scalar_at(address)
        if v.lanes == 16:
            number = v.b.fpext(number, ir.DoubleType())
        place = _double_at(v, v.b.add(sums, v.b.shl(turn, v.const(_WIDE_SHIFT))))
        v.b.store(v.b.fadd(v.b.load(place), v.b.select(odd, v.b.fneg(number), number)), place)
