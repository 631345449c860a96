"""How fast is an endpoint? Ours, the same model in PennyLane behind FastAPI, and a keyed route that does nothing.

    python benchmarks/serving.py                # everything, about 10 minutes
    python benchmarks/serving.py --part load    # one part: rivals, load, training or cold; --json, --save

The load generator is wrk (https://github.com/wg/wrk, Debian package ``wrk``), one thread, keep-alive connections,
closed loop: each client sends its next request when it has its answer. Every request has a row and an id of its own
(the id must come back), and every answer's probability is checked against the model file's. The generator, the server
and whatever else runs share the machine's cores; ``environment.cores`` says how many there are.

Parts: ``rivals`` finds the best of the rival's forms (PennyLane devices, sync and async route, one and two threads of
torch and OpenMP) at 1 and at 32 clients; ``load`` runs ours, that best form and the no-op route one after the other;
``training`` measures our predictions while a training job runs; ``cold`` unloads the model before each call, of our
hybrid model and of a user's own modules (see ``serving_parts/cold.py``).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness import environment_facts, print_json, print_table, say
from results import RESULTS
from serving_parts.cold import cold_rows

HERE = Path(__file__).resolve().parent
CLIENTS = (1, 8, 32, 100)
RIVAL_FORMS = [
    (device, route, threads)
    for device in ("lightning.qubit", "default.qubit-numpy", "default.qubit-torch")
    for route in ("sync", "async")
    for threads in (1, 2)
]
SPEC = {
    "model": {"n_qubits": 4, "encoding": {"name": "angle"}, "ansatz": {"name": "strongly_entangling", "layers": 2}},
    "training": {"epochs": 5},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
}
PATH = "/v1/endpoints/bench/predict"
N_ROWS = 400_000


class Bench:
    """A data directory with a trained model behind an endpoint, its rows with their probabilities, and a key."""

    def __init__(self, home: Path, n_qubits: int, layers: int) -> None:
        from superpose.service import FINAL, Service, ServiceConfig, Worker
        from superpose.trust import read_key_file

        home.mkdir(parents=True, exist_ok=True)
        self.home, self.data_dir = home, home / "data"
        self.model_path, self.rows_path = home / "bench.superpose", home / "rows.tsv"
        self.spec = json.loads(json.dumps(SPEC))
        self.spec["model"]["n_qubits"] = n_qubits
        self.spec["model"]["ansatz"]["layers"] = layers
        kept = home / "bench.json"
        if kept.exists():
            self.key, self.answer = json.loads(kept.read_text())
            return
        config = ServiceConfig(data_dir=self.data_dir, workers=1)
        with Service.open(config) as service:
            self.key = read_key_file(service.admin_key_path)
            admin = service.authenticate(self.key)
            service.datasets.add_builtin(admin, name="cancer", builtin="breast_cancer")
            job = service.jobs.submit(admin, "train", self.spec, dataset="cancer", model_name="bench")
            worker = Worker(config)
            thread = threading.Thread(target=worker.run)
            thread.start()
            while service.store.get(job.id).status not in FINAL:
                time.sleep(0.1)
            worker.stop()
            thread.join()
            service.endpoints.create(admin, "bench", "bench")
            self.model_path.write_bytes(service.models.content(service.models.version(admin, "bench")))
        self.answer = self._write_rows()
        kept.touch(0o600)
        kept.write_text(json.dumps([self.key, self.answer]))

    def _write_rows(self) -> str:
        """Distinct rows near the data's own, each with the model file's probability; returns an answer as JSON."""
        from sklearn.datasets import load_breast_cancer

        from superpose.learning import Predictor

        predictor = Predictor.load(self.model_path)
        data = load_breast_cancer().data
        rng = np.random.default_rng(1)
        chosen = data[rng.integers(0, len(data), N_ROWS)] * rng.normal(1.0, 0.05, (N_ROWS, data.shape[1]))
        texts = [",".join(["%.5g" % value for value in row]) for row in chosen.tolist()]  # noqa: UP031  # 2x faster
        read = np.array([list(map(float, text.split(","))) for text in texts])
        expected = predictor.predict_proba(read)
        if len(set(texts)) != N_ROWS:
            raise SystemExit("Two rows are equal; change the seed.")
        lines = [f"[{text}]\t{value:.9f}\n" for text, value in zip(texts, expected[:, 0].tolist(), strict=True)]
        self.rows_path.write_text("".join(lines))
        classes = [str(label) for label in predictor.classes]
        document = {
            "model": "bench",
            "model_version": 1,
            "request_id": "bench-00000000",
            "classes": classes,
            "probabilities": expected[:1].tolist(),
            "predictions": classes[:1],
        }
        return json.dumps(document, separators=(",", ":"))

    @contextlib.contextmanager
    def ours(self, workers: int = 0, **settings: object) -> Iterator[str]:
        """Our server as an operator starts it; yields its URL."""
        ready = self.home / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "superpose", "serve", "--data-dir", str(self.data_dir), "--port", "0"]
        command += ["--workers", str(workers), "--ready-file", str(ready)]
        environment = {**os.environ, **{f"SUPERPOSE_{k.upper()}": str(v) for k, v in settings.items()}}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            until_s = time.monotonic() + 60
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > until_s:
                    raise SystemExit("superpose serve did not start")
                time.sleep(0.05)
            yield json.loads(ready.read_text())["url"]
        finally:
            process.terminate()
            process.wait(60)

    @contextlib.contextmanager
    def other(self, script: str, *arguments: object) -> Iterator[str]:
        """A rival's or the no-op server; yields its URL."""
        command = [sys.executable, str(HERE / "serving_parts" / script), *map(str, arguments)]
        environment = {**os.environ, "BENCH_KEY": self.key, "BENCH_ANSWER": self.answer}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url.startswith("http"):
                raise SystemExit(f"{script} {arguments} did not start")
            wait_until_it_answers(url)
            yield url
        finally:
            process.terminate()
            process.wait(60)

    def load(self, url: str, clients: int, duration_s: float, mode: str = "check") -> dict[str, Any]:
        """One run of wrk, after half a second that does not count."""
        for seconds in (0.5, duration_s):
            command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
            command += ["-s", str(HERE / "serving_parts" / "load.lua"), url + PATH, "--"]
            done = subprocess.run(
                [*command, str(self.rows_path), self.key, mode], capture_output=True, text=True, check=True
            )
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
        found = json.loads(line.removeprefix("RESULT "))
        bad = {name: found[name] for name in ("wrong", "failed", "connect", "read", "write", "timeout") if found[name]}
        if bad:
            said = next(line for line in done.stdout.splitlines() if line.startswith("FIRST "))
            say(f"  errors {bad}: {said}")
        found["errors"] = bad
        found["requests_per_s"] = round(found["requests"] / found["duration_s"], 1)
        return found


