"""Cold calls: the server is warm and has let go of the model before each of them.

Three models of equal numbers of qubits: our hybrid model; a user's own module that the server computes with NumPy; and
one with a recurrent layer, which it computes with torch. ``first`` is the first call to a server that was just started,
which for the last of them loads torch.
"""

from __future__ import annotations

import http.client
import itertools
import json
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

N_STARTS = 3


def cold_rows(bench: Any, n_calls: int) -> list[dict[str, Any]]:
    """A row per model: milliseconds of first, cold and warm calls."""
    runtimes = own_modules(bench.data_dir, bench.spec["model"]["n_qubits"], bench.home / "own.json")
    texts = (line.split("\t")[0] for line in itertools.cycle(bench.rows_path.open().readlines()[:5_000]))
    rows = []
    for name, what in (("bench", "hybrid"), *runtimes.items()):
        first = []
        for _ in range(N_STARTS):
            with bench.ours() as url:
                first.append(Caller(url, bench.key, name).timed(next(texts)))
        with bench.ours(idle_unload_s=0.05) as url:
            caller = Caller(url, bench.key, name)
            for _ in range(3):
                caller.timed(next(texts))
            cold = [caller.timed(next(texts)) for _ in caller.unloaded(n_calls)]
            warm = [caller.timed(next(texts)) for _ in range(n_calls)]
        row = {"part": "cold", "model": what, "qubits": bench.spec["model"]["n_qubits"], "calls": n_calls}
        row |= {"first_p50_ms": round(statistics.median(first), 1), "first_max_ms": round(max(first), 1)}
        for kind, values in (("cold", cold), ("warm", warm)):
            row[f"{kind}_p50_ms"] = round(statistics.median(values), 3)
            row[f"{kind}_p99_ms"] = round(float(np.quantile(values, 0.99)), 3)
        rows.append(row)
    return rows


class Caller:
    """One connection to one endpoint."""

    def __init__(self, url: str, key: str, endpoint: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._path = f"/v1/endpoints/{endpoint}"
        self._answer("GET", "/v1/version")  # the connection is there before anything is measured

    def timed(self, row: str) -> float:
        """Milliseconds of a prediction."""
        started_s = time.perf_counter()
        self._answer("POST", f"{self._path}/predict", f'{{"rows":[{row}]}}')
        return (time.perf_counter() - started_s) * 1000

    def unloaded(self, n: int) -> Iterator[int]:
        """Counts to ``n``, each time once the model is out of memory."""
        for place in range(n):
            while json.loads(self._answer("GET", self._path))["state"] != "unloaded":
                time.sleep(0.02)
            yield place

    def _answer(self, method: str, path: str, body: str | None = None) -> bytes:
        self._connection.request(method, path, body, self._headers)
        reply = self._connection.getresponse()
        content = reply.read()
        if reply.status != 200:
            raise SystemExit(content.decode())
        return content


def own_modules(data_dir: Path, n_qubits: int, kept: Path) -> dict[str, str]:
    """Train and deploy two modules of a user, once; endpoint -> how the server computes it."""
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    import torch

    from superpose import QuantumLayer, export_module
    from superpose.service import FINAL, Service, ServiceConfig, Worker
    from superpose.trust import read_key_file

    class Plain(torch.nn.Module):
        """Linear, circuit, linear."""

        def __init__(self) -> None:
            super().__init__()
            self.entry = torch.nn.Linear(30, n_qubits)
            self.circuit = QuantumLayer(n_qubits, "angle", layers=2, seed=1)
            self.exit = torch.nn.Linear(n_qubits, 2)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return self.exit(self.circuit(torch.tanh(self.entry(rows))))

    class Recurrent(Plain):
        """The same behind a recurrent layer."""

        def __init__(self) -> None:
            super().__init__()
            self.memory = torch.nn.GRU(1, 4, batch_first=True)
            self.entry = torch.nn.Linear(4, n_qubits)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            past, _ = self.memory(rows.unsqueeze(-1))
            return super().forward(past[:, -1])

    config = ServiceConfig(data_dir=data_dir, workers=1)
    spec = {"training": {"epochs": 2}, "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"}}
    found = {}
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        for name, module in (("own-plain", Plain()), ("own-recurrent", Recurrent())):
            content = export_module(module, torch.zeros(1, 30)).to_bytes()
            stored = service.modules.add(admin, name=name, content=content)
            payload = {"module": stored.id, "loss": "cross_entropy", "spec": spec}
            job = service.jobs.submit(admin, "train_module", payload, dataset="cancer", model_name=name)
            worker = Worker(config)
            thread = threading.Thread(target=worker.run)
            thread.start()
            while (status := service.store.get(job.id).status) not in FINAL:
                time.sleep(0.1)
            worker.stop()
            thread.join()
            if status != "succeeded":
                raise SystemExit(f"{name}: {service.store.get(job.id).error}")
            service.endpoints.create(admin, name, name)
            manifest: Any = service.models.version(admin, name).manifest
            found[name] = f"module, {manifest['pipeline']['network']['runtime']}"
    kept.write_text(json.dumps(found))
    return found
