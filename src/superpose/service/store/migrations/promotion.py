"""Stages of endpoints, what versions show for production, and what admins let pass without.

Endpoints that were there are of the stage development: nothing that answers is asked for anything.
"""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["PROMOTION"]

PROMOTION = Migration(
    summary="stages of endpoints, evidence and statements of versions, overrides",
    up=(
        "ALTER TABLE endpoints ADD COLUMN stage TEXT NOT NULL DEFAULT 'development'",
        "ALTER TABLE model_versions ADD COLUMN evidence TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE model_versions ADD COLUMN statements TEXT NOT NULL DEFAULT '{}'",
        """CREATE TABLE gate_overrides (
            endpoint_id TEXT NOT NULL,
            project TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            model TEXT NOT NULL,
            version INTEGER NOT NULL,
            missing TEXT NOT NULL,
            reason TEXT NOT NULL,
            overridden_at INTEGER NOT NULL,
            overridden_by TEXT NOT NULL,
            PRIMARY KEY (endpoint_id, model, version)
        ) WITHOUT ROWID""",
        "CREATE INDEX gate_overrides_by_version ON gate_overrides (project, model, version)",
    ),
    down=(
        "DROP TABLE gate_overrides",
        "ALTER TABLE model_versions DROP COLUMN statements",
        "ALTER TABLE model_versions DROP COLUMN evidence",
        "ALTER TABLE endpoints DROP COLUMN stage",
    ),
    obstacles=(
        Obstacle("SELECT count(*) FROM gate_overrides", "overrides of the promotion gate"),
        Obstacle("SELECT count(*) FROM endpoints WHERE stage <> 'development'", "production endpoints"),
        Obstacle("SELECT count(*) FROM model_versions WHERE statements <> '{}'", "versions with statements"),
    ),
)
