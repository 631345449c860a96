"""Endpoints get revisions, a canary and limits of their own.

All of it stands in tables beside ``endpoints``, whose ``model`` and ``version`` stay what answers now, so that an older
release reads on. On the way back past revisions are forgotten; the endpoints' events still tell of them.
"""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["ENDPOINT_ROLLOUTS"]

_UP = (
    """CREATE TABLE endpoint_revisions (
        endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        model TEXT NOT NULL,
        version INTEGER NOT NULL,
        alias TEXT,
        origin INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        PRIMARY KEY (endpoint_id, number)
    ) WITHOUT ROWID""",
    """INSERT INTO endpoint_revisions
        SELECT id, 1, model, version, alias, 1, created_at,
            coalesce((SELECT actor FROM events WHERE subject = endpoints.id AND seq = 1), 'an earlier release')
        FROM endpoints""",
    """CREATE TABLE endpoint_canaries (
        endpoint_id TEXT PRIMARY KEY REFERENCES endpoints (id) ON DELETE CASCADE,
        project TEXT NOT NULL,
        model TEXT NOT NULL,
        version INTEGER NOT NULL,
        percent REAL NOT NULL,
        split_by TEXT NOT NULL,
        seed INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        FOREIGN KEY (project, model, version) REFERENCES model_versions (project, model, version)
    ) WITHOUT ROWID""",
    """CREATE TABLE endpoint_limits (
        endpoint_id TEXT PRIMARY KEY REFERENCES endpoints (id) ON DELETE CASCADE,
        max_batch_rows INTEGER,
        max_delay_ms REAL,
        max_queue_rows INTEGER,
        max_concurrency INTEGER
    ) WITHOUT ROWID""",
)

ENDPOINT_ROLLOUTS = Migration(
    summary="revisions, canaries and limits of endpoints",
    up=_UP,
    down=("DROP TABLE endpoint_limits", "DROP TABLE endpoint_canaries", "DROP TABLE endpoint_revisions"),
    obstacles=(
        Obstacle("SELECT count(*) FROM endpoint_canaries", "canaries of endpoints"),
        Obstacle("SELECT count(*) FROM endpoint_limits", "endpoints' own limits"),
    ),
)
