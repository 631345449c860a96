"""Where a project's programs and data may go."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["RESIDENCY"]

RESIDENCY = Migration(
    summary="residency rules",
    up=(
        """CREATE TABLE residency (
            project TEXT PRIMARY KEY REFERENCES projects (name),
            rules TEXT NOT NULL,
            set_at INTEGER NOT NULL,
            set_by TEXT NOT NULL
        )""",
    ),
    down=("DROP TABLE residency",),
    obstacles=(Obstacle("SELECT count(*) FROM residency", "projects' residency rules"),),
)
