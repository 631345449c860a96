"""The functions of a service: deployed, listed, rolled back, deleted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update

from superpose.errors import NotFoundError
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name, new_id
from superpose.service.nouns import Clock, Page, Principal, Role
from superpose.service.people.quotas import Quotas
from superpose.service.people.residency import Residencies
from superpose.service.quantum_functions.admission import Asked, Builder, admit_function_file
from superpose.service.quantum_functions.content import Content
from superpose.service.quantum_functions.function import FunctionVersion, QuantumFunction
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import function_logs
from superpose.service.store.tables import quantum_function_versions as versions
from superpose.service.store.tables import quantum_functions as functions

__all__ = ["QuantumFunctions"]


class QuantumFunctions:
    """The quantum functions of a service.

    Args:
        database: where they are described.
        artifacts: where their contents lie.
        config: limits.
        clock: what tells the time.
        quotas: what a project may store.
        residencies: where its circuits may go.
        builder: what runs a file of users' Python shut in.
    """

    def __init__(  # the parts of the service that it stands on
        self,
        database: Database,
        artifacts: Artifacts,
        config: ServiceConfig,
        clock: Clock,
        quotas: Quotas,
        residencies: Residencies,
        builder: Builder,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._config = config
        self._clock = clock
        self._quotas = quotas
        self._residencies = residencies
        self._builder = builder

    def deploy(
        self,
        principal: Principal,
        name: str,
        file_name: str,
        source: str,
        asked: Asked = Asked(),  # noqa: B008  # frozen
    ) -> QuantumFunction:
        """Put a file's circuit behind a name: a new function, or a new version of the one there, which answers at once.

        What equals the present version makes none.

        Args:
            principal: the caller, an editor at least.
            name: of the function.
            file_name: of the file; its ending says what it holds.
            source: the file's text.
            asked: shots, observables and backend, where not the file says them.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unusable name.
            ResidencyError: the project's rules do not allow the backend.
            ByteQuotaError: the project may not store so many bytes.
            SuperposeError: what ``admit_function_file`` raises.
        """
        principal.require(Role.EDITOR)
        check_name(name)
        content = admit_function_file(file_name, source, asked, self._builder, self._config)
        if content.backend != "local":
            self._residencies.confinement(principal.project).admitted(content.backend)
        stored = content.to_bytes()
        staged = self._artifacts.stage(stored)
        try:
            with self._database.write() as connection:
                row = connection.execute(_named(principal.project, name)).mappings().first()
                if row is not None and row["artifact"] == staged.digest:
                    return _function(row)
                self._quotas.admit_bytes(connection, principal.project, len(stored))
                made = self._insert(connection, principal, name, row, staged.digest, content)
                self._artifacts.publish(staged)
                return made
        finally:
            self._artifacts.discard(staged)

    def list(self, principal: Principal, part: Part = Part()) -> Page[QuantumFunction]:  # noqa: B008  # frozen
        """Functions of the caller's project, by name."""
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return read_page(connection, _every(principal.project), functions.c.name, part, _function)

    def get(self, principal: Principal, name: str) -> QuantumFunction:
        """A function of the caller's project.

        Raises:
            NotFoundError: there is none of this name.
        """
        principal.require(Role.PREDICTOR)
        with self._database.read() as connection:
            return _find(connection, principal.project, name)

    def versions(self, principal: Principal, name: str, part: Part = Part()) -> Page[FunctionVersion]:  # noqa: B008
        """A function's versions, newest first.

        Raises:
            NotFoundError: there is no function of this name.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            found = _find(connection, principal.project, name)
            query = select(versions).where(versions.c.function_id == found.id)
            return read_page(connection, query, versions.c.number, part, _version, newest_first=True)

    def version(self, principal: Principal, name: str, number: int | None = None) -> FunctionVersion:
        """A function's version; by default the one that answers.

        Raises:
            NotFoundError: there is no such function, or no such version of it.
        """
        found = self.get(principal, name)
        if number is None or number == found.version:
            return found.current
        with self._database.read() as connection:
            return _version_of(connection, found, number)

    def source(self, principal: Principal, name: str, number: int | None = None) -> str:
        """The text of the file of which a version was made.

        Raises:
            NotFoundError: there is no such function, or no such version of it.
        """
        principal.require(Role.VIEWER)
        return self.content(self.version(principal, name, number).artifact).source

    def rollback(self, principal: Principal, name: str, number: int | None = None) -> QuantumFunction:
        """Let an older version answer again, or any other; nothing is deleted.

        Args:
            principal: the caller, an editor at least.
            name: of the function.
            number: the version; by default the one before the present one.

        Raises:
            NotFoundError: there is no such function, or no such version of it.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = _find(connection, principal.project, name)
            wanted = _version_of(connection, found, found.version - 1 if number is None else number)
            if wanted.number != found.version:
                self._point(connection, found.id, wanted.number)
                data = {"name": name, "before": found.version, "version": wanted.number}
                self._record(connection, found.id, principal, "rolled_back", data)
            return _find(connection, principal.project, name)

    def delete(self, principal: Principal, name: str) -> None:
        """Delete a function with all its versions; calls under way end as they would.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = _find(connection, principal.project, name)
            now = self._clock()
            connection.execute(update(functions).where(functions.c.id == found.id).values(deleted_at=now))
            of_it = versions.c.function_id == found.id
            digests = set(connection.execute(select(versions.c.artifact).where(of_it)).scalars())
            connection.execute(update(versions).where(of_it).values(deleted_at=now))
            connection.execute(delete(function_logs).where(function_logs.c.function_id == found.id))
            self._record(connection, found.id, principal, "deleted", {"name": name, "version": found.version})
        with self._database.write() as connection:  # only after the rows' end is certain
            for digest in digests:
                if not is_referred(connection, digest):
                    self._artifacts.remove(digest)

    def content(self, artifact: str) -> Content:
        """A version's content, verified.

        Raises:
            ArtifactError: its file is gone, has changed or cannot be read.
        """
        return Content.from_bytes(self._artifacts.read(artifact))

    def _insert(
        self,
        connection: Connection,
        principal: Principal,
        name: str,
        row: RowMapping | None,
        digest: str,
        content: Content,
    ) -> QuantumFunction:
        now = self._clock()
        if row is None:
            function_id, number = new_id("qfn"), 1
            connection.execute(
                insert(functions).values(
                    id=function_id, project=principal.project, name=name, version=1, created_at=now, changed_at=now
                )
            )
        else:
            function_id, number = str(row["function_id"]), int(row["n_versions"]) + 1
            self._point(connection, function_id, number)
        connection.execute(
            insert(versions).values(
                function_id=function_id,
                number=number,
                project=principal.project,
                artifact=digest,
                summary=content.summary(),
                created_at=now,
                created_by=principal.key_id,
            )
        )
        self._record(
            connection, function_id, principal, "deployed", {"name": name, "version": number, "digest": digest}
        )
        return _find(connection, principal.project, name)

    def _point(self, connection: Connection, function_id: str, number: int) -> None:
        changed = update(functions).where(functions.c.id == function_id)
        connection.execute(changed.values(version=number, changed_at=self._clock()))

    def _record(
        self, connection: Connection, function_id: str, principal: Principal, kind: str, data: dict[str, object]
    ) -> None:
        append_event(
            connection,
            subject=function_id,
            project=principal.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data=data,
        )


def _every(project: str) -> Select[Any]:
    """Functions of a project, each with its current version and the number of all."""
    every = versions.alias("every")
    n_versions = select(func.count()).select_from(every).where(every.c.function_id == functions.c.id).scalar_subquery()
    current = (versions.c.function_id == functions.c.id) & (versions.c.number == functions.c.version)
    return (
        select(
            functions.c.id.label("function_id"),
            functions.c.project,
            functions.c.name,
            functions.c.version,
            functions.c.created_at.label("function_created_at"),
            functions.c.changed_at,
            n_versions.label("n_versions"),
            *(column for column in versions.c if column.name not in {"function_id", "project", "deleted_at"}),
        )
        .select_from(functions)
        .join(versions, current)
        .where(functions.c.project == project, functions.c.deleted_at.is_(None))
    )


def _named(project: str, name: str) -> Select[Any]:
    return _every(project).where(functions.c.name == name)


def _find(connection: Connection, project: str, name: str) -> QuantumFunction:
    row = connection.execute(_named(project, name)).mappings().first()
    if row is None:
        raise NotFoundError(
            f"There is no quantum function {name[:80]!r} in this project.", kind="quantum function", name=name[:80]
        )
    return _function(row)


def _version_of(connection: Connection, found: QuantumFunction, number: int) -> FunctionVersion:
    query = select(versions).where(versions.c.function_id == found.id, versions.c.number == number)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(
            f"Quantum function {found.name!r} has no version {number}; it has 1 to {found.n_versions}.",
            kind="version",
            version=number,
        )
    return _version(row)


def _version(row: RowMapping) -> FunctionVersion:
    return FunctionVersion(**{name: row[name] for name in FunctionVersion.__dataclass_fields__})


def _function(row: RowMapping) -> QuantumFunction:
    return QuantumFunction(
        id=str(row["function_id"]),
        project=str(row["project"]),
        name=str(row["name"]),
        version=int(row["version"]),
        n_versions=int(row["n_versions"]),
        created_at=row["function_created_at"],
        changed_at=row["changed_at"],
        current=_version(row),
    )
