"""What a training job or a sweep was expected to take of a processor, and what it took.

    python benchmarks/job_estimates.py [--kind sweep] [--pictures pneumoniamnist.npz] [--json] [--save]

Each row is a real job: submitted to a service in a directory of its own, with the estimate that the service made then
(`estimate` of the job), and run by a worker of this process on one thread, after a small one that loads the libraries.
What it took is the ``cpu_s`` that the job leaves with its model version: processor seconds of training and explanation
sample; of a template without those of reading the data. A sweep runs alone, and took all that this process takes from
its submission to its end, service and worker included. Without ``--pictures`` a template's are of noise, 28 x 28. See
``docs/learning.md``, ``docs/experiments.md``, ``docs/pneumonia.md`` and ``docs/demand.md``.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness import environment_facts, print_json, print_table, say, version_of
from results import RESULTS
from superpose.service import Part, Service, ServiceConfig, Worker
from superpose.trust import read_key_file

_KINDS = ("train", "train_template", "sweep")

_HEADS = ["hybrid_head", "classical_twin", "no_entanglement", "frozen", "logistic_regression"]

_CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("pneumonia", "pictures", {"seeds": 1, "epochs": 1, "variants": []}),
    ("pneumonia", "pictures", {"seeds": 1, "epochs": 2, "variants": _HEADS}),
    ("pneumonia", "pictures", {"seeds": 1, "epochs": 1, "variants": ["strong_cnn"]}),
    ("demand", "months", {"seeds": 1, "origins": 4, "calibration": 3, "variants": []}),
    ("demand", "months", {"seeds": 1, "origins": 4, "calibration": 3}),
    ("demand", "days", {"seeds": 1, "origins": 3, "calibration": 2, "variants": ["frozen", "ridge"]}),
    ("demand", "weeks", {"seeds": 1, "origins": 3, "calibration": 2}),
)
"""Template, data set and options of each row."""

_TRAININGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("iris", {}),
    ("wine", {"evaluation": {"n_splits": 5, "n_seeds": 2, "tuning": {"trials": 4}}}),
    ("breast_cancer", {"model": {"n_qubits": 8}, "evaluation": {"n_splits": 5}}),
    ("digits", {"model": {"n_qubits": 6}, "evaluation": {"n_splits": 2}}),
    ("breast_cancer", {"model": {"n_qubits": 12}, "evaluation": {"n_splits": 3, "baseline": "none"}}),
    (
        "iris",
        {
            "backend": {"name": "local", "shots": 100},
            "training": {"epochs": 10},
            "evaluation": {"controls": ["frozen"]},
        },
    ),
)
"""Built-in data set and spec of each row."""

_SMALL_SPEC = {"training": {"epochs": 1}, "evaluation": {"n_splits": 2}}
"""Of the job that loads the libraries."""

_SWEEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "iris",
        {
            "space": {
                "model.n_qubits": {"int": [2, 6]},
                "training.learning_rate": {"float": [0.001, 0.1], "log": True},
            },
            "sampler": {"name": "random"},
            "n_trials": 12,
        },
    ),
    (
        "wine",
        {
            "spec": {"training": {"epochs": 40}},
            "space": {
                "model.n_qubits": {"int": [3, 9]},
                "model.ansatz.layers": {"int": [1, 4]},
                "training.batch_size": [16, 32, 64],
            },
            "n_trials": 20,
            "parallelism": 2,
        },
    ),
    (
        "breast_cancer",
        {
            "spec": {"evaluation": {"n_splits": 5, "baseline": "none"}},
            "space": {"model.n_qubits": [4, 8, 10], "model.encoding.name": ["angle", "iqp"]},
            "sampler": {"name": "grid"},
            "pruner": {"name": "median", "startup_trials": 2, "warmup_folds": 1},
        },
    ),
)
"""Built-in data set and sweep of each row."""

_SMALL_SWEEP = {
    "spec": _SMALL_SPEC,
    "space": {"model.n_qubits": {"int": [1, 2]}},
    "n_trials": 4,
    "objective": {"folds": 2},
}
"""Of the sweep that loads what sweeps need, Optuna's importances too."""

_LENGTHS = {"months": 257, "days": 730, "weeks": 260}


def _noise(n_train: int = 1500, n_other: int = 300) -> bytes:
    """A MedMNIST file of noise, the second class brighter."""
    random, arrays = np.random.default_rng(0), dict[str, Any]()
    for part, n in (("train", n_train), ("val", n_other), ("test", n_other)):
        labels = (np.arange(n) % 3 > 0).astype(np.uint8)
        arrays[f"{part}_images"] = (random.integers(0, 180, (n, 28, 28)) + 60 * labels[:, None, None]).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None]
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _series(case: str) -> bytes:
    """A made-up series with a season, a trend and noise."""
    random, n, first = np.random.default_rng(0), _LENGTHS[case], date(2005, 1, 3)
    season = {"months": 12, "days": 7, "weeks": 52}[case]
    lines = ["date,quantity"]
    for i in range(n):
        day = {"months": f"{2000 + i // 12}-{i % 12 + 1:02}"}.get(case)
        day = day or str(first + timedelta(days=i if case == "days" else 7 * i))
        lines.append(f"{day},{50 + i / 20 + 10 * np.sin(2 * np.pi * i / season) + random.normal(0, 3):.3f}")
    return "\n".join(lines).encode()


