"""Data sets: checked when they come in, stored in one canonical form, kept while a job needs them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, Select, insert, or_, select, update

from superpose.errors import ConflictError, NotFoundError, PayloadTooLargeError
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name, new_id
from superpose.service.nouns import Clock, Dataset, Page, Principal, Role
from superpose.service.people.quotas import Quotas
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts, Staged
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import datasets, jobs

if TYPE_CHECKING:
    from superpose.datasets import Table

__all__ = ["Datasets"]


class Datasets:
    """The data sets of a service.

    Args:
        database: where they are described.
        artifacts: where their contents lie.
        config: limits.
        clock: what tells the time.
        quotas: what a project may store.
    """

    def __init__(
        self, database: Database, artifacts: Artifacts, config: ServiceConfig, clock: Clock, quotas: Quotas
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._config = config
        self._clock = clock
        self._quotas = quotas
        self._last_table: tuple[str, Table] | None = None
        self._reading = threading.Lock()

    def add(self, principal: Principal, *, name: str, content: bytes, format: str, target: str) -> Dataset:
        """Read, check and store a table. The same content under the same name again gives the same data set.

        Args:
            principal: the caller; an editor.
            name: unique in the project.
            content: the file's bytes.
            format: ``csv``, ``parquet`` or ``npz``.
            target: name of the column with the classes.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unusable name.
            PayloadTooLargeError: more bytes than ``max_body_bytes``.
            DatasetError: the table cannot be learned from; the code says why.
            ConflictError: the name is taken by another data set.
            ByteQuotaError: the project has no room for it.
        """
        from superpose.datasets import read_table

        principal.require(Role.EDITOR)
        check_name(name)
        if len(content) > self._config.max_body_bytes:
            raise PayloadTooLargeError(
                f"The data set has {len(content):,} bytes; at most {self._config.max_body_bytes:,} are accepted. "
                "Send Parquet, which is smaller, or a sample of the rows.",
                n_bytes=len(content),
                max_bytes=self._config.max_body_bytes,
            )
        table = read_table(content, format=format, name=name, target=target, max_columns=self._config.max_columns)
        return self._store(principal, name, format, table)

    def add_builtin(self, principal: Principal, name: str, builtin: str) -> Dataset:
        """Store a table that comes with superpose, such as ``breast_cancer``.

        Raises:
            RequestError: unusable name, or no such table.
            ForbiddenError, ConflictError: as for ``add``.
        """
        from superpose.datasets import builtin_table

        principal.require(Role.EDITOR)
        check_name(name)
        return self._store(principal, name, "builtin", builtin_table(builtin))

    def list(self, principal: Principal, part: Part = Part()) -> Page[Dataset]:  # noqa: B008  # frozen
        """Data sets of the caller's project, by name."""
        principal.require(Role.VIEWER)
        query = select(datasets).where(datasets.c.project == principal.project, datasets.c.deleted_at.is_(None))
        with self._database.read() as connection:
            return read_page(connection, query, datasets.c.name, part, _dataset)

    def get(self, principal: Principal, id_or_name: str) -> Dataset:
        """A data set by its id or name.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return _find(connection, principal.project, id_or_name)

    def delete(self, principal: Principal, id_or_name: str) -> None:
        """Delete a data set and its content.

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: a job that has not ended uses it.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            dataset, now = _find(connection, principal.project, id_or_name), self._clock()
            using = connection.execute(
                select(jobs.c.id).where(jobs.c.dataset_id == dataset.id, jobs.c.status.not_in([*map(str, FINAL)]))
            )
            ids = using.scalars().all()
            if ids:
                raise ConflictError(
                    f"Data set {dataset.name!r} is in use by {', '.join(ids[:3])}{' and others' if ids[3:] else ''}. "
                    "Cancel them or wait for their end.",
                    jobs=ids[:10],
                )
            connection.execute(
                update(datasets).where(datasets.c.id == dataset.id).values(deleted_at=now, classes=[], columns=[])
            )
            self._record(connection, dataset, principal, "deleted")
        self._last_table = None
        with self._database.write() as connection:  # only after the row's end is certain
            same = select(datasets.c.id).where(datasets.c.artifact == dataset.artifact, datasets.c.deleted_at.is_(None))
            if connection.execute(same).first() is None:
                self._artifacts.remove(dataset.artifact)

    def table(self, dataset: Dataset) -> Table:
        """The content of a data set, verified; the last one asked for is kept in memory.

        Raises:
            ArtifactError: its file is gone or has changed.
        """
        from superpose.datasets import table_from_parquet_bytes

        with self._reading:
            if self._last_table is None or self._last_table[0] != dataset.artifact:
                table = table_from_parquet_bytes(self._artifacts.read(dataset.artifact))
                self._last_table = (dataset.artifact, table)
            return self._last_table[1]

    def _store(self, principal: Principal, name: str, format: str, table: Table) -> Dataset:
        from superpose.datasets import check_table, table_to_parquet_bytes

        check_table(table, max_columns=self._config.max_columns)
        staged = self._artifacts.stage(table_to_parquet_bytes(table))
        dataset = Dataset(
            id=new_id("ds"),
            name=name,
            format=format,
            target=table.target_name,
            n_rows=table.n_rows,
            n_features=table.n_features,
            classes=table.classes,
            columns=tuple(column.to_dict() for column in table.columns),
            digest=table.digest,
            artifact=staged.digest,
            created_at=self._clock(),
        )
        try:
            with self._database.write() as connection:
                return self._insert(connection, principal, dataset, staged)
        finally:
            self._artifacts.discard(staged)

    def _insert(self, connection: Connection, principal: Principal, dataset: Dataset, staged: Staged) -> Dataset:
        row = connection.execute(_named(principal.project, dataset.name)).mappings().first()
        if row is not None:
            known = _dataset(row)
            if known.digest == dataset.digest:
                return known
            raise ConflictError(
                f"Data set {dataset.name!r} exists with other content (digest {known.digest[:12]}). Choose another "
                "name or delete it first.",
                name=dataset.name,
                id=known.id,
            )
        self._quotas.admit_bytes(connection, principal.project, staged.n_bytes)
        values = {name: getattr(dataset, name) for name in Dataset.__dataclass_fields__}
        connection.execute(insert(datasets).values(**values, project=principal.project))
        self._record(connection, dataset, principal, "created")
        self._artifacts.publish(staged)
        return dataset

    def _record(self, connection: Connection, dataset: Dataset, principal: Principal, kind: str) -> None:
        append_event(
            connection,
            subject=dataset.id,
            project=principal.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data={"name": dataset.name, "digest": dataset.digest},
        )


def _named(project: str, id_or_name: str) -> Select[Any]:
    either = or_(datasets.c.id == id_or_name, datasets.c.name == id_or_name)
    return select(datasets).where(datasets.c.project == project, datasets.c.deleted_at.is_(None), either)


def _find(connection: Connection, project: str, id_or_name: str) -> Dataset:
    # an id goes before a name, in case somebody names a data set like another one's id
    query = _named(project, id_or_name).order_by((datasets.c.id == id_or_name).desc())
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no data set {id_or_name!r} in this project.", kind="dataset", id=id_or_name)
    return _dataset(row)


def _dataset(row: RowMapping) -> Dataset:
    values = {name: row[name] for name in Dataset.__dataclass_fields__}
    return Dataset(**{**values, "classes": tuple(row["classes"]), "columns": tuple(row["columns"])})
