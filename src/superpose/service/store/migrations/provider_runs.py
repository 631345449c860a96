"""Which programs of a job stand in a provider's queue: a set has many, and whoever cancels a job calls them off."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["PROVIDER_RUNS"]

PROVIDER_RUNS = Migration(
    summary="programs that providers hold",
    up=(
        """CREATE TABLE provider_runs (
            job_id TEXT NOT NULL REFERENCES jobs (id),
            token TEXT NOT NULL,
            backend TEXT NOT NULL,
            provider_job_id TEXT,
            n_tries INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (job_id, token)
        )""",
    ),
    down=("DROP TABLE provider_runs",),
)
