"""The kinds of jobs are told by the code alone, so that a new kind needs no new schema.

SQLite changes no constraint of a table: it is built anew, filled, and takes the old one's name.
"""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["JOB_KINDS"]

_INDEXES = (
    "CREATE UNIQUE INDEX jobs_by_idempotency_key ON jobs (project, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX jobs_by_status ON jobs (status, project, priority, number)",
    "CREATE INDEX jobs_by_project ON jobs (project, number)",
    "CREATE INDEX jobs_by_dataset ON jobs (dataset_id)",
    "CREATE INDEX jobs_by_lease ON jobs (lease_expires_at) WHERE lease_expires_at IS NOT NULL",
)

_UP = (
    """CREATE TABLE new_jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL REFERENCES projects (name),
        kind TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN
            ('queued', 'running', 'waiting', 'cancelling', 'succeeded', 'failed', 'cancelled')),
        priority INTEGER NOT NULL,
        payload TEXT NOT NULL,
        dataset_id TEXT REFERENCES datasets (id),
        dataset TEXT,
        model TEXT,
        model_version INTEGER,
        attempt INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0,
        worker_id TEXT,
        lease_expires_at INTEGER,
        idempotency_key TEXT,
        request_digest TEXT NOT NULL,
        created_by TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        finished_at INTEGER,
        progress TEXT NOT NULL,
        error TEXT,
        result TEXT,
        -- a worker holds the job exactly while it runs, and a final status has a time
        CHECK ((status IN ('running', 'cancelling')) = (worker_id IS NOT NULL)),
        CHECK ((worker_id IS NULL) = (lease_expires_at IS NULL)),
        CHECK ((status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
    )""",
    "INSERT INTO new_jobs SELECT * FROM jobs",
    "DROP TABLE jobs",
    "ALTER TABLE new_jobs RENAME TO jobs",
    *_INDEXES,
)

_DOWN = (
    """CREATE TABLE old_jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL REFERENCES projects (name),
        kind TEXT NOT NULL CHECK (kind IN ('train', 'program')),
        status TEXT NOT NULL CHECK (status IN
            ('queued', 'running', 'waiting', 'cancelling', 'succeeded', 'failed', 'cancelled')),
        priority INTEGER NOT NULL,
        payload TEXT NOT NULL,
        dataset_id TEXT REFERENCES datasets (id),
        dataset TEXT,
        model TEXT,
        model_version INTEGER,
        attempt INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0,
        worker_id TEXT,
        lease_expires_at INTEGER,
        idempotency_key TEXT,
        request_digest TEXT NOT NULL,
        created_by TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        finished_at INTEGER,
        progress TEXT NOT NULL,
        error TEXT,
        result TEXT,
        -- a worker holds the job exactly while it runs, and a final status has a time
        CHECK ((status IN ('running', 'cancelling')) = (worker_id IS NOT NULL)),
        CHECK ((worker_id IS NULL) = (lease_expires_at IS NULL)),
        CHECK ((status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
    )""",
    "INSERT INTO old_jobs SELECT * FROM jobs",
    "DROP TABLE jobs",
    "ALTER TABLE old_jobs RENAME TO jobs",
    *_INDEXES,
)

JOB_KINDS = Migration(
    summary="job kinds are checked by the code",
    up=_UP,
    down=_DOWN,
    obstacles=(
        Obstacle(
            "SELECT count(*) FROM jobs WHERE kind NOT IN ('train', 'program')",
            "jobs of kinds that the older release does not know",
        ),
    ),
)
