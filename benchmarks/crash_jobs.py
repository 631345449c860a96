"""What the crash harness submits, a service that it can kill, and a plain way to speak to it.

The jobs are small training jobs and programs with shots, each with its seed, so that equal submissions have equal
results to the last bit; some come after earlier ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from superpose.circuits import Circuit, Observable, Parameter, Program, program_to_json

__all__ = ["DATASET", "KilledService", "Unanswered", "Wanted", "csv_rows", "wanted_jobs"]

DATASET = "trial"
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Wanted:
    """A job to submit: ``key`` is its idempotency key, ``case`` names what it computes, ``after`` earlier keys."""

    key: str
    kind: str
    case: str
    document: Mapping[str, Any]
    after: tuple[str, ...] = ()


def wanted_jobs(n_jobs: int, seed: int, n_cases: int = 20) -> list[Wanted]:
    """``n_jobs`` jobs, three in five of them training jobs, one in ten after one or two earlier ones."""
    rng, jobs = random.Random(seed), list[Wanted]()
    for i in range(n_jobs):
        number = rng.randrange(min(n_cases, max(1, n_jobs // 4)))
        after = tuple({rng.choice(jobs).key for _ in range(2)}) if jobs and rng.random() < 0.1 else ()
        if rng.random() < 0.6:
            jobs.append(Wanted(f"job-{i}", "train", f"train-{number}", _training(number), after))
        else:
            jobs.append(Wanted(f"job-{i}", "program", f"program-{number}", _program(number), after))
    return jobs


def _training(number: int) -> dict[str, Any]:
    """A spec of some seconds: 2 or 3 qubits, two splits, one control."""
    return {
        "model": {"n_qubits": 2 + number % 2, "ansatz": {"layers": 1 + number % 3}},
        "training": {"epochs": 10 + 2 * (number % 5), "patience": 30, "batch_size": 8, "seed": number},
        "evaluation": {"n_splits": 2, "controls": ["no_entanglement"], "baseline": "none"},
    }


def _program(number: int) -> dict[str, Any]:
    """Samples with a seed, or expectations of a batch of angles."""
    theta = Parameter("theta")
    circuit = Circuit(6)
    for layer in range(1 + number % 3):
        for qubit in range(6):
            circuit.ry(theta * (1 + 0.1 * layer), qubit)
            circuit.cx(qubit, (qubit + 1) % 6)
    if number % 2:
        return dict(program_to_json(Program(circuit, {"theta": 0.1 * number}, shots=2_000, seed=number)))
    values = {"theta": np.linspace(0.0, 1.0 + number, 50)}
    return dict(program_to_json(Program(circuit, values, observables=(Observable({"ZZIIII": 1.0, "IXIIII": 0.5}),))))


def csv_rows() -> bytes:
    """A table with two columns, two classes and 90 rows."""
    rows = (
        f"{20 + i % 50},{(i * 7 % 30) / 10:.2f},{'ill' if (i * 7 % 30) > 14 + i % 3 else 'well'}\n" for i in range(90)
    )
    return ("age,dose,outcome\n" + "".join(rows)).encode()


class Unanswered(Exception):
    """The service did not answer; whether it did what was asked is not known."""


class KilledService:
    """``superpose serve`` on a data directory, to be killed and started again at will, on one port.

    Args:
        home: an empty directory.
        settings: of the service, by name.
    """

    def __init__(self, home: Path, settings: Mapping[str, object]) -> None:
        self.home, self.data_dir = home, home / "data"
        self._variables = {f"SUPERPOSE_{name.upper()}": str(value) for name, value in settings.items()}
        self._port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        ready = self.home / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "superpose", "serve", "--data-dir", str(self.data_dir)]
        command += ["--port", str(self._port), "--ready-file", str(ready)]
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self._variables}
            )
        until_s = time.monotonic() + PATIENCE_S
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > until_s:
                self.process.kill()
                raise RuntimeError("The service does not start:\n" + (self.home / "server.log").read_text()[-2_000:])
            time.sleep(0.02)
        facts = json.loads(ready.read_text())
        self._port = int(str(facts["url"]).rpartition(":")[2])

    def signal(self, number: int) -> None:
        """Send the server a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the server's end; its status."""
        return 0 if self.process is None else self.process.wait(PATIENCE_S)

    def worker_pids(self) -> list[int]:
        """Processes of the workers that are alive, orphans too."""
        logs = "".join(path.read_text() for path in sorted((self.data_dir / "logs").glob("worker-*.log*")))
        return [pid for pid in map(int, re.findall(r"begins \(process (\d+)\)", logs)) if _is_worker(pid)]

    def end(self) -> None:
        """Leave no process behind."""
        self.signal(signal.SIGKILL)
        self.wait()
        for pid in self.worker_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def call(
        self, method: str, path: str, body: object = None, key: str | None = None, *, kind: str = "application/json"
    ) -> Any:
        """The answer's JSON, or its bytes where it is not JSON.

        Raises:
            Unanswered: the service is away, or went away meanwhile.
            RuntimeError: it refuses.
        """
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        secret = (self.data_dir / "keys" / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": kind}
        if key is not None:
            headers["Idempotency-Key"] = key
        asked = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                found = answer.read()
                return json.loads(found) if "json" in answer.headers["Content-Type"] else found
        except urllib.error.HTTPError as error:
            if error.code in (500, 502, 503, 504):
                raise Unanswered(str(error)) from None
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from None
        except (OSError, ValueError, EOFError) as error:
            raise Unanswered(type(error).__name__) from None
        except Exception as error:  # http.client's own, of a connection that broke in the middle
            if type(error).__module__ != "http.client":
                raise
            raise Unanswered(type(error).__name__) from None

    def call_until_answered(self, *asked: Any, **options: Any) -> Any:
        """The same, patiently."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.call(*asked, **options)
            except Unanswered:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.05)

    def submit(self, job: Wanted, ids: Mapping[str, str]) -> str:
        """Submit a job until the service says that it has it; its id."""
        after = [ids[key] for key in job.after]
        if job.kind == "train":
            body = {"kind": "train", "dataset": DATASET, "model": job.case, "spec": job.document, "after": after}
            return str(self.call_until_answered("POST", "/v1/jobs", body, job.key)["id"])
        query = "&".join(f"after={job_id}" for job_id in after)
        return str(self.call_until_answered("POST", f"/v1/programs?{query}", job.document, job.key)["id"])


def _is_worker(pid: int) -> bool:
    """Whether a process is a worker of ours that has not ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"superpose.service.work.process" in words and b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
