"""The table of kernels: what is compiled, for which signature and when; and the kernels of this process.

A kernel is compiled once per machine and kept as an object file (`superpose.engine.private_files`), named by precision
and row, in a directory named by a digest of the engine's sources, of the versions of Numba and LLVM and of the
processor. Where no such directory can be had, kernels are compiled in memory for this process, and one line in the log
says so. With warm kernels a process imports no Numba.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from superpose.engine import machine_code, private_files

__all__ = [
    "DTYPES",
    "KERNELS",
    "Kernel",
    "KernelRow",
    "early_kernels",
    "kernel_directory",
    "kernel_files",
    "kernels_ready",
    "load_kernel",
]


class KernelRow(NamedTuple):
    """A kernel before it is compiled."""

    function: str
    """Module below `superpose.engine.kernels`, and name of the function there."""
    signature: str
    """As Numba writes it; ``{tile}`` stands for the precision."""
    early: bool = True
    """Whether it is compiled with the first ones, or only when it is needed or `superpose doctor --warm` asks."""
    dtypes: tuple[str, ...] = ("float32", "float64")
    """Precisions that it is compiled for."""


ENTRY: Final = "int64({tile}, int64)"
"""What Python calls: 0 of the precision, and the ``id`` of an int64 array of arguments; a status comes back."""
OPERATE: Final = "void({tile}, int64, int64)"
"""What kernels call: 0 of the precision, number of an operation, address of its arguments."""

KERNELS: Final[dict[str, KernelRow]] = {
    "operations": KernelRow("operations:operate", OPERATE),
    "interpreter": KernelRow("interpreter:run_tape", ENTRY),
    "crew": KernelRow("crew:crew", ENTRY),
    "epochs": KernelRow("epochs:run_steps", ENTRY, early=False),
    "scores": KernelRow("scores:run_tiles", ENTRY, early=False),
    "whole_epochs": KernelRow("whole_epochs:run_epochs", ENTRY, early=False),
    "unload": KernelRow("unloading:unload", ENTRY, early=False),
    "vector_loops": KernelRow("vectors:run_loop", OPERATE, early=False, dtypes=("float64",)),
    "transfer": KernelRow("transfer:run_transfer", ENTRY, early=False, dtypes=("float64",)),
    "trajectory": KernelRow("trajectory:run_trajectories", ENTRY, early=False, dtypes=("float64",)),
}
"""All kernels. To add one: a row here and a function in a module of `superpose.engine.kernels`."""
DTYPES: Final = ("float32", "float64")

_REAL: Final = {"float32": ctypes.c_float, "float64": ctypes.c_double}
_log = logging.getLogger("superpose.engine")
_lock = threading.RLock()


class Kernel(NamedTuple):
    """A kernel in this process."""

    address: int
    """Of the code, for other kernels."""
    call: Callable[[float, int], int]
    """For Python, if its signature is ENTRY: ``call(0.0, id(arguments))``. Does not hold the GIL."""


_kernels: dict[tuple[str, str], Kernel] = {}


def kernel_directory() -> str:
    """Return the name of the directory for these kernels, this compiler and this processor."""
    digest = hashlib.sha256()
    here = Path(__file__)
    for path in (here, here.with_name("machine_code.py"), *sorted(here.parent.glob("kernels/*.py"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(machine_code.compiler_version().encode())
    return f"kernels-{digest.hexdigest()[:24]}"


def load_kernel(name: str, dtype: str) -> Kernel:
    """Return the kernel of this row for "float32" or "float64".

    Cost: some seconds where it must be compiled, milliseconds where it was compiled before, once per process.
    """
    kernel = _kernels.get((name, dtype))
    if kernel is None:
        with _lock:
            kernel = _kernels.get((name, dtype))
            if kernel is None:
                kernel = _kernels[name, dtype] = _made(name, dtype)
    return kernel


def _made(name: str, dtype: str) -> Kernel:
    """Load a kernel from its file, or compile it and put it there; another process that does so is waited for."""
    directory, reason = private_files.open_directory(kernel_directory())
    if directory is None:
        _tell_once(reason)
        address = machine_code.load_entry(_compiled(name, dtype))
    elif not (address := _loaded(path := directory / f"{dtype}.{name}")):
        with private_files.claimed(path) as waited:  # two processes that begin at once compile each kernel once
            address = _loaded(path) if waited else 0
            if not address:
                code = _compiled(name, dtype)
                private_files.write(path, code)
                address = machine_code.load_entry(code)
    return Kernel(address, ctypes.CFUNCTYPE(ctypes.c_int64, _REAL[dtype], ctypes.c_int64)(address))


def _loaded(path: Path) -> int:
    """The address of the kernel in a file, or 0 where none can be used."""
    code = private_files.read(path)
    if code is not None:
        try:
            return machine_code.load_entry(code)
        except RuntimeError as error:
            _log.info("file %s cannot be used: %s", path, error)
    return 0


@functools.cache
def _tell_once(reason: str) -> None:
    _log.info("kernels are compiled for this process only: %s", reason)


def _compiled(name: str, dtype: str) -> bytes:
    row = KERNELS[name]
    module, function = row.function.split(":")
    found = getattr(import_module(f"superpose.engine.kernels.{module}"), function)
    return machine_code.compile_entry(found, row.signature.format(tile=dtype))


def early_kernels() -> tuple[str, ...]:
    """Return the names of the rows that are compiled first."""
    return tuple(name for name, row in KERNELS.items() if row.early)


def kernel_files(names: Sequence[str] | None = None, dtypes: Sequence[str] = DTYPES) -> dict[tuple[str, str], Path]:
    """Return where these kernels (all, without ``names``) are kept, by name and precision; nothing may be there yet.

    Empty where no directory can be trusted.
    """
    try:
        directory = private_files.base_directory() / kernel_directory()
    except RuntimeError:  # no home directory
        return {}
    if directory.exists() and private_files.untrusted(directory) is not None:
        return {}
    wanted = KERNELS if names is None else names
    pairs = ((name, dtype) for dtype in dtypes for name in wanted if dtype in KERNELS[name].dtypes)
    return {(name, dtype): directory / f"{dtype}.{name}" for name, dtype in pairs}


def kernels_ready(dtypes: Sequence[str] = DTYPES, names: Sequence[str] | None = None) -> bool:
    """Return whether these kernels (those compiled first, without ``names``) are loaded or compiled on this machine."""
    names = early_kernels() if names is None else names
    pairs = {(name, dtype) for dtype in dtypes for name in names if dtype in KERNELS[name].dtypes}
    wanted = pairs - _kernels.keys()
    if not wanted:
        return True
    files = kernel_files(names, dtypes)
    return all(kernel in files and files[kernel].is_file() for kernel in wanted)


def _after_fork() -> None:
    """Another thread may have held the lock when the process forked."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
