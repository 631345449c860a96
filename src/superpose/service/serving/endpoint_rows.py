"""Endpoints in the store: rows to values, and the writes that change them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update

from superpose.errors import NotFoundError
from superpose.learning.card import MEDICAL, NOT_FOR_CLINICAL_USE
from superpose.service.nouns import ModelVersion
from superpose.service.serving.deployment import Canary, Endpoint, Limits, Override, Revision, SplitBy, Stage
from superpose.service.store.tables import (
    endpoint_canaries,
    endpoint_limits,
    endpoint_revisions,
    endpoints,
    gate_overrides,
    model_versions,
)

__all__ = [
    "add_endpoint",
    "add_revision",
    "endpoint_of",
    "find_endpoint",
    "find_revision",
    "revision_of",
    "select_endpoints",
    "write_canary",
    "write_limits",
    "write_stage",
]

_CANARY = ("model", "version", "percent", "split_by", "seed", "started_at")
_OVERRIDE = ("missing", "reason", "overridden_at", "overridden_by")
_LIMITS = ("max_batch_rows", "max_delay_ms", "max_queue_rows", "max_concurrency")


def select_endpoints(project: str) -> Select[Any]:
    """The query for a project's endpoints, each with its revision's number, canary, limits, override and domain."""
    canary, own, revisions, passed = endpoint_canaries, endpoint_limits, endpoint_revisions, gate_overrides
    version = model_versions
    newest = select(func.max(revisions.c.number)).where(revisions.c.endpoint_id == endpoints.c.id).scalar_subquery()
    return (
        select(
            endpoints,
            newest.label("revision"),
            *(canary.c[name].label(f"canary_{name}") for name in _CANARY),
            *(own.c[name] for name in _LIMITS),
            *(passed.c[name] for name in _OVERRIDE),
            func.json_extract(version.c.manifest, "$.provenance.spec.card.domain").label("domain"),
        )
        .select_from(endpoints)
        .join(canary, canary.c.endpoint_id == endpoints.c.id, isouter=True)
        .join(own, own.c.endpoint_id == endpoints.c.id, isouter=True)
        .join(passed, _same(passed.c.endpoint_id == endpoints.c.id, passed), isouter=True)
        .join(version, _same(version.c.project == endpoints.c.project, version), isouter=True)
        .where(endpoints.c.project == project)
    )


def _same(further: Any, table: Any) -> Any:
    """That a row is of the version which an endpoint's row names."""
    return further & (table.c.model == endpoints.c.model) & (table.c.version == endpoints.c.version)


def endpoint_of(row: RowMapping, state: str) -> Endpoint:
    """The endpoint in a row of ``select_endpoints``."""
    canary = None
    if row["canary_version"] is not None:
        values = {name: row[f"canary_{name}"] for name in _CANARY}
        canary = Canary(by=SplitBy(values.pop("split_by")), **values)
    names = ("id", "name", "project", "model", "version", "created_at", "alias", "revision")
    limits = Limits(**{name: row[name] for name in _LIMITS})
    override = None
    if row["reason"] is not None:
        override = Override(tuple(row["missing"]), row["reason"], row["overridden_at"], row["overridden_by"])
    return Endpoint(
        **{name: row[name] for name in names},
        state=state,
        canary=canary,
        limits=limits,
        stage=Stage(row["stage"]),
        override=override,
        notice=NOT_FOR_CLINICAL_USE if row["domain"] == MEDICAL else None,
    )


def find_endpoint(connection: Connection, project: str, name: str) -> RowMapping:
    """The row of an endpoint.

    Raises:
        NotFoundError: there is none of this name in the project.
    """
    row = connection.execute(select_endpoints(project).where(endpoints.c.name == name)).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no endpoint {name!r} in this project.", kind="endpoint", id=name)
    return row


def add_endpoint(connection: Connection, made: Endpoint, created_by: str) -> None:
    """Insert a new endpoint with its first revision."""
    connection.execute(
        insert(endpoints).values(
            id=made.id,
            project=made.project,
            name=made.name,
            model=made.model,
            version=made.version,
            created_at=made.created_at,
            alias=made.alias,
            stage=str(made.stage),
        )
    )
    first = Revision(1, made.model, made.version, 1, made.created_at, created_by, made.alias)
    _insert_revision(connection, made.id, first)
    write_limits(connection, made.id, made.limits)


def add_revision(
    connection: Connection, found: Endpoint, what: Revision | ModelVersion, alias: str | None, at: datetime, by: str
) -> Revision:
    """Put a model version, or an earlier revision's, behind an endpoint as its next revision."""
    number = found.revision + 1
    if isinstance(what, Revision):
        made = Revision(number, what.model, what.version, what.origin, at, by, what.alias)
    else:
        made = Revision(number, what.model, what.version, number, at, by, alias)
    _insert_revision(connection, found.id, made)
    now = {"model": made.model, "version": made.version, "alias": made.alias}
    connection.execute(update(endpoints).where(endpoints.c.id == found.id).values(now))
    return made


def revision_of(row: RowMapping) -> Revision:
    """The revision in a row of its table."""
    return Revision(
        **{name: row[name] for name in ("number", "model", "version", "origin", "created_at", "created_by", "alias")}
    )


def find_revision(connection: Connection, endpoint_id: str, number: int) -> Revision | None:
    """A revision of an endpoint."""
    own = (endpoint_revisions.c.endpoint_id == endpoint_id) & (endpoint_revisions.c.number == number)
    row = connection.execute(select(endpoint_revisions).where(own)).mappings().first()
    return None if row is None else revision_of(row)


def write_canary(connection: Connection, endpoint_id: str, project: str, canary: Canary | None) -> None:
    """Replace an endpoint's canary, or remove it."""
    connection.execute(delete(endpoint_canaries).where(endpoint_canaries.c.endpoint_id == endpoint_id))
    if canary is not None:
        connection.execute(
            insert(endpoint_canaries).values(
                endpoint_id=endpoint_id,
                project=project,
                model=canary.model,
                version=canary.version,
                percent=canary.percent,
                split_by=str(canary.by),
                seed=canary.seed,
                started_at=canary.started_at,
            )
        )


def write_stage(connection: Connection, endpoint_id: str, stage: Stage) -> None:
    """Say what an endpoint is for."""
    connection.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(stage=str(stage)))


def write_limits(connection: Connection, endpoint_id: str, limits: Limits) -> None:
    """Replace an endpoint's limits; without any of its own there is no row."""
    connection.execute(delete(endpoint_limits).where(endpoint_limits.c.endpoint_id == endpoint_id))
    if limits != Limits():
        connection.execute(insert(endpoint_limits).values(endpoint_id=endpoint_id, **limits.to_json()))


def _insert_revision(connection: Connection, endpoint_id: str, made: Revision) -> None:
    connection.execute(
        insert(endpoint_revisions).values(
            endpoint_id=endpoint_id,
            number=made.number,
            model=made.model,
            version=made.version,
            alias=made.alias,
            origin=made.origin,
            created_at=made.created_at,
            created_by=made.created_by,
        )
    )
