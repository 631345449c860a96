"""Jobs that other jobs began, and the names of sweeps."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["SWEEPS"]

_UP = (
    "ALTER TABLE jobs ADD COLUMN parent_id TEXT",
    "CREATE INDEX jobs_by_parent ON jobs (parent_id, number) WHERE parent_id IS NOT NULL",
    """CREATE TABLE sweeps (
        project TEXT NOT NULL REFERENCES projects (name),
        name TEXT NOT NULL,
        job_id TEXT NOT NULL UNIQUE REFERENCES jobs (id),
        created_at INTEGER NOT NULL,
        PRIMARY KEY (project, name)
    )""",
)

_DOWN = (
    "DROP TABLE sweeps",
    "DROP INDEX jobs_by_parent",
    "ALTER TABLE jobs DROP COLUMN parent_id",
)

SWEEPS = Migration(
    summary="sweeps, and jobs begun by jobs",
    up=_UP,
    down=_DOWN,
    obstacles=(Obstacle("SELECT count(*) FROM sweeps", "sweeps"),),
)
