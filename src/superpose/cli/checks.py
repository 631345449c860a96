"""What `superpose doctor` looks at: each check gives a status and one sentence."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final, Literal

from superpose.client import default_data_dir, running_service

__all__ = ["CHECKS", "Check", "kernel_state", "kernels", "run_checks"]

Status = Literal["ok", "note", "broken"]
MIN_PYTHON: Final = (3, 11)
MIN_DISK_BYTES: Final = 200_000_000
LOW_DISK_BYTES: Final = 2_000_000_000
LOW_MEMORY_BYTES: Final = 1_500_000_000
DEFAULT_PORT: Final = 8000
# import name, where it is not the distribution's own
_MODULES: Final = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
_EXTENSIONS: Final = ("avx512f", "avx2", "fma", "avx", "asimd", "neon")


@dataclass(frozen=True)
class Check:
    """The outcome of one check. "note" is worth knowing; only "broken" keeps superpose from working."""

    name: str
    status: Status
    detail: str


def python() -> Check:
    """The interpreter is new enough."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < MIN_PYTHON:
        return Check("python", "broken", f"{found}; superpose needs 3.11 or newer")
    return Check("python", "ok", found)


def packages() -> Check:
    """Every declared dependency can be found."""
    try:
        declared = metadata.requires("superpose") or []
    except metadata.PackageNotFoundError:
        return Check("packages", "note", "superpose is not installed as a package, so its dependencies are not known")
    names = [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in declared if "extra ==" not in line]
    missing = [name for name in names if util.find_spec(_MODULES.get(name, name.replace("-", "_"))) is None]
    if missing:
        return Check("packages", "broken", f"not installed: {', '.join(missing)}; install superpose again")
    versions = [f"{name} {metadata.version(name)}" for name in ("numpy", "numba", "torch", "fastapi") if name in names]
    return Check("packages", "ok", f"all {len(names)} found; " + ", ".join(versions))


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
        return Check("processor", "note", f"{model}: no vector extensions found, the engine will be slow")
    return Check("processor", "ok", f"{model}" + (f" ({', '.join(extensions)})" if extensions else ""))


def threads() -> Check:
    """How many processors this process may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota()
    text = f"{available} of {os.cpu_count()} processors"
    if quota is not None and quota < available:
        return Check("threads", "note", f"{text}, and the container may use {quota:g} of them at a time")
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
        return Check("memory", "note", "cannot be read on this system")
    said = f"{available / 1e9:.1f} GB of {total / 1e9:.1f} GB available"
    if available < LOW_MEMORY_BYTES:
        return Check("memory", "note", f"{said}; a server and a worker need some 1 GB")
    return Check("memory", "ok", said)


def disk() -> Check:
    """Enough room where data are kept."""
    place = default_data_dir()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:.1f} GB free at {place}"
    if free < MIN_DISK_BYTES:
        return Check("disk", "broken", f"{said}; superpose needs {MIN_DISK_BYTES / 1e9:g} GB")
    return Check("disk", "note" if free < LOW_DISK_BYTES else "ok", said)


def data_directory() -> Check:
    """The default data directory is private and can be written."""
    path = default_data_dir()
    if not path.exists():
        parent = path.parent
        while not parent.exists():
            parent = parent.parent
        if not os.access(parent, os.W_OK | os.X_OK):
            return Check("data directory", "broken", f"{path} cannot be made: {parent} is not writable; use --data-dir")
        return Check("data directory", "ok", f"{path} (made at the first `superpose serve`)")
    facts = path.stat()
    if not stat.S_ISDIR(facts.st_mode) or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Check("data directory", "broken", f"{path} cannot be read and written by this user; use --data-dir")
    if os.name == "posix" and facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(facts.st_mode)
        return Check("data directory", "broken", f"{path} has mode {mode:04o}, others can reach it: chmod 700 {path}")
    return Check("data directory", "ok", str(path))


def loopback() -> Check:
    """A port on 127.0.0.1 can be opened and reached."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()[:2], 2),
        ):
            pass
    except OSError as error:
        return Check("loopback", "broken", f"no port on 127.0.0.1 can be opened: {error.strerror or error}")
    try:
        socket.create_server(("127.0.0.1", DEFAULT_PORT)).close()
    except OSError:
        return Check(
            "loopback", "ok", f"works; port {DEFAULT_PORT} is taken (`superpose serve --port 0` finds a free one)"
        )
    return Check("loopback", "ok", f"works; port {DEFAULT_PORT} is free")


def service() -> Check:
    """Whether a service runs from the default data directory, and answers."""
    from superpose.client import Client
    from superpose.errors import SuperposeError

    running = running_service()
    if running is None:
        return Check("service", "ok", "none runs here (start one with `superpose serve`)")
    try:
        with Client(running.url, key_file=running.key_file, timeout_s=5) as client:
            ready = client.ready()
    except SuperposeError as error:
        return Check("service", "note", f"process {running.pid} runs but: {error.message}")
    return Check("service", "ok" if ready else "note", f"{running.url} {'is ready' if ready else 'is not ready yet'}")


def kernels() -> Check:
    """Whether the engine's kernels are built, and where they lie."""
    state = kernel_state()
    if state["directory"] is None:
        return Check(
            "kernels", "note", "cannot be kept between processes; set SUPERPOSE_CACHE_DIR to a private directory"
        )
    rows = state["rows"]
    built = [row for row in rows if row["n_bytes"] is not None]
    if all(row["n_bytes"] is not None for row in rows if row["early"]):
        said = f"{len(built)} of {len(rows)} built, {state['n_bytes'] / 1e3:.0f} kB in {state['directory']}"
        return Check("kernels", "ok", said)
    return Check("kernels", "note", "not built yet; `superpose doctor --warm` or the first start does it once")


def kernel_state() -> dict[str, Any]:
    """Return where the engine's kernels lie, and how large each is (None: not built), as JSON values."""
    from superpose.engine.kernel_table import KERNELS, kernel_files

    files, rows = kernel_files(), []
    for (name, dtype), path in files.items():
        n_bytes = path.stat().st_size if path.is_file() else None
        rows.append({"name": name, "dtype": dtype, "early": KERNELS[name].early, "n_bytes": n_bytes})
    directory = next((str(path.parent) for path in files.values()), None)
    return {"directory": directory, "n_bytes": sum(row["n_bytes"] or 0 for row in rows), "rows": rows}


CHECKS: Final[tuple[Callable[[], Check], ...]] = (
    python,
    packages,
    processor,
    threads,
    memory,
    disk,
    data_directory,
    loopback,
    service,
    kernels,
)


def run_checks() -> list[Check]:
    """All checks; one that raises is broken itself."""
    outcomes = []
    for check in CHECKS:
        try:
            outcomes.append(check())
        except Exception as error:  # a doctor reports, whatever it meets
            name = check.__name__.replace("_", " ")
            outcomes.append(Check(name, "broken", f"{type(error).__name__}: {error}"))
    return outcomes
