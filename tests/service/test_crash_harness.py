"""The crash harness, small: real processes, killed at random, and nothing lost, done twice or changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parents[2] / "benchmarks" / "crash_harness.py"


@pytest.mark.timeout(600)  # on a machine that does much else
@pytest.mark.usefixtures("kernels")
@pytest.mark.slow
def test_jobs_survive_kills_at_random() -> None:
    command = [sys.executable, str(HARNESS), "--jobs", "8", "--seed", "7", "--pause-s", "2", "5"]
    command += ["--blows", "4", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert run.stdout, run.stderr
    (row,) = json.loads(run.stdout)["rows"]
    assert run.returncode == 0 and row["passed"], row["checks"]
    assert row["jobs"] == row["attempts"]["succeeded"] == 8
    assert row["n_blows"] >= 1
    assert set(row["checks"]) >= {"none lost", "none effective twice", "equal to undisturbed results", "store whole"}
