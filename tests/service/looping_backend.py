"""A processor with a queue, states and sessions in a directory, offered by an installed package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CODE = '''
"""Results are there once a file "arrived" is, programs run once "running" is; sessions are files."""
import json, os, pathlib
from superpose.backends import LocalBackend
from superpose.circuits import Capabilities, RunStatus, program_from_json, program_to_json
from superpose.errors import ProviderError

class LoopingBackend(LocalBackend):
    home = pathlib.Path(os.environ["LOOPING_HOME"])
    status_table = {word: RunStatus(word) for word in ("queued", "running", "succeeded")}
    session_id = None

    @property
    def name(self):
        return "looping"

    def capabilities(self):
        return Capabilities(max_batch=10**6, exact=True, state_vectors=True, max_qubits=10)

    def in_session(self, session_id=None):
        found = LoopingBackend()
        found.session_id = session_id or found._open()
        return found

    def _open(self):
        number = len(list((self.home / "sessions").iterdir()))
        (self.home / "sessions" / f"s{number}").write_text("open")
        return f"s{number}"

    def close(self):
        if self.session_id is not None:
            if (self.home / "deaf").exists():
                raise ProviderError("Nobody is there.", provider="looping", provider_job_id=None, retryable=True)
            (self.home / "sessions" / self.session_id).write_text("closed")
            self.session_id = None

    def submit(self, program, token):
        if self.session_id and (self.home / "sessions" / self.session_id).read_text() == "closed":
            self.session_id = self._open()
        place = self.home / "programs" / token
        if not place.exists():
            place.write_text(json.dumps(program_to_json(program)))
            with (self.home / "submissions").open("a") as file:
                file.write(f"{token} {self.session_id}\\n")
        return "q:" + token

    def status(self, provider_job_id):
        for word, status in (("arrived", "succeeded"), ("running", "running")):
            if (self.home / word).exists():
                return RunStatus(status)
        return RunStatus.QUEUED

    def fetch(self, provider_job_id):
        if not (self.home / "arrived").exists():
            return None
        token = provider_job_id.removeprefix("q:")
        return self.run(program_from_json((self.home / "programs" / token).read_text()))

    def cancel(self, provider_job_id):
        with (self.home / "cancelled").open("a") as file:
            file.write(provider_job_id + "\\n")
'''


def install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install it for this process and those that it starts; the directory in which its processor stands."""
    home, package = directory / "looping", directory / "looping_package"
    facts = package / "looping_backend-1.0.dist-info"
    for made in (home / "programs", home / "sessions", facts):
        made.mkdir(parents=True)
    name = f"looping_backend_{directory.name.replace('-', '_')}"  # the home is read when the module is imported
    (package / f"{name}.py").write_text(CODE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: looping-backend\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[superpose.backends]\nlooping = {name}:LoopingBackend\n")
    monkeypatch.setenv("LOOPING_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.syspath_prepend(str(package))
    return home
