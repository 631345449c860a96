"""Aliases, notes and tags of models; versions that were deleted keep their row, so that no number is given twice."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["REGISTRY"]

_UP = (
    "ALTER TABLE models ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE models ADD COLUMN tags TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE model_versions ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE model_versions ADD COLUMN tags TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE model_versions ADD COLUMN deleted_at INTEGER",
    "ALTER TABLE endpoints ADD COLUMN alias TEXT",
    """CREATE TABLE model_aliases (
        project TEXT NOT NULL,
        model TEXT NOT NULL,
        alias TEXT NOT NULL,
        version INTEGER NOT NULL,
        moved_at INTEGER NOT NULL,
        moved_by TEXT NOT NULL,
        PRIMARY KEY (project, model, alias),
        FOREIGN KEY (project, model, version) REFERENCES model_versions (project, model, version)
    ) WITHOUT ROWID""",
)

_DOWN = (
    "DROP TABLE model_aliases",
    "ALTER TABLE endpoints DROP COLUMN alias",
    "ALTER TABLE model_versions DROP COLUMN deleted_at",
    "ALTER TABLE model_versions DROP COLUMN tags",
    "ALTER TABLE model_versions DROP COLUMN note",
    "ALTER TABLE models DROP COLUMN tags",
    "ALTER TABLE models DROP COLUMN note",
)

REGISTRY = Migration(
    summary="aliases, notes and tags of models, deleted versions",
    up=_UP,
    down=_DOWN,
    obstacles=(
        Obstacle("SELECT count(*) FROM model_aliases", "model aliases"),
        Obstacle("SELECT count(*) FROM models WHERE note <> '' OR tags <> '{}'", "models with notes or tags"),
        Obstacle("SELECT count(*) FROM model_versions WHERE note <> '' OR tags <> '{}'", "versions with notes or tags"),
        Obstacle("SELECT count(*) FROM model_versions WHERE deleted_at IS NOT NULL", "marks of deleted versions"),
    ),
)
