"""Calibrations hold what can be, survive their documents, and are told apart by their epochs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from superpose.circuits import Calibration, GateCalibration, Pricing, QubitCalibration
from superpose.errors import CalibrationError

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
QUBITS = (QubitCalibration(t1_us=100.0, t2_us=80.0, flip0=0.01, flip1=0.02, readout_ns=800.0), QubitCalibration())
GATES = (
    GateCalibration(gate="sx", qubits=(0,), error=3e-4, duration_ns=35.0),
    GateCalibration(gate="cz", qubits=(0, 1), error=5e-3, duration_ns=70.0),
    GateCalibration(gate="cz", qubits=(1, 0), error=5e-3),
)
SOME = Calibration(backend="some", taken_at=AT, qubits=QUBITS, gates=GATES)


def test_what_it_tells() -> None:
    assert SOME.native_gates == {"sx", "cz"}
    assert SOME.connectivity == {(0, 1), (1, 0)}
    assert SOME.by_gate["cz", (0, 1)].duration_ns == 70.0


def test_documents_and_epochs() -> None:
    assert Calibration.from_json(SOME.to_json()) == SOME
    assert Calibration.from_json(SOME.to_json()).epoch == SOME.epoch
    later = replace(SOME, taken_at=AT + timedelta(hours=1))
    better = replace(SOME, gates=(replace(GATES[0], error=1e-4), *GATES[1:]))
    assert len({SOME.epoch, later.epoch, better.epoch}) == 3
    elsewhere = replace(SOME, taken_at=AT.astimezone(timezone(timedelta(hours=5))))
    assert elsewhere.epoch == SOME.epoch


@pytest.mark.parametrize(
    "parts",
    [
        {"taken_at": datetime(2026, 1, 1)},  # that is the point
        {"qubits": (QubitCalibration(flip0=1.5), QubitCalibration())},
        {"qubits": (QubitCalibration(t1_us=float("nan")), QubitCalibration())},
        {"qubits": (QubitCalibration(readout_ns=float("inf")), QubitCalibration())},
        {"gates": (GATES[0], GATES[0])},
        {"gates": (GateCalibration(gate="cz", qubits=(0, 2)),)},
        {"gates": (GateCalibration(gate="cz", qubits=(0,)),)},
        {"gates": (GateCalibration(gate="cz", qubits=(0, 0)),)},
        {"gates": (GateCalibration(gate="sx", qubits=(0,), error=-0.1),)},
    ],
)
def test_what_cannot_be_is_refused(parts: dict[str, object]) -> None:
    with pytest.raises(CalibrationError):
        replace(SOME, **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("document", [{}, {**SOME.to_json(), "qubits": 3}, {**SOME.to_json(), "taken_at": "soon"}])
def test_documents_that_are_none(document: dict[str, object]) -> None:
    with pytest.raises(CalibrationError, match="no calibration"):
        Calibration.from_json(document)


def test_prices_add_up() -> None:
    pricing = Pricing(as_of=AT.date(), source="x", per_circuit_usd=0.3, per_shot_usd=0.00145, per_second_usd=1.6)
    assert pricing.price_usd(n_circuits=2, n_shots=1000, seconds=10) == pytest.approx(0.6 + 1.45 + 16)
    fee = Pricing(as_of=AT.date(), source="x", per_submission_usd=0.3)
    assert fee.price_usd(n_circuits=100, n_shots=1000, seconds=10) == pytest.approx(0.3)
    assert fee.price_usd(n_circuits=100, n_shots=1000, seconds=10, n_submissions=3) == pytest.approx(0.9)
    assert not fee.is_free and Pricing(as_of=AT.date(), source="x").is_free
