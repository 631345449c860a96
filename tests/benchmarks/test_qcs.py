"""The replay of a quantum-classical cloud: its circuit, what is predicted, and what the feedback circuit reaches."""

from __future__ import annotations

import json

import numpy as np
import pytest

import qcs
from superpose.circuits import Instruction, Measure

needs_timings = pytest.mark.skipif(not qcs.DATA.is_dir(), reason="the raw timings are not beside this repository")


def test_a_circuit_of_phase_gadgets_is_as_wide_as_deep() -> None:
    circuit = qcs.random_phase_gadgets(4, np.random.default_rng(1))
    gates = [item.gate for item in circuit.instructions if isinstance(item, Instruction)]
    assert (gates.count("cx"), gates.count("rz"), gates.count("h")) == (2 * 2 * 4, 2 * 4, 2 * 2 * 4 + 4)
    assert circuit.n_params == 8
    assert sum(isinstance(item, Measure) for item in circuit.instructions) == 4


def test_without_the_timings_our_own_engine_is_still_measured(capsys, tmp_path) -> None:
    assert qcs.main(["--quick", "--json", "--data", str(tmp_path / "nothing")]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    every_step, parametric = rows
    assert {row["what"] for row in rows} == {"local engine"}
    assert 0 < parametric["t_v_ms"] < every_step["t_v_ms"]


@needs_timings
def test_passive_resets_are_predicted_within_15_percent_and_the_gap_explains_the_rest() -> None:
    rng = np.random.default_rng(3)
    circuits = [qcs.random_phase_gadgets(qcs.WIDTH, rng) for _ in range(10)]
    rows = qcs.replay(circuits, qcs.DATA)
    assert len(rows) == 3 * 16
    assert all(row["within_15_percent"] for row in rows if row["configuration"] != "active_reset")
    assert sum(row["within_15_percent"] for row in rows if row["configuration"] == "active_reset") >= 11
    gaps = {row["configuration"]: row["gap_us"] for row in qcs.shot_gap(rows) if row["what"] == "shot"}
    assert all(3.5 < gap < 6.5 for gap in gaps.values())  # alike with either reset, so it is not the reset's
    explained = [row for row in qcs.shot_gap(rows) if row["what"] != "shot"]
    assert sum(row["within_15_percent"] for row in explained) == 15


@needs_timings
def test_three_rounds_of_active_reset_reach_the_ground_state() -> None:
    rows = qcs.active_reset(qcs.DATA)
    assert [row["rounds"] for row in rows] == [1, 2, 3]
    assert rows[-1]["ground_state"] >= 0.994
    for row in rows:
        assert row["predicted_zeros"] == pytest.approx(row["measured_zeros"], abs=0.006)
