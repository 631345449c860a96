"""A provider with a few processors, installed as somebody else's package is: one good and dear, one bad and cheap."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

MODULE = """
from datetime import UTC, date, datetime

from superpose.backends import LocalBackend
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import BackendInfo, Capabilities, Pricing, Program, ProgramResult, QueueState
from superpose.errors import BackendUnknownError
from tests.backends.estimates.processors import processor

AT = datetime(2026, 11, 1, tzinfo=UTC)
ROWS = {  # errors, dollars a shot, runs ahead, region
    "good": (0.3, 0.01, 60, "eu-north-1"),
    "cheap": (6.0, 0.0001, 0, "us-east-1"),
    "middle": (2.0, 0.001, 10, None),
}


class Processor:
    def __init__(self, word):
        self.word = word
        self.name = "pool:" + word
        self.scale, self.price, self.ahead, self.region = ROWS[word]

    def calibration(self):
        return processor(self.name, 6, "ladder", seed=5, scale=self.scale)

    def capabilities(self):
        return Capabilities(
            max_qubits=6, max_shots=100_000, native_gates=frozenset({"rz", "sx", "x", "cx"}),
            connectivity=self.calibration().connectivity,
            pricing=Pricing(as_of=date(2026, 11, 1), source="the pool", per_circuit_usd=0.1, per_shot_usd=self.price),
        )

    def queue(self):
        return QueueState(n_ahead=self.ahead, run_s=60.0, at=AT)

    def run(self, program):
        require_fit(program, self.capabilities(), self.name)
        measured = MeasuredProgram(program)
        answers = [LocalBackend().run(Program(one, shots=measured.shots, seed=1)) for one in measured.circuits]
        return measured.result([one.counts[0] for one in answers], {"backend": self.name})


class Pool:
    name = "pool"

    def list(self):
        made = [Processor(word) for word in ROWS]
        lines = [
            BackendInfo(name=one.name, provider="pool", n_qubits=6, kind="qpu", status="online", calibration_at=AT,
                        region=one.region)
            for one in made
        ]
        off = BackendInfo(name="pool:off", provider="pool", n_qubits=6, kind="qpu", status="offline", note="Repairs.")
        return [*lines, off]

    def backend(self, name):
        if name not in ROWS:
            raise BackendUnknownError(f"pool has no backend {name!r}.", name=name)
        return Processor(name)
"""


def install_pool(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the package on the path, with its entry points."""
    facts = directory / "pool_of_a_third_party-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: pool-of-a-third-party\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[superpose.providers]\npool = pool_of_a_third_party:Pool\n")
    (directory / "pool_of_a_third_party.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(directory))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "pool_of_a_third_party", raising=False)
