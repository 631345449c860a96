"""What data sets are about. Those that were there are of the domain general: nobody has said otherwise."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["DATA_DOMAINS"]

DATA_DOMAINS = Migration(
    summary="domains of data sets",
    up=("ALTER TABLE datasets ADD COLUMN domain TEXT NOT NULL DEFAULT 'general'",),
    down=("ALTER TABLE datasets DROP COLUMN domain",),
    obstacles=(
        Obstacle("SELECT count(*) FROM datasets WHERE domain <> 'general' AND deleted_at IS NULL", "medical data sets"),
    ),
)
