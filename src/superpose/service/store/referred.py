"""Which artifacts rows refer to: what may be removed is everything else."""

from __future__ import annotations

from sqlalchemy import Connection, Select, select, union_all

from superpose.service.store.tables import datasets, model_versions, modules

__all__ = ["is_referred", "referred_artifacts"]


def _columns() -> list[Select[tuple[str]]]:
    return [
        select(table.c.artifact.label("artifact")).where(table.c.deleted_at.is_(None))
        for table in (datasets, model_versions, modules)
    ]


def referred_artifacts(connection: Connection) -> set[str]:
    """Digests of all artifacts that a row refers to."""
    return {str(digest) for digest in connection.execute(union_all(*_columns())).scalars()}


def is_referred(connection: Connection, digest: str) -> bool:
    """Whether a row of any kind refers to an artifact."""
    every = union_all(*_columns()).subquery()
    return connection.execute(select(every.c.artifact).where(every.c.artifact == digest).limit(1)).first() is not None
