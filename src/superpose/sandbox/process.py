"""One shut-in process, seen from outside: started, asked within a time, stopped between calls, killed when it errs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import site
import struct
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from superpose.errors import FunctionCodeError, FunctionLimitError, IsolationError

__all__ = ["Isolation", "Reply", "SandboxProcess", "probe"]

MAX_REPLY_BYTES = 17 * 1024 * 1024
MAX_DEPTH = 64
_START_S = 60.0
_ENVIRONMENT = {
    "HOME": "/dev/shm",  # noqa: S108  # the private one, inside
    "TMPDIR": "/dev/shm",  # noqa: S108
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "QISKIT_PARALLEL": "FALSE",
}
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/usr/share/zoneinfo")
_CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class Isolation:
    """What shut a process in.

    Attributes:
        namespaces: of its own for users, network, mounts, IPC.
        scratch: whether it has a small directory of its own in memory; else it can write nowhere.
        landlock: version of the kernel's interface that restricts files; 0 for none.
        seccomp: whether its calls of the kernel are filtered.
    """

    namespaces: bool = False
    scratch: bool = False
    landlock: int = 0
    seccomp: bool = False

    @property
    def holds(self) -> bool:
        """Whether users' Python is shut in: no file but libraries, no network, no other process."""
        return self.landlock > 0 and self.seccomp

    def __str__(self) -> str:
        parts = (
            f"Landlock version {self.landlock}" if self.landlock else "no Landlock",
            "seccomp" if self.seccomp else "no seccomp",
            "namespaces" if self.namespaces else "no namespaces",
            "scratch directory" if self.scratch else "no scratch directory",
        )
        return ", ".join(parts)


@dataclass(frozen=True)
class Reply:
    """A value and what was printed on the way to it."""

    value: Any
    logs: str


class SandboxProcess:
    """A process of users' Python, shut in. For one thread at a time.

    Args:
        memory_bytes, cpu_s, scratch_bytes: its limits for life.
        hidden: directories that must not be readable inside, such as the service's data.
        required: refuse a machine that cannot shut it in.

    Raises:
        IsolationError: this machine cannot.
    """

    def __init__(
        self, *, memory_bytes: int, cpu_s: float, scratch_bytes: int, hidden: Sequence[Path], required: bool
    ) -> None:
        if not sys.platform.startswith("linux"):
            if required:
                _refuse(Isolation())
            raise IsolationError("Quantum functions with Python of their own run on Linux only.")
        readable, listable, python_path = _paths()
        if required:
            _check_hidden(hidden, readable)
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and file
            [sys.executable, "-I", "-S", "-B", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            start_new_session=True,
            bufsize=0,
        )
        self.n_calls, self._cpu_s = 0, cpu_s
        self._in, self._out = _descriptors(self._process)
        setup = {
            "readable": readable,
            "listable": listable,
            "python_path": python_path,
            "memory_bytes": memory_bytes,
            "cpu_s": max(1, round(2 * cpu_s)),
            "scratch_bytes": scratch_bytes,
            "parent": os.getpid(),
            "required": required,
        }
        try:
            state = self._exchange(setup, time.monotonic() + _START_S)
        except BaseException:
            self.kill()
            raise
        self.isolation = Isolation(
            namespaces=state.get("namespaces") is True,
            scratch=state.get("scratch") is not None,
            landlock=int(state.get("landlock") or 0),
            seccomp=state.get("seccomp") is True,
        )
        if required and not self.isolation.holds:
            self.kill()
            _refuse(self.isolation)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.poll() is None

    @property
    def used_up(self) -> bool:
        """Whether it has used the processor time of one call; the kernel ends it at twice that."""
        return self.cpu_used_s() >= self._cpu_s

    def cpu_used_s(self) -> float:
        """Processor time that it has used, in seconds."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return float("inf")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> Reply:
        """What comes back for a request. After any error but one that its file raised, the process is gone.

        Raises:
            FunctionCodeError: the file raised, or said what cannot be used; ``details["logs"]`` is what it printed.
            FunctionLimitError: it took too long, too much memory or processor time, or said too much.
        """
        self.n_calls += 1
        try:
            reply = self._exchange(request, time.monotonic() + timeout_s, timeout_s=timeout_s)
            logs = str(reply.get("logs", ""))[-MAX_REPLY_BYTES:]
            _check_value(reply.get("value"))
        except BaseException:
            self.kill()
            raise
        error = reply.get("error")
        if error is None:
            return Reply(reply.get("value"), logs)
        if isinstance(error, dict) and error.get("kind") == "memory":
            self.kill()
            raise FunctionLimitError("The function's own code used more memory than it may.", logs=logs)
        told = str(error.get("message", "")) if isinstance(error, dict) else ""
        raise FunctionCodeError(f"The function's own code failed: {told[:600]}", logs=logs)

    def rest(self) -> None:
        """Stop it, threads and all, until ``wake``: between calls it takes no processor time."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> bool:
        """Let it go on; False if it is gone, or said something without being asked."""
        if self._process.poll() is not None or select.select([self._out], [], [], 0)[0]:
            return False
        os.kill(self.pid, signal.SIGCONT)
        return True

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _exchange(self, message: Mapping[str, Any], until_s: float, *, timeout_s: float = _START_S) -> dict[str, Any]:
        """Send a document and read one, whichever of both the other side is ready for."""
        text = json.dumps(message, allow_nan=False).encode("ascii")
        rest = memoryview(struct.pack(">I", len(text)) + text)
        received = bytearray()
        while True:
            left_s = until_s - time.monotonic()
            readable, writable, _ = select.select([self._out], [self._in] if rest else [], [], max(0.0, left_s))
            if not readable and not writable:
                raise FunctionLimitError(f"The function's own code took more than {timeout_s:g} s.")
            if writable:
                try:
                    rest = rest[os.write(self._in, rest) :]
                except BrokenPipeError:
                    self._tell_end()
            if readable:
                part = os.read(self._out, 1 << 16)
                if not part:
                    self._tell_end()
                received += part
                size = struct.unpack(">I", received[:4])[0] if len(received) >= 4 else None
                if size is not None and size > MAX_REPLY_BYTES:
                    raise FunctionLimitError(f"The function's own code said more than {MAX_REPLY_BYTES:,} bytes.")
                if size is not None and len(received) >= 4 + size:
                    return _document(bytes(received), size)

    def _tell_end(self) -> NoReturn:
        """Say why a process ended by itself."""
        status = self._process.wait()
        if status == 77:
            _refuse(Isolation())
        if -status in (signal.SIGXCPU, signal.SIGKILL):
            raise FunctionLimitError(
                f"The function's own code was ended by the kernel: it used more than {2 * self._cpu_s:g} s of "
                "processor time, or memory ran out."
            )
        raise FunctionCodeError(f"The function's own code ended its process (status {status}).", logs="")


