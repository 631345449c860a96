"""Files with rows to predict, and the files with their predictions."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["PREDICTIONS"]

PREDICTIONS = Migration(
    summary="batch predictions",
    up=(
        """CREATE TABLE predictions (
            job_id TEXT PRIMARY KEY REFERENCES jobs (id),
            project TEXT NOT NULL REFERENCES projects (name),
            model TEXT NOT NULL,
            version INTEGER NOT NULL,
            input_artifact TEXT,
            output_artifact TEXT,
            created_at INTEGER NOT NULL,
            deleted_at INTEGER,
            FOREIGN KEY (project, model, version) REFERENCES model_versions (project, model, version)
        )""",
        "CREATE INDEX predictions_by_version ON predictions (project, model, version)",
    ),
    down=("DROP TABLE predictions",),
    obstacles=(Obstacle("SELECT count(*) FROM predictions", "batch predictions"),),
)
