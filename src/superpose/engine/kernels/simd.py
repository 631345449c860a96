"""Vectors of one cache line for the kernels: a thin layer over LLVM's builder, reached through Numba intrinsics.

A vector holds 16 float32 or 8 float64 lanes, always 64 bytes, so that byte offsets do not depend on the precision. LLVM
splits it where the machine has narrower registers. An amplitude of a tile is two neighbouring vectors: real parts, then
imaginary parts, one lane per sample.

Every operation is a whole loop over amplitudes: a function ``body(simd, argument)`` that emits it, where
``argument(slot)`` gives the int64 at that place of the argument block (see `superpose.engine.kernels.slots`).
`superpose.engine.kernels.operations` numbers them and compiles them into one function, which the interpreter calls by
its address: so they are compiled once, not again with everything that calls them.

Addresses hide from Numba that an array is in use, so callers keep all arrays referenced until the kernel has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from superpose.engine.kernels import slots

__all__ = [
    "LINE",
    "Amplitude",
    "Argument",
    "Body",
    "Simd",
    "Value",
    "address",
    "call",
    "data",
    "emit",
    "kernel",
    "kernel_of_sums",
]

LINE = 64
_FLAGS = ("contract", "reassoc", "nsz")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Decorate a part of a kernel; only the rows of `superpose.engine.kernel_table` are compiled on their own."""
    return njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[no-any-return]  # Numba keeps the signature


def kernel_of_sums(function: _Function) -> _Function:
    """Decorate loops over arrays whose sums may be taken in the order that suits the vectors.

    The order is the same on one processor, and in every call.
    """
    options = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return njit(fastmath=set(_FLAGS), **options)(function)  # type: ignore[no-any-return]  # as above


Value = Any  # an LLVM value; llvmlite is not typed
Amplitude = tuple[Value, Value]  # real and imaginary parts

_I32, _I64 = ir.IntType(32), ir.IntType(64)
Argument = Callable[[int], Value]


class Simd:
    """Emits vector instructions for one element type into a builder."""

    def __init__(self, builder: Any, element: Any) -> None:
        self.b = builder
        self.element = element
        self.lanes = 16 if isinstance(element, ir.FloatType) else 8
        self.size = LINE // self.lanes
        self.type = ir.VectorType(element, self.lanes)
        self.first: Value = self.const(0)

    def const(self, value: int) -> Value:
        """Return an int64 constant."""
        return ir.Constant(_I64, value)

    def load(self, address: Value) -> Value:
        """Load the vector at an address that is a multiple of 64."""
        value = self.b.load(self.b.inttoptr(address, self.type.as_pointer()))
        value.align = LINE
        return value

    def store(self, value: Value, address: Value) -> None:
        """Store a vector at an address that is a multiple of 64."""
        self.b.store(value, self.b.inttoptr(address, self.type.as_pointer())).align = LINE

    def at(self, address: Value, offset: int) -> Value:
        """Return ``address + offset`` bytes."""
        return self.b.add(address, self.const(offset)) if offset else address

    def load_amplitude(self, address: Value) -> Amplitude:
        """Load real and imaginary parts."""
        return self.load(address), self.load(self.at(address, LINE))

    def store_amplitude(self, value: Amplitude, address: Value) -> None:
        """Store real and imaginary parts."""
        self.store(value[0], address)
        self.store(value[1], self.at(address, LINE))

    def store_amplitudes(self, values: Sequence[Amplitude], addresses: Sequence[Value]) -> None:
        """Store several."""
        for value, address in zip(values, addresses, strict=True):
            self.store_amplitude(value, address)

    def load_int(self, address: Value) -> Value:
        """Load an int64."""
        return self.b.load(self.b.inttoptr(address, _I64.as_pointer()))

    def splat(self, scalar: Value, kind: Any = None) -> Value:
        """Return the vector, or one of another ``kind`` with as many lanes, with ``scalar`` in every lane."""
        empty = ir.Constant(kind or self.type, ir.Undefined)
        one = self.b.insert_element(empty, scalar, ir.Constant(_I32, 0))
        return self.b.shuffle_vector(one, empty, ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes))

    def scalar_at(self, address: Value) -> Value:
        """Load one element."""
        return self.b.load(self.b.inttoptr(address, self.element.as_pointer()))

    def splat_at(self, address: Value) -> Value:
        """Load one element and spread it over the lanes."""
        return self.splat(self.scalar_at(address))

    def all(self, value: float) -> Value:
        """Return the vector with a constant in every lane."""
        return ir.Constant(self.type, [value] * self.lanes)

    def add(self, x: Value, y: Value) -> Value:
        """Return ``x + y``."""
        return self.b.fadd(x, y, flags=_FLAGS)

    def sub(self, x: Value, y: Value) -> Value:
        """Return ``x - y``."""
        return self.b.fsub(x, y, flags=_FLAGS)

    def mul(self, x: Value, y: Value) -> Value:
        """Return ``x * y``."""
        return self.b.fmul(x, y, flags=_FLAGS)

    def neg(self, x: Value) -> Value:
        """Return ``-x``."""
        return self.b.fneg(x)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """Return ``x * y + z``, fused where the machine can."""
        name = f"llvm.fmuladd.v{self.lanes}{'f32' if self.lanes == 16 else 'f64'}"
        function = cgutils.get_or_insert_function(self.b.module, ir.FunctionType(self.type, [self.type] * 3), name)
        return self.b.call(function, [x, y, z])

    def fms(self, x: Value, y: Value, z: Value) -> Value:
        """Return ``z - x * y``."""
        return self.fma(self.neg(x), y, z)

    def line_of_parity(self, offset: Value, mask: Value) -> Value:
        """Return 64 if an odd number of bits is set in ``offset & mask``, else 0."""
        odd = self.b.and_(self.b.ctpop(self.b.and_(offset, mask)), self.const(1))
        return self.b.shl(odd, self.const(6))

    def opener(self, low: Value) -> Callable[[Value], Value]:
        """Return the map that puts a zero bit above the bits of ``low`` (a number ``2**k - 1``) into an offset."""
        high = self.b.not_(low)

        def spread(offset: Value) -> Value:
            return self.b.or_(self.b.shl(self.b.and_(offset, high), self.const(1)), self.b.and_(offset, low))

        return spread

    @contextmanager
    def loop(self, count: Value) -> Iterator[Value]:
        """Repeat the body for an index ``FIRST .. count - 1``; FIRST is 0 unless the loop is cut into chunks."""
        with cgutils.for_range(self.b, count, start=self.first, intp=_I64) as turn:
            yield turn.index

    def variable(self, value: Value) -> Value:
        """Return a variable that holds ``value`` at first; LLVM keeps it in a register."""
        variable = cgutils.alloca_once(self.b, self.type)
        self.b.store(value, variable)
        return variable

    def int_variable(self, value: Value) -> Value:
        """Return a variable for an int64; LLVM keeps it in a register."""
        variable = cgutils.alloca_once(self.b, _I64)
        self.b.store(value, variable)
        return variable

    def trailing_zeros(self, value: Value) -> Value:
        """Return the number of zero bits below the lowest one of an int64 that is not 0."""
        return self.b.cttz(value, ir.Constant(ir.IntType(1), 1))

    def fold(self, left: Value, right: Value) -> Value:
        """Return the sums of neighbouring lanes of ``left``, then those of ``right``."""
        pick = ir.VectorType(_I32, self.lanes)
        even = self.b.shuffle_vector(left, right, ir.Constant(pick, list(range(0, 2 * self.lanes, 2))))
        odd = self.b.shuffle_vector(left, right, ir.Constant(pick, list(range(1, 2 * self.lanes, 2))))
        return self.add(even, odd)


