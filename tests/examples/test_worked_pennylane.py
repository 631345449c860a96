"""The worked PennyLane example and its trainable variant: as scripts, with `superpose run`, and as a job."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pennylane", reason="needs superpose[pennylane]")

EXAMPLES = Path(__file__).parents[2] / "examples"
WANTED = 0.6459466621398504
"""PennyLane's own devices print this, or 0.6459466621398505; the exact value is 0.64594666213985064."""


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )


def test_with_superpose_run() -> None:
    said = run("-m", "superpose", "run", EXAMPLES / "worked_pennylane.py")
    assert abs(float(said.stdout) - WANTED) < 1e-15
    assert "superpose's PennyLane device ran 1 circuits" in said.stderr


@pytest.mark.slow
def test_as_a_plain_script() -> None:
    assert abs(float(run(EXAMPLES / "worked_pennylane.py").stdout) - WANTED) < 1e-15


@pytest.mark.slow
def test_its_circuit_with_other_angles() -> None:
    values = {"params_0": 0.2, "params_1": 0.6, "params_2": 0.1, "params_3": 0.7}
    given = [word for name, value in values.items() for word in ("--param", f"{name}={value}")]
    said = run("-m", "superpose", "run", f"{EXAMPLES / 'worked_pennylane.py'}:circuit", *given, "--json")
    (z,) = json.loads(said.stdout)["expectations"]
    assert abs(sum(x * one for x, one in zip((0.5, 0.1, -0.3, 0.8), z, strict=True)) - WANTED) < 1e-14


def test_the_original_is_linear_in_x_and_the_variant_learns_what_is_not() -> None:
    pnp = pytest.importorskip("pennylane.numpy")
    sys.path.insert(0, str(EXAMPLES))
    try:
        import worked_pennylane
        import worked_pennylane_trainable as variant
    finally:
        sys.path.remove(str(EXAMPLES))
    x, d, angles = pnp.array([0.5, 0.1, -0.3, 0.8]), pnp.array([0.3, 0.3, 0, 0]), pnp.array([0.2, 0.6, 0.1, 0.7])
    assert abs(variant.second_difference(lambda x: worked_pennylane.model(x, angles), x, d)) < 1e-14
    params, before, after = variant.train(steps=60)
    assert after < 0.25 * before
    assert abs(variant.second_difference(lambda x: variant.circuit(x, params), x, d)) > 0.01
    assert variant.device.n_structures == 1  # batches and single samples alike


@pytest.mark.slow
def test_as_a_job_and_as_an_endpoint(tmp_path: Path) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path)}
    ready = tmp_path / "ready.json"
    command = ["-m", "superpose", "serve", "--port", "0", "--ready-file", str(ready), "--allow-user-code"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env={**os.environ, **home})
    try:
        deadline = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        said = run("-m", "superpose", "run", EXAMPLES / "worked_pennylane.py", "--job", **home)
        assert abs(float(said.stdout) - WANTED) < 1e-15
        assert re.search(r"submitted job_\w+\nsuperpose's PennyLane device ran 1 circuits", said.stderr)
        as_json: Any = json.loads(
            run("-m", "superpose", "run", EXAMPLES / "worked_pennylane_trainable.py", "--job", "--json", **home).stdout
        )
        assert as_json["device_executions"] > 60 and "second difference" in as_json["printed"]
        circuit = f"{EXAMPLES / 'worked_pennylane.py'}:circuit"
        values = [word for k in range(4) for word in ("--param", f"params_{k}=0.0")]
        remote = json.loads(run("-m", "superpose", "run", circuit, *values, "--job", "--json", **home).stdout)
        assert remote["expectations"] == [[1.0] * 4]
        observables = [w for pauli in ("ZIII", "IZII", "IIZI", "IIIZ") for w in ("--observable", pauli)]
        file = EXAMPLES / "worked_pennylane.py"
        deploy = ("functions", "deploy", file, "--name", "worked", "--shots", "0", *observables)
        run("-m", "superpose", *deploy, **home)
        given = json.dumps({"params_0": 0.2, "params_1": 0.6, "params_2": 0.1, "params_3": 0.7})
        called = run("-m", "superpose", "functions", "call", "worked", "--input", given, "--json", **home)
        answer = json.loads(called.stdout)
        (z,) = answer.get("output", answer)["expectations"]
        assert abs(sum(x * one for x, one in zip((0.5, 0.1, -0.3, 0.8), z, strict=True)) - WANTED) < 1e-14
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
