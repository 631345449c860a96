"""What `superpose doctor` looks at on this machine: each check gives a status, a sentence, and what to do."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final, Literal

from superpose import __version__
from superpose.errors import SuperposeError

__all__ = ["MACHINE_CHECKS", "Check", "Status", "attempt", "kernel_state"]

Status = Literal["ok", "warn", "fail"]
MIN_PYTHON: Final = (3, 11)
LOW_MEMORY_BYTES: Final = 1_500_000_000
# import name, where it is not the distribution's own
_MODULES: Final = {"scikit-learn": "sklearn", "pyyaml": "yaml", "jsonschema-rs": "jsonschema_rs"}
_TOLD: Final = ("numpy", "numba", "torch", "fastapi", "uvicorn", "sqlalchemy")
_EXTENSIONS: Final = ("avx512f", "avx2", "fma", "avx", "asimd", "neon")


@dataclass(frozen=True)
class Check:
    """The outcome of one check. "warn" is worth knowing; only "fail" keeps superpose from working."""

    name: str
    status: Status
    detail: str
    advice: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """The outcome as JSON values."""
        return {"name": self.name, "status": self.status, "detail": self.detail, "advice": self.advice}


def python() -> Check:
    """The interpreter is new enough."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < MIN_PYTHON:
        return Check("python", "fail", found, "install Python 3.11 or newer")
    return Check("python", "ok", found)


def packages() -> Check:
    """Every declared dependency can be found."""
    try:
        declared = metadata.requires("superpose") or []
    except metadata.PackageNotFoundError:
        return Check("packages", "warn", "superpose is not installed as a package, so its dependencies are not known")
    names = [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in declared if "extra ==" not in line]
    missing = [name for name in names if util.find_spec(_MODULES.get(name, name.replace("-", "_"))) is None]
    if missing:
        return Check("packages", "fail", f"not installed: {', '.join(missing)}", "install superpose again")
    versions = [f"{name} {metadata.version(name)}" for name in _TOLD if name in names]
    said = f"superpose {__version__}, {', '.join(versions)}, SQLite {sqlite3.sqlite_version}"
    return Check("packages", "ok", f"{said}; all {len(names)} found")


def processor() -> Check:
    """The vector extensions that the engine's kernels live on."""
    flags: set[str] = set()
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.M)
        flags = set(found[1].split()) if found else set()
        named = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
        model = named[1] if named else model
    extensions = [name for name in _EXTENSIONS if name in flags]
    if flags and not extensions:
        return Check("processor", "warn", f"{model}: no vector extensions found, the engine will be slow")
    return Check("processor", "ok", f"{model}" + (f" ({', '.join(extensions)})" if extensions else ""))


def threads() -> Check:
    """How many processors this process may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota()
    text = f"{available} of {os.cpu_count()} processors"
    if quota is not None and quota < available:
        said = f"{text}, and the container may use {quota:g} of them at a time"
        return Check("threads", "warn", said, f"set workers and threads_per_worker for {max(1, int(quota))}")
    return Check("threads", "ok", text)


def _cpu_quota() -> float | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def memory() -> Check:
    """Enough memory for a server and a worker."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        values = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
        available, total = values["MemAvailable"], values["MemTotal"]
    except (OSError, KeyError):
        return Check("memory", "warn", "cannot be read on this system")
    said = f"{available / 1e9:.1f} GB of {total / 1e9:.1f} GB available"
    if available < LOW_MEMORY_BYTES:
        return Check("memory", "warn", said, "a server and a worker need some 1 GB; end something else")
    return Check("memory", "ok", said)


def kernels() -> Check:
    """Whether the engine's kernels are built, and where they lie."""
    state = kernel_state()
    if state["directory"] is None:
        said = "cannot be kept between processes"
        return Check("kernels", "warn", said, "set SUPERPOSE_CACHE_DIR to a private directory")
    rows = state["rows"]
    built = [row for row in rows if row["n_bytes"] is not None]
    if all(row["n_bytes"] is not None for row in rows if row["early"]):
        said = f"{len(built)} of {len(rows)} built, {state['n_bytes'] / 1e3:.0f} kB in {state['directory']}"
        return Check("kernels", "ok", said)
    return Check("kernels", "warn", "not built yet", "superpose doctor --warm, or let the first start build them")


def isolation() -> Check:
    """Whether this machine can shut in the Python of quantum functions."""
    from superpose.sandbox import probe

    found = probe()
    if found.holds:
        return Check("isolation", "ok", f"the Python of quantum functions is shut in: {found}")
    said = f"the Python of quantum functions cannot be shut in here ({found}) and is refused"
    return Check("isolation", "warn", said, "Linux 5.13 or newer with Landlock and seccomp, on x86_64 or aarch64")


def kernel_state() -> dict[str, Any]:
    """Return where the engine's kernels lie, and how large each is (None: not built), as JSON values."""
    from superpose.engine.kernel_table import KERNELS, kernel_files

    files, rows = kernel_files(), []
    for (name, dtype), path in files.items():
        n_bytes = path.stat().st_size if path.is_file() else None
        rows.append({"name": name, "dtype": dtype, "early": KERNELS[name].early, "n_bytes": n_bytes})
    directory = next((str(path.parent) for path in files.values()), None)
    return {"directory": directory, "n_bytes": sum(row["n_bytes"] or 0 for row in rows), "rows": rows}


MACHINE_CHECKS: Final[tuple[Callable[[], Check], ...]] = (
    python,
    packages,
    processor,
    threads,
    memory,
    kernels,
    isolation,
)


def attempt(name: str, check: Callable[[], Check]) -> Check:
    """The check's outcome; one that raises has failed itself."""
    try:
        return check()
    except Exception as error:  # a doctor reports, whatever it meets
        said = error.message if isinstance(error, SuperposeError) else f"{type(error).__name__}: {error}"
        return Check(name, "fail", said)
