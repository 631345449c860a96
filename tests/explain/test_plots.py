"""Plots of estimates and sweeps: names with signs of formulas are drawn as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.full_disk import room_for

from superpose.circuits import Circuit
from superpose.explain import plot_estimates, plot_sweep
from superpose.explain.report.drawing import circuit_svg
from superpose.explain.report.plots import curves_figure, seeds_figure

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
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with room_for(1_000):  # what finds none leaves what was there
        for file, call in (
            ("estimate.svg", lambda: plot_estimates([row], tmp_path / "estimate.svg")),
            ("s-history.png", lambda: plot_sweep(sweep, tmp_path)),
        ):
            with pytest.raises(OSError, match=str(tmp_path / file)):
                call()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_reports_circuit_needs_no_room_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="draws it")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "full"))
    assert circuit_svg(Circuit(1).h(0), "c").startswith("<svg")


def test_an_axis_of_epochs_has_whole_numbers_even_of_a_single_one() -> None:
    pytest.importorskip("matplotlib", reason="draws them")
    curve = {"epochs": [1], "loss": [1.3], "validation_loss": [1.4], "best_epoch": 1}
    for figure in (seeds_figure("c", "hybrid", [1], [[[1.3]]]), curves_figure("c", "hybrid", [curve])):
        told = re.findall(r">([0-9.]+)</text>", figure.svg.split("epoch</text>")[0])
        assert told == ["1"]
