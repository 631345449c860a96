"""What the kernels do with single vectors, in line: a call of `superpose.engine.kernels.operations` costs more than it.

Addresses are multiples of 64. ``zero`` is 0 of the vectors' precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from superpose.engine.kernels.simd import LINE, Simd, Value

__all__ = [
    "add_multiple",
    "add_product",
    "add_weighted",
    "divide",
    "exponentiate",
    "lanes_of",
    "multiply",
    "negate",
    "odd",
    "put",
    "put_coefficients",
    "put_larger",
    "spread_coefficients",
    "sum_of_products",
    "sum_of_rows",
]

_F64, _I64 = ir.DoubleType(), ir.IntType(64)
_LOG_2 = (0.693359375, -2.12194440e-4)
"""The logarithm of 2 as a number of 10 bits, whose small multiples are exact in float32, and the rest."""


def _lanes_of(typingctx: Any, zero: Any) -> Any:
    """Return how many numbers a vector has, which the compiler knows."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(_I64, Simd(builder, args[0].type).lanes)

    return types.int64(zero), codegen


def _odd(typingctx: Any, bits: Any) -> Any:
    """Return the parity of the number of bits set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.and_(builder.ctpop(args[0]), ir.Constant(_I64, 1))

    return types.int64(types.int64), codegen


def _sum_of_products(typingctx: Any, zero: Any, x: Any, y: Any) -> Any:
    """Return the sum of the products of two vectors, added in float64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        wide = ir.VectorType(_F64, v.lanes)
        products = v.mul(v.load(args[1]), v.load(args[2]))
        if v.element != _F64:
            products = builder.fpext(products, wide)
        kind = ir.FunctionType(_F64, [_F64, wide])
        total = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{v.lanes}f64")
        return builder.call(total, [ir.Constant(_F64, 0.0), products], fastmath=("reassoc",))

    return types.float64(zero, types.int64, types.int64), codegen


def _rounded(v: Simd, number: Value) -> Value:
    return number if v.element == _F64 else v.b.fptrunc(number, v.element)


def _add_multiple(typingctx: Any, zero: Any, factor: Any, x: Any, y: Any) -> Any:
    """Add the vector at ``x`` times a float64 number to the vector at ``y``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        v.store(v.fma(v.splat(_rounded(v, args[1])), v.load(args[2]), v.load(args[3])), args[3])
        return context.get_dummy_value()

    return types.void(zero, types.float64, types.int64, types.int64), codegen


def _put(typingctx: Any, zero: Any, number: Any, to: Any) -> Any:
    """Write a vector of one float64 number, rounded to the vectors' precision."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        v.store(v.splat(_rounded(v, args[1])), args[2])
        return context.get_dummy_value()

    return types.void(zero, types.float64, types.int64), codegen


def _add_product(typingctx: Any, zero: Any, x: Any, y: Any, to: Any) -> Any:
    """Add the products of the vectors at ``x`` and ``y`` to the one at ``to``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        v.store(v.fma(v.load(args[1]), v.load(args[2]), v.load(args[3])), args[3])
        return context.get_dummy_value()

    return types.void(zero, types.int64, types.int64, types.int64), codegen


def _add_weighted(typingctx: Any, zero: Any, factor: Any, x: Any, y: Any, to: Any) -> Any:
    """Add ``factor`` times the products of the vectors at ``x`` and ``y``, all in float64, to the vector at ``to``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        wide = ir.VectorType(_F64, v.lanes)

        def load(address: Value) -> Value:
            return v.load(address) if v.element == _F64 else builder.fpext(v.load(address), wide)

        found = builder.fmul(builder.fmul(v.splat(args[1], wide), load(args[2])), load(args[3]))
        total = builder.fadd(load(args[4]), found)
        v.store(total if v.element == _F64 else builder.fptrunc(total, v.type), args[4])
        return context.get_dummy_value()

    return types.void(zero, types.float64, types.int64, types.int64, types.int64), codegen


