"""What must be true after the blows: a list of complaints per question, empty where all is well."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from crash_jobs import DATASET, KilledService, Wanted, csv_rows
from superpose.service import FINAL, TRANSITIONS, JobStatus, Service, ServiceConfig

__all__ = ["Reference", "check_all", "undisturbed"]

#: Parts of a result that tell of the run, not of what was computed.
_OF_THE_RUN = {"provenance", "model_version"}


@dataclass
class Reference:
    """What each case gives: the result of its job, and for training its model file."""

    results: dict[str, Any] = field(default_factory=dict)
    models: dict[str, bytes] = field(default_factory=dict)


def undisturbed(service: KilledService, jobs: Sequence[Wanted]) -> Reference:
    """Every case once, on a service that nobody disturbs."""
    found, cases = Reference(), {job.case: job for job in jobs}
    service.home.mkdir()
    try:
        service.start()
        service.call("POST", f"/v1/datasets?name={DATASET}&target=outcome", csv_rows(), kind="text/csv")
        ids = {case: service.submit(Wanted(case, job.kind, case, job.document), {}) for case, job in cases.items()}
        for case, job_id in ids.items():
            while not (job := service.call("GET", f"/v1/jobs/{job_id}"))["finished_at"]:
                time.sleep(0.1)
            if job["status"] != "succeeded" or job["attempt"] != 1:
                raise AssertionError(f"{case} did not succeed undisturbed: {job['status']}, {job['error']}")
            found.results[case] = computed(job["result"])
            if job["kind"] == "train":
                found.models[case] = service.call("GET", f"/v1/models/{case}/versions/1/file")
    finally:
        service.signal(signal.SIGTERM)
        service.wait()
        service.end()
    return found


def computed(result: Mapping[str, Any]) -> dict[str, Any]:
    """What of a result was computed."""
    return {name: value for name, value in result.items() if name not in _OF_THE_RUN}


def check_all(
    service: KilledService, jobs: Sequence[Wanted], ids: Mapping[str, str], reference: Reference
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Complaints by question, and figures of what happened. Stops the service on the way."""
    checks = {
        "none lost": list(lost(service, jobs, ids)),
        "equal to undisturbed results": list(different(service, jobs, ids, reference)),
    }
    service.signal(signal.SIGTERM)
    status = service.wait()
    time.sleep(0.5)
    checks["stops in order"] = [f"status {status}"] * (status != 0) + [f"worker {p}" for p in service.worker_pids()]
    with Service.open(ServiceConfig(data_dir=service.data_dir)):  # sweeps, as every start does
        pass
    with closing(sqlite3.connect(service.data_dir / "superpose.sqlite")) as store:
        store.row_factory = sqlite3.Row
        checks["none effective twice"] = list(done_twice(store, jobs))
        checks["histories follow the table"] = list(strange_histories(store))
        checks["order kept"] = list(out_of_order(store))
        checks["store whole"] = list(damage(store))
        checks["nothing left over"] = list(left_over(service, store))
        figures = figures_of(store)
    return checks, figures


def lost(service: KilledService, jobs: Sequence[Wanted], ids: Mapping[str, str]) -> Iterator[str]:
    """Jobs that were accepted and are not there, or did not succeed."""
    for job in jobs:
        found = service.call("GET", f"/v1/jobs/{ids[job.key]}")
        if found["status"] != "succeeded":
            yield f"{job.key}: {found['status']} {found['error']}"


def different(
    service: KilledService, jobs: Sequence[Wanted], ids: Mapping[str, str], reference: Reference
) -> Iterator[str]:
    """Jobs whose result or model file is not that of the same case undisturbed."""
    for job in jobs:
        result = service.call("GET", f"/v1/jobs/{ids[job.key]}")["result"]
        if result is None or computed(result) != reference.results[job.case]:
            yield f"{job.key} ({job.case}): another result"
        elif job.kind == "train":
            file = service.call("GET", f"/v1/models/{job.case}/versions/{result['model_version']}/file")
            if file != reference.models[job.case]:
                yield f"{job.key} ({job.case}): another model file"


