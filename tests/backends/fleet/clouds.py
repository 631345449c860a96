"""Emulated clouds that queue, charge, fail and lie, around the engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from threading import Lock

from superpose.backends import LocalBackend
from superpose.circuits import Capabilities, NoiseModel, Program, ProgramResult
from superpose.errors import ProviderError

__all__ = ["Cloud"]


class Cloud:
    """A cloud with a queue and a bill.

    Args:
        name: Its name.
        noise: Chance of a depolarising error behind each gate.
        dies_after: Runs after which nothing is heard from it any more.
        lies: Whether its answers are those of another program.
        n_questions: How often it is asked before a result is there.
    """

    def __init__(
        self, name: str, *, noise: float = 0.0, dies_after: int | None = None, lies: bool = False, n_questions: int = 2
    ) -> None:
        self._name = name
        self._noise = NoiseModel(one_qubit=[("depolarizing", (noise,))], two_qubit=[("depolarizing2", (2 * noise,))])
        self._noisy, self._dies_after, self._lies, self._n_questions = noise > 0, dies_after, lies, n_questions
        self._ids: dict[str, str] = {}
        self._programs: dict[str, Program] = {}
        self._asked = Counter[str]()
        self._lock = Lock()
        self.bill = Counter[str]()
        self.cancelled: set[str] = set()
        self.n_submits = 0

    @property
    def name(self) -> str:
        return self._name

    def capabilities(self) -> Capabilities:
        return Capabilities(max_qubits=8, max_shots=100_000, dynamic=True, simulator=True)

    def run(self, program: Program) -> ProgramResult:
        shots = program
        if self._lies:
            flipped = program.circuit.copy()
            for qubit in range(flipped.n_qubits):
                flipped.x(qubit)
            shots = replace(program, circuit=flipped)
        if self._noisy:
            shots = replace(shots, circuit=self._noise.apply(shots.circuit))
        found = LocalBackend().run(shots)
        told = {**found.provenance, "backend": self._name, "program_digest": program.digest, "cost_usd": 1.0}
        return replace(found, provenance=told)

    def submit(self, program: Program, token: str) -> str:
        self._be_there()
        with self._lock:
            self.n_submits += 1
            if token not in self._ids:
                self._ids[token] = f"{self._name}-{len(self._ids)}"
                self._programs[self._ids[token]] = program
                self.bill[token] += 1
            return self._ids[token]

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        self._be_there()
        if provider_job_id not in self._programs:
            raise ProviderError("No such run.", provider=self._name, provider_job_id=provider_job_id, retryable=False)
        with self._lock:
            self._asked[provider_job_id] += 1
        if self._asked[provider_job_id] < self._n_questions:
            return None
        return self.run(self._programs[provider_job_id])

    def cancel(self, provider_job_id: str) -> None:
        self._be_there()
        self.cancelled.add(provider_job_id)

    def _be_there(self) -> None:
        if self._dies_after is not None and len(self._ids) > self._dies_after:
            raise ProviderError("No route to host.", provider=self._name, provider_job_id=None, retryable=True)
