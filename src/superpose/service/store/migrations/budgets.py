"""Budgets of projects and users, and a charge for each job."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["BUDGETS"]

_UP = (
    """CREATE TABLE budgets (
        project TEXT NOT NULL REFERENCES projects (name),
        user_id TEXT NOT NULL,
        period TEXT NOT NULL CHECK (period IN ('day', 'month', 'total')),
        limit_micros INTEGER NOT NULL CHECK (limit_micros >= 0),
        PRIMARY KEY (project, user_id, period)
    )""",
    """CREATE TABLE charges (
        job_id TEXT PRIMARY KEY REFERENCES jobs (id),
        number INTEGER NOT NULL,
        project TEXT NOT NULL,
        user_id TEXT NOT NULL,
        backend TEXT NOT NULL,
        provider_micros INTEGER NOT NULL,
        worker_micros INTEGER NOT NULL,
        max_seconds REAL,
        reserved_at INTEGER NOT NULL,
        seconds REAL,
        settled_micros INTEGER,
        settled_at INTEGER
    )""",
    "CREATE INDEX charges_by_project ON charges (project, reserved_at)",
)

BUDGETS = Migration(
    summary="budgets",
    up=_UP,
    down=("DROP TABLE charges", "DROP TABLE budgets"),
    obstacles=(
        Obstacle("SELECT count(*) FROM budgets", "budgets"),
        Obstacle("SELECT count(*) FROM charges", "charges of jobs"),
    ),
)
