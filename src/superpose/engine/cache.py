"""Where compiled kernels are kept between processes.

Numba unpickles what it finds in its cache, so ours is a private directory: mode 0700, owned by the user, below
directories that nobody else may change, named by a digest of the sources that are compiled, the versions of Numba,
LLVM and Python and the processor. Each precision has two files in it, each put there whole, so that processes may fill
it at once. Where no such directory can be had, kernels are compiled in memory for this process, and one line in the
log says so. A directory that was filled before and cannot be written to is used as it is.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["cache_directory", "kernels_ready", "load_kernel", "warm"]


class Kernel(NamedTuple):
    """What runs tapes in one precision."""

    run: Any
    """The compiled `superpose.engine.kernels.interpreter.run_tape`."""
    address: int
    """Of the compiled vector operations, for its argument ``operate``."""
    operations: Any
    """Keeps them in memory."""


DTYPES = ("float32", "float64")
_log = logging.getLogger("superpose.engine")
_lock = threading.RLock()
_kernels: dict[str, Kernel] = {}


def cache_directory() -> Path:
    """Return the directory for this engine, Numba and processor; it may not exist yet.

    It lies in SUPERPOSE_CACHE_DIR, else in ``superpose`` below XDG_CACHE_HOME or ``~/.cache``.
    """
    base = os.environ.get("SUPERPOSE_CACHE_DIR")
    if not base:
        base = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "superpose")
    return Path(base).absolute() / f"kernels-{_key()}"


def _key() -> str:
    import llvmlite
    import llvmlite.binding
    import numba

    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(Path(__file__).parent.glob("kernels/*.py"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    name = numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name()
    features = numba.config.CPU_FEATURES
    if features is None:
        features = llvmlite.binding.get_host_cpu_features().flatten()
    digest.update(repr((numba.__version__, llvmlite.__version__, sys.version_info[:3], name, features)).encode())
    return digest.hexdigest()[:24]


def _private(path: Path) -> str | None:
    """Return why ``path`` may not be trusted, or None.

    It must be ours alone, and nobody else may be able to put another in its place: parents belong to us or to root and
    are not writable by others, unless that is restricted by the sticky bit, or they lie below one that only we enter.
    """
    uid, hidden = os.geteuid(), False
    for place in (*reversed(path.parents), path):
        try:
            found = place.lstat() if place == path else place.stat()
        except OSError as error:
            return f"{place}: {error.strerror}"
        if not stat.S_ISDIR(found.st_mode):
            return f"{place} is not a directory"
        others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if place == path and (found.st_uid != uid or others):
            return f"{place} must be owned by the user and writable by nobody else"
        if not hidden and (found.st_uid not in (0, uid) or (others and not found.st_mode & stat.S_ISVTX)):
            return f"{place} can be changed by others"
        hidden = hidden or (found.st_uid == uid and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    return None


def _open_directory() -> tuple[Path | None, str]:
    """Return the cache directory, made where it can be, or None and the reason."""
    try:
        path = cache_directory()
        if not path.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home directory
        return None, str(error)
    reason = _private(path)
    return (None, reason) if reason else (path, "")


def _files_of(directory: Path, dtype: str) -> tuple[Path, Path]:
    return directory / f"{dtype}.operations", directory / f"{dtype}.interpreter"


def _read(path: Path) -> Any:
    """Return what `_write` put there, or None: a file of ours with the digest of its content in front."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                _log.info("kernel file %s is not the user's alone; it is ignored", path)
                return None
            content = file.read()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        _log.info("kernel file %s is damaged; it is made anew", path)
        return None
    return pickle.loads(content[32:])  # noqa: S301  # private directory, own file: see the module's text


