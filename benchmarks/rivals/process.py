"""The driver's end of the protocol: a contestant's process, its answers with time limits, its end."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rivals.circuit import Task
from rivals.exact import Step

__all__ = ["TOO_LONG", "ContestantFailedError", "ContestantProcess", "surroundings"]

_PROTOCOL = Path(__file__).resolve().with_name("protocol.py")
TOO_LONG = "took more than"
"""In the reason of a contestant whose time ran out."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class ContestantFailedError(Exception):
    """A contestant raised, died or took too long; the message is the reason to report."""


def surroundings(threads: int) -> dict[str, str]:
    """The child's environment variables: thread limits set, OPENBLAS_CORETYPE unset (it slows NumPy rivals)."""
    variables = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "PYTHONPATH")}
    variables |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    return variables | {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"}


class ContestantProcess:
    """One contestant, alive from ``setup`` to ``close``; a context manager."""

    def __init__(self, python: Path, threads: int) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="training-step-")
        self._said = (Path(self._directory.name) / "stderr").open("w+b")
        self._answers: queue.Queue[str] = queue.Queue()
        self._child = subprocess.Popen(
            [str(python), "-P", str(_PROTOCOL)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=surroundings(threads),
            start_new_session=True,
        )
        if self._child.stdin is None or self._child.stdout is None:
            raise ContestantFailedError("the process has no pipes")
        self._stdin, self._stdout = self._child.stdin, self._child.stdout
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> ContestantProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        for line in self._stdout:
            self._answers.put(line)
        self._answers.put("")

    def _death(self) -> str:
        status = self._child.wait(timeout=10)
        if status < 0:
            return f"the process died of {signal.Signals(-status).name}"
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return f"the process ended with status {status}: {lines[-1][:300] if lines else 'no message'}"

    def _ask(self, wait_s: float, **request: Any) -> dict[str, Any]:
        try:
            self._stdin.write(json.dumps(request) + "\n")
            self._stdin.flush()
            line = self._answers.get(timeout=wait_s)
        except queue.Empty:
            self.close()
            raise ContestantFailedError(f"{request['op']} {TOO_LONG} {wait_s:.0f} s") from None
        except (BrokenPipeError, ValueError):  # it has ended, or was closed here
            line = ""
        if not line:
            raise ContestantFailedError(self._death())
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise ContestantFailedError(answer["error"])
        return answer

    def setup(self, module: str, task: Task, limit_s: float) -> tuple[dict[str, Any], Step]:
        """Has the contestant build its step; gives its facts and the numbers of its first step.

        Raises:
            ContestantFailedError: it raised, died, or took more than ``limit_s``.
        """
        directory = Path(self._directory.name)
        np.savez(directory / "task.npz", inputs=task.inputs, weights=task.weights, upstream=task.upstream)
        facts = self._ask(
            limit_s,
            op="setup",
            module=module,
            case=str(task.case),
            directory=str(directory),
            threads=task.threads,
            options=task.options,
            gradients=task.gradients,
            limit_s=limit_s,
        )
        with np.load(directory / "results.npz") as results:
            return facts, tuple(results[name] for name in results.files)

    def again(self, task: Task, limit_s: float) -> dict[str, Any]:
        """Has it build the variant it chose at setup for another task; facts of that first step alone."""
        return self._ask(limit_s, op="again", case=str(task.case))

    def time(self, n_steps: int, warm: int, limit_s: float) -> list[float]:
        """Milliseconds of ``n_steps`` steps, after ``warm`` untimed ones."""
        times: list[float] = self._ask(limit_s, op="time", n_steps=n_steps, warm=warm)["ms"]
        return times

    def close(self) -> None:
        """Ends the process and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._listener.join(timeout=5)
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
        if not self._said.closed:
            self._said.close()
            self._directory.cleanup()
