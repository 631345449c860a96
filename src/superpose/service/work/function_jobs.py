"""Jobs of users' own functions: what is checked before one is accepted, and how a worker runs one."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from superpose.errors import (
    FunctionFailedError,
    JobFunctionError,
    LeaseLostError,
    PayloadTooLargeError,
    RequestError,
    StoreError,
    SuperposeError,
    UserCodeError,
)
from superpose.functions import MAX_SOURCE_BYTES, FunctionSource, JobOptions
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Job, JobKind
from superpose.service.statuses import FINAL
from superpose.service.work.outputs import CHECKPOINT, Ledger, checkpoint_files
from superpose.service.work.runs import Outcome, RunContext

__all__ = ["admit_function", "run_function"]

_FIELDS = {"source", "sha256", "file", "function", "params", "options", "copy_from"}
_LOOK_S = 0.1
_OUTPUT_BYTES = 1_000_000
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "NUMBA_CPU_NAME")
"""What a function's process sees of the worker's environment, besides threads and the kernel store."""


def admit_function(
    payload: Mapping[str, object], config: ServiceConfig, find: Callable[[str], Job]
) -> dict[str, object]:
    """The payload in full, if this service runs user code and the text holds such a function. Nothing is executed.

    Args:
        payload: ``source`` (the file's text), ``sha256`` of it, ``file``, ``function``, ``params``, ``options``,
            ``copy_from``.
        config: whether user code is allowed, and limits.
        find: a job of the caller's project, by its id.

    Raises:
        UserCodeError: the service does not run user code.
        RequestError: a field is absent, unknown, or does not fit.
        JobFunctionError: the text is no Python, has no such function, or the function does not take the parameters.
        NotFoundError: ``copy_from`` is no job of the project.
    """
    if not config.allow_user_code:
        raise UserCodeError(
            "This service runs no user code. Its operator can allow it with allow_user_code = true (superpose serve "
            "--allow-user-code); functions then run with the rights of the service's own user."
        )
    unknown = sorted(set(payload) - _FIELDS)
    text, file, function = (payload.get(name) for name in ("source", "file", "function"))
    if unknown or not (isinstance(text, str) and isinstance(file, str) and isinstance(function, str)):
        raise RequestError(f"A function job needs source, file and function; got also {unknown}.", unknown=unknown)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
        raise PayloadTooLargeError(f"The source has more than {MAX_SOURCE_BYTES:,} bytes.", max_bytes=MAX_SOURCE_BYTES)
    if not file.endswith(".py") or not Path(file).stem.isidentifier() or Path(file).name != file:
        raise RequestError(
            "file must be a name as Python imports it, letters, digits and _, and .py, such as my_sweep.py; got "
            f"{file[:80]!r}. Rename it.",
            field="file",
        )
    source = FunctionSource(file, function, text)
    if payload.get("sha256", source.digest) != source.digest:
        raise RequestError("The source does not have the stated SHA-256; it was changed on the way.", field="sha256")
    params, copy_from, given = payload.get("params", {}), payload.get("copy_from"), payload.get("options")
    if not isinstance(params, Mapping):
        raise RequestError("params must be an object of JSON values.", field="params")
    source.check_params(params)
    options = source.options if given is None else JobOptions.of(dict(given) if isinstance(given, Mapping) else {})
    if options.retries > config.max_retries:
        raise RequestError(
            f"retries may be at most {config.max_retries} on this service, got {options.retries}.",
            field="options.retries",
        )
    if copy_from is not None:
        _check_copied(find(str(copy_from)), options)
    return {
        "source": text,
        "sha256": source.digest,
        "file": file,
        "function": function,
        "params": dict(params),
        "options": options.to_json(),
        "copy_from": copy_from,
    }


def _check_copied(job: Job, options: JobOptions) -> None:
    if job.kind is not JobKind.FUNCTION or job.status not in FINAL or not options.checkpoint:
        raise RequestError(
            f"copy_from must be a function job that has ended, for a function with checkpoint=True; {job.id} is a "
            f"{job.kind} job that is {job.status}.",
            field="copy_from",
        )


def run_function(job: Job, context: RunContext) -> Outcome:
    """Run a user's function in a process of its own until it ends, is stopped, or takes too long.

    Raises:
        Stopped: ``should_stop`` said so; the checkpoint directory is kept.
        FunctionFailedError: it raised, died, or took too long; ``again`` says whether retries are left.
        UserCodeError: the service does not run user code any more.
    """
    if not context.config.allow_user_code:
        raise UserCodeError("This service runs no user code any more; its operator can allow it with allow_user_code.")
    if context.ledger is None:
        raise TypeError("a function job needs a ledger")
    return _Run(job, context, context.ledger).outcome()


@dataclass
class _Run:
    """One attempt of a function."""

    job: Job
    context: RunContext
    ledger: Ledger
    ending: dict[str, Any] | None = None
    buffer: bytes = b""
    lost: bool = False
    options: JobOptions = field(init=False)

    def __post_init__(self) -> None:
        given = self.job.payload["options"]
        self.options = JobOptions.of(dict(given) if isinstance(given, Mapping) else {})

    @property
    def _work(self) -> Path:
        return self.context.directory / "work"

    @property
    def _checkpoint(self) -> Path:
        return self.context.directory / "checkpoint"

    def outcome(self) -> Outcome:
        """Run it and say how it ended."""
        from superpose.learning.checkpoint import Stopped

        self._prepare()
        self._supervise()
        if self.lost or (self.ending is not None and self.ending["op"] == "stopped"):
            if self._cancelled():
                self._keep()
            raise Stopped("the function stopped on request")
        ending = self.ending or {"op": "failed", "message": "The function's process ended without a word."}
        again = ending["op"] == "failed" and self.context.n_retries < self.options.retries
        if not again:
            self._keep()
        if ending["op"] == "failed":
            raise FunctionFailedError(str(ending["message"]), again=again)
        return Outcome({name: ending[name] for name in ("value", "note") if name in ending})

    def _cancelled(self) -> bool:
        """Whether this is the end of the job, not of the worker."""
        return not self.lost and self.context.cancelling()

    def _prepare(self) -> None:
        code = self.context.directory / "code"
        for path in (self._work, code):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
        if not self.options.checkpoint:
            shutil.rmtree(self._checkpoint, ignore_errors=True)
        (code / str(self.job.payload["file"])).write_text(str(self.job.payload["source"]), encoding="utf-8")
        if self.options.checkpoint and not self._checkpoint.exists():
            whole = self.context.directory / "copied"
            shutil.rmtree(whole, ignore_errors=True)
            whole.mkdir(mode=0o700)
            if self.job.payload.get("copy_from"):
                self._copy(str(self.job.payload["copy_from"]), whole)
            whole.rename(self._checkpoint)  # whole or not at all

    def _copy(self, source: str, target: Path) -> None:
        """Fill a directory with what another job's checkpoint directory held in the end."""
        with self.context.database.read() as connection:
            files = checkpoint_files(connection, source)
        for name, digest in files:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for chunk in self.context.artifacts.stored(digest).chunks(0, self.context.artifacts.size(digest)):
                    file.write(chunk)
        if not files:
            raise FunctionFailedError(
                f"Job {source} left no checkpoint to copy; submit without copy_from.", again=False
            )

    def _supervise(self) -> None:
        """Start the process, answer it, and see to its end."""
        ours, theirs = socket.socketpair()
        life_read, life_write = os.pipe()
        with ours, (self.context.directory / "output.log").open("ab") as output:
            with theirs:
                process = subprocess.Popen(  # noqa: S603  # a fixed command; the user's text goes in through the socket
                    [sys.executable, "-P", "-m", "superpose.functions.child", str(theirs.fileno()), str(life_read)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=_environment(self.context.config.worker_threads, self._work),
                    cwd=self._work,
                    pass_fds=(theirs.fileno(), life_read),
                    start_new_session=True,
                )
            os.close(life_read)
            try:
                ours.sendall(json.dumps(self._document()).encode() + b"\n")
                self._answer(ours, process)
            except BrokenPipeError:
                pass  # it died at once; the exit code tells
            finally:
                _kill(process)
                os.close(life_write)
        if self.ending is None and not self.lost:
            self.ending = {"op": "failed", "message": _death(process.returncode)}

    def _document(self) -> dict[str, Any]:
        config, payload = self.context.config, self.job.payload
        return {
            "job_id": self.job.id,
            "attempt": self.job.attempt,
            "params": payload["params"],
            "file": payload["file"],
            "function": payload["function"],
            "code_dir": str(self.context.directory / "code"),
            "work_dir": str(self._work),
            "checkpoint_dir": str(self._checkpoint) if self.options.checkpoint else None,
            "max_result_bytes": config.max_result_bytes,
            "limits": {"memory_bytes": config.function_memory_bytes, "file_bytes": config.function_file_bytes},
        }

    def _answer(self, ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """Answer the process until it has ended, or has not after being told to."""
        config = self.context.config
        longest_s = min(config.function_timeout_s, self.options.timeout_s or config.function_timeout_s)
        until_s, kill_at_s = time.monotonic() + longest_s, float("inf")
        with selectors.DefaultSelector() as selector:
            selector.register(ours, selectors.EVENT_READ)
            while self.ending is None:
                now_s = time.monotonic()
                if now_s > until_s:
                    message = f"The function took longer than {longest_s:g} s and was ended."
                    self.ending = {"op": "failed", "message": message}
                    return
                if self.context.should_stop():
                    kill_at_s = min(kill_at_s, now_s + config.function_grace_s)
                if now_s > kill_at_s or self.lost:
                    self.ending = {"op": "stopped"}
                    return
                if selector.select(_LOOK_S) and not self._receive(ours):
                    return
                if process.poll() is not None and not selector.select(0):
                    return

    def _receive(self, ours: socket.socket) -> bool:
        """Take what has arrived and answer each question in it; False at the end."""
        try:
            content = ours.recv(65_536)
        except ConnectionError:
            return False
        if not content:
            return False
        *lines, self.buffer = (self.buffer + content).split(b"\n")
        if len(self.buffer) > 4 * self.context.config.max_result_bytes:
            return False
        for line in lines:
            answer = self._answer_to(line)
            with contextlib.suppress(BrokenPipeError):
                ours.sendall(json.dumps(answer).encode() + b"\n")
        return True

    def _answer_to(self, line: bytes) -> dict[str, Any]:
        try:
            question = json.loads(line)
            found = self._do(question)
        except LeaseLostError:
            self.lost = True
            found = {}
        except StoreError:
            raise
        except SuperposeError as error:
            return {"error": error.message}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": f"The question could not be read: {type(error).__name__}."}
        except OSError as error:
            return {"error": f"The file cannot be read: {error.strerror}."}
        return {**found, "stop": self.lost or self.context.should_stop()}

    def _do(self, question: Mapping[str, Any]) -> dict[str, Any]:
        op = question["op"]
        if op == "metrics":
            from superpose.functions.context import check_metrics

            self.ledger.metrics(check_metrics(question["values"], question["step"]), question["step"])
        elif op == "artifact":
            from superpose.functions.context import check_artifact_name

            return {"sha256": self.ledger.file(self._own(question["path"]), check_artifact_name(question["name"]))}
        elif op == "progress":
            facts = {"stage": str(question["message"]) or "running", "fraction": round(float(question["fraction"]), 4)}
            self.context.on_event("progress", facts)
        elif op in ("done", "failed", "stopped"):
            self.ending = dict(question)
        return {}

    def _own(self, path: str) -> Path:
        """A file in the attempt's own directory.

        Raises:
            JobFunctionError: it is elsewhere, or no file.
        """
        found = Path(path).resolve()
        if not found.is_relative_to(self.context.directory.resolve()) or not found.is_file():
            raise JobFunctionError(f"{Path(path).name!r} is no file in the working or checkpoint directory.")
        return found

    def _keep(self) -> None:
        """Store the output, and the checkpoint directory for jobs that copy from this one."""
        log = self.context.directory / "output.log"
        if log.is_file() and log.stat().st_size:
            if log.stat().st_size > _OUTPUT_BYTES:
                with log.open("rb") as file:
                    file.seek(-_OUTPUT_BYTES, os.SEEK_END)
                    tail = file.read()
                log.write_bytes(tail)
            self.ledger.file(log, "output.log")
        if self.options.checkpoint:
            for path in sorted(
                item for item in self._checkpoint.rglob("*") if item.is_file() and not item.is_symlink()
            ):
                self.ledger.file(path, str(path.relative_to(self._checkpoint)), CHECKPOINT)


def _environment(n_threads: int, home: Path) -> dict[str, str]:
    """A function's environment: no key, no setting of the service, a home of its own, its share of the CPUs."""
    from superpose.engine.private_files import base_directory

    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    share = {name: str(n_threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    own = {"HOME": str(home), "TMPDIR": str(home), "SUPERPOSE_CACHE_DIR": str(base_directory())}
    return {**kept, **share, **own, "SUPERPOSE_THREADS": str(n_threads), "PYTHONUNBUFFERED": "1"}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Give the process a moment to end by itself, then end it and all that it started."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.5)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _death(status: int | None) -> str:
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-status).name
            hint = "; it may have run out of memory" if name == "SIGKILL" else ""
            return f"The function's process was ended by {name}{hint}."
    return f"The function's process ended with status {status} before it was done."
