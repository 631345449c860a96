"""Vector loops of whole layers of diagonal gates, sines and cosines, and observables.

A layer of diagonal gates with angles shared by the batch is one table of ``2**n`` phases, real parts first, then
imaginary parts (each at least one vector long).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import factorial

from llvmlite import ir
from numba.core import cgutils

from superpose.engine.kernels import slots
from superpose.engine.kernels.rotations import AMPLITUDE_SHIFT, Argument
from superpose.engine.kernels.simd import LINE, Simd, Value, operation

__all__ = [
    "adjoint_table",
    "adjoint_table_wide",
    "butterfly",
    "butterfly_pair",
    "expect_diagonal",
    "expect_imaginary",
    "expect_real",
    "probabilities",
    "rotate_table",
    "rotate_table_wide",
    "scale_adjoint",
    "sines_of_halves",
    "weigh_diagonal",
    "weigh_imaginary",
    "weigh_real",
]


def _phases(v: Simd, arg: Argument) -> Callable[[Value], tuple[Value, Value]]:
    """Return the reader of the table's phase number ``j``, spread over the lanes."""
    cosines, sines = arg(slots.SRC), arg(slots.DST)
    shift = v.const(v.size.bit_length() - 1)

    def read(j: Value) -> tuple[Value, Value]:
        offset = v.b.shl(j, shift)
        return v.splat_at(v.b.add(cosines, offset)), v.splat_at(v.b.add(sines, offset))

    return read


def _rotate_table(v: Simd, arg: Argument) -> None:
    psi, read = arg(slots.PSI), _phases(v, arg)
    with v.loop(arg(slots.COUNT)) as j:
        place = v.b.add(psi, v.b.shl(j, v.const(AMPLITUDE_SHIFT)))
        (c, s), a = read(j), v.load_amplitude(place)
        v.store_amplitude((v.fms(s, a[1], v.mul(c, a[0])), v.fma(s, a[0], v.mul(c, a[1]))), place)


def _rotate_table_wide(v: Simd, arg: Argument) -> None:
    """The same where a row's lanes are amplitudes, each with its own phase."""
    psi, cosines, sines = arg(slots.PSI), arg(slots.SRC), arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as row:
        place, line = v.b.add(psi, v.b.shl(row, v.const(AMPLITUDE_SHIFT))), v.b.mul(row, v.const(LINE))
        c, s = v.load(v.b.add(cosines, line)), v.load(v.b.add(sines, line))
        a = v.load_amplitude(place)
        v.store_amplitude((v.fms(s, a[1], v.mul(c, a[0])), v.fma(s, a[0], v.mul(c, a[1]))), place)


def _adjoint_table_wide(v: Simd, arg: Argument) -> None:
    """The same as below where a row's lanes are amplitudes."""
    psi, lam, out, cosines, sines = (arg(k) for k in (slots.PSI, slots.LAM, slots.DST2, slots.SRC, slots.DST))
    with v.loop(arg(slots.COUNT)) as row:
        offset, line = v.b.shl(row, v.const(AMPLITUDE_SHIFT)), v.b.mul(row, v.const(LINE))
        c, s = v.load(v.b.add(cosines, line)), v.load(v.b.add(sines, line))
        pa, pl = v.b.add(psi, offset), v.b.add(lam, offset)
        a, la = v.load_amplitude(pa), v.load_amplitude(pl)
        v.store(v.fms(la[1], a[0], v.mul(la[0], a[1])), v.b.add(out, line))
        for value, place in ((a, pa), (la, pl)):
            v.store_amplitude((v.fma(s, value[1], v.mul(c, value[0])), v.fms(s, value[0], v.mul(c, value[1]))), place)


def _adjoint_table(v: Simd, arg: Argument) -> None:
    """Turn both states back; write per amplitude the sum over the lanes of ``Im(conj(lam) psi)``."""
    psi, lam, out, read = arg(slots.PSI), arg(slots.LAM), arg(slots.DST2), _phases(v, arg)
    with v.loop(arg(slots.COUNT)) as block:  # of as many amplitudes as there are lanes
        first = v.b.mul(block, v.const(v.lanes))

        def overlap(k: int) -> Value:
            j = v.b.add(first, v.const(k))
            offset = v.b.shl(j, v.const(AMPLITUDE_SHIFT))
            c, s = read(j)
            states = []
            for base in (psi, lam):
                place = v.b.add(base, offset)
                a = v.load_amplitude(place)
                states.append(a)
                v.store_amplitude((v.fma(s, a[1], v.mul(c, a[0])), v.fms(s, a[0], v.mul(c, a[1]))), place)
            a, la = states
            return v.fms(la[1], a[0], v.mul(la[0], a[1]))

        def tree(start: int, stop: int) -> Value:
            if stop - start == 1:
                return overlap(start)
            middle = (start + stop) // 2
            return v.fold(tree(start, middle), tree(middle, stop))

        v.store(tree(0, v.lanes), v.b.add(out, v.b.mul(block, v.const(LINE))))


_PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


def _pieces_of_half_pi() -> list[float]:
    """Return pi/2 as a sum of two doubles with 33 bits each and a third, so that small multiples are exact."""
    rest, pieces = _PI / 2, []
    for bits in (32, 66):
        piece = Fraction(int(rest * 2**bits), 2**bits)
        pieces.append(float(piece))
        rest -= piece
    return [*pieces, float(rest)]


def _sines_of_halves(v: Simd, arg: Argument) -> None:
    """Write cosines and sines of half the float64 angles at SRC, eight at a time, times the float64 number at COEF.

    Taylor series on |r| <= pi/4.
    Exact to one unit in the last place of float64 for angles below 1e5.
    """
    b = v.b
    wide = Simd(b, ir.DoubleType())
    index = ir.VectorType(ir.IntType(32), 8)

    def number(value: float) -> Value:
        return ir.Constant(wide.type, [value] * 8)

    def integer(value: int) -> Value:
        return ir.Constant(index, [value] * 8)

    def series(r2: Value, first: int, terms: int) -> Value:
        """Return ``sum((-1)**k r2**k / (2 k + first)!)``."""
        total = number((-1.0) ** (terms - 1) / factorial(2 * (terms - 1) + first))
        for k in range(terms - 2, -1, -1):
            total = wide.fma(total, r2, number((-1.0) ** k / factorial(2 * k + first)))
        return total

    def chosen(bit: Value, yes: Value, no: Value) -> Value:
        return b.select(b.icmp_signed("!=", bit, integer(0)), yes, no)

    rint = cgutils.get_or_insert_function(b.module, ir.FunctionType(wide.type, [wide.type]), "llvm.rint.v8f64")
    source, cosines, sines = arg(slots.SRC), arg(slots.DST), arg(slots.DST2)
    factor = wide.splat_at(arg(slots.COEF))
    with v.loop(arg(slots.COUNT)) as block:
        angle = wide.mul(wide.load(b.add(source, b.mul(block, v.const(LINE)))), number(0.5))
        turns = b.call(rint, [wide.mul(angle, number(float(2 / _PI)))])
        r = angle
        for piece in _pieces_of_half_pi():
            r = wide.fma(turns, number(-piece), r)
        r2 = wide.mul(r, r)
        sine, cosine = wide.mul(r, series(r2, 1, 8)), series(r2, 0, 9)
        quarter = b.fptosi(turns, index)
        odd, turned = b.and_(quarter, integer(1)), b.and_(quarter, integer(2))
        c, s = chosen(odd, sine, cosine), chosen(odd, cosine, sine)
        s = chosen(turned, wide.neg(s), s)
        c = chosen(b.and_(b.add(quarter, integer(1)), integer(2)), wide.neg(c), c)
        for value, base in ((c, cosines), (s, sines)):
            scaled = wide.mul(value, factor)
            out = scaled if v.lanes == 8 else b.fptrunc(scaled, ir.VectorType(v.element, 8))
            place = b.add(base, b.mul(block, v.const(8 * v.size)))
            b.store(out, b.inttoptr(place, out.type.as_pointer())).align = 8 * v.size


def _probabilities(v: Simd, arg: Argument) -> None:
    """Write ``|psi|**2`` into the real parts of LAM."""
    psi, out = arg(slots.PSI), arg(slots.LAM)
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        a = v.load_amplitude(v.b.add(psi, j))
        v.store(v.fma(a[1], a[1], v.mul(a[0], a[0])), v.b.add(out, j))


def _scale_adjoint(v: Simd, arg: Argument) -> None:
    """Write ``lam = d psi`` where the real parts of LAM hold ``d``."""
    psi, lam = arg(slots.PSI), arg(slots.LAM)
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        place = v.b.add(lam, j)
        d, a = v.load(place), v.load_amplitude(v.b.add(psi, j))
        v.store_amplitude((v.mul(d, a[0]), v.mul(d, a[1])), place)


def _butterfly(v: Simd, arg: Argument) -> None:
    """One level of the Walsh-Hadamard transform of the real parts of LAM, over the bit X."""
    base, x, spread = arg(slots.LAM), arg(slots.X), v.opener(arg(slots.LOW))
    with v.loop(arg(slots.COUNT)) as turn:
        j = spread(v.b.shl(turn, v.const(AMPLITUDE_SHIFT)))
        pa, pb = v.b.add(base, j), v.b.add(base, v.b.or_(j, x))
        a, b = v.load(pa), v.load(pb)
        v.store(v.add(a, b), pa)
        v.store(v.sub(a, b), pb)


