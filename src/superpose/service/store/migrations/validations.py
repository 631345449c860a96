"""A model version keeps what it was found to do on rows of other sites."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["VALIDATIONS"]

VALIDATIONS = Migration(
    summary="external validations of versions",
    up=("ALTER TABLE model_versions ADD COLUMN validations TEXT NOT NULL DEFAULT '[]'",),
    down=("ALTER TABLE model_versions DROP COLUMN validations",),
    obstacles=(
        Obstacle("SELECT count(*) FROM model_versions WHERE validations <> '[]'", "versions with external validations"),
    ),
)
