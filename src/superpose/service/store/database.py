"""The one place where connections to the store are made, and the two kinds of transaction.

SQLite in write-ahead-log mode: readers never wait for the writer. ``synchronous=FULL`` makes every commit last through
a power cut. A write begins with ``BEGIN IMMEDIATE``, so it holds the write lock from its first statement and cannot
fail half-way because another process wrote in between. The in-memory form is the same store on one connection behind a
lock, for tests.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import cast

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from superpose.errors import StoreError
from superpose.service.nouns import Clock, utc_now
from superpose.service.store.disk_errors import disk_error, from_sqlite
from superpose.service.store.migrations import migrate, migrate_down, schema_version

__all__ = ["Database", "json_text"]


def json_text(value: object) -> str:
    """Canonical JSON text: sorted keys, no spaces; NumPy values as plain ones, numbers that are not finite as null."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> object:
    """JSON values only."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    to_list = getattr(value, "tolist", None)
    if callable(to_list):  # NumPy arrays and scalars
        return _plain(to_list())
    raise StoreError(f"A value of type {type(value).__name__} cannot be stored as JSON.")


class Database:
    """A store's connections. Use ``read()`` and ``write()``; both give a connection inside a transaction.

    Args:
        path: the database file, created with mode 0600; None keeps everything in memory.
        busy_timeout_s: how long a write waits for another one's end.
        clock: what tells the time.

    Raises:
        StoreError: the file cannot be opened, is no database, or was written by a newer release.
    """

    def __init__(self, path: Path | None, *, busy_timeout_s: float = 15.0, clock: Clock = utc_now) -> None:
        self.path = path
        self._busy_timeout_ms = round(busy_timeout_s * 1000)
        self._turn: AbstractContextManager[object] = nullcontext() if path else threading.RLock()
        if path is None:
            self._engine = create_engine(
                "sqlite://",
                poolclass=StaticPool,
                connect_args={"check_same_thread": False},
                json_serializer=json_text,
            )
        else:
            _create_private(path)
            self._engine = create_engine(f"sqlite:///{path}", pool_size=8, max_overflow=56, json_serializer=json_text)
        event.listen(self._engine, "connect", self._set_up)
        event.listen(self._engine, "begin", _begin)
        try:
            self._migrate(clock)
        except StoreError:
            self.close()
            raise

    def _set_up(self, connection: SqliteConnection, _: ConnectionPoolEntry) -> None:
        """Settings of every connection."""
        connection.isolation_level = None  # the driver begins no transactions of its own; _begin does
        for pragma in (
            f"busy_timeout={self._busy_timeout_ms}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    def _migrate(self, clock: Clock) -> None:
        """Bring the schema to the newest version."""
        with self._rebuilding() as connection:
            migrate(connection, clock)

    def migrate_down(self, version: int) -> None:
        """Bring the schema back to an older version, for the release that reads it; then close this store.

        Raises:
            StoreError: the version is not an older one, or rows would be lost.
        """
        with self._rebuilding() as connection:
            migrate_down(connection, version)

    @contextmanager
    def _rebuilding(self) -> Iterator[Connection]:
        """A write for changes of the schema.

        Foreign keys rest meanwhile, as SQLite asks of whoever builds a table anew, and are checked before the end.
        """
        with self._transaction("IMMEDIATE", foreign_keys=False) as connection:
            before = schema_version(connection)
            yield connection
            if schema_version(connection) != before:
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                if broken:
                    raise StoreError(
                        f"The schema cannot leave version {before}: {len(broken)} rows refer to rows that are not "
                        f"there (the first in table {broken[0][0]!r}). Nothing was changed.",
                        path=str(self.path),
                    )

    def read(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of the store and does not wait for writers."""
        return self._transaction("DEFERRED")

    def write(self) -> AbstractContextManager[Connection]:
        """A transaction that holds the write lock; committed at the end, rolled back on an exception.

        Raises:
            StoreError: another transaction did not end in time, the disk is full, or the store is damaged.
        """
        return self._transaction("IMMEDIATE")

    @contextmanager
    def _transaction(self, mode: str, foreign_keys: bool = True) -> Iterator[Connection]:
        try:
            with self._turn, self._engine.connect() as connection, ExitStack() as settings:
                if not foreign_keys:
                    settings.enter_context(_foreign_keys_rest(connection))
                connection = connection.execution_options(superpose_begin=mode)
                with connection.begin():
                    yield connection
        except DBAPIError as error:
            what = f"The store cannot be {'read' if mode == 'DEFERRED' else 'written'}"
            raise from_sqlite(error.orig, what, str(self.path)) from error
        except SQLAlchemyError as error:
            raise StoreError(f"The store failed: {type(error).__name__}.", path=str(self.path)) from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


@contextmanager
def _foreign_keys_rest(connection: Connection) -> Iterator[None]:
    """Do not enforce foreign keys; SQLite takes the setting outside transactions only, so the driver is told."""
    driver = cast(SqliteConnection, connection.connection.driver_connection)
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    """Begin in the mode that ``read`` or ``write`` asked for."""
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options()['superpose_begin']}")


def _create_private(path: Path) -> None:
    """Create the database file for its owner only; SQLite gives its side files the same mode.

    A file that is there is left alone: closing any descriptor of it would end the locks of all of this process's
    connections to it, another process would then take itself for the last one and remove the log, and what we wrote
    after that would be lost.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise disk_error(error, f"The store {path} cannot be opened") from error
