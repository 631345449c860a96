"""The process that runs a user's function: ``python -m superpose.functions.child SOCKET LIFE``, started by a worker.

It has no key and no store: everything that outlasts it goes as JSON lines through a socket to the worker, which holds
the lease. It ends at once, with all that it started, when the worker does: then the pipe LIFE gives end-of-file.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from superpose.errors import JobFunctionError, JobStoppedError, SuperposeError
from superpose.functions.context import JobContext, check_artifact_name, check_metrics
from superpose.functions.decorator import JobFunction

__all__ = ["main"]

_MAX_TOLD = 500


class _Line:
    """The socket to the worker: one question at a time, each with its answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rwb")
        self._turn = threading.Lock()

    def read(self) -> dict[str, Any]:
        """The next document."""
        text = self._file.readline()
        if not text:
            os._exit(75)  # the worker is gone
        document: dict[str, Any] = json.loads(text)
        return document

    def ask(self, **question: Any) -> dict[str, Any]:
        """The worker's answer.

        Raises:
            JobFunctionError: the worker refuses.
        """
        with self._turn:
            self._file.write(json.dumps(question).encode() + b"\n")
            self._file.flush()
            answer = self.read()
        if "error" in answer:
            raise JobFunctionError(str(answer["error"]))
        return answer


@final
class _Context(JobContext):
    """The context of a real job."""

    def __init__(self, line: _Line, document: Mapping[str, Any]) -> None:
        self._line = line
        self._checkpoint_dir = document["checkpoint_dir"]
        self.params = dict(document["params"])
        self.job_id, self.attempt = str(document["job_id"]), int(document["attempt"])

    @property
    def checkpoint_dir(self) -> Path:
        if self._checkpoint_dir is None:
            raise JobFunctionError(
                "This job keeps no checkpoints; decorate the function with @superpose.job(checkpoint=True)."
            )
        return Path(self._checkpoint_dir)

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        self._ask(op="metrics", values=check_metrics(values, step), step=step)

    def artifact(self, path: str | Path, name: str | None = None) -> str:
        source = Path(path).absolute()
        own = check_artifact_name(name or source.name)
        if source.is_dir():
            for file in sorted(item for item in source.rglob("*") if item.is_file()):
                self._ask(op="artifact", path=str(file), name=check_artifact_name(f"{own}/{file.relative_to(source)}"))
            return ""
        return str(self._ask(op="artifact", path=str(source), name=own)["sha256"])

    def progress(self, fraction: float, message: str = "") -> None:
        self._ask(op="progress", fraction=min(1.0, max(0.0, float(fraction))), message=str(message)[:_MAX_TOLD])

    def should_stop(self) -> bool:
        return bool(self._line.ask(op="poll").get("stop"))

    def _ask(self, **question: Any) -> dict[str, Any]:
        answer = self._line.ask(**question)
        if answer.get("stop"):
            raise JobStoppedError("The job was cancelled, or its worker stops; it ends here and keeps its checkpoint.")
        return answer


def main(arguments: list[str]) -> None:
    """Run one function, as the worker's first line says, and tell how it ended."""
    line = _Line(socket.socket(fileno=int(arguments[0])))
    threading.Thread(target=_end_with_worker, args=(int(arguments[1]),), daemon=True).start()
    document = line.read()
    _limit(document["limits"])
    os.chdir(document["work_dir"])
    try:
        function = _load(Path(document["code_dir"]), document["file"], document["function"])
        value = function.function(_Context(line, document), **document["params"])
        ending: dict[str, Any] = {"op": "done", **_result(value, int(document["max_result_bytes"]))}
    except JobStoppedError:
        ending = {"op": "stopped"}
    except BaseException as error:
        traceback.print_exc()  # into the job's output
        ending = {"op": "failed", "message": _told(error, document["file"])}
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(JobFunctionError):
        line.ask(**ending)


def _load(directory: Path, file: str, function: str) -> JobFunction:
    """Import the file's text as a module, under its own name where that shadows nothing.

    Raises:
        JobFunctionError: it has no such job.
    """
    stem = Path(file).stem
    taken = stem in sys.modules or importlib.util.find_spec(stem) is not None
    sys.path.append(str(directory))  # processes that the function starts find it too; last, so that it hides nothing
    spec = importlib.util.spec_from_file_location(f"job_{stem}" if taken else stem, directory / file)
    if spec is None or spec.loader is None:
        raise JobFunctionError(f"{file} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if not isinstance(found, JobFunction):
        raise JobFunctionError(f"{file} has no function {function!r} decorated with @superpose.job.")
    return found


def _result(value: Any, max_bytes: int) -> dict[str, Any]:
    """What the function returned, if it can be kept; else why not."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        kind = type(value).__name__
        return {"value": None, "note": f"The function returned a {kind} that is not a JSON value; it was not kept."}
    if len(text) > max_bytes:
        return {
            "value": None,
            "note": f"The result has {len(text):,} bytes, more than are kept; use ctx.artifact.",
        }
    return {"value": value}


def _told(error: BaseException, file: str) -> str:
    """The error in one sentence, with the last line of the user's file."""
    said = error.message if isinstance(error, SuperposeError) else f"{type(error).__name__}: {error}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == file]
    place = f" ({file} line {frames[-1].lineno} in {frames[-1].name}: {frames[-1].line})" if frames else ""
    return said[:_MAX_TOLD] + place[:_MAX_TOLD]


def _limit(limits: Mapping[str, int | None]) -> None:
    """Bound memory and files of this process and its children, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    names = {"memory_bytes": resource.RLIMIT_DATA, "file_bytes": resource.RLIMIT_FSIZE}
    for name, which in names.items():
        allowed = limits.get(name)
        if allowed is not None:
            hard = resource.getrlimit(which)[1]
            value = allowed if hard == resource.RLIM_INFINITY else min(allowed, hard)
            resource.setrlimit(which, (value, value))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_worker(life: int) -> None:
    """Wait for the worker's end, and end with everything that was started here."""
    while os.read(life, 1):
        pass
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)  # this process leads its group
    os._exit(75)


if __name__ == "__main__":
    main(sys.argv[1:])
