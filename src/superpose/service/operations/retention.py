"""How long things are kept: events, results and files of jobs that are over, deleted data sets, old log files.

What a model's lineage needs is never removed, whatever its age: the jobs that gave versions of models, the sweeps that
these were part of, with all their trials, and the data sets of any job. Job rows, attempts and the audit log stay too.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select, update

import superpose
from superpose.errors import StoreError
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Clock, iso, utc_now
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.audit_log import append_entry
from superpose.service.store.database import Database, json_text
from superpose.service.store.datadir import DataDir
from superpose.service.store.migrations import SCHEMA_VERSION
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import file_jobs, job_artifacts

__all__ = ["PruneReport", "prune"]

_AT_ONCE: Final = 500
_GUARD: Final = "events_are_not_deleted"

#: Ids of jobs that a model's lineage or a sweep needs: those that gave versions, what began them, and what these began.
_NEEDED: Final = """
    WITH RECURSIVE needed (id) AS (
        SELECT job_id FROM model_versions
        UNION SELECT job_id FROM sweeps
        UNION SELECT jobs.parent_id FROM jobs JOIN needed ON jobs.id = needed.id WHERE jobs.parent_id IS NOT NULL
        UNION SELECT jobs.id FROM jobs JOIN needed ON jobs.parent_id = needed.id
    )
