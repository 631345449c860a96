"""How long does a call of a quantum function take, from zero and warm?

    python benchmarks/functions.py            # a minute; --json, --quick

A server in a process of its own, one client, keep-alive, one call after the other over HTTP, JSON in and out. Each row
is a kind of function:

``circuit``: 4 qubits, 40 gates with parameters, expectations. *From zero*: every call is of another function, whose
circuit differs from all others, and which nothing in the server process has seen before: its row is read from the
store, its document from the disk, its circuit is checked, lowered and run. *Warm*: the same functions, called again.

``python``: the same circuit with ``pre`` and ``post``. *From zero*: a process is started, shut in, and runs the file.

The answers are compared with `superpose.run` before anything is reported. Rivals are not timed here: an installation of
QFaaS keeps two pinned replicas of every function for want of a fast start, and needs a cluster to run.
"""

from __future__ import annotations

import argparse
import http.client
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
from urllib.parse import urlsplit

import numpy as np

from harness import environment_facts, print_json, print_table, say
from superpose import Circuit, Parameter, run
from superpose.circuits import circuit_to_json, z_all
from superpose.cli.settings import without_settings
from superpose.engine import get_threads

N_QUBITS, N_LAYERS = 4, 4
PYTHON = """

def circuit():
    from superpose.circuits import circuit_from_json

    return circuit_from_json({document!r})

OBSERVABLES = {observables!r}

def pre(input):
    return {{name: value / 2 for name, value in input.items()}}

def post(result, input):
    return {{"expectations": result["expectations"], "n": len(input)}}
"""


def circuit_of(seed: int) -> Circuit:
    """A circuit that no other seed gives: layers of rotations with parameters, and entanglers at random places."""
    rng = np.random.default_rng(seed)
    circuit = Circuit(N_QUBITS)
    for layer in range(N_LAYERS):
        for qubit in range(N_QUBITS):
            circuit.ry(Parameter(f"a{layer}_{qubit}") + float(rng.uniform()), qubit)
            circuit.rz(float(rng.uniform(0, 6)), qubit)
        first, second = map(int, rng.choice(N_QUBITS, 2, replace=False))
        circuit.cx(first, second).h(first)
    return circuit


class Server:
    """A server in a process of its own, with its first admin's key."""

    def __init__(self, home: Path) -> None:
        ready = home / "ready.json"
        command = [sys.executable, "-m", "superpose", "serve", "--port", "0", "--workers", "0"]
        command += ["--data-dir", str(home / "data"), "--ready-file", str(ready)]
        self.log = (home / "server.log").open("ab")
        environment = {**without_settings(os.environ), "SUPERPOSE_MAX_LOADED_MODELS": "10000"}
        ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        while not ready.exists():
            if self.process.poll() is not None:
                raise SystemExit((home / "server.log").read_text())
            time.sleep(0.02)
        facts = json.loads(ready.read_text())
        parts = urlsplit(facts["url"])
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        key = Path(facts["key_file"]).read_text().strip()
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request."""
        self.connection.request("POST", path, json.dumps(document), self.headers)
        response = self.connection.getresponse()
        body = response.read()
        if response.status not in (200, 201):
            raise SystemExit(f"{path}: {response.status} {body[:500]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def stop(self) -> None:
        """End it."""
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


def deploy(server: Server, kind: str, number: int) -> None:
    """Put function ``number`` of a kind on the server."""
    circuit = circuit_of(number if kind == "circuit" else 100_000 + number)
    document, paulis = circuit_to_json(circuit), [str(next(iter(dict(o.terms)))) for o in z_all(N_QUBITS)]
    if kind == "circuit":
        body = {"file_name": "f.json", "source": json.dumps(document), "observables": paulis}
    else:
        body = {"file_name": "f.py", "source": PYTHON.format(document=document, observables=paulis)}
    server.post("/v1/functions", {"name": f"{kind}-{number}", **body})


def called(server: Server, kind: str, number: int) -> tuple[float, dict[str, Any]]:
    """Milliseconds of a call, and its answer."""
    circuit = circuit_of(number if kind == "circuit" else 100_000 + number)
    given = {name: place / 7 for place, name in enumerate(circuit.parameters)}
    began_s = time.perf_counter()
    answer = server.post(f"/v1/functions/{kind}-{number}/call", {"input": given})
    elapsed_ms = 1000 * (time.perf_counter() - began_s)
    values = given if kind == "circuit" else {name: value / 2 for name, value in given.items()}
    wanted = run(circuit, values, observables=z_all(N_QUBITS)).expectations
    if not np.allclose(answer["output"]["expectations"], wanted, atol=1e-10):
        raise SystemExit(f"{kind}-{number} answers {answer['output']}, wanted {wanted}")
    return elapsed_ms, answer


def measure(home: Path, kind: str, n_functions: int) -> list[dict[str, Any]]:
    """Rows of a kind: from zero in a server that has just started, then warm."""
    server = Server(home)
    try:
        for number in range(n_functions):
            deploy(server, kind, number)
    finally:
        server.stop()
    server = Server(home)  # which has loaded none of them
    try:
        server.post("/v1/functions", {"name": "warm-up", "file_name": "w.qasm", "source": WARM_UP})
        for _ in range(20):  # of the server's own routes, as any request would
            server.post("/v1/functions/warm-up/call", {"input": {}})
        cold = [called(server, kind, number) for number in range(n_functions)]
        # processes are few, so that only the last functions of the kind ``python`` are warm
        recent = list(range(n_functions))[-4:] if kind == "python" else list(range(n_functions))
        for number in recent:
            called(server, kind, number)
        warm = [called(server, kind, recent[place % len(recent)]) for place in range(max(200, n_functions))]
    finally:
        server.stop()
    if not all(answer["cold"] for _, answer in cold) or any(answer["cold"] for _, answer in warm):
        raise SystemExit("A call from zero was not cold, or a warm one was.")
    return [row(kind, "from zero", [ms for ms, _ in cold]), row(kind, "warm", [ms for ms, _ in warm])]


WARM_UP = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'


def row(kind: str, state: str, times_ms: list[float]) -> dict[str, Any]:
    """Figures of one kind in one state."""
    p50, p90, p99 = np.percentile(times_ms, [50, 90, 99])
    return {
        "function": kind,
        "state": state,
        "n_calls": len(times_ms),
        "p50_ms": round(float(p50), 3),
        "p90_ms": round(float(p90), 3),
        "p99_ms": round(float(p99), 3),
        "max_ms": round(max(times_ms), 3),
    }


def shown(name: str, one: Mapping[str, Any]) -> str:
    """A figure as the table has it."""
    return str(one[name])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="fewer functions")
    given = parser.parse_args()
    rows = []
    for kind, n_functions in (("circuit", 50 if given.quick else 300), ("python", 10 if given.quick else 60)):
        with tempfile.TemporaryDirectory() as home:
            say(f"{kind}: {n_functions} functions")
            rows += measure(Path(home), kind, n_functions)
    if given.json:
        print_json(environment_facts(threads=get_threads()), rows)
    else:
        names = ("function", "state", "n_calls", "p50_ms", "p90_ms", "p99_ms", "max_ms")
        print_table("calls of quantum functions over HTTP", rows, {name: partial(shown, name) for name in names})


if __name__ == "__main__":
    main()
