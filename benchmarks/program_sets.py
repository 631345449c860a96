"""What does a program set of 100,000 bindings take, over HTTP, in time and in memory?

    python benchmarks/program_sets.py         # a minute; --json, --quick (10,000 bindings)

A server with one worker in processes of their own, and a client in this one. A hardware-efficient circuit of 8 qubits
with 16 parameters, a random value for each in every binding, and two observables, goes to the service as one set; its
job is waited for; one binding is indexed, which loads one piece; then all are loaded. What came is compared with
`superpose.run` at 50 bindings before anything is reported. Memory is the high-water mark of each process (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness import environment_facts, print_json, print_table
from superpose import Circuit, Client, Observable, Parameter, ProgramGrid, ProgramSet, run
from superpose.cli.settings import without_settings
from superpose.engine import get_threads

N_QUBITS = 8


def peak_mb(pid: int | str) -> float:
    """High-water mark of a process's memory, in 10**6 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def children(pid: int) -> list[int]:
    """Processes that a process has begun, and those that these have."""
    own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*own, *(below for child in own for below in children(child))]


def the_set(n_bindings: int) -> tuple[Circuit, np.ndarray[Any, Any], list[Observable], ProgramSet]:
    """The set, and what it is made of."""
    circuit = Circuit(N_QUBITS)
    for layer in range(2):
        for qubit in range(N_QUBITS):
            circuit.ry(Parameter(f"a{layer}_{qubit}"), qubit)
        for qubit in range(N_QUBITS - 1):
            circuit.cx(qubit, qubit + 1)
    values = np.random.default_rng(0).uniform(0, np.pi, (n_bindings, circuit.n_params))
    observables = [Observable("Z" * N_QUBITS), Observable("X" + "I" * (N_QUBITS - 1))]
    return circuit, values, observables, ProgramSet(ProgramGrid(circuit, values, observables))


def measure(home: Path, n_bindings: int) -> dict[str, Any]:
    """Seconds and megabytes."""
    ready = home / "ready.json"
    command = [sys.executable, "-m", "superpose", "serve", "--port", "0", "--workers", "1"]
    command += ["--data-dir", str(home / "data"), "--ready-file", str(ready)]
    with (home / "server.log").open("ab") as log:
        server = subprocess.Popen(command, env=without_settings(os.environ), stdout=log, stderr=log)
    while not ready.exists():
        if server.poll() is not None:
            raise SystemExit((home / "server.log").read_text())
        time.sleep(0.02)
    facts = json.loads(ready.read_text())
    circuit, values, observables, whole = the_set(n_bindings)
    try:
        with Client(facts["url"], key_file=Path(facts["key_file"])) as client:
            client.program_sets.wait(client.program_sets.create(the_set(10)[-1]).id)  # the worker is ready
            before_mb, times_s = peak_mb("self"), [time.perf_counter()]
            made = client.program_sets.create(whole)
            times_s.append(time.perf_counter())
            result = client.program_sets.result(made.id)
            times_s.append(time.perf_counter())
            _ = result[0].expectations[n_bindings // 2]  # type: ignore[index]
            times_s.append(time.perf_counter())
            found = np.asarray(result[0].expectations)
            times_s.append(time.perf_counter())
            worker_mb = max(map(peak_mb, children(server.pid)), default=0.0)
            row = {
                "n_bindings": n_bindings,
                "n_pieces": made.n_pieces,
                **dict(zip(("submit_s", "job_s", "one_piece_s", "all_s"), np.diff(times_s).tolist(), strict=True)),
                "server_mb": peak_mb(server.pid),
                "worker_mb": worker_mb,
                "client_mb": peak_mb("self"),
                "client_before_mb": before_mb,
            }
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    some = np.random.default_rng(1).choice(n_bindings, 50)
    wanted = run(circuit, values[some], observables=observables).expectations
    if found.shape != (n_bindings, 2) or not np.allclose(found[some], wanted, atol=1e-12):
        raise SystemExit("the service gave other numbers than a run here")
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        row = measure(Path(home), 10_000 if given.quick else 100_000)
    if given.json:
        print_json(environment_facts(threads=get_threads()), [row])
    else:
        print_table("a program set over HTTP", [row], {name: partial(shown, name) for name in row})


def shown(name: str, row: Mapping[str, Any]) -> str:
    """A number of a row as it stands in the table."""
    return f"{row[name]:,.3g}" if isinstance(row[name], float) else f"{row[name]:,}"


if __name__ == "__main__":
    main()
