"""From a Python function to machine code in plain bytes, and from those to an address that can be called.

Numba and LLVM compile (`compile_entry`), once per machine; the bytes are an object file without external symbols other
than those of the C library. LLVM alone loads it (`load_entry`), which takes two milliseconds and does not import Numba.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["compile_entry", "compiler_version", "load_entry"]

_ENTRY = "superpose_entry"
_SETTINGS = ("NUMBA_BOUNDSCHECK", "NUMBA_DEBUGINFO")
_engines: list[Any] = []  # keep loaded code in memory


@functools.cache
def _binding() -> Any:
    """Return llvmlite's binding of LLVM, ready for this machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def _processor() -> tuple[str, str]:
    """Return name and features of the processor to compile for, as LLVM writes them.

    NUMBA_CPU_NAME and NUMBA_CPU_FEATURES stand in for those of this machine, as they do for Numba.
    """
    llvm = _binding()
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    return name, llvm.get_host_cpu_features().flatten() if features is None else features


def compiler_version() -> str:
    """Return what machine code depends on besides its sources: Numba, LLVM and the processor. Imports no Numba."""
    import llvmlite

    numba = find_spec("numba")
    version = Path(numba.origin).with_name("_version.py") if numba and numba.origin else None
    found = version.read_text() if version and version.is_file() else ""
    settings = [os.environ.get(name) for name in _SETTINGS]
    versions = found, llvmlite.__version__, _binding().llvm_version_info
    return repr((*versions, *_processor(), object.__basicsize__, settings))


def _target_machine() -> Any:
    llvm = _binding()
    triple = llvm.get_process_triple()
    name, features = _processor()
    reloc = "static" if triple.startswith(("x86", "i386", "i686")) else "default"
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=name, features=features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True
    )


def compile_entry(function: Any, signature: str) -> bytes:
    """Return an object file with ``function``, compiled for a signature as Numba writes it, to be called from C.

    The result is -1 where Python would raise an exception.

    Raises:
        RuntimeError: The code would need something that is only there while Numba is.
    """
    from numba import njit
    from numba.core.sigutils import normalize_signature

    compiled = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    arguments, result = normalize_signature(signature)
    with _linking_only():
        compiled.compile(result(*arguments))
    (made,) = compiled.overloads.values()
    (assembly,) = compiled.inspect_llvm().values()
    llvm = _binding()
    module = llvm.parse_assembly(assembly)
    module.link_in(llvm.parse_assembly(str(_entry(made))))
    for place in (*module.functions, *module.global_variables):
        if not place.is_declaration:
            place.linkage = "external" if place.name == _ENTRY else "internal"
        elif not place.name.startswith("llvm.") and not llvm.address_of_symbol(place.name):
            raise RuntimeError(f"{function.__name__} needs {place.name}, which other processes do not have.")
    machine, options = _target_machine(), llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization, options.slp_vectorization = True, False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return bytes(machine.emit_object(module))


@contextmanager
def _linking_only() -> Iterator[None]:
    """Have Numba link what it compiles, without optimising each function and making it callable on its own.

    All of it is optimised once, when everything is together: that halves the time. What Numba compiles for others
    meanwhile waits for the lock, and what it keeps of its own functions is kept apart.
    """
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    class Library(JITCodeLibrary):  # type: ignore[misc]  # Numba is not typed
        def add_llvm_module(self, ll_module: Any) -> None:
            self._final_module.link_in(ll_module)

        def finalize(self) -> None:
            for library in dict.fromkeys(self._linking_libraries):
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
            self._finalized = True

        def get_pointer_to_function(self, name: str) -> int:
            self._ensure_finalized()
            return 0

    with global_compiler_lock:
        context = cpu_target.target_context
        codegen, kept = context.codegen(), context.cached_internal_func
        codegen._library_class, codegen.set_env, context.cached_internal_func = Library, lambda *_: None, {}
        try:
            yield
        finally:
            del codegen._library_class, codegen.set_env
            context.cached_internal_func = kept


def _entry(made: Any) -> Any:
    """Return a module with the C function that calls what Numba made.

    A function of Numba's takes the addresses of its result and of an exception in front, and returns 0, or something
    else after an exception.
    """
    from llvmlite import ir

    kinds = [made.target_context.get_value_type(kind) for kind in made.signature.args]
    result = made.target_context.get_value_type(made.signature.return_type)
    void = made.signature.return_type.name in ("none", "void")
    module, status, exception = ir.Module(), ir.IntType(32), ir.IntType(8).as_pointer()
    inner_type = ir.FunctionType(status, [result.as_pointer(), exception.as_pointer(), *kinds])
    inner = ir.Function(module, inner_type, made.fndesc.llvm_func_name)
    entry = ir.Function(module, ir.FunctionType(ir.VoidType() if void else result, kinds), _ENTRY)
    builder = ir.IRBuilder(entry.append_basic_block())
    place = builder.alloca(result)
    failed = builder.icmp_signed("!=", builder.call(inner, [place, builder.alloca(exception), *entry.args]), status(0))
    if void:
        builder.ret_void()
    else:
        builder.ret(builder.select(failed, result(-1), builder.load(place)))
    return module


def load_entry(code: bytes) -> int:
    """Return the address of what `compile_entry` compiled, in this process or another.

    LLVM trusts the bytes: they must come from `compile_entry`, whole.

    Raises:
        RuntimeError: There is no entry in it.
    """
    llvm = _binding()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(_ENTRY)
    if not address:
        raise RuntimeError("The object file has no entry.")
    _engines.append(engine)
    return int(address)
