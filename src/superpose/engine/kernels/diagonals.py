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
from superpose.engine.kernels.rotations import AMPLITUDE_SHIFT
from superpose.engine.kernels.simd import LINE, Argument, Body, Simd, Value

__all__ = [
    "adjoint_table",
    "adjoint_table_wide",
    "expect",
    "expect_diagonal",
    "probabilities",
    "rotate_table",
    "rotate_table_wide",
    "scale_adjoint",
    "sines_of_halves",
    "weigh",
    "weigh_diagonal",
]


def _phases(v: Simd, arg: Argument) -> Callable[[Value], tuple[Value, Value]]:
    """Return the reader of the table's phase number ``j``, spread over the lanes."""
    cosines, sines = arg(slots.SRC), arg(slots.DST)
    shift = v.const(v.size.bit_length() - 1)

    def read(j: Value) -> tuple[Value, Value]:
        offset = v.b.shl(j, shift)
        return v.splat_at(v.b.add(cosines, offset)), v.splat_at(v.b.add(sines, offset))

    return read


def rotate_table(v: Simd, arg: Argument) -> None:
    """Multiply by a table of phases."""
    psi, read = arg(slots.PSI), _phases(v, arg)
    with v.loop(arg(slots.COUNT)) as j:
        place = v.b.add(psi, v.b.shl(j, v.const(AMPLITUDE_SHIFT)))
        (c, s), a = read(j), v.load_amplitude(place)
        v.store_amplitude((v.fms(s, a[1], v.mul(c, a[0])), v.fma(s, a[0], v.mul(c, a[1]))), place)


def rotate_table_wide(v: Simd, arg: Argument) -> None:
    """The same where a row's lanes are amplitudes, each with its own phase."""
    psi, cosines, sines = arg(slots.PSI), arg(slots.SRC), arg(slots.DST)
    with v.loop(arg(slots.COUNT)) as row:
        place, line = v.b.add(psi, v.b.shl(row, v.const(AMPLITUDE_SHIFT))), v.b.mul(row, v.const(LINE))
        c, s = v.load(v.b.add(cosines, line)), v.load(v.b.add(sines, line))
        a = v.load_amplitude(place)
        v.store_amplitude((v.fms(s, a[1], v.mul(c, a[0])), v.fma(s, a[0], v.mul(c, a[1]))), place)


def adjoint_table_wide(v: Simd, arg: Argument) -> None:
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


def adjoint_table(v: Simd, arg: Argument) -> None:
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


class _Turns:
    """Eight float64 half angles as multiples of pi/2 and what is left of them."""

    def __init__(self, v: Simd, wide: Simd, address: Value) -> None:
        b = v.b
        rint = cgutils.get_or_insert_function(b.module, ir.FunctionType(wide.type, [wide.type]), "llvm.rint.v8f64")

        def number(value: float) -> Value:
            return ir.Constant(wide.type, [value] * 8)

        self.rest = wide.mul(wide.load(address), number(0.5))
        turns = b.call(rint, [wide.mul(self.rest, number(float(2 / _PI)))])
        for piece in _pieces_of_half_pi():
            self.rest = wide.fma(turns, number(-piece), self.rest)
        self.quarters = b.fptosi(turns, ir.VectorType(ir.IntType(32), 8))