def _write(path: Path, value: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(value).digest() + value)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _compile(dtype: str) -> Kernel:
    """Return the kernel for ``dtype``, from the cache or compiled and put there."""
    from numba import types

    from superpose.engine.kernels.interpreter import run_tape
    from superpose.engine.kernels.operations import operate

    directory, reason = _open_directory()
    if directory is None:
        _log.info("kernels of %s are compiled for this process only: %s", dtype, reason)
    tile = types.float32 if dtype == "float32" else types.float64
    one, two = (types.Array(tile, ndim, "C") for ndim in (1, 2))
    wide, wide2 = (types.Array(types.float64, ndim, "C") for ndim in (1, 2))
    ints, number = types.Array(types.int64, 1, "C"), types.int64
    operations = _compile_function(
        operate, types.void(tile, number, number), directory and _files_of(directory, dtype)[0], no_cpython_wrapper=True
    )
    (compiled,) = operations.overloads.values()
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)
    signature = types.int64(
        tile, number, number, number, number, ints, wide, wide2, wide, one, two,
        wide, one, one, ints, one, wide, ints, two, two, two, one, wide2,
    )  # fmt: skip
    run = _compile_function(run_tape, signature, directory and _files_of(directory, dtype)[1], no_cfunc_wrapper=True)
    return Kernel(run, address, operations)


def _compile_function(function: Any, signature: Any, path: Path | None, **options: bool) -> Any:
    """Compile one function for one signature, or load it from its file."""
    from numba import njit
    from numba.core.caching import _Cache
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps

    class KernelFile(_Cache):  # type: ignore[misc]  # Numba is not typed
        """Numba's interface to our file."""

        cache_path = str(path and path.parent)

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            if path is None:
                return None
            target_context.refresh()
            try:
                content = _read(path)
                return None if content is None else CompileResult._rebuild(target_context, *content)
            except Exception as error:  # whatever a foreign or half-known file may cause: compile instead
                _log.info("kernel file %s cannot be used: %s", path, error)
                return None

        def save_overload(self, sig: Any, cres: Any) -> None:
            if path is None:
                return
            try:
                _write(path, dumps(cres._reduce()))
            except OSError as error:
                _log.info("kernel file %s cannot be written: %s", path, error)

        def enable(self) -> None: ...

        def disable(self) -> None: ...

        def flush(self) -> None: ...

    compiled = njit(nogil=True, error_model="numpy", **options)(function)
    compiled._cache = KernelFile()
    compiled.compile(signature)
    compiled.disable_compile()
    return compiled


def load_kernel(dtype: str) -> Kernel:
    """Return the kernel for "float32" or "float64".

    Cost: some seconds where it must be compiled, a tenth of a second where it is in the cache, once per process.
    """
    entry = _kernels.get(dtype)
    if entry is None:
        with _lock:
            entry = _kernels.get(dtype)
            if entry is None:
                entry = _kernels[dtype] = _compile(dtype)
    return entry


def kernels_ready(dtypes: Sequence[str] = DTYPES) -> bool:
    """Return whether the kernels of these precisions are loaded or in the cache."""
    return all(map(_is_ready, dtypes))


def _is_ready(dtype: str) -> bool:
    if dtype in _kernels:
        return True
    try:
        directory = cache_directory()
    except RuntimeError:  # no home directory
        return False
    return _private(directory) is None and all(path.is_file() for path in _files_of(directory, dtype))


def warm(progress: Callable[[str], None] | None = None, dtypes: Sequence[str] = DTYPES) -> float:
    """Build the kernels of these precisions, or load them where they are in the cache, and return the seconds it took.

    Args:
        progress: Called with a line of text before and after each.
        dtypes: "float32", which models are trained and served in, and "float64", in which circuits run by default.

    Cost: some 5 to 10 s of processor time for each precision that must be compiled. Two processes may do one each.
    """
    begin = time.perf_counter()
    for dtype in dtypes:
        if progress:
            what = "loading" if _is_ready(dtype) else "compiling, once per machine"
            progress(f"Engine kernels for {dtype}: {what} ...")
        load_kernel(dtype)
        if progress:
            progress(f"Engine kernels for {dtype}: ready after {time.perf_counter() - begin:.1f} s.")
    return time.perf_counter() - begin


def _after_fork() -> None:
    """Another thread may have held the lock when the process forked."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
