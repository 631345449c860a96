"""NumPy arrays within kernels that are kept as plain machine code: views made from the address of an array object.

Numba's own arrays count references through its runtime, which a process with warm kernels does not have; these views
and the functions that take them are compiled without it. The caller keeps the arrays referenced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

__all__ = ["array_kernel", "start_of", "view1", "view2", "view3"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def array_kernel(function: _Function) -> _Function:
    """Decorate a part of a kernel that works on views: it may neither make arrays nor return them."""
    made = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    return made  # type: ignore[no-any-return]  # Numba keeps the signature


def _view(example: Any, n_axes: int) -> Any:
    """Return signature and code generator of a view with the type of ``example`` as its elements."""
    kind = types.Array(types.unliteral(example), n_axes, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        from numba.np.arrayobj import make_array, populate_array

        number, element = ir.IntType(64), context.get_data_type(kind.dtype)
        place = builder.add(args[1], ir.Constant(number, object.__basicsize__))
        start = builder.load(builder.inttoptr(place, element.as_pointer().as_pointer()))
        size = ir.Constant(number, context.get_abi_sizeof(element))
        strides = [size]
        for length in reversed(args[3:]):
            strides.insert(0, builder.mul(strides[0], length))
        out = make_array(kind)(context, builder)
        populate_array(out, data=start, shape=args[2:], strides=strides, itemsize=size, meminfo=None)
        return out._getvalue()

    return kind(example, types.int64, *([types.int64] * n_axes)), codegen


def _view1(typingctx: Any, example: Any, array: Any, n: Any) -> Any:
    """Return a view ``(n,)`` of the array with this ``id``."""
    return _view(example, 1)


def _view2(typingctx: Any, example: Any, array: Any, n: Any, m: Any) -> Any:
    """Return a view ``(n, m)`` of the array with this ``id``."""
    return _view(example, 2)


def _view3(typingctx: Any, example: Any, array: Any, n: Any, m: Any, k: Any) -> Any:
    """Return a view ``(n, m, k)`` of the array with this ``id``."""
    return _view(example, 3)


view1, view2, view3 = intrinsic(_view1), intrinsic(_view2), intrinsic(_view3)


def _start_of(typingctx: Any, array: Any) -> Any:
    """Return the address of a view's first element."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(start, ir.IntType(64))

    return types.int64(array), codegen


start_of = intrinsic(_start_of)