def wait_until_it_answers(url: str) -> None:
    """Return once the server takes connections."""
    host = url.removeprefix("http://")
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection(host, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def rival_forms(bench: Bench, clients: tuple[int, ...], seconds: float) -> list[dict[str, Any]]:
    """Every form of the rival at every number of clients."""
    rows = []
    for device, route, threads in RIVAL_FORMS:
        with bench.other("pennylane_api.py", bench.model_path, device, route, threads) as url:
            for n in clients:
                found = bench.load(url, n, seconds)
                row = {"part": "rivals", "device": device, "route": route, "torch_threads": threads, "clients": n}
                row |= {"requests_per_s": found["requests_per_s"], "p50_ms": found["p50_ms"], "errors": found["errors"]}
                rows.append(row)
                say(f"  rival {device} {route} {threads} threads, {n} clients: {found['requests_per_s']} per s")
    return rows


def loads(bench: Bench, clients: tuple[int, ...], seconds: float, tried: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ours, the best rival and the no-op route at each number of clients, a server at a time."""
    rows = []
    for n in clients:
        nearest = min((row["clients"] for row in tried), key=lambda clients: abs(clients - n), default=None)
        alike = (row for row in tried if row["clients"] == nearest and not row["errors"])
        best = max(alike, key=lambda row: row["requests_per_s"], default=None)
        ours_s = 30.0 if n >= 100 else seconds
        with bench.ours() as url:
            ours = bench.load(url, n, ours_s)
        rival = None
        if best is not None:
            form = (best["device"], best["route"], best["torch_threads"])
            with bench.other("pennylane_api.py", bench.model_path, *form) as url:
                rival = bench.load(url, n, seconds / 2)
        with bench.other("noop.py", "raw") as url:
            noop = bench.load(url, n, seconds / 2, "status")
        with bench.other("noop.py", "typed") as url:
            typed = bench.load(url, n, seconds / 2, "status")
        rate = ours["requests_per_s"]
        row = {
            "part": "load",
            "clients": n,
            "ours_requests_per_s": rate,
            "rival_requests_per_s": rival["requests_per_s"] if rival else None,
            "noop_requests_per_s": noop["requests_per_s"],
            "ratio_to_rival": round(rate / rival["requests_per_s"], 2) if rival else None,
            "share_of_noop": round(rate / noop["requests_per_s"], 3),
            "p50_ms": ours["p50_ms"],
            "p99_ms": ours["p99_ms"],
            "max_ms": ours["max_ms"],
            "requests": ours["requests"],
            "checked": ours["checked"],
            "repeated": ours["repeated"],
            "errors": ours["errors"],
            "duration_s": round(ours["duration_s"], 1),
            "rival_form": " ".join(map(str, form)) if best else None,
            "rival_p50_ms": rival["p50_ms"] if rival else None,
            "noop_p50_ms": noop["p50_ms"],
            "typed_noop_requests_per_s": typed["requests_per_s"],
        }
        rows.append(row)
        say(f"  {json.dumps(row)}")
    return rows


def while_training(bench: Bench, seconds: float) -> list[dict[str, Any]]:
    """Our predictions while a worker of the same server trains."""
    rows = []
    for n in (1, 32):
        with bench.ours(workers=1) as url:
            quiet = bench.load(url, n, seconds)
            call(url, bench.key, "POST", "/v1/jobs", long_job(bench))
            until_running(url, bench.key)
            time.sleep(2.0)
            busy = bench.load(url, n, seconds)
            running = call(url, bench.key, "GET", "/v1/jobs?status=running")["items"]
            if not running:
                raise SystemExit("the training job ended before the measurement")
            call(url, bench.key, "POST", f"/v1/jobs/{running[0]['id']}/cancel")
        row = {"part": "training", "clients": n}
        row |= {f"quiet_{name}": quiet[name] for name in ("requests_per_s", "p50_ms", "p99_ms")}
        row |= {name: busy[name] for name in ("requests_per_s", "p50_ms", "p99_ms", "max_ms", "errors")}
        rows.append(row)
        say(f"  {json.dumps(row)}")
    return rows


def long_job(bench: Bench) -> dict[str, Any]:
    spec = json.loads(json.dumps(bench.spec))
    spec["model"] |= {"n_qubits": 10}
    spec["training"] = {"epochs": 5000, "patience": 5000}
    return {"kind": "train", "dataset": "cancer", "model": "busy", "spec": spec}


def until_running(url: str, key: str) -> None:
    for _ in range(600):
        if call(url, key, "GET", "/v1/jobs?status=running")["items"]:
            return
        time.sleep(0.1)
    raise SystemExit("the training job did not start")


def call(url: str, key: str, method: str, path: str, document: Any = None) -> Any:
    """One request; returns the JSON answer."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request(method, path, None if document is None else json.dumps(document), headers)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    if reply.status >= 400:
        raise SystemExit(f"{method} {path}: {content.decode()}")
    return json.loads(content)


def kept(path: Path, parts: list[str]) -> list[dict[str, Any]]:
    """Rows of other parts that an earlier run saved."""
    if not path.exists():
        return []
    return [row for row in json.loads(path.read_text())["rows"] if row["part"] not in parts]


def main() -> None:
    """Run the parts and print or save their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=["rivals", "load", "training", "cold"])
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS))
    parser.add_argument("--seconds", type=float, default=8.0, help="of a run of ours; others get half of it")
    parser.add_argument("--home", type=Path, help="keep the trained model and the rows here, or find them here")
    parser.add_argument("--qubits", type=int, default=4)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--cold-calls", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help="into results/serving.json, part by part")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; `apt-get install wrk` or https://github.com/wg/wrk")
    parts = options.part or ["rivals", "load", "training", "cold"]
    path = RESULTS / "serving.json"
    rows = kept(path, parts) if options.save else []
    clients = tuple(options.clients)
    facts = environment_facts(os.cpu_count() or 1, generator="wrk 4.1.0, one thread", spec=SPEC["model"])
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options.home or Path(temporary), options.qubits, options.layers)
        for part in parts:
            if part == "rivals":
                rows += rival_forms(bench, (1, 32), options.seconds / 2)
            elif part == "load":
                rows += loads(bench, clients, options.seconds, [row for row in rows if row["part"] == "rivals"])
            elif part == "training":
                rows += while_training(bench, options.seconds)
            elif part == "cold":
                rows += cold_rows(bench, options.cold_calls)
            if options.save:
                path.write_text(json.dumps({"environment": facts, "rows": rows}, indent=1) + "\n")
    if options.json:
        print_json(facts, rows)
        return
    shown = [row for row in rows if row["part"] == "load"]
    if shown:
        names = ("clients", "ours_requests_per_s", "rival_requests_per_s", "noop_requests_per_s", "ratio_to_rival")
        names += ("share_of_noop", "p50_ms", "p99_ms")
        columns = {name.replace("_", " "): lambda row, name=name: str(row[name]) for name in names}
        print_table("An endpoint under load", shown, columns)
    for row in rows:
        if row["part"] in parts and row["part"] != "load":
            print(json.dumps(row))


if __name__ == "__main__":
    main()
