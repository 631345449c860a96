"""Jobs that wait: for other jobs, or for the time of their next attempt; and a clock that nobody sets."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["JOB_ORDER"]

_UP = (
    "ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN not_before_at INTEGER",
    "ALTER TABLE jobs ADD COLUMN after TEXT NOT NULL DEFAULT '[]'",
    # what a job still waits for; a row goes when the other job has ended
    """CREATE TABLE open_dependencies (
        after_id TEXT NOT NULL REFERENCES jobs (id),
        job_id TEXT NOT NULL REFERENCES jobs (id),
        PRIMARY KEY (after_id, job_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX open_dependencies_by_job ON open_dependencies (job_id)",
    "DROP INDEX jobs_by_status",
    "CREATE INDEX jobs_by_status ON jobs (status, project, priority, number, not_before_at, id)",
    # microseconds from the machine's monotonic clock to UTC, as they were when the store was first opened in a boot
    "CREATE TABLE steady_clocks (machine_boot TEXT PRIMARY KEY, offset_us INTEGER NOT NULL)",
)

_DOWN = (
    "DROP TABLE steady_clocks",
    "DROP INDEX jobs_by_status",
    "CREATE INDEX jobs_by_status ON jobs (status, project, priority, number)",
    "DROP INDEX open_dependencies_by_job",
    "DROP TABLE open_dependencies",
    "ALTER TABLE jobs DROP COLUMN after",
    "ALTER TABLE jobs DROP COLUMN not_before_at",
    "ALTER TABLE jobs DROP COLUMN retries",
)

JOB_ORDER = Migration(
    summary="dependencies between jobs, retries with a pause, and a steady clock for leases",
    up=_UP,
    down=_DOWN,
    obstacles=(Obstacle("SELECT count(*) FROM open_dependencies", "dependencies of jobs on others"),),
)