def _sum_of_rows(
    typingctx: Any, zero: Any, n: Any, width: Any, factors: Any, step: Any, order: Any, rows: Any, to: Any
) -> Any:
    """Write the sum of ``n`` rows times a factor each, which are added in their order, to the address ``to``.

    Args:
        n, width: how many rows, and numbers in each: at most as many as a vector has.
        factors, step: address of the first factor, and how many numbers behind it the next one stands.
        order, rows: addresses of the int64 numbers of the rows, and of the first row.
        to: need be no multiple of 64, nor need rows.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero, n, width, factors, step, order, rows, to = args
        v = Simd(builder, zero.type)
        places = ir.VectorType(_I64, v.lanes)
        mask = builder.icmp_signed("<", ir.Constant(places, list(range(v.lanes))), v.splat(width, places))
        pointer, bits, align = v.type.as_pointer(), mask.type, ir.Constant(ir.IntType(32), v.size)
        name = f"v{v.lanes}f{8 * v.size}.p0v{v.lanes}f{8 * v.size}"
        load = ir.FunctionType(v.type, [pointer, align.type, bits, v.type])
        load = cgutils.get_or_insert_function(builder.module, load, f"llvm.masked.load.{name}")
        store = ir.FunctionType(ir.VoidType(), [v.type, pointer, align.type, bits])
        store = cgutils.get_or_insert_function(builder.module, store, f"llvm.masked.store.{name}")
        total = v.variable(v.all(0.0))
        with v.loop(n) as i:
            row = builder.mul(v.load_int(builder.add(order, builder.mul(i, v.const(8)))), width)
            place = builder.inttoptr(builder.add(rows, builder.mul(row, v.const(v.size))), pointer)
            factor = v.splat_at(builder.add(factors, builder.mul(builder.mul(i, step), v.const(v.size))))
            found = builder.call(load, [place, align, mask, v.all(0.0)])
            builder.store(v.fma(factor, found, builder.load(total)), total)
        builder.call(store, [builder.load(total), builder.inttoptr(to, pointer), align, mask])
        return context.get_dummy_value()

    return types.void(zero, *[types.int64] * 7), codegen


def _put_larger(typingctx: Any, zero: Any, x: Any, y: Any) -> Any:
    """Put the numbers at ``x`` that are larger than those at ``y`` in their place."""

    def change(v: Simd, mine: Value, other: Value) -> Value:
        return v.b.select(v.b.fcmp_ordered(">", other, mine), other, mine)

    return _changing(zero, change)


def _multiply(typingctx: Any, zero: Any, x: Any, y: Any) -> Any:
    """Multiply the vector at ``y`` by the one at ``x``."""
    return _changing(zero, lambda v, mine, other: v.mul(mine, other))


def _negate(typingctx: Any, zero: Any, x: Any, to: Any) -> Any:
    """Write minus the vector at ``x`` to ``to``."""
    return _changing(zero, lambda v, mine, other: v.neg(other))


def _divide(typingctx: Any, zero: Any, x: Any, y: Any) -> Any:
    """Divide the vector at ``y`` by the one at ``x``."""
    return _changing(zero, lambda v, mine, other: v.b.fdiv(mine, other))


def _changing(zero: Any, change: Callable[[Simd, Value, Value], Value]) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        v.store(change(v, v.load(args[2]), v.load(args[1])), args[2])
        return context.get_dummy_value()

    return types.void(zero, types.int64, types.int64), codegen


def _exponentiate(typingctx: Any, zero: Any, largest: Any, x: Any, total: Any) -> Any:
    """Take the exponentials of ``x`` less ``largest``, which is not smaller, in place, and add them to ``total``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        found = _exponential(v, v.sub(v.load(args[2]), v.load(args[1])))
        v.store(found, args[2])
        v.store(v.add(v.load(args[3]), found), args[3])
        return context.get_dummy_value()

    return types.void(zero, types.int64, types.int64, types.int64), codegen


def _exponential(v: Simd, x: Value) -> Value:
    """Return ``exp(x)`` of numbers that are not positive: by the C library in float64, else ``2**n exp(r)``.

    ``r`` is within half a logarithm of 2 of zero, where a Taylor polynomial of degree 7 is exact to 1e-8. NaN stays.
    """
    kind = ir.FunctionType(v.type, [v.type])
    if v.lanes == 8:
        return v.b.call(cgutils.get_or_insert_function(v.b.module, kind, "llvm.exp.v8f64"), [x])
    x = v.b.select(v.b.fcmp_ordered("<", x, v.all(-87.0)), v.all(-87.0), x)  # 2e-38 is as good as 0
    turns = cgutils.get_or_insert_function(v.b.module, kind, "llvm.rint.v16f32")
    n = v.b.call(turns, [v.mul(x, v.all(1.0 / math.log(2.0)))])
    rest = x
    for piece in _LOG_2:
        rest = v.fma(n, v.all(-piece), rest)
    total = v.all(1.0 / math.factorial(7))
    for k in range(6, -1, -1):
        total = v.fma(total, rest, v.all(1.0 / math.factorial(k)))
    bits = ir.VectorType(ir.IntType(32), v.lanes)
    exponent = v.b.add(v.b.fptosi(n, bits), ir.Constant(bits, [127] * v.lanes))
    power = v.b.bitcast(v.b.shl(exponent, ir.Constant(bits, [23] * v.lanes)), v.type)
    return v.mul(total, power)


def _store(v: Simd, cosines: Value, sines: Value, signs: Value, to: Value) -> None:
    sines = v.mul(sines, v.load(signs))
    for place, value in enumerate((sines, v.neg(sines), cosines)):
        v.store(value, v.at(to, LINE * place))


def _spread_coefficients(typingctx: Any, zero: Any, cosine: Any, sine: Any, signs: Any, to: Any) -> Any:
    """Write vectors of one sine times signs, of minus that, and of one cosine, behind one another."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        _store(v, v.splat_at(args[1]), v.splat_at(args[2]), args[3], args[4])
        return context.get_dummy_value()

    return types.void(zero, types.int64, types.int64, types.int64, types.int64), codegen


def _put_coefficients(typingctx: Any, zero: Any, cosines: Any, sines: Any, signs: Any, to: Any) -> Any:
    """The same of vectors of cosines and sines."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Simd(builder, args[0].type)
        _store(v, v.load(args[1]), v.load(args[2]), args[3], args[4])
        return context.get_dummy_value()

    return types.void(zero, types.int64, types.int64, types.int64, types.int64), codegen


lanes_of, odd, put, put_larger = intrinsic(_lanes_of), intrinsic(_odd), intrinsic(_put), intrinsic(_put_larger)
multiply, divide, exponentiate = intrinsic(_multiply), intrinsic(_divide), intrinsic(_exponentiate)
add_product, add_weighted, negate = intrinsic(_add_product), intrinsic(_add_weighted), intrinsic(_negate)
sum_of_products, add_multiple = intrinsic(_sum_of_products), intrinsic(_add_multiple)
sum_of_rows = intrinsic(_sum_of_rows)
spread_coefficients, put_coefficients = intrinsic(_spread_coefficients), intrinsic(_put_coefficients)
