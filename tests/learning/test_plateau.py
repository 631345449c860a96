"""Whether training begins on a barren plateau is told before it begins."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, Parameter
from superpose.datasets import builtin_table
from superpose.engine import compile_program
from superpose.learning import TrainingSpec, build_block, run_experiment
from superpose.learning.plateau import PLATEAU_RMS, block_gradients, gradient_report


def test_derivatives_of_deep_circuits_shrink_with_the_number_of_qubits() -> None:
    """Variances fall by some 2 per qubit (McClean et al. 2018); local observables of shallow circuits fall slower."""
    deep = [block_gradients(build_block(n, layers=6, observables=[Observable("Z" * n)])) for n in (4, 7, 10)]
    variances = [report.variance for report in deep if report is not None]
    for few, many in pairwise(variances):
        assert 4 < few / many < 16  # three qubits more
    shallow = block_gradients(build_block(10, layers=1))
    assert shallow is not None
    assert shallow.rms > 2 * PLATEAU_RMS
    assert shallow.warning is None


def test_a_plateau_is_told_with_the_shots_it_takes() -> None:
    report = block_gradients(build_block(13, layers=6, observables=[Observable("Z" * 13)]))
    assert report is not None
    assert report.rms < PLATEAU_RMS
    assert report.rms == pytest.approx(report.variance**0.5, rel=0.1)
    assert report.warning is not None
    assert f"{report.rms**-2:.2g} shots" in report.warning


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_units_of_an_observable_make_no_plateau_and_hide_none(size: float) -> None:
    """Shots measure an observable's derivative as well in any unit, and a constant beside it moves nothing."""
    steep, flat = Observable({"ZII": size}), Observable({"Z" * 13: size, "I" * 13: 5.0})
    near = block_gradients(build_block(3, layers=1, observables=[steep]))
    far = block_gradients(build_block(13, layers=6, observables=[flat]))
    assert near is not None and near.warning is None
    assert far is not None and far.warning is not None and far.warning.startswith("Barren plateau")
    assert far.rms == pytest.approx(far.variance**0.5 / size, rel=0.1)


def test_a_derivative_that_has_a_mean_counts_with_it() -> None:
    """d<Z>/da = -sin(a / 2) / 2: its square is 1/8 on average over a turn, its variance 1/8 - 1/pi**2."""
    circuit = Circuit(1).ry(0.5 * Parameter("a"), 0)
    values = (np.arange(1_000)[:, None] + 0.5) * 2 * math.pi / 1_000
    report = gradient_report(compile_program(circuit, [Observable("Z")], inputs=["a"], dtype="float64"), values)
    assert report.variance == pytest.approx(1 / 8 - 1 / math.pi**2, abs=1e-6)
    assert report.rms == pytest.approx(8**-0.5, abs=1e-6)


def test_training_says_so_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []
    spec = TrainingSpec.from_dict(
        {"training": {"epochs": 1}, "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"}}
    )

    def heard(kind: str, data: dict[str, Any]) -> None:
        said.append({"kind": kind, **data})

    run_experiment(spec, builtin_table("breast_cancer"), tmp_path / "fine", on_event=heard)
    assert not any("plateau" in str(event.get("message")) for event in said)
    monkeypatch.setattr("superpose.learning.plateau.PLATEAU_RMS", 1.0)  # a plateau of 13 qubits takes a minute to train
    run_experiment(spec, builtin_table("breast_cancer"), tmp_path / "flat", on_event=heard)
    assert any(str(event.get("message")).startswith("Barren plateau") for event in said)
