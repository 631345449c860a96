"""The benchmark of the share of the machine: its formulas, and a short run."""

from __future__ import annotations

import json

import roofline
from rivals.circuit import Case


def test_formulas():
    case = Case(2, 1, 3)
    assert roofline.minimal_flops(case) == 3 * 4 * (16 * 2 + 22 + 4 * 2 + 10)
    assert roofline.fused_gate_flops(case) == 3 * 4 * (58 * 2 + 4 * 2 + 10)
    large = Case(10, 4, 64)
    assert roofline.minimal_flops(large) < roofline.fused_gate_flops(large)


def test_a_short_run(capsys):
    assert roofline.main(["--case", "4x1x16", "--threads", "1", "--quick", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (row,) = report["rows"]
    assert (row["n_qubits"], row["layers"], row["batch"]) == (4, 1, 16)
    assert 0 < row["gflops"] < row["peak_gflops"]
    assert 0 < row["share"] < 1
