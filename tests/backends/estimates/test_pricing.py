"""Prices: the published table, tables of one's own, and what stays unknown."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from superpose.backends.estimates import PriceTable, Usage, published_prices, usage_of
from superpose.circuits import Circuit, Observable, Program
from superpose.errors import EstimateInputError


def price(backend: str, **usage: float) -> float | None:
    row = published_prices().find(backend)
    return None if row is None else row.price_usd(Usage(**{"n_circuits": 1, "n_shots": 1000, **usage}))  # type: ignore[arg-type]


def test_published_prices() -> None:
    assert price("braket:IonQ Forte-1") == pytest.approx(0.3 + 80.0)
    assert price("braket:Ankaa-3", n_circuits=10, n_shots=10_000) == pytest.approx(0.3 + 9.0)  # one program set
    assert price("braket:Ankaa-3", n_circuits=10, n_shots=10_000, n_submissions=4) == pytest.approx(1.2 + 9.0)
    assert price("ibm:ibm_fez") == pytest.approx(1.6 * 2.35)
    assert price("ibm:ibm_fez", run_s=10.0) == pytest.approx(16.0)
    gates = {"one_qubit_gate_shots": 10_000, "two_qubit_gate_shots": 5_000}
    assert price("azure:ionq.qpu.aria-1", **gates) == pytest.approx(12.4166 + 2.2 + 4.875)
    assert price("local") == price("emulator:ibm_fez") == 0.0


def test_what_nobody_publishes_stays_unknown() -> None:
    assert published_prices().find("nobody:nothing") is None
    assert price("azure:rigetti.qpu.ankaa-3") is None  # by the second, and nobody says how many
    assert price("azure:rigetti.qpu.ankaa-3", run_s=2.0) == pytest.approx(2.6)


def test_every_row_says_when_and_where() -> None:
    for row in published_prices().rows:
        assert date(2024, 1, 1) < row.as_of <= date.fromisoformat(published_prices().version)
        assert row.source == "this machine" or row.source.startswith("https://")
        assert row.note


def test_a_table_of_ones_own_is_asked_first(tmp_path: Path) -> None:
    path = tmp_path / "ours.json"
    row = {"backend": "ibm:*", "as_of": "2026-11-01", "source": "our contract", "per_second_usd": 0.8}
    path.write_text(json.dumps({"version": "ours", "rows": [row]}))
    both = PriceTable.read(path).before(published_prices())
    ours, theirs = both.find("ibm:ibm_fez"), both.find("local")
    assert ours is not None and ours.source == "our contract" and theirs is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ("[]", "no price table"),
        ('{"version": 1, "rows": [{"backend": "x"}]}', "as_of"),
        ('{"version": 1, "rows": [{"backend": "x", "as_of": "2026-01-01", "source": "y", "prize": 3}]}', "prize"),
        (
            '{"version": 1, "rows": [{"backend": "x", "as_of": "2026-01-01", "source": "y", "per_shot_usd": -1}]}',
            "0 or more",
        ),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(EstimateInputError, match=told):
        PriceTable.read(path)
    with pytest.raises(EstimateInputError, match="cannot be read"):
        PriceTable.read(tmp_path / "nowhere.json")


def test_usage_counts_settings_and_batches() -> None:
    observables = [Observable("XX"), Observable("ZZ")]
    used = usage_of(Program(Circuit(2).h(0).cx(0, 1), {}, observables, shots=100))
    assert (used.n_circuits, used.n_shots) == (2, 200)
    assert (used.one_qubit_gate_shots, used.two_qubit_gate_shots) == (200, 200)
    wide = usage_of(Program(Circuit(3).ccx(0, 1, 2), shots=10))
    assert wide.two_qubit_gate_shots == 60  # six for a Toffoli gate
