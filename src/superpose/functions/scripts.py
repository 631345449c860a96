"""A Python script, unchanged, as something that can be run and submitted: ``python -m superpose.functions.scripts``."""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any, TextIO

from superpose.functions.source import FunctionSource

__all__ = ["main", "run_script", "script_source"]

MAX_PRINTED = 16_384
"""Characters of a script's output that its result keeps, the last ones."""
_WRAPPED = '''"""{file}, a script, as a job: written by superpose."""

from pathlib import Path

import superpose
from superpose.functions.scripts import run_script

TEXT = {text}


@superpose.job
def script(ctx):
    path = Path({file!r})
    path.write_text(TEXT, encoding="utf-8")
    return run_script(path)
'''


class _Kept:
    """A stream that passes on what is printed, and keeps the end of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.printed = stream, ""

    def write(self, text: str) -> int:
        self.printed = (self.printed + text)[-MAX_PRINTED:]
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def run_script(path: str | Path) -> dict[str, Any]:
    """Run a script as ``python FILE`` would, in this process.

    Returns:
        ``printed``, the last 16,384 characters that it printed, and ``device_executions``, how many circuits its
        PennyLane devices named "superpose" ran on the engine.
    """
    kept = _Kept(sys.stdout)
    before = _executions()
    with contextlib.redirect_stdout(kept):
        runpy.run_path(str(path), run_name="__main__")
    return {"printed": kept.printed, "device_executions": _executions() - before}


def script_source(path: Path) -> FunctionSource:
    """Return a job function that runs this script; see `run_script` for the job's result.

    Raises:
        JobFunctionError: The file cannot be read, or is too large.
    """
    script = FunctionSource.of_file(path, "script")
    return FunctionSource(script.file, "script", _WRAPPED.format(file=script.file, text=repr(script.text)))


def _executions() -> int:
    """What the PennyLane device counts, where a script has imported it."""
    module = sys.modules.get("superpose.pennylane_device.device")
    return 0 if module is None else int(module.executions())


def main(arguments: list[str]) -> None:
    """Run a script, and write its result as JSON into a file."""
    path, result = Path(arguments[0]), Path(arguments[1])
    sys.argv = [str(path)]
    sys.path[0] = str(path.absolute().parent)
    result.write_text(json.dumps(run_script(path)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
