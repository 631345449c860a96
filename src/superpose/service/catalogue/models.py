"""The model registry: names, versions counted from 1, digests, and the files behind them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection, RowMapping, func, insert, select

from superpose.errors import NotFoundError
from superpose.service.nouns import Clock, Job, Model, ModelVersion, Page, Principal, Role
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import model_versions, models

__all__ = ["Models", "insert_version", "version_row"]


class Models:
    """The models of a service; versions come into being when training jobs succeed.

    Args:
        database: where they are registered.
        artifacts: where their files lie.
    """

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database = database
        self._artifacts = artifacts

    def list(self, principal: Principal, part: Part = Part()) -> Page[Model]:  # noqa: B008  # frozen
        """Models of the caller's project, by name."""
        principal.require(Role.VIEWER)
        query = select(models).where(models.c.project == principal.project)
        with self._database.read() as connection:
            return read_page(
                connection, query, models.c.name, part, lambda row: _model(connection, principal.project, row)
            )

    def get(self, principal: Principal, name: str) -> Model:
        """A model with all its versions.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return _find(connection, principal.project, name)

    def version(self, principal: Principal, name: str, version: int | None = None) -> ModelVersion:
        """A version of a model; by default the newest.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return version_row(connection, principal.project, name, version)

    def file_path(self, principal: Principal, name: str, version: int | None = None) -> Path:
        """The model file of a version, its bytes checked against the registry.

        Raises:
            NotFoundError: there is none in the caller's project.
            ArtifactError: the file is gone or has changed.
        """
        found = self.version(principal, name, version)
        self.content(found)
        return self._artifacts.path(found.artifact)

    def content(self, version: ModelVersion) -> bytes:
        """The bytes of a version's model file, checked against the registry.

        Raises:
            ArtifactError: the file is gone or has changed.
        """
        return self._artifacts.read(version.artifact)


def version_row(connection: Connection, project: str, name: str, version: int | None) -> ModelVersion:
    """A version of a model, the newest for None.

    Raises:
        NotFoundError: there is none in this project.
    """
    query = select(model_versions).where(model_versions.c.project == project, model_versions.c.model == name)
    if version is not None:
        query = query.where(model_versions.c.version == version)
    row = connection.execute(query.order_by(model_versions.c.version.desc()).limit(1)).mappings().first()
    if row is None:
        what = f"model {name!r}" if version is None else f"version {version} of model {name!r}"
        raise NotFoundError(f"There is no {what} in this project.", kind="model", id=name, version=version)
    return _version(row)


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
        connection.execute(insert(models).values(project=job.project, name=job.model, created_at=now))
    connection.execute(
        insert(model_versions).values(
            **found, project=job.project, model=job.model, version=version, job_id=job.id, created_at=now
        )
    )
    append_event(
        connection,
        subject=f"model:{job.project}/{job.model}",
        project=job.project,
        at=now,
        kind="version_created",
        actor=job.id,
        data={"version": version, "digest": found["digest"]},
    )
    return {"model_version": version}


def _find(connection: Connection, project: str, name: str) -> Model:
    row = (
        connection.execute(select(models).where(models.c.project == project, models.c.name == name)).mappings().first()
    )
    if row is None:
        raise NotFoundError(f"There is no model {name!r} in this project.", kind="model", id=name)
    return _model(connection, project, row)


def _model(connection: Connection, project: str, row: RowMapping) -> Model:
    query = select(model_versions).where(model_versions.c.project == project, model_versions.c.model == row["name"])
    versions = connection.execute(query.order_by(model_versions.c.version)).mappings()
    return Model(row["name"], row["created_at"], tuple(_version(v) for v in versions))


def _version(row: RowMapping) -> ModelVersion:
    return ModelVersion(**{name: row[name] for name in ModelVersion.__dataclass_fields__})