def _butterfly_pair(v: Simd, arg: Argument) -> None:
    """Two levels at once, over the neighbouring bits X and 2 X."""
    base, x, bits = arg(slots.LAM), arg(slots.X), arg(slots.LOW)
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        low = v.b.and_(j, bits)
        j = v.b.or_(v.b.shl(v.b.sub(j, low), v.const(2)), low)
        places = [v.b.add(base, j)]
        for _ in range(3):
            places.append(v.b.add(places[-1], x))
        a, b, c, d = (v.load(place) for place in places)
        a, b = v.add(a, b), v.sub(a, b)
        c, d = v.add(c, d), v.sub(c, d)
        for value, place in zip((v.add(a, c), v.add(b, d), v.sub(a, c), v.sub(b, d)), places, strict=True):
            v.store(value, place)


def _expect_diagonal(v: Simd, arg: Argument) -> None:
    """Sum ``sigma p`` over the amplitudes, the real parts of LAM holding ``p``."""
    base, z, sigma, total = arg(slots.LAM), arg(slots.Z), arg(slots.SIGMA), v.variable(v.zero())
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        sign = v.load(v.b.add(sigma, v.line_of_parity(j, z)))
        v.b.store(v.fma(sign, v.load(v.b.add(base, j)), v.b.load(total)), total)
    v.store(v.b.load(total), arg(slots.ACC))


def _weigh_diagonal(v: Simd, arg: Argument) -> None:
    """Add ``sigma w`` to the real parts of LAM; COEF points at w and -w."""
    base, z, coef = arg(slots.LAM), arg(slots.Z), arg(slots.COEF)
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        place = v.b.add(base, j)
        w = v.load(v.b.add(coef, v.line_of_parity(j, z)))
        v.store(v.add(v.load(place), w), place)


def _expect(real: bool) -> Callable[[Simd, Argument], None]:
    """Half of ``<psi|P|psi>`` for a Pauli string that is not diagonal."""

    def body(v: Simd, arg: Argument) -> None:
        psi, x, z, sigma = (arg(k) for k in (slots.PSI, slots.X, slots.Z, slots.SIGMA))
        spread, total = v.opener(arg(slots.LOW)), v.variable(v.zero())
        with v.loop(arg(slots.COUNT)) as turn:
            j = spread(v.b.shl(turn, v.const(AMPLITUDE_SHIFT)))
            a, b = v.load_amplitude(v.b.add(psi, j)), v.load_amplitude(v.b.add(psi, v.b.xor(j, x)))
            # the real part of conj(b) i a, or of conj(b) a
            part = v.fms(b[0], a[1], v.mul(b[1], a[0])) if real else v.fma(b[0], a[0], v.mul(b[1], a[1]))
            sign = v.load(v.b.add(sigma, v.line_of_parity(j, z)))
            v.b.store(v.fma(sign, part, v.b.load(total)), total)
        v.store(v.b.load(total), arg(slots.ACC))

    return body


def _weigh(real: bool) -> Callable[[Simd, Argument], None]:
    """Add ``w P psi`` to LAM for a Pauli string that is not diagonal; COEF points at w and -w."""

    def body(v: Simd, arg: Argument) -> None:
        psi, lam, x, z, coef = (arg(k) for k in (slots.PSI, slots.LAM, slots.X, slots.Z, slots.COEF))
        spread = v.opener(arg(slots.LOW))
        with v.loop(arg(slots.COUNT)) as turn:
            j = spread(v.b.shl(turn, v.const(AMPLITUDE_SHIFT)))
            partner = v.b.xor(j, x)
            a, b = v.load_amplitude(v.b.add(psi, j)), v.load_amplitude(v.b.add(psi, partner))
            pa, pb = v.b.add(lam, j), v.b.add(lam, partner)
            la, lb = v.load_amplitude(pa), v.load_amplitude(pb)
            w = v.load(v.b.add(coef, v.line_of_parity(j, z)))
            if real:  # partner gets i w a; j gets -i w b
                lb = v.fms(w, a[1], lb[0]), v.fma(w, a[0], lb[1])
                la = v.fma(w, b[1], la[0]), v.fms(w, b[0], la[1])
            else:
                lb = v.fma(w, a[0], lb[0]), v.fma(w, a[1], lb[1])
                la = v.fma(w, b[0], la[0]), v.fma(w, b[1], la[1])
            v.store_amplitude(la, pa)
            v.store_amplitude(lb, pb)

    return body


rotate_table, adjoint_table = operation(_rotate_table), operation(_adjoint_table)
rotate_table_wide, adjoint_table_wide = operation(_rotate_table_wide), operation(_adjoint_table_wide)
sines_of_halves = operation(_sines_of_halves)
probabilities, scale_adjoint = operation(_probabilities), operation(_scale_adjoint)
butterfly, butterfly_pair = operation(_butterfly), operation(_butterfly_pair)
expect_diagonal, weigh_diagonal = operation(_expect_diagonal), operation(_weigh_diagonal)
expect_real, expect_imaginary = operation(_expect(True)), operation(_expect(False))
weigh_real, weigh_imaginary = operation(_weigh(True)), operation(_weigh(False))
