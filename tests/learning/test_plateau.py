"""Whether training begins on a barren plateau is told before it begins."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from superpose.circuits import Observable
from superpose.datasets import builtin_table
from superpose.learning import TrainingSpec, build_block, run_experiment
from superpose.learning.plateau import PLATEAU_RMS, block_gradients


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
    assert report.warning is not None
    assert f"{1 / report.variance:.2g} shots" in report.warning


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
