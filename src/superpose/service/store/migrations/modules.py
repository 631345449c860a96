"""Exported modules: a user's own PyTorch modules as data, from which training jobs start."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["MODULES"]

MODULES = Migration(
    summary="exported modules",
    up=(
        """CREATE TABLE modules (
            id TEXT PRIMARY KEY,
            project TEXT NOT NULL REFERENCES projects (name),
            name TEXT NOT NULL,
            artifact TEXT NOT NULL,
            summary TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            deleted_at INTEGER
        )""",
        "CREATE UNIQUE INDEX modules_by_name ON modules (project, name) WHERE deleted_at IS NULL",
        "CREATE INDEX modules_by_artifact ON modules (artifact)",
    ),
    down=("DROP TABLE modules",),
    obstacles=(Obstacle("SELECT count(*) FROM modules", "exported modules"),),
)
