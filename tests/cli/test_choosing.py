"""`superpose run --backend auto --why`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.backends.estimates.pool import install_pool

from superpose.backends.selection import replay
from superpose.circuits import Circuit, circuit_to_json

AMONG = [word for name in ("local", "pool:good", "pool:cheap", "pool:off") for word in ("--among", name)]


@pytest.fixture
def ghz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A circuit file, and the pool of processors installed."""
    (tmp_path / "package").mkdir()
    install_pool(tmp_path / "package", monkeypatch)
    path = tmp_path / "ghz.json"
    path.write_text(json.dumps(circuit_to_json(Circuit(3).h(0).cx(0, 1).cx(1, 2))))
    return path


def test_the_decision_is_shown_and_kept(superpose: Callable[..., Any], ghz: Path) -> None:
    options = ["--shots", "100", "--backend", "auto", *AMONG, "--kind", "qpu"]
    said = superpose("run", ghz, *options, "--objective", "cheapest", "--min-fidelity", "0", "--why", "--json")
    assert said.code == 0, said.err
    told = said.json["provenance"]["selection"]
    assert told["chosen"] == said.json["provenance"]["backend"] == "pool:cheap"
    assert replay(told).chosen == "pool:cheap"
    assert "It is a simulator, not qpu." in said.err and "pool:cheap is the cheapest" in said.err
    best = superpose("run", ghz, *options, "--objective", "best", "--why")
    assert best.code == 0 and "pool:good is the one of highest fidelity" in best.err
    assert "bits" in best.out.splitlines()[0]  # the result alone is on stdout
    here = superpose("run", ghz, "--shots", "100", "--backend", "auto", *AMONG, "--why")
    assert here.code == 0 and "local is" in here.err


def test_what_cannot_be_had_is_told(superpose: Callable[..., Any], ghz: Path) -> None:
    options = ["--shots", "100", *AMONG, "--kind", "qpu", "--max-price", "0.01", "--json"]
    said = superpose("run", ghz, "--backend", "auto", *options)
    assert said.code == 1 and said.json["error"]["code"] == "backend.none_fits"
    assert "at most 0.01 $" in said.json["error"]["details"]["reasons"]["pool:good"][0]
    assert superpose("run", ghz, *options).code == 2  # nothing is chosen where a backend is named
    assert superpose("run", ghz, "--backend", "auto", "--kind", "toaster").code == 1