def probe() -> Isolation:
    """What this machine can do to shut users' Python in: found by shutting a process in. Takes some 50 ms."""
    try:
        process = SandboxProcess(memory_bytes=2**30, cpu_s=10, scratch_bytes=2**20, hidden=(), required=False)
    except (IsolationError, OSError):
        return Isolation()
    process.kill()
    return process.isolation


def _document(received: bytes, size: int) -> dict[str, Any]:
    def refuse(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        document = json.loads(received[4 : 4 + size], parse_constant=refuse)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or len(received) > 4 + size:
        raise FunctionCodeError("The function's own code said something that is no answer.", logs="")
    return document


def _check_value(value: object) -> None:
    """Refuse what no JSON document here may hold: deep nesting, text that is not Unicode, integers beyond 64 bits."""
    level = [value]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
                below += item.keys()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and not _is_unicode(item):
                raise FunctionCodeError("The function's own code returned text that is not Unicode.", logs="")
            elif isinstance(item, int) and not -(2**63) <= item < 2**64:
                raise FunctionCodeError("The function's own code returned an integer beyond 64 bits.", logs="")
        level = below
    raise FunctionCodeError(f"The function's own code returned more than {MAX_DEPTH} levels of JSON.", logs="")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _paths() -> tuple[list[str], list[str], list[str]]:
    """What a process may read: Python's libraries and the system's; what it may list; and where it imports from."""
    named = sysconfig.get_paths()
    libraries = [named[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    with contextlib.suppress(AttributeError):  # absent in old virtual environments
        libraries += site.getsitepackages()
    libraries += [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    package = Path(__file__).resolve().parents[1]
    base = [os.path.join(sys.base_prefix, "lib"), os.path.join(sys.base_prefix, "lib64")]  # noqa: PTH118
    readable = [path for path in dict.fromkeys([*libraries, *base, *_SYSTEM, str(package)]) if Path(path).exists()]
    python_path = list(
        dict.fromkeys([*(path for path in sys.path if path in libraries), *libraries, str(package.parent)])
    )
    return readable, [str(package.parent)], python_path


def _check_hidden(hidden: Sequence[Path], readable: Sequence[str]) -> None:
    for directory in hidden:
        for path in readable:
            if directory.resolve().is_relative_to(Path(path).resolve()):
                raise IsolationError(
                    f"The data directory {directory} lies below {path}, which Python reads its libraries from, so that "
                    "users' Python would see it. Keep the data elsewhere.",
                    path=str(directory),
                )


def _environment() -> dict[str, str]:
    """Nothing of ours, but where an interpreter that was built so finds its own libraries."""
    own = os.environ.get("LD_LIBRARY_PATH")
    return {**_ENVIRONMENT, **({"LD_LIBRARY_PATH": own} if own else {})}


def _descriptors(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    if process.stdin is None or process.stdout is None:
        raise IsolationError("A process of users' Python has no pipes.")
    incoming, outgoing = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(incoming, False)
    return incoming, outgoing


def _refuse(isolation: Isolation) -> NoReturn:
    raise IsolationError(
        f"This machine cannot shut users' Python in ({isolation}), so functions with Python of their own are refused; "
        "circuits in .qasm and .json files are not. It takes Linux 5.13 or newer with Landlock and seccomp, on x86_64 "
        "or aarch64. The operator may set sandbox_required = false to run such Python with the service's own rights.",
        landlock=isolation.landlock,
        seccomp=isolation.seccomp,
    )