def measure(kinds: Sequence[str], pictures: bytes, place: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of each kind of job."""
    config = ServiceConfig(data_dir=place / "data", workers=0)
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        _add_data(service, admin, pictures)
        small = service.jobs.submit(admin, "train", _SMALL_SPEC, dataset="iris")
        jobs = [(kind, told, service.jobs.submit(admin, kind, **given)) for kind, told, given in _wanted(kinds)]
        worker = Worker(config)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            _taken(service, admin, small)
            for kind, told, job in jobs:
                row = {**told, **_taken(service, admin, job)}
                rows[kind].append(row)
                say(f"{job.dataset}: {row['estimated_cpu_s']} s expected, {row['cpu_s']} s taken")
            if "sweep" in kinds:
                rows["sweep"] = list(_swept(service, admin))
        finally:
            worker.stop()
            thread.join()
    return rows


def _add_data(service: Service, admin: Any, pictures: bytes) -> None:
    """All data sets that jobs may name."""
    for name in sorted({"iris", *(data for data, _ in (*_TRAININGS, *_SWEEPS))}):
        service.datasets.add_builtin(admin, name=name, builtin=name)
    service.datasets.add(admin, name="pictures", content=pictures, format="npz", target="class")
    for case in _LENGTHS:
        service.datasets.add(
            admin, name=case, content=_series(case), format="csv", target="quantity", target_kind="number"
        )


def _wanted(kinds: Sequence[str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Kind of each job, what its row tells, and what is submitted."""
    if "train" in kinds:
        for data, spec in _TRAININGS:
            yield "train", {"data": data, "spec": spec}, {"payload": spec, "dataset": data}
    if "train_template" in kinds:
        for name, data, options in _CASES:
            payload = {"template": name, "options": options}
            yield (
                "train_template",
                {"template": name, "data": data, "options": options},
                {"payload": payload, "dataset": data},
            )


def _swept(service: Service, admin: Any) -> Iterator[dict[str, Any]]:
    """Rows of sweeps, one after the other."""
    small = service.sweeps.submit(admin, _SMALL_SWEEP, dataset="iris", name="small")
    _ended(service, admin, small.job)
    for data, document in _SWEEPS:
        before = time.process_time()
        made = service.sweeps.submit(admin, document, dataset=data, name=f"of {data}".replace(" ", "_"))
        done = _ended(service, admin, made.job)
        taken = time.process_time() - before
        version = service.models.version(admin, str(done.model), int(done.result["model_version"]))
        final = float(version.evidence["energy"]["cpu_s"])
        estimate = dict(made.job.estimate)
        states = [trial.state for trial in service.sweeps.get(admin, made.name).trials]
        say(f"{data}: {estimate['cpu_s']} s expected, {taken:.1f} s taken")
        yield {
            "data": data,
            "sweep": document,
            "estimated_cpu_s": estimate["cpu_s"],
            "cpu_s": round(taken, 2),
            "ratio": round(estimate["cpu_s"] / taken, 2),
            "estimate": estimate,
            "taken_parts": {"trials": round(taken - final, 2), "final training": round(final, 2)},
            "states": {state: states.count(state) for state in sorted(set(states))},
            "n_epochs": sum(trial.result["n_epochs"] for trial in _trial_jobs(service, admin, done.id)),
        }


def _trial_jobs(service: Service, admin: Any, job_id: str) -> list[Any]:
    """The trials that a sweep has begun and that were measured."""
    children = service.jobs.list(admin, Part(limit=100), parent=job_id).items
    return [job for job in children if job.kind == "trial" and job.result]


def _ended(service: Service, admin: Any, job: Any) -> Any:
    """A job when it has ended well."""
    ended = threading.Event()
    while not (done := service.jobs.get(admin, job.id)).finished_at:
        ended.wait(0.2)
    if done.error is not None:
        raise SystemExit(f"job {job.id} failed: {done.error}")
    return done


def _taken(service: Service, admin: Any, job: Any) -> dict[str, Any]:
    """Estimate and processor seconds of a job, when it has ended."""
    done = _ended(service, admin, job)
    version = service.models.version(admin, str(done.model), int(done.model_version or 0))
    expected, taken = float(job.estimate["cpu_s"]), float(version.evidence["energy"]["cpu_s"])
    return {
        "estimated_cpu_s": expected,
        "cpu_s": round(taken, 2),
        "ratio": round(expected / taken, 2),
        "parts": dict(job.estimate["parts"]),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kind", action="append", choices=_KINDS, help="only jobs of this kind, repeatable")
    parser.add_argument("--pictures", type=Path, help="a MedMNIST file of two classes [default: noise]")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--save", action="store_true", help="keep these kinds' rows in results/job_estimates.json")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    kinds = [kind for kind in _KINDS if kind in (arguments.kind or _KINDS)]
    versions = {name: version_of(name) for name in ("statsmodels", "scikit-learn", "torch")}
    pictures: Path | None = arguments.pictures
    environment = environment_facts(1, versions=versions, pictures="noise" if pictures is None else pictures.name)
    with tempfile.TemporaryDirectory() as place:
        rows = measure(kinds, _noise() if pictures is None else pictures.read_bytes(), Path(place))
    if arguments.save:
        saved = RESULTS / "job_estimates.json"
        content = json.loads(saved.read_text()) if saved.exists() else {}
        content |= {kind: {"environment": environment, "rows": rows[kind]} for kind in kinds}
        saved.write_text(json.dumps(content, indent=1) + "\n")
    if arguments.json:
        print_json(environment, [row for kind in kinds for row in rows[kind]])
        return 0
    for kind in kinds:
        told = {"train": ("data", "spec"), "sweep": ("data", "sweep")}.get(kind, ("template", "data", "options"))
        shown: dict[str, Any] = {name: (lambda row, name=name: str(row[name])) for name in told}
        shown |= {
            "expected/s": lambda row: f"{row['estimated_cpu_s']:.3g}",
            "taken/s": lambda row: f"{row['cpu_s']:.3g}",
            "expected over taken": lambda row: f"{row['ratio']:.2f}",
        }
        print_table(f"Processor seconds of jobs of kind {kind}", rows[kind], shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
