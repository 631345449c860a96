"""Vector loops of Pauli rotations ``exp(-i theta/2 P)``, forward and adjoint, one by one or two imaginary ones at once.

``P = i^k X^x Z^z`` takes amplitude ``j`` to its partner ``l = j ^ x`` with the sign ``sigma = (-1)^parity(j & z)``.
With ``c = cos(theta/2)``, ``s = sin(theta/2)``:

    k = 1 ("real", an odd number of Y):   a_j' = c a_j - sigma s a_l      a_l' = c a_l + sigma s a_j
    k = 0 ("imaginary"):                  a_j' = c a_j - i sigma s a_l    a_l' = c a_l - i sigma s a_j
    x = 0 (diagonal):                     a_j' = (c - i sigma s) a_j

"Scaled" rotations leave out the factor ``c``: one multiply-add instead of two operations per number, with the tangent
in the place of the sine. The states then grow by ``1/c``; `superpose.engine.kernels.angles` keeps the books.

The derivative of ``<psi|O|psi>`` is ``Im <lam|P psi>`` with ``lam = O psi`` taken to the same place of the circuit. The
adjoint loops add it up per lane, then turn both states back. A pair of rotations with different ``x`` acts on four
amplitudes that stay in registers meanwhile. Real rotations have loops of their own, see
`superpose.engine.kernels.bundles`.

Loops run over one coset: the amplitudes at ``BASE ^ ELEMENTS[e]``, which all rotations of a block map to themselves.

Cost per pair of amplitudes: 8 operations forward, 21 adjoint; 4 and 13 scaled.
"""

from __future__ import annotations

from superpose.engine.kernels import slots
from superpose.engine.kernels.simd import LINE, Amplitude, Argument, Body, Simd, Value

__all__ = [
    "AMPLITUDE_SHIFT",
    "Coset",
    "adjoint",
    "adjoint_diagonal",
    "adjoint_pair",
    "rotate",
    "rotate_diagonal",
    "rotate_pair",
    "start",
]

AMPLITUDE_SHIFT = 7  # 128 bytes per amplitude
_OFFSET_SHIFT = 3  # 8 bytes per element of the coset's list


def _times(v: Simd, c: Value | None, x: Value) -> Value:
    return x if c is None else v.mul(c, x)


def _turn(v: Simd, c: Value | None, s: Value, a: Amplitude, b: Amplitude) -> tuple[Amplitude, Amplitude]:
    """Rotate one pair; ``s`` carries the sign, ``c`` is None for scaled rotations."""
    return (
        (v.fma(s, b[1], _times(v, c, a[0])), v.fms(s, b[0], _times(v, c, a[1]))),
        (v.fma(s, a[1], _times(v, c, b[0])), v.fms(s, a[0], _times(v, c, b[1]))),
    )


def _overlap(v: Simd, a: Amplitude, b: Amplitude, la: Amplitude, lb: Amplitude) -> Value:
    """Return the pair's part of ``Im <lam|P psi>``, without the sign."""
    t = v.fma(lb[0], a[1], v.mul(la[0], b[1]))
    return v.fms(lb[1], a[0], v.fms(la[1], b[0], t))


