"""Backends that measurements in training are tested on: exact, counting, with a queue, failing, kept in a directory."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

from superpose.backends import LocalBackend
from superpose.circuits import Program, ProgramResult, program_from_json, program_to_json
from superpose.errors import ProviderError


class Counting(LocalBackend):
    """Counts programs and their circuits."""

    def __init__(self) -> None:
        self.programs: list[Program] = []

    def run(self, program: Program) -> ProgramResult:
        self.programs.append(program)
        return super().run(program)

    @property
    def n_circuits(self) -> int:
        return sum(program.batch for program in self.programs)


class Exact(Counting):
    """As if every circuit were measured without end."""

    def run(self, program: Program) -> ProgramResult:
        self.programs.append(program)
        return LocalBackend().run(replace(program, shots=None, seed=None))


class Queue(Counting):
    """Runs each token's program once, and has its result when it is asked for the third time."""

    name = "queue"

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, ProgramResult] = {}
        self.tokens: list[str] = []
        self.asked: dict[str, int] = {}

    def submit(self, program: Program, token: str) -> str:
        self.tokens.append(token)
        if token not in self.results:
            self.results[token] = self.run(program)
        return token

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        self.asked[provider_job_id] = self.asked.get(provider_job_id, 0) + 1
        return self.results[provider_job_id] if self.asked[provider_job_id] > 2 else None


class Troubled(Queue):
    """A call in three fails for a time; the first run of every second program ends in an error."""

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0
        self.broken: set[str] = set()

    def _error(self, retryable: bool) -> ProviderError:
        return ProviderError("No answer.", provider="queue", provider_job_id=None, retryable=retryable)

    def _trouble(self) -> None:
        self.n_calls += 1
        if self.n_calls % 3 == 0:
            raise self._error(retryable=True)

    def submit(self, program: Program, token: str) -> str:
        self._trouble()
        known = token in self.results
        provider_job_id = super().submit(program, token)
        earlier = [other.digest for other in self.programs[:-1]]
        if not known and len(self.results) % 2 and program.digest not in earlier:
            self.broken.add(token)
        return provider_job_id

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        self._trouble()
        if provider_job_id in self.broken:
            raise self._error(retryable=False)
        return super().fetch(provider_job_id)


class Dying(LocalBackend):
    """A provider in a directory, which charges each token once; kills this process at a step that a file names.

    What is run is written down before it is: a line of "charged" for each token that was not there.
    """

    name = "dying"

    def __init__(self, home: Path) -> None:
        self.home = home

    def submit(self, program: Program, token: str) -> str:
        place = self.home / f"{token}.json"
        if not place.exists():
            with (self.home / "charged").open("a") as file:
                file.write(f"{program.digest}\n")
            place.write_text(json.dumps(program_to_json(program)))
        self._die("submitted")
        return token

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        found = self.run(program_from_json((self.home / f"{provider_job_id}.json").read_text()))
        self._die("fetched")
        return found

    def _die(self, where: str) -> None:
        """Count calls of this kind in this process's file; die at the one that is named."""
        fatal = self.home / f"die-{where}"
        if not fatal.exists():
            return
        left = int(fatal.read_text()) - 1
        fatal.write_text(str(left))
        if left == 0:
            fatal.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
