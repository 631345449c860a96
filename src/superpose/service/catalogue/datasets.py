"""Data sets: checked when they come in, stored in one canonical form, kept while a job needs them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, Select, delete, insert, or_, select, update

from superpose.datasets.domains import GENERAL
from superpose.datasets.table import TargetKind
from superpose.errors import ConflictError, NotFoundError, PayloadTooLargeError
from superpose.service.catalogue.ingest import Incoming, Ingested, ingest, ingest_file, ingested
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name, new_id
from superpose.service.nouns import Clock, Dataset, Page, Principal, Role
from superpose.service.people.quotas import Quotas
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts, Staged, StoredFile
from superpose.service.store.database import Database
from superpose.service.store.datadir import DataDir
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import data_sheets, datasets, jobs

if TYPE_CHECKING:
    from superpose.datasets import Table

__all__ = ["Datasets", "units_of"]

_KEPT_CELLS = 2_000_000
"""Values of a table, 16 MB of numbers, up to which it is kept for the next submission."""


class Datasets:
    """The data sets of a service.

    Args:
        database: where they are described.
        artifacts: where their contents lie.
        data_dir: where files on their way in wait.
        config: limits.
        clock: what tells the time.
        quotas: what a project may store.
    """

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        data_dir: DataDir,
        config: ServiceConfig,
        clock: Clock,
        quotas: Quotas,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._arriving = data_dir.staging
        self._config = config
        self._clock = clock
        self._quotas = quotas
        self._last_table: tuple[str, Table] | None = None
        self._reading = threading.Lock()

    def add(
        self,
        principal: Principal,
        *,
        name: str,
        content: bytes,
        format: str,
        target: str,
        units: Mapping[str, str] | None = None,
        target_kind: TargetKind = "class",
    ) -> Dataset:
        """Read, check and store a table. The same content under the same name again gives the same data set.

        Args:
            principal: the caller; an editor.
            name: unique in the project.
            content: the file's bytes.
            format: ``csv``, ``parquet`` or ``npz``.
            target: name of the column with the classes or numbers.
            units: unit by column; goes before units that the file itself states.
            target_kind: "class", or "number" for a target that is measured or counted (``csv`` and ``parquet``).

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unusable name.
            PayloadTooLargeError: more bytes than ``max_dataset_bytes``.
            DatasetError: the table cannot be learned from; the code says why.
            ConflictError: the name is taken by another data set.
            ByteQuotaError: the project has no room for it.
        """
        principal.require(Role.EDITOR)
        check_name(name)
        self._check_size(len(content))
        incoming = Incoming(
            name, format, target, units or {}, max_columns=self._config.max_columns, target_kind=target_kind
        )
        made = ingest(content, incoming)
        staged = self._artifacts.stage(made.content or b"")
        return self._store(principal, name, format, made, staged)

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """A place in the data directory for a file on its way in, gone after the block."""
        path = self._arriving / new_id("incoming")
        try:
            path.touch(mode=0o600)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def add_file(self, principal: Principal, path: Path, incoming: Incoming) -> Dataset:
        """As ``add``, of a file on this machine, in constant memory: a process of its own reads a large file.

        Args:
            principal: the caller; an editor.
            path: the file.
            incoming: what it holds.

        Raises:
            ForbiddenError, RequestError, PayloadTooLargeError, DatasetError, ConflictError: as for ``add``.
        """
        principal.require(Role.EDITOR)
        check_name(incoming.name)
        self._check_size(path.stat().st_size)
        with self.arriving() as output:
            made = ingest_file(path, incoming, output)
            staged = self._artifacts.stage_file(output)
        return self._store(principal, incoming.name, incoming.format, made, staged)

    def add_builtin(self, principal: Principal, name: str, builtin: str, domain: str = GENERAL) -> Dataset:
        """Store a table that comes with superpose, such as ``breast_cancer``, which is medical in any case.

        Raises:
            RequestError: unusable name, or no such table.
            ForbiddenError, ConflictError: as for ``add``.
        """
        from superpose.datasets import builtin_table

        principal.require(Role.EDITOR)
        check_name(name)
        made = ingested(builtin_table(builtin).of_domain(domain), self._config.max_columns)
        return self._store(principal, name, "builtin", made, self._artifacts.stage(made.content or b""))

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

    def found(self, connection: Connection, project: str, id_or_name: str) -> Dataset:
        """A project's data set, within the caller's transaction.

        Raises:
            NotFoundError: there is none.
        """
        return _find(connection, project, id_or_name)

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
            connection.execute(delete(data_sheets).where(data_sheets.c.dataset_id == dataset.id))
            self._record(connection, dataset, principal, "deleted")
        self._last_table = None
        with self._database.write() as connection:  # only after the row's end is certain
            if not is_referred(connection, dataset.artifact):
                self._artifacts.remove(dataset.artifact)

    def check(self, principal: Principal, id_or_name: str, spec: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
        """What is odd between the parts that a training spec would make of a data set: leaks, shared groups, doubles.

        Raises:
            NotFoundError: there is none in the caller's project.
            SpecError, DatasetTooSmallError: the spec is wrong, or the rows cannot be parted so.
        """
        from superpose.datasets import check_splits
        from superpose.learning.spec import TrainingSpec
        from superpose.learning.splitting import feature_table, splits_of

        dataset = self.get(principal, id_or_name)
        wanted = TrainingSpec.from_dict(dict(spec))
        table = self.table(dataset)
        features = feature_table(wanted, table)
        return tuple(finding.to_dict() for finding in check_splits(table, features, splits_of(wanted, table)))

    def file(self, principal: Principal, id_or_name: str) -> tuple[Dataset, StoredFile]:
        """A data set and its file, which is Parquet; verified, and read in pieces.

        Raises:
            NotFoundError: there is none in the caller's project.
            ArtifactError: its file is gone or has changed.
        """
        dataset = self.get(principal, id_or_name)
        return dataset, self._artifacts.stored(dataset.artifact)

    def table(self, dataset: Dataset) -> Table:
        """The content of a data set, verified; the last one asked for is kept in memory, if it is small.

        Raises:
            ArtifactError: its file is gone or has changed.
        """
        from superpose.datasets import table_from_parquet_bytes

        with self._reading:
            if self._last_table is not None and self._last_table[0] == dataset.artifact:
                return self._last_table[1].with_units(units_of(dataset.columns)).of_domain(dataset.domain)
            table = table_from_parquet_bytes(self._artifacts.read(dataset.artifact))
            if table.n_rows * table.n_features <= _KEPT_CELLS:
                self._last_table = (dataset.artifact, table)
            return table.with_units(units_of(dataset.columns)).of_domain(dataset.domain)

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self._config.max_dataset_bytes:
            raise PayloadTooLargeError(
                f"The data set has {n_bytes:,} bytes; at most {self._config.max_dataset_bytes:,} are accepted. "
                "Send Parquet, which is smaller, or a sample of the rows.",
                n_bytes=n_bytes,
                max_bytes=self._config.max_dataset_bytes,
            )

    def _store(self, principal: Principal, name: str, format: str, made: Ingested, staged: Staged) -> Dataset:
        facts = {**made.facts, "classes": tuple(made.facts["classes"]), "columns": tuple(made.facts["columns"])}
        dataset = Dataset(
            id=new_id("ds"),
            name=name,
            format=format,
            artifact=staged.digest,
            created_at=self._clock(),
            **facts,
        )
        try:
            with self._database.write() as connection:
                return self._insert(connection, principal, dataset, staged, made.sheet)
        finally:
            self._artifacts.discard(staged)

    def _insert(
        self,
        connection: Connection,
        principal: Principal,
        dataset: Dataset,
        staged: Staged,
        sheet: Mapping[str, Any],
    ) -> Dataset:
        row = connection.execute(_named(principal.project, dataset.name)).mappings().first()
        if row is not None:
            known = _dataset(row)
            if known.digest == dataset.digest:
                if known.artifact == staged.digest:
                    self._artifacts.publish(staged)  # where its file was damaged or gone it is whole again
                return self._of_domain(connection, principal, known, dataset.domain)
            raise ConflictError(
                f"Data set {dataset.name!r} exists with other content (digest {known.digest[:12]}). Choose another "
                "name or delete it first.",
                name=dataset.name,
                id=known.id,
            )
        self._quotas.admit_bytes(connection, principal.project, staged.n_bytes)
        values = {name: getattr(dataset, name) for name in Dataset.__dataclass_fields__}
        connection.execute(insert(datasets).values(**values, project=principal.project))
        connection.execute(insert(data_sheets).values(dataset_id=dataset.id, sheet=dict(sheet)))
        self._record(connection, dataset, principal, "created")
        self._artifacts.publish(staged)
        return dataset

    def _of_domain(self, connection: Connection, principal: Principal, known: Dataset, domain: str) -> Dataset:
        """The data set, medical from now on if it was added again as that; nothing makes it general again."""
        if domain == known.domain or domain == GENERAL:
            return known
        connection.execute(update(datasets).where(datasets.c.id == known.id).values(domain=domain))
        found = replace(known, domain=domain)
        self._record(connection, found, principal, "domain_changed")
        return found

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


def units_of(columns: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """Unit by column as the data sheet has it, which goes before what the stored file says."""
    return {str(column["name"]): column.get("unit") for column in columns}


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
