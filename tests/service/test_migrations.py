"""The schema: migrations build what ``tables.py`` describes, older data comes along, newer data is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from superpose.errors import StoreError
from superpose.service import Service, ServiceConfig
from superpose.service.database import Database
from superpose.service.migrations import MIGRATIONS, SCHEMA_VERSION, Migration, migrate, schema_version
from superpose.service.nouns import utc_now
from superpose.service.tables import metadata


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    assert [migration.version for migration in MIGRATIONS] == list(range(1, SCHEMA_VERSION + 1))


def test_tables_describe_what_the_migrations_build() -> None:
    database = Database(None)
    with database.read() as connection:
        inspector = inspect(connection)
        built = {name: {c["name"] for c in inspector.get_columns(name)} for name in inspector.get_table_names()}
        keys = {name: set(inspector.get_pk_constraint(name)["constrained_columns"]) for name in built}
    built.pop("schema_version")
    assert built == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}
    for name, table in metadata.tables.items():
        assert keys[name] == {column.name for column in table.primary_key}, name


def test_a_later_version_is_applied_to_data_that_is_there_already(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite")
    with database.write() as connection:
        connection.execute(text("INSERT INTO projects VALUES ('lab', 0)"))
    added = Migration(SCHEMA_VERSION + 1, "budgets", ("ALTER TABLE projects ADD COLUMN budget_usd REAL",))
    with database.write() as connection:
        assert migrate(connection, utc_now, (*MIGRATIONS, added)) == SCHEMA_VERSION
        assert schema_version(connection) == SCHEMA_VERSION + 1
        assert connection.execute(text("SELECT name, budget_usd FROM projects")).all() == [("lab", None)]
    with database.write() as connection:
        assert migrate(connection, utc_now, (*MIGRATIONS, added)) == SCHEMA_VERSION + 1  # nothing left to do
    database.close()


def test_a_migration_that_fails_leaves_the_old_version_whole(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite")
    broken = Migration(SCHEMA_VERSION + 1, "broken", ("CREATE TABLE extra (x)", "CREATE TABEL y"))
    with pytest.raises(StoreError, match="syntax error"), database.write() as connection:
        migrate(connection, utc_now, (*MIGRATIONS, broken))
    with database.read() as connection:
        assert schema_version(connection) == SCHEMA_VERSION
        assert "extra" not in inspect(connection).get_table_names()
    database.close()


def test_a_newer_releases_data_directory_is_refused_and_not_touched(tmp_path: Path) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data")
    Service.open(config).close()
    database = Database(tmp_path / "data" / "superpose.sqlite")
    with database.write() as connection:
        connection.execute(text("INSERT INTO schema_version VALUES (99, 0, '9.9.9')"))
    database.close()
    with pytest.raises(StoreError, match=f"schema version 99; superpose .* reads up to {SCHEMA_VERSION}"):
        Service.open(config)
