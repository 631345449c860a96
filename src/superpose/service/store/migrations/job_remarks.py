"""A job remembers what the service remarked when it was submitted."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["JOB_REMARKS"]

JOB_REMARKS = Migration(
    summary="remarks on a job",
    up=("ALTER TABLE jobs ADD COLUMN remarks TEXT",),
    down=("ALTER TABLE jobs DROP COLUMN remarks",),
)
