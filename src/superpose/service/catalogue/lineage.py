"""Lineage: what comes from what. Data set -> job -> model version -> endpoints and aliases, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from superpose.errors import NotFoundError
from superpose.service.catalogue.models import model_row
from superpose.service.nouns import Principal, Role, iso
from superpose.service.store.database import Database
from superpose.service.store.tables import datasets, endpoints, jobs, model_aliases, model_versions

__all__ = ["Lineage", "Lineages"]


@dataclass(frozen=True)
class Lineage:
    """A graph: ``nodes`` with id, kind, label and facts, and ``edges`` from what was there to what came from it."""

    nodes: tuple[Mapping[str, object], ...]
    edges: tuple[Mapping[str, str], ...]

    def to_json(self) -> dict[str, object]:
        """The graph as the API sends it."""
        return {"nodes": [dict(node) for node in self.nodes], "edges": [dict(edge) for edge in self.edges]}


@dataclass
class _Graph:
    """A graph that is being gathered; each node and edge once, in the order of their coming."""

    nodes: dict[str, Mapping[str, object]] = field(default_factory=dict)
    edges: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    def node(self, kind: str, name: str, label: str, **facts: object) -> str:
        """Add a node, and return its id."""
        node_id = f"{kind}:{name}"
        self.nodes.setdefault(node_id, {"id": node_id, "kind": kind, "label": label, **facts})
        return node_id

    def edge(self, source: str, target: str, relation: str) -> None:
        """Add an edge."""
        self.edges.setdefault((source, target), {"source": source, "target": target, "relation": relation})


class Lineages:
    """Reads lineages out of the store.

    Args:
        database: where everything is registered.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_model(self, principal: Principal, name: str) -> Lineage:
        """Where a model's versions come from, and what uses them.

        Raises:
            NotFoundError: there is no such model in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            model_row(connection, principal.project, name)
            return _lineage(connection, principal.project, _versions(connection, principal.project, name))

    def of_dataset(self, principal: Principal, id_or_name: str) -> Lineage:
        """What was made from a data set: from this very content, under whatever name it was registered.

        Raises:
            NotFoundError: there is none in the caller's project; a deleted one is found by its id.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            by_name = (datasets.c.name == id_or_name) & datasets.c.deleted_at.is_(None)
            query = select(datasets).where(
                datasets.c.project == principal.project, (datasets.c.id == id_or_name) | by_name
            )
            found = connection.execute(query.order_by((datasets.c.id == id_or_name).desc())).mappings().first()
            if found is None:
                raise NotFoundError(
                    f"There is no data set {id_or_name!r} in this project.", kind="dataset", id=id_or_name
                )
            same = select(datasets.c.id).where(
                datasets.c.project == principal.project, datasets.c.digest == found["digest"]
            )
            using = select(jobs.c.id).where(jobs.c.project == principal.project, jobs.c.dataset_id.in_(same))
            rows = connection.execute(
                select(model_versions)
                .where(model_versions.c.job_id.in_(using), model_versions.c.deleted_at.is_(None))
                .order_by(model_versions.c.model, model_versions.c.version)
            )
            graph = _Graph()
            _dataset_node(graph, found)
            return _lineage(connection, principal.project, rows.mappings().all(), graph)

    def of_endpoint(self, principal: Principal, name: str) -> Lineage:
        """What an endpoint's answers come from.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            query = select(endpoints).where(endpoints.c.project == principal.project, endpoints.c.name == name)
            endpoint = connection.execute(query).mappings().first()
            if endpoint is None:
                raise NotFoundError(f"There is no endpoint {name!r} in this project.", kind="endpoint", id=name)
            rows = [
                row
                for row in _versions(connection, principal.project, endpoint["model"])
                if row["version"] == endpoint["version"]
            ]
            return _lineage(connection, principal.project, rows)


def _versions(connection: Connection, project: str, model: str) -> list[RowMapping]:
    query = select(model_versions).where(
        model_versions.c.project == project, model_versions.c.model == model, model_versions.c.deleted_at.is_(None)
    )
    return list(connection.execute(query.order_by(model_versions.c.version)).mappings())


def _lineage(
    connection: Connection, project: str, versions: Iterable[RowMapping], graph: _Graph | None = None
) -> Lineage:
    """The graph around model versions."""
    graph = graph or _Graph()
    for row in versions:
        version = _version_node(connection, graph, row)
        for child in _children(connection, project, row["digest"]):
            graph.edge(version, _version_node(connection, graph, child, parents=False), "fine-tuned into")
        own = {"project": project, "model": row["model"], "version": row["version"]}
        for alias in _using(connection, model_aliases, own):
            name = f"{row['model']}@{alias['alias']}"
            graph.edge(version, graph.node("alias", name, alias["alias"], moved_at=iso(alias["moved_at"])), "stands as")
        for found in _using(connection, endpoints, own):
            node = graph.node("endpoint", found["name"], found["name"], created_at=iso(found["created_at"]))
            graph.edge(version, node, "answers at")
    return Lineage(tuple(graph.nodes.values()), tuple(graph.edges.values()))


def _version_node(connection: Connection, graph: _Graph, row: RowMapping, *, parents: bool = True) -> str:
    """Add a version, what made it, and what it was fine-tuned from, to the first of its line."""
    known = f"version:{row['model']}@{row['version']}" in graph.nodes
    version = graph.node(
        "version",
        f"{row['model']}@{row['version']}",
        f"{row['model']} version {row['version']}",
        model=row["model"],
        version=row["version"],
        digest=row["digest"],
        created_at=iso(row["created_at"]),
        deleted=row["deleted_at"] is not None,
    )
    if not known and (made_by := _job_node(connection, graph, row["job_id"])) is not None:
        graph.edge(made_by, version, "made")
    parent = ((row["manifest"] or {}).get("provenance") or {}).get("fine_tuned_from") if parents else None
    if isinstance(parent, Mapping):  # an imported file may say anything
        query = select(model_versions).where(
            model_versions.c.project == row["project"], model_versions.c.digest == str(parent.get("digest"))
        )
        found = connection.execute(query.order_by(model_versions.c.created_at)).mappings().all()
        named = [one for one in found if f"{one['model']}:{one['version']}" == parent.get("parent")] or found[:1]
        for one in named:
            graph.edge(_version_node(connection, graph, one), version, "fine-tuned into")
    return version


def _children(connection: Connection, project: str, digest: str) -> list[RowMapping]:
    """Versions that were fine-tuned from one. Cost: reads a field of each version of the project."""
    began_from = model_versions.c.manifest["provenance"]["fine_tuned_from"]["digest"].as_string()
    query = select(model_versions).where(
        model_versions.c.project == project, began_from == digest, model_versions.c.deleted_at.is_(None)
    )
    return list(connection.execute(query.order_by(model_versions.c.model, model_versions.c.version)).mappings())


def _using(connection: Connection, table: Any, own: Mapping[str, object]) -> list[RowMapping]:
    query = select(table)
    for name, value in own.items():
        query = query.where(table.c[name] == value)
    return list(connection.execute(query).mappings())


def _job_node(connection: Connection, graph: _Graph, job_id: str) -> str | None:
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
    if row is None:
        return None
    node = graph.node(
        "job", row["id"], f"{row['kind']} job {row['id']}", job_kind=row["kind"], finished_at=iso(row["finished_at"])
    )
    if row["dataset_id"] is not None:
        found = connection.execute(select(datasets).where(datasets.c.id == row["dataset_id"])).mappings().first()
        if found is not None:
            graph.edge(_dataset_node(graph, found), node, "read by")
    if row["parent_id"] is not None:
        parent = _job_node(connection, graph, row["parent_id"])
        if parent is not None:
            graph.edge(parent, node, "chose")
    return node


def _dataset_node(graph: _Graph, row: RowMapping) -> str:
    """One node per content: the same table under two names is one data set here."""
    return graph.node(
        "dataset",
        row["digest"],
        row["name"],
        digest=row["digest"],
        dataset_id=row["id"],
        deleted=row["deleted_at"] is not None,
    )
