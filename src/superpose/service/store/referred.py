"""Which artifacts rows refer to, and whose: the others may be removed, these count against a quota."""

from __future__ import annotations

from sqlalchemy import Connection, Select, select, union_all

from superpose.service.store.tables import (
    datasets,
    file_jobs,
    job_artifacts,
    model_versions,
    modules,
    quantum_function_versions,
)

__all__ = ["STORED", "is_referred", "referred_artifacts"]

#: Queries of the projects and artifacts of all rows that refer to one. A new kind of file is a row here.
STORED: tuple[Select[tuple[str, str]], ...] = (
    *(
        select(table.c.project, table.c.artifact).where(table.c.deleted_at.is_(None))
        for table in (datasets, model_versions, modules, job_artifacts, quantum_function_versions)
    ),
    *(
        select(file_jobs.c.project, column.label("artifact")).where(column.is_not(None))
        for column in (file_jobs.c.input_artifact, file_jobs.c.output_artifact)
    ),
)


def referred_artifacts(connection: Connection) -> set[str]:
    """Digests of all artifacts that a row refers to."""
    every = union_all(*STORED).subquery()
    return {str(digest) for digest in connection.execute(select(every.c.artifact)).scalars()}


def is_referred(connection: Connection, digest: str) -> bool:
    """Whether a row of any kind refers to an artifact."""
    every = union_all(*STORED).subquery()
    return connection.execute(select(every.c.artifact).where(every.c.artifact == digest).limit(1)).first() is not None
