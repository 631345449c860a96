"""Reports of conformance: each broken contract by its name, whatever a backend does, and the cost told beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType

import pytest

from superpose.backends import LocalBackend
from superpose.backends.fitting import require_fit
from superpose.circuits import Capabilities, Pricing, Program, ProgramResult
from superpose.testing import conformance, conformance_cost
from superpose.testing.reporting import CONTRACTS, programs_of


class Wrapped:
    """The local backend, but for what is changed of its answers and of what it says of itself."""

    name = "wrapped"
    change: Callable[[Program, ProgramResult], ProgramResult] = staticmethod(lambda program, result: result)
    says: Mapping[str, object] = MappingProxyType({})

    def __init__(self) -> None:
        self.sent: list[Program] = []

    def capabilities(self) -> Capabilities:
        return replace(LocalBackend().capabilities(), **self.says)  # type: ignore[arg-type]

    def run(self, program: Program) -> ProgramResult:
        require_fit(program, self.capabilities(), self.name)
        self.sent.append(program)
        found = LocalBackend().run(program)
        return self.change(program, replace(found, provenance={**found.provenance, "backend": self.name}))


def turned(_: Program, result: ProgramResult) -> ProgramResult:
    counts = result.counts and tuple({bits[::-1]: n for bits, n in one.items()} for one in result.counts)
    return replace(result, counts=counts)


def test_each_contract_has_its_finding() -> None:
    report = conformance(Wrapped(), leave_out=["gates"])
    assert report.passed and report.require() is report
    assert list(report.outcomes) == [one.name for one in CONTRACTS]
    assert report.outcomes["counts"] == "passed" and report.outcomes["tokens"] == "not offered"
    assert report.outcomes["gates"] == "not looked at"
    assert report.to_json()["findings"][0] == {"contract": "capabilities", "outcome": "passed", "note": ""}


def test_what_is_broken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wrapped, "change", staticmethod(turned))
    report = conformance(Wrapped())
    assert {one.contract for one in report.failed} == {"bit order", "counts", "mid-circuit", "reset"}
    assert "011 is read most often, not '110'" in report.failed[0].note
    with pytest.raises(AssertionError, match="wrapped breaks 4 of 26 contracts: bit order: "):
        report.require()


def test_what_a_backend_raises_is_a_finding_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def angry(program: Program, result: ProgramResult) -> ProgramResult:
        if program.dtype == "float32":
            raise RuntimeError("no such thing")
        return result

    monkeypatch.setattr(Wrapped, "change", staticmethod(angry))
    (failed,) = conformance(Wrapped()).failed
    assert (failed.contract, failed.note) == ("single precision", "RuntimeError: no such thing")


def test_the_rehearsal_knows_what_will_be_sent_and_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    priced = Pricing(as_of=date(2026, 11, 1), source="test", per_circuit_usd=0.3, per_shot_usd=0.001)
    monkeypatch.setattr(Wrapped, "says", {"exact": False, "state_vectors": False, "pricing": priced, "max_qubits": 20})
    rehearsed = Wrapped()
    planned, cost = programs_of(rehearsed), conformance_cost(rehearsed)
    assert not rehearsed.sent
    backend = Wrapped()
    conformance(backend)
    assert cost.n_programs == len(planned) == len(backend.sent)
    assert [one.circuit for one in planned] == [one.circuit for one in backend.sent]
    assert cost.usd == pytest.approx(0.3 * cost.n_circuits + 0.001 * cost.n_shots)
    assert conformance_cost(Wrapped(), ["gates"]).n_programs < cost.n_programs


def test_a_processor_without_a_price_has_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert conformance_cost(Wrapped()).usd == 0.0
    monkeypatch.setattr(Wrapped, "says", {"simulator": False, "pricing": None})
    assert conformance_cost(Wrapped()).usd is None
