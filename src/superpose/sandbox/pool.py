"""Processes of users' Python by the file that they hold: started when called, kept warm a while, ended when idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superpose.errors import FunctionCodeError, FunctionFileError, OverloadedError, SuperposeError
from superpose.sandbox.process import SandboxProcess

__all__ = ["Limits", "Said", "Sandboxes"]

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What users' Python may use.

    Attributes:
        n_processes: processes at the same time, idle ones included.
        idle_s: idle time after which a process is ended.
        timeout_s: longest time of one call.
        build_timeout_s: longest time for making a circuit at deployment, and for a file's top level in a new process.
        cpu_s: processor time of one call, in seconds; the kernel ends a process at twice this.
        build_cpu_s: the same at deployment.
        memory_bytes: address space.
        scratch_bytes: size of the private directory, and of one file in it.
        n_calls: calls after which a process is replaced.
        required: refuse to run anything where it cannot be shut in.
    """

    n_processes: int = 4
    idle_s: float = 60.0
    timeout_s: float = 10.0
    build_timeout_s: float = 120.0
    cpu_s: float = 10.0
    build_cpu_s: float = 60.0
    memory_bytes: int = 4096 * _MEBIBYTE
    scratch_bytes: int = 16 * _MEBIBYTE
    n_calls: int = 1_000
    required: bool = True


@dataclass(frozen=True)
class Said:
    """What a function returned, what it printed, and whether a process was started for it."""

    value: Any
    logs: str
    cold: bool


@dataclass
class _Idle:
    """A process that waits for its file's next call."""

    key: str
    process: SandboxProcess
    since_s: float


class Sandboxes:
    """Shut-in processes, at most ``limits.n_processes``. For many threads.

    A process holds one file and serves its calls one after the other; global variables of the file last from one call
    to the next while the process does, which nobody promises.

    Args:
        limits: what each may use.
        hidden: directories that must not be readable inside.
    """

    def __init__(self, limits: Limits, hidden: Sequence[Path] = ()) -> None:
        self._limits = limits
        self._hidden = tuple(hidden)
        self._idle: list[_Idle] = []
        self._n_busy = 0
        self._changed = threading.Condition()
        self._closed = False
        # the kernel ends a process with the thread that started it, so one thread that lasts starts them all
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="superpose-sandbox")

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of those that are idle."""
        with self._changed:
            return tuple(idle.process.pid for idle in self._idle)

    def build(self, source: str, suffix: str) -> Mapping[str, Any]:
        """What a file defines: ``circuit`` as a document, ``toolkit``, and of Python files what else they say.

        Raises:
            FunctionFileError: it defines no function; the message has the line.
            FunctionLimitError: it took more than it may.
            IsolationError: this machine cannot shut it in.
        """
        limits = self._limits
        process = self._started(limits.build_cpu_s)
        try:
            request = {"op": "build", "source": source, "suffix": suffix, "name": f"function{suffix}"}
            value = process.ask(request, limits.build_timeout_s).value
        except FunctionCodeError as error:
            raise FunctionFileError(
                f"The file defines no quantum function. {error.message}", logs=error.details.get("logs", "")
            ) from None
        finally:
            process.kill()
        if not isinstance(value, dict) or not isinstance(value.get("circuit"), dict):
            raise FunctionFileError("The file defines no quantum function: it made no circuit.")
        return value

    def call(self, key: str, source: str, function: str, arguments: list[Any]) -> Said:
        """What ``function`` of a file returns.

        Args:
            key: names the file's content.
            source: its text.
            function: the name in it.
            arguments: JSON values.

        Raises:
            FunctionCodeError, FunctionLimitError: it raised, or took more than it may.
            IsolationError: this machine cannot shut it in.
            OverloadedError: all processes were busy for the length of a call.
        """
        process = self._taken(key)
        cold = process is None
        alive = False
        try:
            if process is None:
                process = self._loaded(source)
            reply = process.ask({"op": "call", "function": function, "arguments": arguments}, self._limits.timeout_s)
            alive = True
            return Said(reply.value, reply.logs, cold)
        except FunctionCodeError:
            alive = process is not None and process.alive
            raise
        finally:
            self._give_back(key, process, alive=alive)

    def reap(self) -> int:
        """End processes that were idle for long; how many are left, busy ones included."""
        before = time.monotonic() - self._limits.idle_s
        with self._changed:
            over = [idle for idle in self._idle if idle.since_s <= before]
            self._idle = [idle for idle in self._idle if idle.since_s > before]
            left = len(self._idle) + self._n_busy
        for idle in over:
            idle.process.kill()
        return left

    def close(self) -> None:
        """End all, busy ones too."""
        with self._changed:
            self._closed = True
            over, self._idle = self._idle, []
        for idle in over:
            idle.process.kill()
        self._starter.shutdown(wait=False)

    def _taken(self, key: str) -> SandboxProcess | None:
        """A place among the busy, with the warm process of the file if there is one."""
        until_s = time.monotonic() + self._limits.timeout_s
        with self._changed:
            while True:
                found = self._take_idle(key)
                if found is not None or self._n_busy + len(self._idle) < self._limits.n_processes:
                    self._n_busy += 1
                    return found
                if self._idle:  # another file's, which is asked for less
                    self._idle.pop(0).process.kill()
                    continue
                if not self._changed.wait(until_s - time.monotonic()) and time.monotonic() >= until_s:
                    raise OverloadedError(
                        f"All {self._limits.n_processes} processes for functions' own code are busy. Call again later.",
                        retry_after_s=1.0,
                    )

    def _take_idle(self, key: str) -> SandboxProcess | None:
        for idle in reversed(self._idle):
            if idle.key == key:
                self._idle.remove(idle)
                if idle.process.wake():
                    return idle.process
                idle.process.kill()
        return None

    def _give_back(self, key: str, process: SandboxProcess | None, *, alive: bool) -> None:
        keep = alive and process is not None and not process.used_up and process.n_calls < self._limits.n_calls
        with self._changed:
            self._n_busy -= 1
            keep = keep and not self._closed
            if keep and process is not None:
                process.rest()
                self._idle.append(_Idle(key, process, time.monotonic()))
            self._changed.notify()
        if not keep and process is not None:
            process.kill()

    def _loaded(self, source: str) -> SandboxProcess:
        process = self._started(self._limits.cpu_s)
        try:
            request = {"op": "load", "name": "function.py", "source": source}
            process.ask(request, self._limits.build_timeout_s)  # its imports took their time at deployment too
        except SuperposeError:
            process.kill()
            raise
        return process

    def _started(self, cpu_s: float) -> SandboxProcess:
        limits = self._limits
        starting = self._starter.submit(
            SandboxProcess,
            memory_bytes=limits.memory_bytes,
            cpu_s=cpu_s,
            scratch_bytes=limits.scratch_bytes,
            hidden=self._hidden,
            required=limits.required,
        )
        return starting.result()
