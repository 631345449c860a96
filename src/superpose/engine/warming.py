"""Building kernels ahead of time: for a server before its first request, and for container images."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from superpose.engine import private_files
from superpose.engine.kernel_table import (
    DTYPES,
    KERNELS,
    early_kernels,
    kernel_directory,
    kernel_files,
    kernels_ready,
    load_kernel,
)

__all__ = ["nowhere_to_keep", "warm", "warm_all"]

_ONE = "import sys; from superpose.engine import warm; warm(dtypes=sys.argv[1:2], names=sys.argv[2:])"


def warm(
    progress: Callable[[str], None] | None = None, dtypes: Sequence[str] = DTYPES, names: Sequence[str] | None = None
) -> float:
    """Build these kernels, or load them where they were built before, and return the seconds it took.

    Args:
        progress: Called with a line of text before and after each precision.
        dtypes: "float32", which models are trained and served in, and "float64", in which circuits run by default.
        names: Rows of `superpose.engine.kernel_table.KERNELS`; those compiled first by default.

    Cost: some 5 to 10 s of processor time for each precision that must be compiled. Two processes may do one each.
    """
    begin = time.perf_counter()
    for dtype in dtypes:
        if progress:
            what = "loading" if kernels_ready((dtype,), names) else "compiling, once per machine"
            progress(f"Engine kernels for {dtype}: {what} ...")
        for name in early_kernels() if names is None else names:
            if dtype in KERNELS[name].dtypes:
                load_kernel(name, dtype)
        if progress:
            progress(f"Engine kernels for {dtype}: ready after {time.perf_counter() - begin:.1f} s.")
    return time.perf_counter() - begin


def nowhere_to_keep() -> str | None:
    """Why kernels that are built now could not be kept for the next process, or None."""
    directory, reason = private_files.open_directory(kernel_directory())
    if directory is None:
        return reason
    if not os.access(directory, os.W_OK | os.X_OK) and not kernels_ready(DTYPES, tuple(KERNELS)):
        return f"{directory} cannot be written to"
    return None


def warm_all(progress: Callable[[str], None] | None = None) -> float:
    """Build every kernel of the table, those used rarely too, a process for each precision; return the seconds."""
    begin = time.perf_counter()
    files, names = kernel_files(), tuple(KERNELS)
    missing = [dtype for dtype in DTYPES if not kernels_ready((dtype,), names)]
    others = []
    if files and (os.cpu_count() or 1) > 1:  # what another process compiles reaches this one by its file only
        for dtype in missing[1:]:
            command = [sys.executable, "-P", "-c", _ONE, dtype, *names]
            others.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))  # noqa: S603  # ours
    try:
        warm(progress, missing[:1], names)
    finally:
        for other in others:
            other.wait()
    warm(progress, [dtype for dtype in DTYPES if dtype not in missing[:1]], names)
    return time.perf_counter() - begin
