"""Loops over a provider's processor with their sessions, and how long programs have waited in providers' queues."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["PROVIDER_LOOPS"]

_UP = (
    "ALTER TABLE provider_runs ADD COLUMN submitted_at INTEGER",
    "ALTER TABLE provider_runs ADD COLUMN started_at INTEGER",
    """CREATE TABLE provider_loops (
        job_id TEXT PRIMARY KEY REFERENCES jobs (id),
        backend TEXT NOT NULL,
        session_id TEXT,
        refused INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE provider_waits (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL REFERENCES projects (name),
        backend TEXT NOT NULL,
        at INTEGER NOT NULL,
        wait_s REAL NOT NULL
    )""",
    "CREATE INDEX provider_waits_by_time ON provider_waits (at)",
)

PROVIDER_LOOPS = Migration(
    summary="loops at providers and waits in their queues",
    up=_UP,
    down=(
        "DROP TABLE provider_waits",
        "DROP TABLE provider_loops",
        "ALTER TABLE provider_runs DROP COLUMN started_at",
        "ALTER TABLE provider_runs DROP COLUMN submitted_at",
    ),
)
