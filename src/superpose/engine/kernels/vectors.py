"""Small operators applied to long states in vector registers: eight float64 lanes, however the machine splits them.

A state's index is a string of bits. An operator acts on a few of them (real: two bits per qubit, a digit of a Pauli
string; complex: one per qubit). Bits outside the lanes select vectors; the lowest three bits select a lane, and an
operator that acts on those meets each vector in all exchanges of lanes, with coefficients that differ by lane. Either
way every vector of the result takes one fused multiply-add per column of the operator: no lane is ever idle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from superpose.engine.kernels import vector_slots as s
from superpose.engine.kernels.simd import LINE, Argument, Body, Simd, Value

__all__ = ["LOOPS", "run_loop"]

Lanes = tuple[int, ...]


def _places(v: Simd, arg: Argument, turn: Value, n_out: int, shift: int, base: Value) -> list[Value]:
    """Return the addresses of the ``2**n_out`` vectors of one turn, the operator's higher bits first."""
    index = turn
    for k in range(n_out):
        low = arg(s.LOWS + k)
        index = v.b.or_(v.b.shl(v.b.and_(index, v.b.not_(low)), v.const(1)), v.b.and_(index, low))
    places = [v.b.add(base, v.b.shl(index, v.const(shift)))]
    for k in range(n_out):
        stride = arg(s.STRIDES + k)
        places += [v.b.add(place, stride) for place in places]
    return places


def _exchanged(v: Simd, value: Value, mask: int) -> Value:
    """Return the vector whose lane ``l`` is lane ``l ^ mask`` of ``value``."""
    if not mask:
        return value
    pick = ir.Constant(ir.VectorType(ir.IntType(32), v.lanes), [lane ^ mask for lane in range(v.lanes)])
    return v.b.shuffle_vector(value, value, pick)


def _masks(lanes: Lanes) -> list[int]:
    """Return the exchanges of lanes that the operator's bits within the lanes make, in order of those bits."""
    return [sum(1 << lane for k, lane in enumerate(lanes) if number >> k & 1) for number in range(1 << len(lanes))]


def _coefficient(v: Simd, base: Value, lanes: Lanes) -> Callable[[int], Value]:
    """Return what loads the coefficient of this number: one for all lanes, or one per lane."""
    if lanes:
        return lambda number: v.load(v.at(base, LINE * number))
    return lambda number: v.splat_at(v.at(base, v.size * number))


def _kept(few: bool, size: int, load: Callable[[int], Value]) -> Callable[[int], Value]:
    """Return ``load``, or, for few coefficients, the same from registers."""
    if not few:
        return load
    kept = [load(number) for number in range(size)]
    return lambda number: kept[number]


def apply_real(n_bits: int, lanes: Lanes) -> Body:
    """Multiply a real state by a real ``2**n_bits`` operator, in place."""

    def body(v: Simd, arg: Argument) -> None:
        n_out = n_bits - len(lanes)
        base = arg(s.BASE)
        size = 1 << n_bits
        coefficient = _kept(n_bits == 2, size << n_out, _coefficient(v, arg(s.COEFS), lanes))
        with v.loop(arg(s.COUNT)) as turn:
            places = _places(v, arg, turn, n_out, 6, base)
            found = [_exchanged(v, value, mask) for value in map(v.load, places) for mask in _masks(lanes)]
            for out, place in enumerate(places):
                total = v.mul(found[0], coefficient(out * size))
                for column in range(1, size):
                    total = v.fma(found[column], coefficient(out * size + column), total)
                v.store(total, place)

    return body


def outer_real(n_bits: int, lanes: Lanes) -> Body:
    """Add to SUMS, a vector per coefficient of `apply_real`, the products of adjoint state and state."""

    def body(v: Simd, arg: Argument) -> None:
        n_out = n_bits - len(lanes)
        base, distance, sums = arg(s.BASE), v.b.sub(arg(s.OTHER), arg(s.BASE)), arg(s.SUMS)
        size, few = 1 << n_bits, n_bits == 2
        where = [v.at(sums, LINE * k) for k in range(size << n_out)]
        kept = [v.variable(v.load(place)) for place in where] if few else []
        with v.loop(arg(s.COUNT)) as turn:
            places = _places(v, arg, turn, n_out, 6, base)
            found = [_exchanged(v, value, mask) for value in map(v.load, places) for mask in _masks(lanes)]
            for out, place in enumerate(places):
                adjoint = v.load(v.b.add(place, distance))
                for column in range(size):
                    k = out * size + column
                    if few:
                        v.b.store(v.fma(adjoint, found[column], v.b.load(kept[k])), kept[k])
                    else:
                        v.store(v.fma(adjoint, found[column], v.load(where[k])), where[k])
        for variable, place in zip(kept, where if few else (), strict=True):
            v.store(v.b.load(variable), place)

    return body


