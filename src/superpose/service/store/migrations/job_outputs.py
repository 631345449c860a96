"""What jobs of users' own functions leave: metrics by step, and files."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["JOB_OUTPUTS"]

JOB_OUTPUTS = Migration(
    summary="metrics and files of jobs",
    up=(
        """CREATE TABLE job_metrics (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            job_id TEXT NOT NULL REFERENCES jobs (id),
            name TEXT NOT NULL,
            step INTEGER NOT NULL,
            value REAL NOT NULL,
            attempt INTEGER NOT NULL,
            at INTEGER NOT NULL,
            UNIQUE (job_id, name, step)
        )""",
        """CREATE TABLE job_artifacts (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            job_id TEXT NOT NULL REFERENCES jobs (id),
            project TEXT NOT NULL,
            role TEXT NOT NULL,
            name TEXT NOT NULL,
            artifact TEXT NOT NULL,
            n_bytes INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            deleted_at INTEGER,
            UNIQUE (job_id, role, name)
        )""",
        "CREATE INDEX job_artifacts_by_artifact ON job_artifacts (artifact)",
    ),
    down=("DROP TABLE job_artifacts", "DROP TABLE job_metrics"),
    obstacles=(
        Obstacle("SELECT count(*) FROM job_metrics", "metrics of jobs"),
        Obstacle("SELECT count(*) FROM job_artifacts", "files of jobs"),
    ),
)
