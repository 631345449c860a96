"""The schema, version by version, and the walk along it in both directions.

A migration is never edited once released: a change is a new one at the end, in a file of its own. Times are integers,
microseconds since 1970 UTC; JSON is text. ``tables.py`` describes the newest version for queries, and a test holds that
description against what these statements build.
"""

from __future__ import annotations

from sqlalchemy import Connection

import superpose
from superpose.errors import StoreError
from superpose.service.nouns import Clock
from superpose.service.store.migrations.budgets import BUDGETS
from superpose.service.store.migrations.data_domains import DATA_DOMAINS
from superpose.service.store.migrations.data_sheets import DATA_SHEETS
from superpose.service.store.migrations.endpoint_alarms import ENDPOINT_ALARMS
from superpose.service.store.migrations.endpoint_rollouts import ENDPOINT_ROLLOUTS
from superpose.service.store.migrations.file_jobs import FILE_JOBS
from superpose.service.store.migrations.function_logs import FUNCTION_LOGS
from superpose.service.store.migrations.initial import INITIAL
from superpose.service.store.migrations.job_estimates import JOB_ESTIMATES
from superpose.service.store.migrations.job_kinds import JOB_KINDS
from superpose.service.store.migrations.job_order import JOB_ORDER
from superpose.service.store.migrations.job_outputs import JOB_OUTPUTS
from superpose.service.store.migrations.job_remarks import JOB_REMARKS
from superpose.service.store.migrations.migration import Migration
from superpose.service.store.migrations.modules import MODULES
from superpose.service.store.migrations.people import PEOPLE
from superpose.service.store.migrations.predictions import PREDICTIONS
from superpose.service.store.migrations.program_sets import PROGRAM_SETS
from superpose.service.store.migrations.promotion import PROMOTION
from superpose.service.store.migrations.provider_loops import PROVIDER_LOOPS
from superpose.service.store.migrations.provider_runs import PROVIDER_RUNS
from superpose.service.store.migrations.quantum_functions import QUANTUM_FUNCTIONS
from superpose.service.store.migrations.registry import REGISTRY
from superpose.service.store.migrations.residency import RESIDENCY
from superpose.service.store.migrations.sweeps import SWEEPS
from superpose.service.store.migrations.traces import TRACES
from superpose.service.store.migrations.validations import VALIDATIONS
from superpose.service.store.migrations.webhooks import WEBHOOKS

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "migrate", "migrate_down", "schema_version"]

MIGRATIONS: tuple[Migration, ...] = (
    INITIAL,
    JOB_KINDS,
    JOB_ORDER,
    REGISTRY,
    ENDPOINT_ROLLOUTS,
    PEOPLE,
    DATA_SHEETS,
    SWEEPS,
    MODULES,
    TRACES,
    JOB_OUTPUTS,
    PREDICTIONS,
    QUANTUM_FUNCTIONS,
    PROGRAM_SETS,
    BUDGETS,
    FILE_JOBS,
    PROVIDER_RUNS,
    FUNCTION_LOGS,
    RESIDENCY,
    WEBHOOKS,
    PROVIDER_LOOPS,
    PROMOTION,
    ENDPOINT_ALARMS,
    DATA_DOMAINS,
    JOB_ESTIMATES,
    JOB_REMARKS,
    VALIDATIONS,
)

#: The version this release reads and writes.
SCHEMA_VERSION = len(MIGRATIONS)


def schema_version(connection: Connection) -> int:
    """Version of the schema in a database; 0 for an empty one."""
    known = connection.exec_driver_sql(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
    ).scalar_one()
    if not known:
        return 0
    return int(connection.exec_driver_sql("SELECT coalesce(max(version), 0) FROM schema_version").scalar_one())


def migrate(connection: Connection, clock: Clock, migrations: tuple[Migration, ...] = MIGRATIONS) -> int:
    """Bring a database to the newest version inside the caller's transaction; returns the version found before.

    Raises:
        StoreError: the database was written by a newer release.
    """
    found, newest = schema_version(connection), len(migrations)
    if found > newest:
        raise StoreError(
            f"The data directory has schema version {found}; superpose {superpose.__version__} reads up to {newest}. "
            "Start it with the newer release that wrote it, or use another data directory.",
            found=found,
            newest=newest,
        )
    if found == 0:
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS schema_version "
            "(version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL, release TEXT NOT NULL)"
        )
    for version, migration in enumerate(migrations[found:], found + 1):
        for statement in migration.up:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(
            "INSERT INTO schema_version (version, applied_at, release) VALUES (?, ?, ?)",
            (version, round(clock().timestamp() * 1e6), superpose.__version__),
        )
    return found


def migrate_down(connection: Connection, version: int, migrations: tuple[Migration, ...] = MIGRATIONS) -> int:
    """Bring a database back to an older version inside the caller's transaction; returns the version found before.

    Raises:
        StoreError: the version is not below the database's own, or rows would be lost on the way.
    """
    found = schema_version(connection)
    if not 0 <= version <= found <= len(migrations):
        raise StoreError(
            f"The schema cannot go back from version {found} to {version}; from 0 to {min(found, len(migrations))} "
            "are allowed.",
            found=found,
            newest=len(migrations),
        )
    for current in range(found, version, -1):
        migration = migrations[current - 1]
        for obstacle in migration.obstacles:
            n_rows = int(connection.exec_driver_sql(obstacle.count).scalar_one())
            if n_rows:
                raise StoreError(
                    f"The schema cannot go back from version {current} to {current - 1}: {n_rows} "
                    f"{obstacle.what} would be lost. Remove them first, or stay with this release.",
                    found=found,
                    newest=len(migrations),
                )
        for statement in migration.down:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("DELETE FROM schema_version WHERE version = ?", (current,))
    return found
