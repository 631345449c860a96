"""`superpose backends check`: a stranger's backend, its cost first, and what is broken."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODULE = """
from dataclasses import replace
from datetime import date

from superpose.backends import LocalBackend
from superpose.circuits import Pricing

SENT = []


class Dear(LocalBackend):
    name = "dear"
    pricing = Pricing(as_of=date(2026, 11, 1), source="test", per_circuit_usd=0.25)

    def capabilities(self):
        return replace(super().capabilities(), simulator=False, pricing=self.pricing)

    def run(self, program):
        SENT.append(program)
        found = super().run(program)
        return replace(found, provenance={**found.provenance, "backend": self.name})


class Secretive(Dear):
    name, pricing = "secretive", None


class Liar(LocalBackend):
    name = "liar"

    def run(self, program):
        found = super().run(program)
        told = {**found.provenance, "backend": self.name, "seed": 0}
        return replace(found, provenance=told)
"""
POINTS = "[superpose.backends]\n" + "".join(
    f"{name.lower()} = strangers:{name}\n" for name in ("Dear", "Secretive", "Liar")
)


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was sent to the backends of a package of somebody else's."""
    facts = tmp_path / "strangers-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(POINTS)
    (tmp_path / "strangers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "strangers", raising=False)
    found: list[Any] = importlib.import_module("strangers").SENT
    return found


def test_this_machine_keeps_its_contracts(superpose: Callable[..., Any]) -> None:
    said = superpose("backends", "check", "local", "--json")
    assert said.code == 0 and said.json["passed"] and said.json["cost"]["usd"] == 0.0
    assert {row["outcome"] for row in said.json["findings"]} == {"passed", "not offered"}
    assert "0.00 USD" in said.err


def test_what_costs_something_is_told_and_not_sent(superpose: Callable[..., Any], sent: list[Any]) -> None:
    said = superpose("backends", "check", "dear", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "quota.budget")
    cost = said.json["error"]["details"]["cost_usd"]
    assert cost > 10 and f"{cost:,.2f} USD" in said.err and not sent
    assert superpose("backends", "check", "dear", "--max-usd", str(cost - 0.01)).code == 1 and not sent
    assert superpose("backends", "check", "dear", "--max-usd", str(cost)).code == 0 and sent


def test_a_price_that_nobody_says_needs_a_yes(superpose: Callable[..., Any], sent: list[Any]) -> None:
    said = superpose("backends", "check", "secretive", "--max-usd", "1000", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "quota.price_unknown") and not sent
    said = superpose("backends", "check", "secretive", "--yes")
    assert said.code == 0 and sent and "bit order" in said.out


@pytest.mark.usefixtures("sent")
def test_what_is_broken_is_an_exit_code_and_a_line(superpose: Callable[..., Any]) -> None:
    said = superpose("backends", "check", "liar")
    assert said.code == 1
    assert next(line for line in said.out.splitlines() if line.startswith("counts")).split()[1] == "failed"
    said = superpose("backends", "check", "liar", "--leave-out", "nonsense")
    assert said.code == 2 and "no contract" in said.err
