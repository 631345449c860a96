"""Locked environments of the rivals, made on demand under ``benchmarks/.envs`` with the machine's pip configuration.

``locks/<name>.txt`` holds exact versions; ``locks/<name>.nodeps.txt``, where it exists, is installed after it without
dependencies. An environment is whole once its stamp holds the digest of its locks; any other is made anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["EnvironmentUnavailableError", "ensure_environment", "interpreter", "lock_files"]

_BENCHMARKS = Path(__file__).resolve().parent.parent
_LOCKS = _BENCHMARKS / "rivals" / "locks"
_STAMP = "locks.sha256"


class EnvironmentUnavailableError(Exception):
    """The environment cannot be made here; the message holds pip's last words."""


def lock_files(name: str) -> list[Path]:
    """The lock files of an environment, in the order of installation."""
    return [path for path in (_LOCKS / f"{name}.txt", _LOCKS / f"{name}.nodeps.txt") if path.exists()]


def interpreter(name: str, root: Path | None = None) -> Path:
    """Its Python."""
    home = (root or _BENCHMARKS / ".envs") / name
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _digest(name: str) -> str:
    content = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for path in lock_files(name):
        content.update(path.read_bytes())
    return content.hexdigest()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).strip().splitlines() if "WARNING" not in line]
        raise EnvironmentUnavailableError(" ".join(said[-3:])[:400] or f"exit status {done.returncode}")


def ensure_environment(name: str, say: Callable[[str], None], root: Path | None = None) -> Path:
    """The Python of a whole environment, made first if need be (a minute or two, 1.5 to 2 GB).

    Raises:
        EnvironmentUnavailableError: pip could not install the lock.
    """
    python = interpreter(name, root)
    home = python.parent.parent
    stamp, digest = home / _STAMP, _digest(name)
    if stamp.exists() and stamp.read_text() == digest:
        return python
    say(f"making the environment {name!r} (once; takes a minute or two)")
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(home)])
    for path in lock_files(name):
        alone = ["--no-deps"] if path.name.endswith(".nodeps.txt") else []
        _run([str(python), "-m", "pip", "install", "--quiet", *alone, "-r", str(path)])
    stamp.write_text(digest)
    return python
