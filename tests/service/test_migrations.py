"""The schema: migrations build what ``tables.py`` describes, older data comes along, newer data is refused."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from superpose.errors import StoreError
from superpose.service import Service, ServiceConfig
from superpose.service.nouns import utc_now
from superpose.service.store.database import Database
from superpose.service.store.migrations import MIGRATIONS, SCHEMA_VERSION, Migration, migrate, schema_version
from superpose.service.store.tables import metadata

#: One row in each table of version 1, as release 0.1.0 wrote them; NULL where a value may be missing.
RELEASED_1 = (
    "INSERT INTO projects VALUES ('lab', 1)",
    "INSERT INTO keys VALUES ('key_1', 'lab', 'admin', 'first', 'd1', 1, NULL, NULL)",
    "INSERT INTO datasets VALUES ('ds_1', 'lab', 'd', 'csv', 't', 10, 2, '[]', '[]', 'd2', 'a1', 1, NULL)",
    "INSERT INTO jobs VALUES (7, 'job_1', 'lab', 'train', 'succeeded', 0, '{}', 'ds_1', 'd', 'm', 1, 1, 0, NULL, NULL, "
    "'once', 'd3', 'key_1', 1, 2, 3, '{}', NULL, '{}')",
    "INSERT INTO jobs VALUES (8, 'job_2', 'lab', 'program', 'running', 5, '{}', NULL, NULL, NULL, NULL, 1, 0, 'w', 9, "
    "NULL, 'd4', 'key_1', 1, 2, NULL, '{}', NULL, NULL)",
    "INSERT INTO attempts VALUES ('job_1', 1, 'w', 1, 2, 'succeeded')",
    "INSERT INTO events VALUES ('job_1', 1, 'lab', 1, 'queued', 'key_1', '{}')",
    "INSERT INTO models VALUES ('lab', 'm', 1)",
    "INSERT INTO model_versions VALUES ('lab', 'm', 1, 'd5', 'a2', 'job_1', 1, '{}', '{}', '{}')",
    "INSERT INTO endpoints VALUES ('ep_1', 'lab', 'e', 'm', 1, 1)",
)
TABLES_1 = ("projects", "keys", "datasets", "jobs", "attempts", "events", "models", "model_versions", "endpoints")


def released_1(path: Path) -> dict[str, list[dict[str, object]]]:
    """A store as release 0.1.0 left it; returns its rows."""
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("BEGIN")  # one transaction: a disk is waited for once, not for each of 60 statements
        connection.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER, release)")
        connection.execute("INSERT INTO schema_version VALUES (1, 0, '0.1.0')")
        for statement in (*MIGRATIONS[0].up, *RELEASED_1):
            connection.execute(statement)
    return rows_of(path)


def rows_of(path: Path, tables: tuple[str, ...] = TABLES_1) -> dict[str, list[dict[str, object]]]:
    """All rows of a store's tables."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return {t: [dict(row) for row in connection.execute(f"SELECT * FROM {t} ORDER BY 1, 2")] for t in tables}


def schema_of(path: Path) -> set[tuple[str, str]]:
    """Names and columns of tables, indexes and triggers, the text of statements apart."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {(f"{kind} {name}", " ".join(re.sub(r'"', "", sql).split())) for kind, name, sql in found}


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_every_step_up_from_the_first_release_and_back_keeps_each_row_and_gives_the_old_schema(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "s.sqlite"
    rows, schema = released_1(path), schema_of(path)
    database = Database(path)
    for table, before in rows.items():
        after = rows_of(path, (table,))[table]
        assert [{name: row[name] for name in first} for first, row in zip(before, after, strict=True)] == before
    database.migrate_down(version)
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT max(version) FROM schema_version").fetchone() == (version,)
    if version == 1:
        assert rows_of(path) == rows
        assert schema_of(path) == schema
    again = Database(path)  # and up once more
    with again.read() as connection:
        assert schema_version(connection) == SCHEMA_VERSION
        assert not connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    again.close()


def test_the_way_back_is_refused_where_rows_would_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    released_1(path)
    database = Database(path)
    with database.write() as connection:
        connection.execute(text("UPDATE jobs SET kind = 'telling' WHERE id = 'job_1'"))
    with pytest.raises(StoreError, match=r"1 jobs of kinds that the older release does not know would be lost"):
        database.migrate_down(1)
    with database.read() as connection:
        assert schema_version(connection) == SCHEMA_VERSION
    database.close()


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
        connection.execute(text("INSERT INTO projects (name, created_at) VALUES ('lab', 0)"))
    added = Migration("budgets", up=("ALTER TABLE projects ADD COLUMN budget_usd REAL",), down=())
    with database.write() as connection:
        assert migrate(connection, utc_now, (*MIGRATIONS, added)) == SCHEMA_VERSION
        assert schema_version(connection) == SCHEMA_VERSION + 1
        assert connection.execute(text("SELECT name, budget_usd FROM projects")).all() == [("lab", None)]
    with database.write() as connection:
        assert migrate(connection, utc_now, (*MIGRATIONS, added)) == SCHEMA_VERSION + 1  # nothing left to do
    database.close()


def test_a_migration_that_fails_leaves_the_old_version_whole(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite")
    broken = Migration("broken", up=("CREATE TABLE extra (x)", "CREATE TABEL y"), down=())
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
