"""Quantum functions and their versions, each an artifact; and what a job that waits for a provider waits for."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["QUANTUM_FUNCTIONS"]

_UP = (
    """CREATE TABLE quantum_functions (
        id TEXT PRIMARY KEY,
        project TEXT NOT NULL REFERENCES projects (name),
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        changed_at INTEGER NOT NULL,
        deleted_at INTEGER
    )""",
    "CREATE UNIQUE INDEX quantum_functions_by_name ON quantum_functions (project, name) WHERE deleted_at IS NULL",
    """CREATE TABLE quantum_function_versions (
        function_id TEXT NOT NULL REFERENCES quantum_functions (id),
        number INTEGER NOT NULL,
        project TEXT NOT NULL,
        artifact TEXT NOT NULL,
        summary TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        deleted_at INTEGER,
        PRIMARY KEY (function_id, number)
    )""",
    "CREATE INDEX quantum_function_versions_by_artifact ON quantum_function_versions (artifact)",
    "ALTER TABLE jobs ADD COLUMN provider_job_id TEXT",
    "CREATE INDEX jobs_by_provider ON jobs (not_before_at) WHERE provider_job_id IS NOT NULL",
)

QUANTUM_FUNCTIONS = Migration(
    summary="quantum functions",
    up=_UP,
    down=(
        "DROP INDEX jobs_by_provider",
        "ALTER TABLE jobs DROP COLUMN provider_job_id",
        "DROP TABLE quantum_function_versions",
        "DROP TABLE quantum_functions",
    ),
    obstacles=(
        Obstacle("SELECT count(*) FROM quantum_functions", "quantum functions"),
        Obstacle("SELECT count(*) FROM jobs WHERE kind = 'call'", "calls of quantum functions"),
    ),
)