class Coset:
    """The amplitudes of one coset and the constants of the rotation(s) that a loop applies to them."""

    def __init__(self, v: Simd, arg: Argument, states: tuple[int, ...], *, pair: bool = False) -> None:
        self.v = v
        self.states = [arg(state) for state in states]
        self.base, self.elements, self.count = arg(slots.BASE), arg(slots.ELEMENTS), arg(slots.COUNT)
        self.spreads = [v.opener(arg(low)) for low in ((slots.LOW, slots.LOW2) if pair else (slots.LOW,))]
        self.x, self.z = arg(slots.X), arg(slots.Z)
        self.sines = arg(slots.COEF)
        if pair:
            self.x2, self.z2 = arg(slots.X2), arg(slots.Z2)
            self.cross, self.cross2 = arg(slots.CROSS), arg(slots.CROSS2)
            self.sines2 = v.at(self.sines, 3 * LINE)

    def cosine(self) -> Value:
        """Load the cosine."""
        return self.v.load(self.v.at(self.sines, 2 * LINE))

    def offset(self, turn: Value) -> Value:
        """Return the offset of the first amplitude for a turn of the loop."""
        place = self.v.b.shl(turn, self.v.const(_OFFSET_SHIFT))
        for spread in self.spreads:
            place = spread(place)
        return self.v.b.xor(self.base, self.v.load_int(self.v.b.add(self.elements, place)))

    def element(self, turn: Value) -> Value:
        """Return the offset of one amplitude for each turn of the loop."""
        place = self.v.b.shl(turn, self.v.const(_OFFSET_SHIFT))
        return self.v.b.xor(self.base, self.v.load_int(self.v.b.add(self.elements, place)))

    def places(self, *offsets: Value) -> list[Value]:
        """Return the addresses of amplitudes, those of the first state first."""
        return [self.v.b.add(state, offset) for state in self.states for offset in offsets]

    def four(self, j: Value) -> list[Value]:
        """Return the addresses at j, j^x, j^x2, j^x^x2."""
        far = self.v.b.xor(j, self.x2)
        return self.places(j, self.v.b.xor(j, self.x), far, self.v.b.xor(far, self.x))


def _add_up(v: Simd, variable: Value, sigma: Value, line: Value, value: Value) -> None:
    sign = v.load(v.b.add(sigma, line))
    v.b.store(v.fma(sign, value, v.b.load(variable)), variable)


def rotate(*, scaled: bool) -> Body:
    """An imaginary rotation."""

    def body(v: Simd, arg: Argument) -> None:
        coset = Coset(v, arg, (slots.PSI,))
        c = None if scaled else coset.cosine()
        with v.loop(coset.count) as turn:
            j = coset.offset(turn)
            s = v.load(v.b.add(coset.sines, v.line_of_parity(j, coset.z)))
            places = coset.places(j, v.b.xor(j, coset.x))
            a, b = (v.load_amplitude(place) for place in places)
            v.store_amplitudes(_turn(v, c, s, a, b), places)

    return body


def start(real: bool) -> Body:
    """Rotation of amplitudes below the highest bit of X, while those above are still zero (and not yet written)."""

    def body(v: Simd, arg: Argument) -> None:
        psi, x, z, sines = (arg(k) for k in (slots.PSI, slots.X, slots.Z, slots.COEF))
        c = v.load(v.at(sines, 2 * LINE))
        with v.loop(arg(slots.COUNT)) as turn:
            j = v.b.shl(turn, v.const(AMPLITUDE_SHIFT))
            s = v.load(v.b.add(sines, v.line_of_parity(j, z)))
            places = [v.b.add(psi, j), v.b.add(psi, v.b.xor(j, x))]
            a = v.load_amplitude(places[0])
            b = (v.mul(s, a[0]), v.mul(s, a[1])) if real else (v.mul(s, a[1]), v.neg(v.mul(s, a[0])))
            v.store_amplitudes(((v.mul(c, a[0]), v.mul(c, a[1])), b), places)

    return body


def adjoint(*, scaled: bool, turn_back: bool = True) -> Body:
    """An imaginary rotation's gradient; unless it commutes with all before it, both states are turned back."""

    def body(v: Simd, arg: Argument) -> None:
        coset = Coset(v, arg, (slots.PSI, slots.LAM))
        c = None if scaled else coset.cosine()
        sigma, total = arg(slots.SIGMA), v.variable(v.load(arg(slots.ACC)))
        with v.loop(coset.count) as turn:
            j = coset.offset(turn)
            line = v.line_of_parity(j, coset.z)
            places = coset.places(j, v.b.xor(j, coset.x))
            a, b, la, lb = (v.load_amplitude(place) for place in places)
            _add_up(v, total, sigma, line, _overlap(v, a, b, la, lb))
            if turn_back:
                s = v.load(v.b.add(coset.sines, v.b.xor(line, v.const(LINE))))
                v.store_amplitudes((*_turn(v, c, s, a, b), *_turn(v, c, s, la, lb)), places)
        v.store(v.b.load(total), arg(slots.ACC))

    return body