Body = Callable[[Simd, Argument], None]


def operation_type(element: Any) -> Any:
    """Return the LLVM type of `superpose.engine.kernels.operations.operate`, called from C."""
    return ir.FunctionType(ir.VoidType(), [element, _I64, _I64])


def emit(module: Any, name: str, body: Body, element: Any) -> Any:
    """Add an LLVM function ``name(block)`` that runs ``body`` on the arguments at the address ``block``."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64]), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    start = builder.inttoptr(function.args[0], _I64.as_pointer())

    def argument(slot: int) -> Value:
        return builder.load(builder.gep(start, [ir.Constant(_I32, slot)], source_etype=_I64))

    simd = Simd(builder, element)
    simd.first = argument(slots.FIRST)
    body(simd, argument)
    builder.ret_void()
    return function


def _call(typingctx: Any, zero: Any, operate: Any, number: Any, block: Any) -> Any:
    """Call the compiled operations, whose address is ``operate``."""
    signature = types.void(zero, types.int64, types.int64, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.inttoptr(args[1], operation_type(args[0].type).as_pointer())
        builder.call(function, [args[0], args[2], args[3]])
        return context.get_dummy_value()

    return signature, codegen


call = intrinsic(_call)


def _data(typingctx: Any, example: Any, array: Any) -> Any:
    """Return a pointer to the data of a NumPy array, which can be indexed like it.

    NumPy keeps their address in the first field of the array's C structure, behind the object header; compiled
    extensions read it there too, so it does not move.

    Args:
        example: A number of the array's type.
        array: Address of the array object, its ``id``.
    """
    kind = types.unliteral(example)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = context.get_value_type(kind).as_pointer()
        place = builder.add(args[1], ir.Constant(_I64, object.__basicsize__))
        return builder.load(builder.inttoptr(place, pointer.as_pointer()))

    return types.CPointer(kind)(example, types.int64), codegen


def _address(typingctx: Any, pointer: Any) -> Any:
    """Return the address in a pointer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], _I64)

    return types.int64(pointer), codegen


data, address = intrinsic(_data), intrinsic(_address)
