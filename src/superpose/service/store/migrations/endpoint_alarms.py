"""Alarms of endpoints: that live rows are not what a model was trained on. Figures of windows stand in it, no rows."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["ENDPOINT_ALARMS"]

_UP = (
    """CREATE TABLE endpoint_alarms (
        id TEXT PRIMARY KEY,
        endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        version INTEGER NOT NULL,
        message TEXT NOT NULL,
        facts TEXT NOT NULL,
        raised_at INTEGER NOT NULL,
        cleared_at INTEGER
    ) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX endpoint_alarms_open ON endpoint_alarms (endpoint_id, kind) WHERE cleared_at IS NULL",
)

ENDPOINT_ALARMS = Migration(
    summary="alarms of endpoints",
    up=_UP,
    down=("DROP INDEX endpoint_alarms_open", "DROP TABLE endpoint_alarms"),
)
