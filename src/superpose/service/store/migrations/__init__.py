"""The schema of the store and its history."""

from superpose.service.store.migrations.chain import MIGRATIONS, SCHEMA_VERSION, migrate, migrate_down, schema_version
from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "Migration", "Obstacle", "migrate", "migrate_down", "schema_version"]
