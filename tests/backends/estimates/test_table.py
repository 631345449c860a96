"""Estimates over many backends: what is known of each, why some are out, and which no other beats."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from tests.backends.estimates.processors import processor

from superpose.backends.estimates import (
    BackendEstimate,
    Knowledge,
    PriceRow,
    PriceTable,
    SeenWait,
    estimate_backends,
    estimate_program,
    pareto_front,
)
from superpose.circuits import BackendInfo, Calibration, Capabilities, Circuit, Estimate, Observable, Program
from superpose.errors import BackendUnknownError

NOW = datetime(2026, 11, 26, tzinfo=UTC)
GHZ = Program(Circuit(4).h(0).cx(0, 1).cx(1, 2).cx(2, 3), shots=1000)


def by_name(found: list[BackendEstimate]) -> dict[str, BackendEstimate]:
    return {one.info.name: one for one in found}


def test_every_backend_has_its_line(pool: tuple[str, ...]) -> None:
    found = by_name(estimate_backends(GHZ, pool))
    good, cheap, local = (found[name].estimate for name in ("pool:good", "pool:cheap", "local"))
    assert good is not None and cheap is not None and local is not None
    assert local.fidelity == 1.0 and local.price_usd == 0.0 and local.wait_s == 0.0
    assert good.fidelity is not None and cheap.fidelity is not None and cheap.fidelity < good.fidelity < 1.0
    assert good.price_usd == pytest.approx(0.1 + 10.0) and cheap.price_usd == pytest.approx(0.1 + 0.1)
    assert good.wait_s == 3600.0 and cheap.wait_s == 0.0
    assert good.notes["placed_by"] == "model" and good.notes["n_two_qubit_gates"] >= 3
    assert good.notes["price"]["source"] == "the pool" and good.notes["wait"]["model"] == "stated queue"
    assert found["pool:off"].estimate is None and found["pool:off"].reasons == ("It is offline. Repairs.",)
    json.dumps([one.to_json() for one in found.values()], allow_nan=False)


def test_programs_that_do_not_fit_are_told_why(pool: tuple[str, ...]) -> None:
    found = by_name(estimate_backends(Program(Circuit(8).h(0)), pool))
    assert found["local"].estimate is not None
    assert len(found["pool:good"].reasons) == 2 and "8 qubits" in found["pool:good"].reasons[0]
    with pytest.raises(BackendUnknownError):
        estimate_backends(GHZ, ["pool:nothing"])


def test_prices_and_waits_of_ones_own_come_first(pool: tuple[str, ...]) -> None:
    row = PriceRow(backend="pool:*", as_of=date(2026, 1, 1), source="contract", per_circuit_usd=5.0)
    waits = [SeenWait(backend="pool:good", at=NOW, wait_s=7.0)] * 30
    known = Knowledge(prices=PriceTable("ours", (row,)), waits=waits, now=NOW)
    found = by_name(estimate_backends(GHZ, pool, known))["pool:good"].estimate
    assert found is not None
    assert (found.price_usd, found.wait_s, found.notes["wait"]["model"]) == (5.0, 7.0, "quantiles")


def test_only_what_observables_look_at_is_read(pool: tuple[str, ...]) -> None:
    def readout(observable: str) -> float:
        program = Program(GHZ.circuit, {}, [Observable(observable)], shots=100)
        found = by_name(estimate_backends(program, ["pool:cheap"]))["pool:cheap"].estimate
        assert found is not None
        return float(found.notes["readout"])

    assert readout("ZIII") > readout("ZZII") > readout("ZZZZ")


class AsTold:
    """A backend that shows circuits as it would run them: twice as long as needed, on its last qubits."""

    name = "told"

    def calibration(self) -> Calibration:
        return processor("told", 4)

    def capabilities(self) -> Capabilities:
        return Capabilities(max_qubits=4)

    def transpiled(self, circuit: Circuit) -> Circuit:
        out = Circuit(4, n_bits=circuit.n_bits)
        for item in circuit.instructions:
            if len(item.qubits) == 2:
                out.cx(2, 3).cx(2, 3)
            out.extend([item.moved([2, 3])])
        return out

    def run(self, program: Program) -> None:
        raise NotImplementedError


def test_a_backend_is_believed_about_its_circuits() -> None:
    found = estimate_program(Program(Circuit(2).cx(0, 1), shots=10), AsTold(), kind="qpu")  # type: ignore[arg-type]
    assert found.notes["placed_by"] == "backend" and found.notes["n_two_qubit_gates"] == 3
    assert found.price_usd is None and found.wait_s is None and found.run_s is None  # nobody knows


def test_the_front() -> None:
    def line(name: str, *values: float | None) -> BackendEstimate:
        info = BackendInfo(name=name, provider="p", n_qubits=2, kind="qpu", status="online")
        estimate = Estimate(fidelity=values[0], price_usd=values[1], wait_s=values[2])
        return BackendEstimate(info=info, estimate=estimate)

    lines = [
        line("best", 0.9, 5.0, 60.0),
        line("twin", 0.9, 5.0, 60.0),
        line("cheap", 0.8, 1.0, 60.0),
        line("soon", 0.8, 5.0, 0.0),
        line("beaten", 0.8, 5.0, 60.0),
        line("open", 0.95, None, None),
        line("worse", 0.7, None, None),
    ]
    assert pareto_front(lines) == {"best", "twin", "cheap", "soon", "open"}
