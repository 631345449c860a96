"""Version 1, released in 0.1.0: projects, keys, data sets, jobs with attempts and events, models, endpoints."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["INITIAL"]

_UP = (
    """CREATE TABLE projects (
        name TEXT PRIMARY KEY,
        created_at INTEGER NOT NULL
    )""",
    """CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        project TEXT NOT NULL REFERENCES projects (name),
        role TEXT NOT NULL CHECK (role IN ('admin', 'editor', 'viewer', 'predictor')),
        label TEXT NOT NULL,
        digest TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        revoked_at INTEGER
    )""",
    "CREATE INDEX keys_by_project ON keys (project)",
    """CREATE TABLE datasets (
        id TEXT PRIMARY KEY,
        project TEXT NOT NULL REFERENCES projects (name),
        name TEXT NOT NULL,
        format TEXT NOT NULL,
        target TEXT NOT NULL,
        n_rows INTEGER NOT NULL,
        n_features INTEGER NOT NULL,
        classes TEXT NOT NULL,
        columns TEXT NOT NULL,
        digest TEXT NOT NULL,
        artifact TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        deleted_at INTEGER
    )""",
    # A name is free again once its data set is deleted; the row stays, because finished jobs refer to it.
    "CREATE UNIQUE INDEX datasets_by_name ON datasets (project, name) WHERE deleted_at IS NULL",
    "CREATE INDEX datasets_by_artifact ON datasets (artifact) WHERE deleted_at IS NULL",
    """CREATE TABLE jobs (
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
    # Submitting twice under one idempotency key gives one job.
    "CREATE UNIQUE INDEX jobs_by_idempotency_key ON jobs (project, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX jobs_by_status ON jobs (status, project, priority, number)",
    "CREATE INDEX jobs_by_project ON jobs (project, number)",
    "CREATE INDEX jobs_by_dataset ON jobs (dataset_id)",
    "CREATE INDEX jobs_by_lease ON jobs (lease_expires_at) WHERE lease_expires_at IS NOT NULL",
    """CREATE TABLE attempts (
        job_id TEXT NOT NULL REFERENCES jobs (id),
        attempt INTEGER NOT NULL,
        worker_id TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        outcome TEXT,
        PRIMARY KEY (job_id, attempt)
    ) WITHOUT ROWID""",
    # The history of every subject: a job, key, data set, model or endpoint.
    """CREATE TABLE events (
        subject TEXT NOT NULL,
        seq INTEGER NOT NULL,
        project TEXT NOT NULL,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        actor TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (subject, seq)
    ) WITHOUT ROWID""",
    """CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TABLE models (
        project TEXT NOT NULL REFERENCES projects (name),
        name TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (project, name)
    ) WITHOUT ROWID""",
    # job_id is unique: a job never gives two versions.
    """CREATE TABLE model_versions (
        project TEXT NOT NULL,
        model TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        artifact TEXT NOT NULL,
        job_id TEXT NOT NULL UNIQUE REFERENCES jobs (id),
        created_at INTEGER NOT NULL,
        metrics TEXT NOT NULL,
        evaluation TEXT NOT NULL,
        manifest TEXT NOT NULL,
        PRIMARY KEY (project, model, version),
        FOREIGN KEY (project, model) REFERENCES models (project, name)
    )""",
    "CREATE INDEX model_versions_by_artifact ON model_versions (artifact)",
    """CREATE TABLE endpoints (
        id TEXT PRIMARY KEY,
        project TEXT NOT NULL,
        name TEXT NOT NULL,
        model TEXT NOT NULL,
        version INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        UNIQUE (project, name),
        FOREIGN KEY (project, model, version) REFERENCES model_versions (project, model, version)
    )""",
)

_DOWN = tuple(
    f"DROP TABLE {table}"
    for table in (
        "endpoints",
        "model_versions",
        "models",
        "events",
        "attempts",
        "jobs",
        "datasets",
        "keys",
        "projects",
    )
)

INITIAL = Migration(
    summary="projects, keys, data sets, jobs with attempts and events, models, endpoints", up=_UP, down=_DOWN
)