def rotate_pair(v: Simd, arg: Argument) -> None:
    """Two scaled imaginary rotations."""
    coset = Coset(v, arg, (slots.PSI,), pair=True)

    def sine(sines: Value, line: Value) -> Value:
        return v.load(v.b.add(sines, line))

    with v.loop(coset.count) as turn:
        j = coset.offset(turn)
        places = coset.four(j)
        a, b, d, e = (v.load_amplitude(place) for place in places)
        line, line2 = v.line_of_parity(j, coset.z), v.line_of_parity(j, coset.z2)
        a, b = _turn(v, None, sine(coset.sines, line), a, b)
        d, e = _turn(v, None, sine(coset.sines, v.b.xor(line, coset.cross)), d, e)
        a, d = _turn(v, None, sine(coset.sines2, line2), a, d)
        b, e = _turn(v, None, sine(coset.sines2, v.b.xor(line2, coset.cross2)), b, e)
        v.store_amplitudes((a, b, d, e), places)


def adjoint_pair(v: Simd, arg: Argument) -> None:
    """Gradients of two scaled imaginary rotations; both states are turned back."""
    coset = Coset(v, arg, (slots.PSI, slots.LAM), pair=True)
    sigma, acc = arg(slots.SIGMA), arg(slots.ACC)
    acc2 = v.at(acc, LINE)
    total, total2 = v.variable(v.load(acc)), v.variable(v.load(acc2))

    def back(sines: Value, line: Value, total: Value, four: tuple[Amplitude, ...]) -> tuple[Amplitude, ...]:
        a, b, la, lb = four
        _add_up(v, total, sigma, line, _overlap(v, a, b, la, lb))
        s = v.load(v.b.add(sines, v.b.xor(line, v.const(LINE))))
        return *_turn(v, None, s, a, b), *_turn(v, None, s, la, lb)

    with v.loop(coset.count) as turn:
        j = coset.offset(turn)
        places = coset.four(j)
        a, b, d, e, la, lb, ld, le = (v.load_amplitude(place) for place in places)
        line, line2 = v.line_of_parity(j, coset.z), v.line_of_parity(j, coset.z2)
        a, d, la, ld = back(coset.sines2, line2, total2, (a, d, la, ld))
        b, e, lb, le = back(coset.sines2, v.b.xor(line2, coset.cross2), total2, (b, e, lb, le))
        a, b, la, lb = back(coset.sines, line, total, (a, b, la, lb))
        d, e, ld, le = back(coset.sines, v.b.xor(line, coset.cross), total, (d, e, ld, le))
        v.store_amplitudes((a, b, d, e, la, lb, ld, le), places)
    v.store(v.b.load(total), acc)
    v.store(v.b.load(total2), acc2)


def _phase(v: Simd, c: Value, s: Value, a: Amplitude) -> Amplitude:
    """Return ``(c - i s) a``."""
    return v.fma(s, a[1], v.mul(c, a[0])), v.fms(s, a[0], v.mul(c, a[1]))


def rotate_diagonal(v: Simd, arg: Argument) -> None:
    """A diagonal rotation."""
    coset = Coset(v, arg, (slots.PSI,))
    c = coset.cosine()
    with v.loop(coset.count) as turn:
        j = coset.offset(turn)
        s = v.load(v.b.add(coset.sines, v.line_of_parity(j, coset.z)))
        places = coset.places(j)
        v.store_amplitudes((_phase(v, c, s, v.load_amplitude(places[0])),), places)


def adjoint_diagonal(v: Simd, arg: Argument) -> None:
    """A diagonal rotation's gradient; both states are turned back."""
    coset = Coset(v, arg, (slots.PSI, slots.LAM))
    c, sigma, total = coset.cosine(), arg(slots.SIGMA), v.variable(v.load(arg(slots.ACC)))
    with v.loop(coset.count) as turn:
        j = coset.offset(turn)
        line = v.line_of_parity(j, coset.z)
        places = coset.places(j)
        a, la = (v.load_amplitude(place) for place in places)
        _add_up(v, total, sigma, line, v.fms(la[1], a[0], v.mul(la[0], a[1])))
        s = v.load(v.b.add(coset.sines, v.b.xor(line, v.const(LINE))))
        v.store_amplitudes((_phase(v, c, s, a), _phase(v, c, s, la)), places)
    v.store(v.b.load(total), arg(slots.ACC))
