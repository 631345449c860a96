"""The engine's kernels are built once, beside a worker that builds the other half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_two_processes_share_the_build_and_the_second_time_there_is_none(tmp_path: Path) -> None:
    environment = {**os.environ, "SUPERPOSE_CACHE_DIR": str(tmp_path / "cache")}
    worker = subprocess.Popen([sys.executable, "-c", "from superpose.engine import warm; warm()"], env=environment)
    command = [sys.executable, "-m", "superpose.cli.kernel_build"]
    first = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert worker.wait(280) == 0
    began, ended = (json.loads(line) for line in first.stdout.splitlines())
    assert began == {"building": True}
    assert ended["built_s"] > 1
    second = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert [json.loads(line) for line in second.stdout.splitlines()] == [{"building": False}, {"built_s": None}]