"""
_OVER: Final = "jobs.finished_at < ? AND jobs.id NOT IN (SELECT id FROM needed)"
_RESULTS: Final = f"""{_NEEDED} SELECT jobs.id, jobs.project FROM jobs
    WHERE {_OVER} AND jobs.result IS NOT NULL AND jobs.result NOT LIKE '{{"pruned_at":%' LIMIT ?"""  # noqa: S608
_EVENTS: Final = f"""{_NEEDED} SELECT jobs.id, jobs.project FROM jobs
    WHERE {_OVER} AND EXISTS (SELECT 1 FROM events WHERE events.subject = jobs.id) LIMIT ?"""  # noqa: S608
_FILES: Final = """SELECT jobs.id, jobs.project FROM jobs WHERE jobs.finished_at < ? AND (
        EXISTS (SELECT 1 FROM file_jobs AS file WHERE file.job_id = jobs.id AND file.deleted_at IS NULL)
        OR EXISTS (SELECT 1 FROM job_artifacts AS file WHERE file.job_id = jobs.id AND file.deleted_at IS NULL)
    ) LIMIT ?"""
_DELIVERIES: Final = """SELECT delivery.number, webhooks.project FROM webhook_deliveries AS delivery
    JOIN webhooks ON webhooks.id = delivery.webhook_id WHERE delivery.ended_at < ? LIMIT ?"""
_DATASETS: Final = """SELECT id, project FROM datasets WHERE deleted_at < ?
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.dataset_id = datasets.id) LIMIT ?"""
_NO_LIMIT: Final = -1


@dataclass(frozen=True)
class PruneReport:
    """What was removed, or with ``dry_run`` would be: jobs that lost their results, events or files, and so on."""

    dry_run: bool
    n_results: int
    n_histories: int
    n_files: int
    n_deliveries: int
    n_datasets: int
    n_log_files: int
    log_bytes: int

    def to_json(self) -> dict[str, object]:
        """The report as JSON values."""
        return asdict(self)


def prune(config: ServiceConfig, *, dry_run: bool = False, clock: Clock = utc_now) -> PruneReport:
    """Remove what the settings ``keep_*_days`` no longer keep; beside a running server, too.

    Writes are done in short transactions, so that a server beside is not held up. The store's file does not shrink;
    its free pages are used again.

    Raises:
        StoreError: no data directory, or one whose schema is not this release's: start its server first.
    """
    if not (config.data_dir / "superpose.sqlite").is_file():
        raise StoreError(f"There is no superpose data in {config.data_dir}; name the service's data directory.")
    _check_schema(config.data_dir / "superpose.sqlite")
    data_dir = DataDir(config.data_dir)
    database = Database(data_dir.database_path, busy_timeout_s=config.busy_timeout_s, clock=clock)
    try:
        pruning = _Pruning(database, Artifacts(data_dir, config.artifact_url), clock(), dry_run)
        files = [
            *_old_files(data_dir.logs, "worker-*.log.*", pruning.before(config.keep_logs_days)),
            *_old_files(data_dir.logs, "api.jsonl.*", pruning.before(config.keep_request_logs_days)),
        ]
        report = PruneReport(
            dry_run,
            pruning.results(config.keep_results_days),
            pruning.histories(config.keep_events_days),
            pruning.files(config.keep_files_days),
            pruning.deliveries(config.keep_deliveries_days),
            pruning.datasets(config.keep_deleted_days),
            len(files),
            sum(path.stat().st_size for path in files),
        )
        if not dry_run:
            for path in files:
                path.unlink(missing_ok=True)
    finally:
        database.close()
    return report


class _Pruning:
    """Removes rows, a few hundred at a time."""

    def __init__(self, database: Database, artifacts: Artifacts, now: datetime, dry_run: bool) -> None:
        self._database = database
        self._artifacts = artifacts
        self._now = now
        self._dry_run = dry_run

    def before(self, days: float | None) -> datetime | None:
        """The time before which things go; None where all are kept."""
        return None if days is None else self._now - timedelta(days=days)

    def results(self, days: float | None) -> int:
        """Take away results of jobs, and programs; when that was stands in the result's place."""

        def remove(connection: Connection, ids: Sequence[str]) -> None:
            mark = json_text({"pruned_at": iso(self._now)})
            for job_id in ids:
                connection.exec_driver_sql(
                    "UPDATE jobs SET result = ?, payload = CASE kind WHEN 'program' THEN '{}' ELSE payload END "
                    "WHERE id = ?",
                    (mark, job_id),
                )

        return self._each("results", _RESULTS, days, remove)

    def histories(self, days: float | None) -> int:
        """Remove the events of jobs."""

        def remove(connection: Connection, ids: Sequence[str]) -> None:
            guard = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (_GUARD,)).scalar_one()
            connection.exec_driver_sql(f"DROP TRIGGER {_GUARD}")  # within this transaction nobody else writes
            for job_id in ids:
                connection.exec_driver_sql("DELETE FROM events WHERE subject = ?", (job_id,))
            connection.exec_driver_sql(str(guard))

        return self._each("events", _EVENTS, days, remove)

    def files(self, days: float | None) -> int:
        """Remove the files that jobs left, and those that they brought; how many jobs had some."""
        digests: set[str] = set()

        def remove(connection: Connection, ids: Sequence[str]) -> None:
            for of_jobs, columns in (
                (file_jobs, (file_jobs.c.input_artifact, file_jobs.c.output_artifact)),
                (job_artifacts, (job_artifacts.c.artifact,)),
            ):
                mine = of_jobs.c.job_id.in_(ids) & of_jobs.c.deleted_at.is_(None)
                for row in connection.execute(select(*columns).where(mine)):
                    digests.update(digest for digest in row if digest is not None)
                gone = {"input_artifact": None, "output_artifact": None} if of_jobs is file_jobs else {}
                connection.execute(update(of_jobs).where(mine).values(**gone, deleted_at=self._now))

        count = self._each("files", _FILES, days, remove)
        for digest in sorted(digests):
            with self._database.write() as connection:  # only after the rows' end is certain
                if not is_referred(connection, digest):
                    self._artifacts.remove(digest)
        return count

    def deliveries(self, days: float | None) -> int:
        """Remove messages to webhooks that were delivered or given up, with their tries."""

        def remove(connection: Connection, ids: Sequence[str]) -> None:
            for number in ids:
                connection.exec_driver_sql("DELETE FROM webhook_attempts WHERE delivery = ?", (int(number),))
                connection.exec_driver_sql("DELETE FROM webhook_deliveries WHERE number = ?", (int(number),))

        return self._each("deliveries", _DELIVERIES, days, remove)

    def datasets(self, days: float | None) -> int:
        """Remove what describes data sets that were deleted and that no job has used."""

        def remove(connection: Connection, ids: Sequence[str]) -> None:
            for dataset_id in ids:
                connection.exec_driver_sql("DELETE FROM data_sheets WHERE dataset_id = ?", (dataset_id,))
                connection.exec_driver_sql("DELETE FROM datasets WHERE id = ?", (dataset_id,))

        return self._each("datasets", _DATASETS, days, remove)

    def _each(
        self, what: str, query: str, days: float | None, remove: Callable[[Connection, Sequence[str]], None]
    ) -> int:
        before = self.before(days)
        if before is None:
            return 0
        at = round(before.timestamp() * 1e6)
        if self._dry_run:
            with self._database.read() as connection:
                return len(connection.exec_driver_sql(query, (at, _NO_LIMIT)).all())
        n_removed = 0
        while True:
            with self._database.write() as connection:
                rows = connection.exec_driver_sql(query, (at, _AT_ONCE)).all()
                if not rows:
                    return n_removed
                remove(connection, [str(row[0]) for row in rows])
                self._tell(connection, what, before, Counter(str(row[1]) for row in rows))
            n_removed += len(rows)

    def _tell(self, connection: Connection, what: str, before: datetime, counts: Mapping[str, int]) -> None:
        """Have it in the audit log, in each project's."""
        for project, count in counts.items():
            data = {"what": what, "count": count, "older_than": iso(before)}
            append_entry(
                connection,
                subject="store",
                project=project,
                at=self._now,
                kind="pruned",
                actor="superpose prune",
                data=data,
            )


def _check_schema(path: Path) -> None:
    """Refuse a store that opening it would change under a server of another release."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT max(version) FROM schema_version").fetchone()[0]
    if found != SCHEMA_VERSION:
        raise StoreError(
            f"The store has schema version {found}, superpose {superpose.__version__} has {SCHEMA_VERSION}. Prune with "
            "the release that runs the server, or start the server with this one first.",
            found=found,
            newest=SCHEMA_VERSION,
        )


def _old_files(directory: Path, pattern: str, before: datetime | None) -> list[Path]:
    if before is None or not directory.is_dir():
        return []
    return [path for path in directory.glob(pattern) if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before]