def sines_of_halves(v: Simd, arg: Argument) -> None:
    """Write cosines and sines of half the float64 angles at SRC, COUNT vectors of them, times the number at COEF.

    The angles are reduced in float64, then come Taylor series on |r| <= pi/4 in the precision of the results. Exact to
    about one unit in the last place for angles below 1e5.
    """
    b, wide = v.b, Simd(v.b, ir.DoubleType())
    index = ir.VectorType(ir.IntType(32), v.lanes)
    single = v.lanes == 16

    def joined(left: Value, right: Value) -> Value:
        return b.shuffle_vector(left, right, ir.Constant(index, list(range(16))))

    def series(r2: Value, first: int, terms: int) -> Value:
        """Return ``sum((-1)**k r2**k / (2 k + first)!)``."""
        coefficients = [(-1.0) ** k / factorial(2 * k + first) for k in range(terms)]
        total = v.all(coefficients.pop())
        while coefficients:
            total = v.fma(total, r2, v.all(coefficients.pop()))
        return total

    def chosen(bits: Value, bit: int, yes: Value, no: Value) -> Value:
        found = b.and_(bits, ir.Constant(index, [bit] * v.lanes))
        return b.select(b.icmp_signed("!=", found, ir.Constant(index, [0] * v.lanes)), yes, no)

    source, cosines, sines = arg(slots.SRC), arg(slots.DST), arg(slots.DST2)
    number = wide.scalar_at(arg(slots.COEF))
    factor = v.splat(b.fptrunc(number, v.element) if single else number)
    with v.loop(arg(slots.COUNT)) as block:
        line = b.mul(block, v.const(LINE))
        if single:
            first = b.add(source, b.mul(block, v.const(2 * LINE)))
            left, right = _Turns(v, wide, first), _Turns(v, wide, v.at(first, LINE))
            half = ir.VectorType(v.element, 8)
            r = joined(b.fptrunc(left.rest, half), b.fptrunc(right.rest, half))
            quarters = joined(left.quarters, right.quarters)
        else:
            turned = _Turns(v, wide, b.add(source, line))
            r, quarters = turned.rest, turned.quarters
        r2 = v.mul(r, r)
        sine, cosine = v.mul(r, series(r2, 1, 5 if single else 8)), series(r2, 0, 6 if single else 9)
        c, s = chosen(quarters, 1, sine, cosine), chosen(quarters, 1, cosine, sine)
        s = chosen(quarters, 2, v.neg(s), s)
        c = chosen(b.add(quarters, ir.Constant(index, [1] * v.lanes)), 2, v.neg(c), c)
        for value, base in ((c, cosines), (s, sines)):
            v.store(v.mul(value, factor), b.add(base, line))


def probabilities(v: Simd, arg: Argument) -> None:
    """Write ``|psi|**2`` into the real parts of LAM."""
    psi, out = arg(slots.PSI), arg(slots.LAM)
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        a = v.load_amplitude(v.b.add(psi, j))
        v.store(v.fma(a[1], a[1], v.mul(a[0], a[0])), v.b.add(out, j))


def scale_adjoint(v: Simd, arg: Argument) -> None:
    """Write ``lam = d psi`` where the real parts of LAM hold ``d``."""
    psi, lam = arg(slots.PSI), arg(slots.LAM)
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        place = v.b.add(lam, j)
        d, a = v.load(place), v.load_amplitude(v.b.add(psi, j))
        v.store_amplitude((v.mul(d, a[0]), v.mul(d, a[1])), place)


def expect_diagonal(v: Simd, arg: Argument) -> None:
    """Sum ``sigma p`` over the amplitudes, the real parts of LAM holding ``p``."""
    base, z, sigma, total = arg(slots.LAM), arg(slots.Z), arg(slots.SIGMA), v.variable(v.all(0.0))
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        sign = v.load(v.b.add(sigma, v.line_of_parity(j, z)))
        v.b.store(v.fma(sign, v.load(v.b.add(base, j)), v.b.load(total)), total)
    v.store(v.b.load(total), arg(slots.ACC))


def weigh_diagonal(v: Simd, arg: Argument) -> None:
    """Add ``sigma w`` to the real parts of LAM; COEF points at w and -w."""
    base, z, coef = arg(slots.LAM), arg(slots.Z), arg(slots.COEF)
    with v.loop(arg(slots.COUNT)) as turn:
        j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
        place = v.b.add(base, j)
        w = v.load(v.b.add(coef, v.line_of_parity(j, z)))
        v.store(v.add(v.load(place), w), place)


def expect(real: bool) -> Body:
    """Half of ``<psi|P|psi>`` for a Pauli string that is not diagonal."""

    def body(v: Simd, arg: Argument) -> None:
        psi, x, z, sigma = (arg(k) for k in (slots.PSI, slots.X, slots.Z, slots.SIGMA))
        spread, total = v.opener(arg(slots.LOW)), v.variable(v.all(0.0))
        with v.loop(arg(slots.COUNT)) as turn:
            j = spread(v.b.shl(turn, v.const(AMPLITUDE_SHIFT)))
            a, b = v.load_amplitude(v.b.add(psi, j)), v.load_amplitude(v.b.add(psi, v.b.xor(j, x)))
            # the real part of conj(b) i a, or of conj(b) a
            part = v.fms(b[0], a[1], v.mul(b[1], a[0])) if real else v.fma(b[0], a[0], v.mul(b[1], a[1]))
            sign = v.load(v.b.add(sigma, v.line_of_parity(j, z)))
            v.b.store(v.fma(sign, part, v.b.load(total)), total)
        v.store(v.b.load(total), arg(slots.ACC))

    return body


def weigh(real: bool) -> Body:
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
