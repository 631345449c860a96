"""A job remembers what it was expected to take when it was submitted."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["JOB_ESTIMATES"]

JOB_ESTIMATES = Migration(
    summary="what a job is expected to take",
    up=("ALTER TABLE jobs ADD COLUMN estimate TEXT",),
    down=("ALTER TABLE jobs DROP COLUMN estimate",),
)
