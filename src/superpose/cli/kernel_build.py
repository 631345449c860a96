"""Builds the engine's kernels in a process of its own, beside everything else that a start has to do.

``python -m superpose.cli.kernel_build`` prints ``{"building": true}`` or false at once, and at its end ``{"built_s":
seconds}``, null where there was nothing to build. It begins with the precision that training does not use: the worker
builds the other one at the same time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Final

__all__ = ["KernelBuild", "main"]


WORKER_S: Final = 60.0


class KernelBuild:
    """The process, seen from the one that started it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "superpose.cli.kernel_build"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def under_way(self) -> bool:
        """Whether there is anything to build; waits for the process to look."""
        return self._next("building") is True

    def wait(self) -> float | None:
        """Seconds that the build took; None where the kernels were there, or where others must build them."""
        built_s = self._next("built_s")
        self._process.wait()
        return float(built_s) if isinstance(built_s, int | float) else None

    def _next(self, name: str) -> object:
        """What the process says of ``name``; None where it ends without a word."""
        for line in self._process.stdout or ():
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if isinstance(document, dict) and name in document:
                return document[name]
        return None

    def stop(self) -> None:
        """End the process if it still runs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> None:
    """Build what is missing, and say how long that took."""
    from superpose.engine import kernels_ready, warm
    from superpose.engine.cache import load_kernel

    if hasattr(os, "nice"):
        os.nice(10)  # the worker's half is the one that is waited for
    began = time.perf_counter()
    built_s = None
    building = not kernels_ready()
    _say({"building": building})
    if building:
        load_kernel("float64")
        if _cache_is_used():
            _wait_for_worker()
            warm()
            built_s = time.perf_counter() - began
    _say({"built_s": built_s})


def _say(document: dict[str, object]) -> None:
    """One line of JSON, at once."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _cache_is_used() -> bool:
    """Whether what was just built lies where other processes find it."""
    from superpose.engine.cache import cache_directory

    directory = cache_directory()
    return directory.is_dir() and any(directory.iterdir())


def _wait_for_worker() -> None:
    """Wait while the worker builds its kernel; if it does not, this process will."""
    from superpose.engine import kernels_ready

    deadline = time.perf_counter() + WORKER_S
    while not kernels_ready() and time.perf_counter() < deadline:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
