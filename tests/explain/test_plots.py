"""Plots of estimates and sweeps: names with signs of formulas are drawn as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from superpose.explain import plot_estimates, plot_sweep

FORMULA = "$\\foo$ a_$"


def test_names_are_no_formulas(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="draws them")
    row = {"name": FORMULA, "kind": "qpu", "fidelity": 0.5, "price_usd": 0.2, "wait_s": 1.0, "on_front": True}
    assert plot_estimates([row], tmp_path / "estimate.svg", title=FORMULA).stat().st_size > 0
    trials = [
        {"number": place, "value": 0.5 + place, "state": "complete", "params": {"model.kind": kind}}
        for place, kind in enumerate((FORMULA, "b"))
    ]
    space = {"model.kind": {"choice": [FORMULA, "b"]}}
    sweep = {
        "name": "s",
        "trials": trials,
        "importances": {FORMULA: 1.0},
        "sweep": {"objective": {"metric": "accuracy"}, "space": space},
    }
    assert len(plot_sweep(sweep, tmp_path)) == 3
