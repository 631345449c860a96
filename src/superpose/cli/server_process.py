"""A service of one's own: `superpose serve` as a child process that does not outlive what it was started for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from superpose.cli.settings import without_settings
from superpose.errors import StartError

__all__ = ["ReadyService", "ServerProcess"]

START_S: Final = 45.0
STOP_S: Final = 15.0
_LOOK_S: Final = 0.02


@dataclass(frozen=True)
class ReadyService:
    """What a server writes to its ready file once it answers."""

    url: str
    key_file: Path
    pid: int


class ServerProcess:
    """`superpose serve` on a free loopback port, in a session of its own so that a terminal's Ctrl-C does not hit it.

    The server holds the other end of a pipe to this process and stops when the pipe closes, so it does not outlive us
    even if we are killed; ``detach`` lets it live on.

    Args:
        data_dir: the server's data directory.
        room: a directory for its log and ready file.
        keep: whether it shall outlive this process.
        drain_s: how long its workers may take to a checkpoint when it stops.
    """

    def __init__(self, data_dir: Path, room: Path, *, keep: bool = False, drain_s: float = 20.0) -> None:
        self._stop_s = drain_s + STOP_S
        self.log_path = room / "server.log"
        self._ready_path = room / "ready.json"
        arguments = ["serve", "--data-dir", str(data_dir), "--port", "0", "--ready-file", str(self._ready_path)]
        arguments += ["--drain-s", str(drain_s)]
        if not keep:
            arguments.append("--stop-with-stdin")
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own arguments
                [sys.executable, "-P", "-m", "superpose", *arguments],
                stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=without_settings(os.environ),
                start_new_session=True,
            )

    def wait_ready(self, timeout_s: float = START_S) -> ReadyService:
        """The service once it answers.

        Raises:
            StartError: it ended, or does not answer in time; the message has the last lines of its log.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError, KeyError):
                facts = json.loads(self._ready_path.read_text(encoding="utf-8"))
                return ReadyService(str(facts["url"]), Path(facts["key_file"]), int(facts["pid"]))
            if self.process.poll() is not None:
                raise StartError(
                    f"The service ended with exit code {self.process.returncode} before it answered."
                    + self._last_words(),
                    exit_code=self.process.returncode,
                )
            time.sleep(_LOOK_S)
        raise StartError(f"The service did not answer within {timeout_s:g} s.{self._last_words()}", timeout_s=timeout_s)

    def stop(self) -> None:
        """Ask the server to drain and end; where that takes too long end it by force."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        deadline = time.monotonic() + self._stop_s
        while not _has_ended(self.process) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        # The server is not reaped yet, so its number still names its own session, of which nothing should be left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def _last_words(self) -> str:
        try:
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
        except OSError:
            return ""
        return " It said:\n  " + "\n  ".join(lines) if lines else ""


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child has ended, without reaping it where the system allows that."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None