def apply_complex(n_bits: int, lanes: Lanes) -> Body:
    """Multiply a complex state by a complex ``2**n_bits`` operator, in place; real parts before imaginary ones."""

    def body(v: Simd, arg: Argument) -> None:
        n_out = n_bits - len(lanes)
        base = arg(s.BASE)
        size = 1 << n_bits
        coefficient = _kept(n_bits == 1, 2 * size << n_out, _coefficient(v, arg(s.COEFS), lanes))
        with v.loop(arg(s.COUNT)) as turn:
            places = _places(v, arg, turn, n_out, 7, base)
            found = [
                (_exchanged(v, real, mask), _exchanged(v, imaginary, mask))
                for real, imaginary in map(v.load_amplitude, places)
                for mask in _masks(lanes)
            ]
            for out, place in enumerate(places):
                real = imaginary = v.all(0.0)
                for column, (x, y) in enumerate(found):
                    k = 2 * (out * size + column)
                    a, b = coefficient(k), coefficient(k + 1)
                    real = v.fms(b, y, v.fma(a, x, real))
                    imaginary = v.fma(b, x, v.fma(a, y, imaginary))
                v.store_amplitude((real, imaginary), place)

    return body


def populations(lanes: Lanes) -> Body:
    """Put at SUMS four vectors for one qubit: ``|a|^2``, ``|b|^2`` and both parts of ``conj(a) b``, a at 0 and b at 1.

    For a qubit within the lanes, each lane is a and its partner b; the second vector is not used.
    """

    def body(v: Simd, arg: Argument) -> None:
        base, sums = arg(s.BASE), arg(s.SUMS)
        total = [v.variable(v.all(0.0)) for _ in range(4)]

        def add(k: int, x: Value, y: Value) -> None:
            v.b.store(v.fma(x, y, v.b.load(total[k])), total[k])

        with v.loop(arg(s.COUNT)) as turn:
            places = _places(v, arg, turn, 1 - len(lanes), 7, base)
            a = v.load_amplitude(places[0])
            if lanes:
                b = (_exchanged(v, a[0], 1 << lanes[0]), _exchanged(v, a[1], 1 << lanes[0]))
            else:
                b = v.load_amplitude(places[1])
                add(1, b[0], b[0])
                add(1, b[1], b[1])
            add(0, a[0], a[0])
            add(0, a[1], a[1])
            add(2, a[0], b[0])
            add(2, a[1], b[1])
            add(3, a[0], b[1])
            add(3, v.neg(a[1]), b[0])
        for k, variable in enumerate(total):
            v.store(v.b.load(variable), v.at(sums, LINE * k))

    return body


LOOPS: dict[int, Body] = {
    **{s.APPLY_REAL[2] + k: apply_real(2, lanes) for k, lanes in enumerate(s.REAL_LANES_1)},
    **{s.APPLY_REAL[4] + k: apply_real(4, lanes) for k, lanes in enumerate(s.REAL_LANES_2)},
    **{s.OUTER_REAL[2] + k: outer_real(2, lanes) for k, lanes in enumerate(s.REAL_LANES_1)},
    **{s.OUTER_REAL[4] + k: outer_real(4, lanes) for k, lanes in enumerate(s.REAL_LANES_2)},
    **{s.APPLY_COMPLEX_1 + k: apply_complex(1, lanes) for k, lanes in enumerate(s.COMPLEX_LANES_1)},
    **{s.APPLY_COMPLEX_2 + k: apply_complex(2, lanes) for k, lanes in enumerate(s.COMPLEX_LANES_2)},
    **{s.POPULATIONS + k: populations(lanes) for k, lanes in enumerate(s.COMPLEX_LANES_1)},
}
"""Every vector loop by number (see `superpose.engine.kernels.vector_slots`)."""


def _dispatch(typingctx: Any, number: Any, block: Any) -> Any:
    """Run the loop of this number on the argument block at an address."""
    signature = types.void(types.int64, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        done = builder.append_basic_block("done")
        choice = builder.switch(args[0], done)
        for number, body in LOOPS.items():
            function = _emitted(builder.module, f"superpose_loop_{number}", body)
            with builder.goto_block(builder.append_basic_block(f"loop_{number}")):
                choice.add_case(ir.Constant(ir.IntType(64), number), builder.block)
                builder.call(function, [args[1]])
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


dispatch = intrinsic(_dispatch)


def run_loop(zero: Any, number: int, block: int) -> None:
    """Run loop ``number`` of the table; ``zero`` is 0.0. Other kernels call this by its address."""
    dispatch(number, block)


def _emitted(module: Any, name: str, body: Body) -> Any:
    """Add the function ``name(block)`` that runs one loop on the arguments at an address, all turns of it."""
    number = ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [number]), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    start = builder.inttoptr(function.args[0], number.as_pointer())

    def argument(slot: int) -> Value:
        return builder.load(builder.gep(start, [ir.Constant(ir.IntType(32), slot)], source_etype=number))

    body(Simd(builder, ir.DoubleType()), argument)
    builder.ret_void()
    return function
