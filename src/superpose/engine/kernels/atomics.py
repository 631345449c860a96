"""Atomic operations on int64 words at addresses, for threads that work on one state together."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["add_to", "pause", "publish", "replace", "seen", "step_aside"]

_I64 = ir.IntType(64)
_ALIGN = 8


def _word(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _I64.as_pointer())


def _seen(typingctx: Any, address: Any) -> Any:
    """Return the word; what its writer wrote before it is seen too."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_word(builder, args[0]), "acquire", _ALIGN)

    return types.int64(types.int64), codegen


def _publish(typingctx: Any, address: Any, value: Any) -> Any:
    """Write the word; who sees it sees what was written before it too."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _word(builder, args[0]), "release", _ALIGN)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def _replace(typingctx: Any, address: Any, old: Any, new: Any) -> Any:
    """Write ``new`` if the word is ``old``; return whether it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.cmpxchg(_word(builder, args[0]), args[1], args[2], "acq_rel", "monotonic")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen


def _add_to(typingctx: Any, address: Any, value: Any) -> Any:
    """Add to the word."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.atomic_rmw("add", _word(builder, args[0]), args[1], "acq_rel")
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def _pause(typingctx: Any) -> Any:
    """Tell the processor that this is a waiting loop, where it knows such a hint."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if builder.module.triple.startswith(("x86_64", "i686")):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen


def _step_aside(typingctx: Any) -> Any:
    """Let other threads use this processor (POSIX sched_yield)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


seen, publish, replace, add_to = intrinsic(_seen), intrinsic(_publish), intrinsic(_replace), intrinsic(_add_to)
pause, step_aside = intrinsic(_pause), intrinsic(_step_aside)
