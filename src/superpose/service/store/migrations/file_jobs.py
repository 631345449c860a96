"""One table for all jobs whose result is a file; before, each kind had its own."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle
from superpose.service.store.migrations.predictions import PREDICTIONS
from superpose.service.store.migrations.program_sets import PROGRAM_SETS

__all__ = ["FILE_JOBS"]

FILE_JOBS = Migration(
    summary="one table of jobs whose result is a file",
    up=(
        """CREATE TABLE file_jobs (
            job_id TEXT PRIMARY KEY REFERENCES jobs (id),
            project TEXT NOT NULL REFERENCES projects (name),
            input_artifact TEXT,
            output_artifact TEXT,
            deleted_at INTEGER
        )""",
        "CREATE INDEX file_jobs_by_project ON file_jobs (project)",
        *(
            f"INSERT INTO file_jobs SELECT job_id, project, input_artifact, output_artifact, deleted_at FROM {table}"  # noqa: S608  # names of tables
            for table in ("predictions", "program_sets")
        ),
        "DROP TABLE predictions",
        "DROP TABLE program_sets",
    ),
    down=(
        *PREDICTIONS.up,
        *PROGRAM_SETS.up,
        """INSERT INTO predictions
            SELECT f.job_id, f.project, j.model, json_extract(j.payload, '$.version'),
                f.input_artifact, f.output_artifact, j.created_at, f.deleted_at
            FROM file_jobs f JOIN jobs j ON j.id = f.job_id WHERE j.kind = 'predict'""",
        """INSERT INTO program_sets
            SELECT f.job_id, f.project, f.input_artifact, f.output_artifact, j.created_at, f.deleted_at
            FROM file_jobs f JOIN jobs j ON j.id = f.job_id WHERE j.kind = 'program_set'""",
        "DROP TABLE file_jobs",
    ),
    obstacles=(
        Obstacle(
            """SELECT count(*) FROM file_jobs JOIN jobs ON jobs.id = file_jobs.job_id
                WHERE kind NOT IN ('predict', 'program_set')""",
            "jobs of kinds that the older release does not know",
        ),
    ),
)
