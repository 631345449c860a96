"""One real service for all tests of the command line, found as a user's own is: by its default data directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.held import ENDLESS

from superpose import Client
from superpose.cli.app import run

SPEC = """
model: {n_qubits: 2, ansatz: {layers: 1}}
training: {epochs: 2, seed: 1}
evaluation: {n_splits: 2, controls: [classical_twin], baseline: logistic_regression}
"""


@dataclass(frozen=True)
class Served:
    """A running service and the home in which it is found."""

    home: Path
    url: str
    key_file: Path
    process: subprocess.Popen[bytes]


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


def start(home: Path, *arguments: str) -> Served:
    """`superpose serve` with its default data directory in ``home``."""
    ready = home / "ready.json"
    environment = {**os.environ, "XDG_DATA_HOME": str(home), "PYTHONWARNINGS": "default"}
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "superpose", "serve", "--port", "0", "--ready-file", str(ready), *arguments],
            stdout=log,
            stderr=log,
            env=environment,
        )
    deadline = time.monotonic() + 120
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError((home / "server.log").read_text())
        time.sleep(0.02)
    facts = json.loads(ready.read_text())
    return Served(home, facts["url"], Path(facts["key_file"]), process)


def stop(served: Served) -> int:
    """The server's exit code after SIGTERM."""
    served.process.send_signal(signal.SIGTERM)
    return served.process.wait(60)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service."""
    running = start(tmp_path_factory.mktemp("home"))
    yield running
    assert stop(running) == 0, (running.home / "server.log").read_text()


@pytest.fixture
def superpose(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs a command line in this process, away from the machine's own configuration."""
    for name in ("SUPERPOSE_URL", "SUPERPOSE_KEY", "SUPERPOSE_KEY_FILE", "SUPERPOSE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/nonexistent")

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def at_home(superpose: Callable[..., Said], served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs a command line of the user whose service runs."""
    monkeypatch.setenv("XDG_DATA_HOME", str(served.home))
    return superpose


@pytest.fixture(scope="session")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training spec that takes a second."""
    path = tmp_path_factory.mktemp("spec") / "spec.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="session")
def endless_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training spec that takes days, for jobs that are cancelled."""
    path = tmp_path_factory.mktemp("endless") / "endless.yaml"
    path.write_text(json.dumps(ENDLESS))
    return path


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    """The Python client of the user whose service runs."""
    with Client(served.url, key_file=served.key_file) as made:
        yield made


@pytest.fixture(scope="session")
def trained(served: Served, spec_file: Path) -> str:
    """Name of a trained and deployed model, its data set and its endpoint."""
    environment = {**os.environ, "XDG_DATA_HOME": str(served.home)}
    for arguments in (
        ["datasets", "add", "--builtin", "iris", "--name", "flowers"],
        ["train", str(spec_file), "--dataset", "flowers"],
        ["deploy", "flowers"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "superpose", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
    return "flowers"
