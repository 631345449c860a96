"""Exported modules: checked when they arrive, stored as data, never executed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, Select, insert, or_, select, update

from superpose.errors import ConflictError, NotFoundError, PayloadTooLargeError
from superpose.service.catalogue.module import Module
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name, new_id
from superpose.service.nouns import Clock, Page, Principal, Role
from superpose.service.people.quotas import Quotas
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts, StoredFile
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import jobs, modules

if TYPE_CHECKING:
    from superpose.learning import ExportedModule

__all__ = ["Modules"]


class Modules:
    """The exported modules of a service.

    Args:
        database: where they are described.
        artifacts: where their files lie.
        config: limits.
        clock: what tells the time.
        quotas: what a project may store.
    """

    def __init__(
        self, database: Database, artifacts: Artifacts, config: ServiceConfig, clock: Clock, quotas: Quotas
    ) -> None:
        self._database = database
        self._quotas = quotas
        self._artifacts = artifacts
        self._config = config
        self._clock = clock

    def add(self, principal: Principal, *, name: str, content: bytes) -> Module:
        """Check and store a module's file. The same content under the same name again gives the same module.

        Args:
            principal: the caller; an editor.
            name: unique in the project.
            content: what ``superpose.export_module(...).to_bytes()`` gives.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unusable name.
            PayloadTooLargeError: more bytes than ``max_body_bytes``.
            ModuleFormatError: not an exported module, or one that uses what exported modules may not.
            ConflictError: the name is taken by another module.
            ByteQuotaError: the project may not store so many bytes.
        """
        from superpose.learning import ExportedModule

        principal.require(Role.EDITOR)
        check_name(name)
        if len(content) > self._config.max_body_bytes:
            raise PayloadTooLargeError(
                f"The module has {len(content):,} bytes; at most {self._config.max_body_bytes:,} are accepted.",
                n_bytes=len(content),
                max_bytes=self._config.max_body_bytes,
            )
        summary = _summary(ExportedModule.from_bytes(content))
        staged = self._artifacts.stage(content)
        made = Module(new_id("mod"), name, staged.digest, summary, self._clock())
        try:
            with self._database.write() as connection:
                row = connection.execute(_named(principal.project, name)).mappings().first()
                if row is not None:
                    known = _same(_module(row), made)
                    self._artifacts.publish(staged)  # where its file was damaged or gone it is whole again
                    return known
                self._quotas.admit_bytes(connection, principal.project, len(content))
                values = {field: getattr(made, field) for field in Module.__dataclass_fields__}
                connection.execute(insert(modules).values(**values, project=principal.project))
                self._record(connection, made, principal, "created")
                self._artifacts.publish(staged)
                return made
        finally:
            self._artifacts.discard(staged)

    def list(self, principal: Principal, part: Part = Part()) -> Page[Module]:  # noqa: B008  # frozen
        """Modules of the caller's project, by name."""
        principal.require(Role.VIEWER)
        query = select(modules).where(modules.c.project == principal.project, modules.c.deleted_at.is_(None))
        with self._database.read() as connection:
            return read_page(connection, query, modules.c.name, part, _module)

    def get(self, principal: Principal, id_or_name: str) -> Module:
        """A module by its id or name.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return _find(connection, principal.project, id_or_name)

    def delete(self, principal: Principal, id_or_name: str) -> None:
        """Delete a module and its file; models trained from it stay.

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: a job that has not ended uses it.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = _find(connection, principal.project, id_or_name)
            using = connection.execute(
                select(jobs.c.id).where(
                    jobs.c.kind == "train_module",
                    jobs.c.status.not_in([*map(str, FINAL)]),
                    jobs.c.payload["module_id"].as_string() == found.id,
                )
            )
            ids = using.scalars().all()
            if ids:
                raise ConflictError(
                    f"Module {found.name!r} is in use by {', '.join(ids[:3])}{' and others' if ids[3:] else ''}. "
                    "Cancel them or wait for their end.",
                    jobs=ids[:10],
                )
            connection.execute(update(modules).where(modules.c.id == found.id).values(deleted_at=self._clock()))
            self._record(connection, found, principal, "deleted")
        with self._database.write() as connection:  # only after the row's end is certain
            if not is_referred(connection, found.artifact):
                self._artifacts.remove(found.artifact)

    def exported(self, module: Module) -> ExportedModule:
        """The module's content, verified.

        Raises:
            ArtifactError: its file is gone or has changed.
        """
        from superpose.learning import ExportedModule

        return ExportedModule.from_bytes(self._artifacts.read(module.artifact))

    def file(self, module: Module) -> StoredFile:
        """The module's file, verified, to be read in pieces.

        Raises:
            ArtifactError: its file is gone or has changed.
        """
        return self._artifacts.stored(module.artifact)

    def _record(self, connection: Connection, module: Module, principal: Principal, kind: str) -> None:
        append_event(
            connection,
            subject=module.id,
            project=principal.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data={"name": module.name, "digest": module.artifact},
        )


def _summary(exported: ExportedModule) -> dict[str, object]:
    described = exported.describe()
    same = ("n_columns", "n_outputs", "dtype", "n_params", "n_trainable", "operators")
    circuits = [
        {"n_qubits": block.circuit.n_qubits, "n_weights": block.n_weights} for block in exported.layers.values()
    ]
    return {"class": exported.name, **{name: described[name] for name in same}, "circuits": circuits}


def _same(known: Module, made: Module) -> Module:
    if known.artifact != made.artifact:
        raise ConflictError(
            f"Module {known.name!r} exists with other content (digest {known.artifact[:12]}). Choose another name or "
            "delete it first.",
            name=known.name,
            id=known.id,
        )
    return known


def _named(project: str, id_or_name: str) -> Select[Any]:
    either = or_(modules.c.id == id_or_name, modules.c.name == id_or_name)
    return select(modules).where(modules.c.project == project, modules.c.deleted_at.is_(None), either)


def _find(connection: Connection, project: str, id_or_name: str) -> Module:
    # an id goes before a name, in case somebody names a module like another one's id
    query = _named(project, id_or_name).order_by((modules.c.id == id_or_name).desc())
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no module {id_or_name!r} in this project.", kind="module", id=id_or_name)
    return _module(row)


def _module(row: RowMapping) -> Module:
    return Module(**{name: row[name] for name in Module.__dataclass_fields__})
