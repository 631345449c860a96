"""Which artifacts rows refer to, and whose: the others may be removed, these count against a quota."""

from __future__ import annotations

import sqlite3

from sqlalchemy import ColumnElement, Connection, Select, String, Table, cast, literal, select, union_all
from sqlalchemy.dialects import sqlite

from superpose.service.store.tables import (
    datasets,
    file_jobs,
    job_artifacts,
    model_versions,
    modules,
    quantum_function_versions,
)

__all__ = ["STORED", "is_referred", "owners_of_all", "referred_artifacts"]


def _words(*parts: str | ColumnElement[str]) -> ColumnElement[str]:
    """Texts and columns in one."""
    found: ColumnElement[str] = literal("", String)
    for part in parts:
        found = found + (literal(part, String) if isinstance(part, str) else cast(part, String))
    return found


#: Tables of rows that refer to an artifact until they are deleted, and what the artifact is in words.
_TABLES: tuple[tuple[Table, ColumnElement[str]], ...] = (
    (datasets, _words("data set ", datasets.c.name)),
    (model_versions, _words("version ", model_versions.c.version, " of model ", model_versions.c.model)),
    (modules, _words("module ", modules.c.name)),
    (job_artifacts, _words("file ", job_artifacts.c.name, " of job ", job_artifacts.c.job_id)),
    (
        quantum_function_versions,
        _words(
            "version ", quantum_function_versions.c.number, " of function ", quantum_function_versions.c.function_id
        ),
    ),
)
#: Queries of project, artifact and its words of all rows that refer to one. A new kind of file is a row here.
_OWNED: tuple[Select[tuple[str, str, str]], ...] = (
    *(
        select(table.c.project, table.c.artifact, words.label("words")).where(table.c.deleted_at.is_(None))
        for table, words in _TABLES
    ),
    *(
        select(
            file_jobs.c.project,
            column.label("artifact"),
            _words("what job ", file_jobs.c.job_id, f" has {done}").label("words"),
        ).where(column.is_not(None))
        for column, done in ((file_jobs.c.input_artifact, "read"), (file_jobs.c.output_artifact, "written"))
    ),
)
#: Queries of the projects and artifacts of all rows that refer to one.
STORED: tuple[Select[tuple[str, str]], ...] = tuple(
    query.with_only_columns(query.selected_columns.project, query.selected_columns.artifact) for query in _OWNED
)


def owners_of_all(connection: sqlite3.Connection) -> dict[str, str]:
    """Digest of every artifact that a row of a store of this release refers to -> what it is, in words."""
    query = union_all(*_OWNED).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    return {str(digest): f"{words} of project {project}" for project, digest, words in connection.execute(str(query))}


def referred_artifacts(connection: Connection) -> set[str]:
    """Digests of all artifacts that a row refers to."""
    every = union_all(*STORED).subquery()
    return {str(digest) for digest in connection.execute(select(every.c.artifact)).scalars()}


def is_referred(connection: Connection, digest: str) -> bool:
    """Whether a row of any kind refers to an artifact."""
    every = union_all(*STORED).subquery()
    return connection.execute(select(every.c.artifact).where(every.c.artifact == digest).limit(1)).first() is not None
