"""The model registry: names, versions counted from 1, digests, and the files behind them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, RowMapping, func, insert, select

from superpose.errors import NotFoundError
from superpose.service.catalogue.model_query import ModelQuery
from superpose.service.catalogue.model_search import search_models
from superpose.service.nouns import Clock, Job, Model, ModelVersion, Page, Principal, Role
from superpose.service.store.artifacts import Artifacts, StoredFile
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import model_aliases, model_versions, models

__all__ = ["Models", "VersionRef", "insert_version", "model_row", "model_subject", "version_row"]

#: How a version is named: its number, an alias, or None for the newest one.
VersionRef = int | str | None


class Models:
    """The models of a service; versions come into being when training jobs succeed.

    Args:
        database: where they are registered.
        artifacts: where their files lie.
    """

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database = database
        self._artifacts = artifacts

    def list(
        self,
        principal: Principal,
        part: Part = Part(),  # noqa: B008  # frozen
        *,
        query: str | None = None,
    ) -> Page[Model]:
        """Models of the caller's project, by name; with ``query`` those of which a version matches every term.

        Raises:
            RequestError: the query cannot be read.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            if query is not None:
                found = search_models(connection, principal.project, ModelQuery.parse(query), part)
                return Page(
                    tuple(model_row(connection, principal.project, name, matched) for name, matched in found.items),
                    found.next,
                )
            alive = select(model_versions.c.model).where(
                model_versions.c.project == principal.project, model_versions.c.deleted_at.is_(None)
            )
            rows = select(models).where(models.c.project == principal.project, models.c.name.in_(alive))
            return read_page(
                connection, rows, models.c.name, part, lambda row: _model(connection, principal.project, row)
            )

    def get(self, principal: Principal, name: str) -> Model:
        """A model with all its versions.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return model_row(connection, principal.project, name)

    def version(self, principal: Principal, name: str, version: VersionRef = None) -> ModelVersion:
        """A version of a model, by number or alias; by default the newest.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return version_row(connection, principal.project, name, version)

    def file(self, principal: Principal, name: str, version: VersionRef = None) -> tuple[ModelVersion, StoredFile]:
        """A version and its model file, verified, and read in pieces.

        Raises:
            NotFoundError: there is none in the caller's project.
            ArtifactError: the file is gone or has changed.
        """
        found = self.version(principal, name, version)
        return found, self._artifacts.stored(found.artifact)

    def content(self, version: ModelVersion) -> bytes:
        """The bytes of a version's model file, checked against the registry.

        Raises:
            ArtifactError: the file is gone or has changed.
        """
        return self._artifacts.read(version.artifact)


def model_subject(project: str, name: str) -> str:
    """What a model's history is kept under."""
    return f"model:{project}/{name}"


def model_row(connection: Connection, project: str, name: str, matched: tuple[int, ...] | None = None) -> Model:
    """A model with its versions.

    Raises:
        NotFoundError: there is none in this project.
    """
    query = select(models).where(models.c.project == project, models.c.name == name)
    row = connection.execute(query).mappings().first()
    found = None if row is None else _model(connection, project, row, matched)
    if found is None or not found.versions:
        raise NotFoundError(f"There is no model {name!r} in this project.", kind="model", id=name)
    return found


def version_row(connection: Connection, project: str, name: str, version: VersionRef) -> ModelVersion:
    """A version of a model by number or alias, the newest for None.

    Raises:
        NotFoundError: there is none in this project.
    """
    query = select(model_versions).where(
        model_versions.c.project == project, model_versions.c.model == name, model_versions.c.deleted_at.is_(None)
    )
    if isinstance(version, str):
        aliased = select(model_aliases.c.version).where(
            model_aliases.c.project == project, model_aliases.c.model == name, model_aliases.c.alias == version
        )
        query = query.where(model_versions.c.version == aliased.scalar_subquery())
    elif version is not None:
        query = query.where(model_versions.c.version == version)
    row = connection.execute(query.order_by(model_versions.c.version.desc()).limit(1)).mappings().first()
    if row is None:
        what = {str: f"alias {version!r} of model", int: f"version {version} of model"}.get(type(version), "model")
        raise NotFoundError(f"There is no {what} {name!r} in this project.", kind="model", id=name, version=version)
    return _version(row, _aliases(connection, project, name))


def insert_version(
    connection: Connection, job: Job, found: Mapping[str, object], *, clock: Clock
) -> Mapping[str, object]:
    """Register what a training job made as its model's next version, within the caller's write transaction.

    Args:
        connection: the transaction that also marks the job succeeded.
        job: the training job.
        found: ``digest``, ``artifact``, ``metrics``, ``evaluation`` and ``manifest``.
        clock: what tells the time.

    Returns:
        The job's new value of ``model_version``.
    """
    own = (model_versions.c.project == job.project) & (model_versions.c.model == job.model)
    last = connection.execute(select(func.max(model_versions.c.version)).where(own)).scalar()
    version, now = (last or 0) + 1, clock()
    if last is None:
        connection.execute(insert(models).values(project=job.project, name=job.model, created_at=now, note="", tags={}))
    connection.execute(
        insert(model_versions).values(
            **found,
            project=job.project,
            model=job.model,
            version=version,
            job_id=job.id,
            created_at=now,
            note="",
            tags={},
        )
    )
    append_event(
        connection,
        subject=model_subject(job.project, str(job.model)),
        project=job.project,
        at=now,
        kind="version_created",
        actor=job.id,
        data={"version": version, "digest": found["digest"]},
    )
    return {"model_version": version}


def _aliases(connection: Connection, project: str, name: str) -> dict[int, tuple[str, ...]]:
    """Aliases of each version, in alphabetical order."""
    rows = connection.execute(
        select(model_aliases.c.version, model_aliases.c.alias)
        .where(model_aliases.c.project == project, model_aliases.c.model == name)
        .order_by(model_aliases.c.alias)
    )
    found: dict[int, tuple[str, ...]] = {}
    for row in rows:
        found[row.version] = (*found.get(row.version, ()), row.alias)
    return found


def _model(connection: Connection, project: str, row: RowMapping, matched: tuple[int, ...] | None = None) -> Model:
    query = select(model_versions).where(
        model_versions.c.project == project,
        model_versions.c.model == row["name"],
        model_versions.c.deleted_at.is_(None),
    )
    versions = connection.execute(query.order_by(model_versions.c.version)).mappings()
    aliases = _aliases(connection, project, row["name"])
    return Model(
        row["name"], row["created_at"], tuple(_version(v, aliases) for v in versions), row["note"], row["tags"], matched
    )


def _version(row: RowMapping, aliases: Mapping[int, tuple[str, ...]]) -> ModelVersion:
    values = {name: row[name] for name in ModelVersion.__dataclass_fields__ if name != "aliases"}
    return ModelVersion(**values, aliases=aliases.get(row["version"], ()))
