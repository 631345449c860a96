"""The contest over large states, with ours alone: the rivals need environments of their own."""

from __future__ import annotations

import sys

import pytest

from large_states import read_qasm
from rivals.state_contest import Contest, circuits


@pytest.mark.parametrize("request_", [{"op": "run"}, {"op": "sample", "shots": 1000, "seed": 1}])
@pytest.mark.parametrize("name", ["qft", "random", "volume"])
def test_ours_runs_and_is_reported(name, request_):
    contest = Contest(sys.executable, "double", 2, 60.0, lambda _: None, alone=name == "qft")
    row = contest.row(circuits(name, 9), [], 2, request_)
    assert row["ours_ms"] > 0
    assert row["ratio_to_best"] is None
    assert row["n_qubits"] == 9


def test_a_contestant_that_is_not_there_is_reported_with_its_reason(monkeypatch):
    contest = Contest(sys.executable, "single", 2, 60.0, lambda _: None, alone=False)
    row = contest.row(circuits("qft", 9), ["qulacs"], 1, {"op": "run"})
    assert row["qulacs_ms"] is None
    assert "complex128 only" in row["qulacs_unavailable"] or "qulacs" in row["qulacs_unavailable"]
    with pytest.raises(ValueError, match="qft, random or volume"):
        circuits("bell", 2)


def test_files_without_final_measurements(tmp_path):
    path = tmp_path / "bell.qasm"
    path.write_text('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;')
    case = read_qasm(path)
    assert case.name == "bell"
    assert [gate[0] for gate in case.gates] == ["h", "cx"]