def done_twice(store: sqlite3.Connection, jobs: Sequence[Wanted]) -> Iterator[str]:
    """Jobs with two rows, two successes or two versions, and versions that do not count on."""
    (n_rows,) = store.execute("SELECT count(*) FROM jobs").fetchone()
    if n_rows != len(jobs):
        yield f"{len(jobs)} jobs were submitted, {n_rows} are there"
    for row in store.execute(
        "SELECT jobs.id, (SELECT count(*) FROM events WHERE subject = jobs.id AND kind = 'succeeded') AS successes, "
        "(SELECT count(*) FROM attempts WHERE job_id = jobs.id AND outcome = 'succeeded') AS attempts, "
        "(SELECT count(*) FROM model_versions WHERE job_id = jobs.id) AS versions, kind = 'train' AS wanted FROM jobs"
    ):
        if (row["successes"], row["attempts"], row["versions"]) != (1, 1, row["wanted"]):
            yield f"{row['id']}: {dict(row)}"
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in store.execute("SELECT model, version FROM model_versions ORDER BY version"):
        numbers[row["model"]].append(row["version"])
    for model, found in numbers.items():
        if found != list(range(1, len(found) + 1)):
            yield f"versions of {model}: {found}"


def strange_histories(store: sqlite3.Connection) -> Iterator[str]:
    """Jobs whose events are not a walk through the table of changes, or whose attempts do not count on."""
    statuses = {str(status) for status in JobStatus}
    for job_id, attempts in store.execute("SELECT id, attempt FROM jobs").fetchall():
        events = store.execute("SELECT seq, kind FROM events WHERE subject = ? ORDER BY seq", (job_id,)).fetchall()
        if [row["seq"] for row in events] != list(range(1, len(events) + 1)):
            yield f"{job_id}: events do not count on"
        walk = [JobStatus(row["kind"]) for row in events if row["kind"] in statuses]
        steps = list(pairwise(walk))
        if walk[0] is not JobStatus.QUEUED or walk[-1] not in FINAL:
            yield f"{job_id}: begins {walk[0]}, ends {walk[-1]}"
        yield from (f"{job_id}: {a} -> {b}" for a, b in steps if b not in TRANSITIONS[a])
        numbers = [
            row[0] for row in store.execute("SELECT attempt FROM attempts WHERE job_id = ? ORDER BY 1", (job_id,))
        ]
        if numbers != list(range(1, attempts + 1)):
            yield f"{job_id}: attempts {numbers}, the job says {attempts}"


def out_of_order(store: sqlite3.Connection) -> Iterator[str]:
    """Jobs that began before one that they come after had succeeded."""
    for row in store.execute(
        "SELECT jobs.id, earlier.id AS other FROM jobs, json_each(jobs.after) AS item "
        "JOIN jobs AS earlier ON earlier.id = item.value WHERE jobs.started_at < earlier.finished_at"
    ):
        yield f"{row['id']} began before {row['other']} had ended"


def damage(store: sqlite3.Connection) -> Iterator[str]:
    """What SQLite finds wrong."""
    (answer,) = store.execute("PRAGMA integrity_check").fetchone()
    if answer != "ok":
        yield str(answer)
    yield from (str(tuple(row)) for row in store.execute("PRAGMA foreign_key_check"))


def left_over(service: KilledService, store: sqlite3.Connection) -> Iterator[str]:
    """Files that nothing refers to, and rows that wait for what has ended."""
    referred = {
        row[0] for row in store.execute("SELECT artifact FROM datasets UNION SELECT artifact FROM model_versions")
    }
    kept = {path.name for path in (service.data_dir / "artifacts").iterdir()}
    yield from (f"artifact {name} is missing" for name in referred - kept)
    yield from (f"artifact {name} belongs to nothing" for name in kept - referred)
    yield from (f"checkpoints of {path.name}" for path in (service.data_dir / "jobs").iterdir())
    for (n_rows,) in store.execute("SELECT count(*) FROM open_dependencies"):
        if n_rows:
            yield f"{n_rows} open dependencies"


def figures_of(store: sqlite3.Connection) -> dict[str, Any]:
    """How often jobs were begun, and how attempts ended."""
    outcomes = dict(
        store.execute("SELECT outcome, count(*) FROM attempts GROUP BY outcome ORDER BY outcome").fetchall()
    )
    (most,) = store.execute("SELECT max(attempt) FROM jobs").fetchone()
    (several,) = store.execute("SELECT count(*) FROM jobs WHERE attempt > 1").fetchone()
    return {"attempts": outcomes, "most_attempts_of_a_job": most, "jobs_with_several_attempts": several}
