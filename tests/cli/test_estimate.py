"""`superpose backends` and `superpose estimate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.backends.estimates.pool import install_pool

from superpose.circuits import Circuit, circuit_to_json

POOL = ("local", "pool:good", "pool:middle", "pool:cheap", "pool:off")
ONLY = [word for name in POOL for word in ("--backend", name)]


@pytest.fixture
def ghz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A circuit file, and the pool of processors installed."""
    (tmp_path / "package").mkdir()
    install_pool(tmp_path / "package", monkeypatch)
    path = tmp_path / "ghz.json"
    path.write_text(json.dumps(circuit_to_json(Circuit(3).h(0).cx(0, 1).cx(1, 2))))
    return path


@pytest.mark.usefixtures("ghz")
def test_backends_are_listed(superpose: Callable[..., Any]) -> None:
    said = superpose("backends", "--json")
    assert said.code == 0, said.err
    lines = {line["name"]: line for line in said.json["backends"]}
    assert {"name", "provider", "n_qubits", "kind", "calibration_at", "status"} <= set(lines["local"])
    assert lines["local"]["status"] == "online" and lines["local"]["calibration_at"] is None
    good = lines["pool:good"]
    assert (good["provider"], good["n_qubits"], good["kind"], good["region"]) == ("pool", 6, "qpu", "eu-north-1")
    assert datetime.fromisoformat(good["calibration_at"]) == datetime(2026, 11, 1, tzinfo=UTC)
    shown = superpose("backends", "--kind", "qpu")
    assert "pool:good" in shown.out and "local" not in shown.out and "pool:off: Repairs." in shown.err
    assert superpose("backends", "--kind", "toaster").code == 2


def test_a_table_and_a_front(superpose: Callable[..., Any], ghz: Path) -> None:
    said = superpose("estimate", ghz, *ONLY, "--shots", "500", "--json")
    assert said.code == 0, said.err
    assert said.json["shots"] == 500
    lines = {line["name"]: line for line in said.json["backends"]}
    assert lines["pool:good"]["price_usd"] == pytest.approx(0.1 + 5.0)
    assert [name for name, line in lines.items() if line["on_front"]] == ["local"]
    assert lines["pool:off"]["fits"] is False and lines["pool:off"]["fidelity"] is None
    shown = superpose("estimate", ghz, *ONLY)
    assert shown.code == 0
    first = shown.out.splitlines()[1].split()
    assert first[:4] == ["*", "local", "simulator", "1.0000"]
    assert "pool:off: It is offline. Repairs." in shown.err


def test_prices_and_waits_from_files(superpose: Callable[..., Any], ghz: Path, tmp_path: Path) -> None:
    prices, waits = tmp_path / "prices.json", tmp_path / "waits.jsonl"
    row = {"backend": "pool:good", "as_of": "2026-11-01", "source": "contract", "per_shot_usd": 1.0}
    prices.write_text(json.dumps({"version": "ours", "rows": [row]}))
    seen = {"backend": "pool:good", "at": datetime.now(UTC).isoformat(), "wait_s": 12.0}
    waits.write_text(f"{json.dumps(seen)}\n" * 25)
    options = ["--backend", "pool:good", "--shots", "10", "--prices", prices, "--waits", waits, "--json"]
    line = superpose("estimate", ghz, *options).json["backends"][0]
    assert (line["price_usd"], line["wait_s"], line["notes"]["price"]["source"]) == (10.0, 12.0, "contract")
    prices.write_text("nothing")
    said = superpose("estimate", ghz, *options)
    assert said.code == 1 and said.json["error"]["code"] == "backend.estimate_input"


def test_a_picture(superpose: Callable[..., Any], ghz: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need Matplotlib")
    for suffix, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        path = tmp_path / f"estimates.{suffix}"
        said = superpose("estimate", ghz, *ONLY, "--plot", path)
        assert said.code == 0, said.err
        assert path.read_bytes().startswith(start)
    assert superpose("estimate", ghz, *ONLY, "--plot", tmp_path / "x.doc").code == 1
