"""Program sets, and the files with their results."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["PROGRAM_SETS"]

PROGRAM_SETS = Migration(
    summary="program sets",
    up=(
        """CREATE TABLE program_sets (
            job_id TEXT PRIMARY KEY REFERENCES jobs (id),
            project TEXT NOT NULL REFERENCES projects (name),
            input_artifact TEXT,
            output_artifact TEXT,
            created_at INTEGER NOT NULL,
            deleted_at INTEGER
        )""",
        "CREATE INDEX program_sets_by_project ON program_sets (project)",
    ),
    down=("DROP TABLE program_sets",),
    obstacles=(Obstacle("SELECT count(*) FROM program_sets", "program sets"),),
)
