"""Backends of unknown packages are found, listed and run; what is broken is told and breaks nothing else."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import superpose
from superpose.backends.providers import find_backend, list_backends, provider
from superpose.circuits import BackendInfo, Circuit
from superpose.errors import BackendUnknownError
from superpose.testing import check_backend, check_queueing_backend

MODULE = '''
from datetime import UTC, datetime

from superpose.backends import LocalBackend
from superpose.backends.fitting import require_fit
from superpose.circuits import (
    BackendInfo, Calibration, Capabilities, Estimate, GateCalibration, ProgramResult, QubitCalibration, RunStatus,
)
from superpose.errors import BackendUnknownError, ProviderError

NAME = "elsewhere:three"
PAIRS = [(0, 1), (1, 0), (1, 2), (2, 1)]


class Three:
    """Three qubits in a line, whose results are there at the second question."""

    name = NAME
    status_table = {"WAITING": RunStatus.QUEUED, "OK": RunStatus.SUCCEEDED, "BAD": RunStatus.FAILED}

    def __init__(self):
        self._ids, self._results, self._asked = {}, {}, set()

    def capabilities(self):
        return Capabilities(
            max_qubits=3, exact=True, state_vectors=True, initial_state=True, dynamic=True, simulator=True,
            native_gates=frozenset({"cz"}), connectivity=frozenset(PAIRS),
        )

    def calibration(self):
        gates = tuple(GateCalibration(gate="cz", qubits=pair, error=0.01) for pair in PAIRS)
        at = datetime(2026, 11, 1, tzinfo=UTC)
        return Calibration(backend=NAME, taken_at=at, qubits=(QubitCalibration(),) * 3, gates=gates)

    def estimate(self, program):
        n_gates = len(program.circuit.gate_calls())
        return Estimate(fidelity=0.99**n_gates, price_usd=0.001 * (program.shots or 0), wait_s=0.0, run_s=0.1)

    def run(self, program):
        require_fit(program, self.capabilities(), NAME)
        found = LocalBackend().run(program)
        told = {**found.provenance, "backend": NAME}
        return ProgramResult(found.expectations, found.counts, found.state_vectors, told)

    def submit(self, program, token):
        if token not in self._ids:
            self._ids[token] = f"job-{len(self._ids)}"
            self._results[self._ids[token]] = self.run(program)
        return self._ids[token]

    def _known(self, provider_job_id):
        if provider_job_id not in self._results:
            raise ProviderError("No such run.", provider="elsewhere", provider_job_id=provider_job_id, retryable=False)

    def fetch(self, provider_job_id):
        self._known(provider_job_id)
        there = provider_job_id in self._asked
        self._asked.add(provider_job_id)
        return self._results[provider_job_id] if there else None

    def cancel(self, provider_job_id):
        self._known(provider_job_id)

    def status(self, provider_job_id):
        self._known(provider_job_id)
        return self.status_table["OK" if provider_job_id in self._asked else "WAITING"]


class Elsewhere:
    name = "elsewhere"

    def list(self):
        return [
            BackendInfo(name=NAME, provider=self.name, n_qubits=3, kind="emulator", status="online",
                        calibration_at=Three().calibration().taken_at),
        ]

    def backend(self, name):
        if name != "three":
            raise BackendUnknownError(f"elsewhere has no backend {name!r}; it has three.", name=name, allowed=["three"])
        return Three()


def no_backend():
    return 3


def angry():
    raise RuntimeError("no network")
'''

POINTS = """
[superpose.backends]
plain = package_of_a_third_party:Three
nonsense = package_of_a_third_party:no_backend

[superpose.providers]
elsewhere = package_of_a_third_party:Elsewhere
angry = package_of_a_third_party:angry
missing = package_that_is_not_there:Provider
number = package_of_a_third_party:no_backend
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's on the path, with its entry points."""
    facts = tmp_path / "package_of_a_third_party-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: package-of-a-third-party\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(POINTS)
    (tmp_path / "package_of_a_third_party.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "package_of_a_third_party", raising=False)


@pytest.mark.usefixtures("installed")
def test_it_keeps_the_contracts_and_runs_by_name() -> None:
    three = find_backend("elsewhere:three")
    check_backend(three)
    check_queueing_backend(three, pause_s=0.0)  # type: ignore[arg-type]
    result = superpose.run(Circuit(2).x(1), shots=5, backend="elsewhere:three")
    assert result.counts == ({"01": 5},)
    assert result.provenance["backend"] == "elsewhere:three"
    assert superpose.run(Circuit(1).x(0), shots=5, backend="plain").counts == ({"1": 5},)
    assert provider("elsewhere").name == "elsewhere"


@pytest.mark.usefixtures("installed")
def test_the_list_tells_what_is_there_and_what_is_broken() -> None:
    lines = {info.name: info for info in list_backends()}
    assert lines["local"].status == "online" and lines["local"].kind == "simulator"
    assert lines["elsewhere:three"].calibration_at is not None
    assert lines["plain"].kind == "emulator" and lines["plain"].n_qubits == 3
    for name, reason in {
        "angry": "no network",
        "missing": "No module named",
        "number": "is none",
        "nonsense": "is none",
    }.items():
        assert lines[name].status == "unavailable" and reason in lines[name].note
        assert lines[name].kind is None  # nobody knows
    assert all(isinstance(info, BackendInfo) for info in lines.values())


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("elsewhere:four", "it has three"),
        ("nowhere:four", "no provider 'nowhere'"),
        ("nowhere", "elsewhere:..."),
        ("nonsense", "is none"),
        ("number:one", "is none"),
    ],
)
def test_names_that_are_none(name: str, told: str) -> None:
    with pytest.raises(BackendUnknownError, match=told):
        superpose.run(Circuit(1).h(0), backend=name)
