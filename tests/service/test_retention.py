"""What goes when its time is over, and what a model's lineage keeps."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from superpose.circuits import (
    Circuit,
    Observable,
    Program,
    ProgramGrid,
    ProgramSet,
    program_set_to_json,
    program_to_json,
)
from superpose.errors import NotFoundError, StoreError
from superpose.service import Asked, AskedSet, AuditFilter, ModelVersion, Principal, Service, ServiceConfig
from superpose.service.operations.retention import prune

from .conftest import CSV, ended, working

PROGRAM = dict(program_to_json(Program(Circuit(1).h(0), observables=Observable("X"))))


def later(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def test_old_results_and_histories_go_and_those_of_models_stay(
    service: Service, config: ServiceConfig, admin: Principal, model: ModelVersion
) -> None:
    ran = service.jobs.submit(admin, "program", PROGRAM)
    with working(config):
        assert ended(service, ran).status == "succeeded"
    waiting = service.jobs.submit(admin, "program", PROGRAM)
    gone = service.datasets.add(admin, name="gone", content=CSV, format="csv", target="outcome")
    service.datasets.delete(admin, gone.id)
    used = service.jobs.get(admin, model.job_id).dataset_id
    service.datasets.delete(admin, "trial")
    logs = config.data_dir / "logs"
    for name in ("worker-0.log", "worker-0.log.1", "api.jsonl", "api.jsonl.2"):
        (logs / name).write_text("{}\n")
        os.utime(logs / name, (0, 0))

    keeping = replace(config, keep_results_days=30, keep_events_days=30, keep_deleted_days=30, keep_logs_days=7)
    assert prune(keeping, clock=lambda: later(29)).to_json() == {
        "dry_run": False,
        "n_results": 0,
        "n_histories": 0,
        "n_files": 0,
        "n_deliveries": 0,
        "n_datasets": 0,
        "n_log_files": 1,
        "log_bytes": 3,
    }
    assert sorted(p.name for p in logs.iterdir()) == ["api.jsonl", "api.jsonl.2", "worker-0.log"]
    told = prune(keeping, dry_run=True, clock=lambda: later(31))
    assert (told.n_results, told.n_histories, told.n_datasets) == (1, 1, 1)
    assert service.jobs.get(admin, ran.id).result["expectations"]  # type: ignore[index]  # it succeeded
    done = prune(keeping, clock=lambda: later(31))
    assert replace(done, dry_run=True) == told
    again = prune(keeping, clock=lambda: later(31))
    assert (again.n_results, again.n_histories, again.n_datasets) == (0, 0, 0)

    assert set(service.jobs.get(admin, ran.id).result or {}) == {"pruned_at"}
    assert not service.jobs.events(admin, ran.id)
    trained = service.jobs.get(admin, model.job_id)
    assert trained.result is not None
    assert trained.result["evaluation"]
    assert [event.kind for event in service.jobs.events(admin, model.job_id)][-1] == "succeeded"
    assert service.models.version(admin, "outcome").digest == model.digest
    with service.store.database.read() as connection:
        left = connection.exec_driver_sql("SELECT id FROM datasets").scalars().all()
    assert left == [used]  # deleted, but the model came of it
    assert service.jobs.events(admin, waiting.id)
    told_of = [entry for entry in service.audit.list(admin).items if entry.action.endswith("pruned")]
    assert {(entry.data["what"], entry.data["count"]) for entry in told_of} == {
        ("results", 1),
        ("events", 1),
        ("datasets", 1),
    }
    with working(config):
        assert ended(service, waiting).status == "succeeded"
    with pytest.raises(StoreError, match="append-only"), service.store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM events")  # the guard is back


def test_old_files_of_jobs_go_and_what_others_share_stays(
    service: Service, config: ServiceConfig, admin: Principal, model: ModelVersion, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_bytes(CSV)
    asked = Asked(model="outcome")
    made = [service.predictions.submit_file(admin, rows, "csv", asked) for _ in range(2)]  # one file, kept once
    grid = ProgramGrid(Circuit(1).h(0), shots=10)
    made.append(service.program_sets.submit(admin, dict(program_set_to_json(ProgramSet(grid, seed=1))), AskedSet()))
    with working(config):
        assert {ended(service, one.job).status for one in made} == {"succeeded"}
    waiting = service.predictions.submit_file(admin, rows, "csv", asked)
    artifacts = config.data_dir / "artifacts"
    before = {path.name for path in artifacts.iterdir()}
    keeping = replace(config, keep_files_days=30)
    assert prune(keeping, clock=lambda: later(29)).n_files == 0
    assert prune(keeping, dry_run=True, clock=lambda: later(31)).n_files == 3
    assert {path.name for path in artifacts.iterdir()} == before
    assert prune(keeping, clock=lambda: later(31)).n_files == 3
    assert prune(keeping, clock=lambda: later(31)).n_files == 0
    assert len(before) - len(list(artifacts.iterdir())) == 3  # two equal predictions, a set and its results
    with pytest.raises(NotFoundError, match="were deleted"):
        service.predictions.file(admin, made[0].job.id)
    with pytest.raises(NotFoundError, match="were deleted"):
        service.program_sets.file(admin, made[2].job.id)
    assert service.jobs.get(admin, made[0].job.id).result is not None  # counts stay
    with working(config):  # the rows that a job still needs were shared with those that went
        assert ended(service, waiting.job).status == "succeeded"
    (entry,) = service.audit.list(admin, wanted=AuditFilter(action="store.pruned")).items
    assert (entry.data["what"], entry.data["count"]) == ("files", 3)


def test_nothing_goes_unless_a_setting_says_so_and_only_in_a_data_directory_of_this_release(
    service: Service, config: ServiceConfig, admin: Principal
) -> None:
    job = service.jobs.submit(admin, "program", PROGRAM)
    service.jobs.cancel(admin, job.id)
    report = prune(config, clock=lambda: later(10_000))
    assert sum(value for value in report.to_json().values() if isinstance(value, int)) == 0
    assert service.jobs.events(admin, job.id)
    with pytest.raises(StoreError, match="no superpose data"):
        prune(replace(config, data_dir=config.data_dir / "elsewhere"))
    with service.store.database.write() as connection:
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (999, 0, '9.9.9')")
    with pytest.raises(StoreError, match="Prune with the release that runs the server"):
        prune(config)
