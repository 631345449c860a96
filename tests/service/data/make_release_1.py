"""Makes ``release_1.tar.xz``: a data directory as release 0.1.0 (schema 1) left it, with what it predicted.

Run it with the released code, not with today's::

    git archive 482a39a src | tar x -C RELEASED
    PYTHONPATH=RELEASED/src python tests/service/data/make_release_1.py tests/service/data/release_1.tar.xz

In it: two data sets (one deleted), a trained model, an endpoint, an editor's key, a finished program job, a queued
training job and a queued program job. ``expected.json`` beside the data has the rows, their probabilities and the
result of the finished job.
The keys in it open nothing else.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from superpose import __version__
from superpose.service import Service, ServiceConfig, Worker
from superpose.trust import read_key_file

SPEC: dict[str, Any] = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 3, "batch_size": 32, "seed": 11},
    "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "none"},
}
CSV = b"age,dose,outcome\n" + b"".join(
    b"%d,%.2f,%s\n" % (20 + i % 50, (i * 7 % 30) / 10, b"ill" if (i * 7 % 30) > 14 + i % 3 else b"well")
    for i in range(90)
)
ROWS = [{"age": 20 + 7 * i, "dose": 0.3 * i} for i in range(10)]


def program() -> dict[str, object]:
    """A two-qubit program with one parameter and three values."""
    from superpose.circuits import Circuit, Observable, Parameter, Program, program_to_json

    theta = Parameter("theta")
    circuit = Circuit(2).h(0).cx(0, 1).ry(theta, 1)
    made = Program(circuit, params={"theta": [0.1, 0.2, 0.3]}, observables=[Observable("ZZ")])
    return dict(program_to_json(made))


def run_all(config: ServiceConfig, service: Service, ids: list[str]) -> None:
    """Run the queued jobs in a worker."""
    worker = Worker(config)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        while any(service.store.get(job_id).finished_at is None for job_id in ids):
            time.sleep(0.05)
    finally:
        worker.stop()
        thread.join()


def main(target: Path) -> None:
    """Make the archive."""
    if __version__ != "0.1.0":
        raise SystemExit(f"This is release {__version__}; the archive is of 0.1.0.")
    with tempfile.TemporaryDirectory() as room:
        config = ServiceConfig(data_dir=Path(room) / "data")
        with Service.open(config) as service:
            admin = service.authenticate(read_key_file(service.admin_key_path))
            _, editor = service.keys.create(admin, project=admin.project, role="editor", label="notebook")
            service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
            gone = service.datasets.add(
                admin, name="gone", content=CSV.replace(b"age,", b"years,"), format="csv", target="outcome"
            )
            trained = service.jobs.submit(admin, "train", SPEC, dataset="trial", model_name="outcome")
            ran = service.jobs.submit(admin, "program", program())
            run_all(config, service, [trained.id, ran.id])
            service.datasets.delete(admin, gone.id)
            service.endpoints.create(admin, "outcome", model="outcome")
            prediction = asyncio.run(service.endpoints.predict(admin, "outcome", ROWS))
            training = service.jobs.submit(
                admin,
                "train",
                {**SPEC, "training": {**SPEC["training"], "seed": 12}},
                dataset="trial",
                model_name="outcome",
            )
            waiting = service.jobs.submit(admin, "program", program())
            expected = {
                "release": __version__,
                "rows": ROWS,
                "classes": list(prediction.classes),
                "probabilities": [list(row) for row in prediction.probabilities],
                "digest": service.models.version(admin, "outcome").digest,
                "trained_job": trained.id,
                "program_job": ran.id,
                "program_result": service.store.get(ran.id).result,
                "queued_training": training.id,
                "queued_program": waiting.id,
                "editor_key": editor,
            }
        with tarfile.open(target, "w:xz", preset=9) as archive:
            for path in sorted(config.data_dir.rglob("*")):
                archive.add(path, f"data/{path.relative_to(config.data_dir)}", recursive=False, filter=_plain)
            note = Path(room) / "expected.json"
            note.write_text(json.dumps(expected, indent=1))
            archive.add(note, "expected.json", filter=_plain)
        shutil.rmtree(config.data_dir)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without names of this machine's user."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(Path(sys.argv[1]))
