"""Searching the registry: the facts of every version, in order of name, held against a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select

from superpose.service.catalogue.model_query import ModelQuery, VersionFacts
from superpose.service.nouns import Page
from superpose.service.store.pages import Part, decode_cursor, encode_cursor
from superpose.service.store.tables import jobs, model_aliases, model_versions, models

__all__ = ["search_models"]


def search_models(
    connection: Connection, project: str, query: ModelQuery, part: Part
) -> Page[tuple[str, tuple[int, ...]]]:
    """Names of models behind the cursor of which a version matches, each with the versions that do.

    Cost: reads a few fields of each version behind the cursor until the part is full.
    """
    after = "" if part.cursor is None else str(decode_cursor(part.cursor))
    found: list[tuple[str, tuple[int, ...]]] = []
    for name, versions in groupby(_facts(connection, project, after), key=lambda facts: facts.model):
        matched = tuple(facts.version for facts in versions if query.matches(facts))
        if matched:
            found.append((name, matched))
        if len(found) > part.limit:
            return Page(tuple(found[: part.limit]), encode_cursor(found[part.limit - 1][0]))
    return Page(tuple(found))


def _facts(connection: Connection, project: str, after: str) -> Iterator[VersionFacts]:
    aliases: dict[tuple[str, int], tuple[str, ...]] = {}
    for alias in connection.execute(select(model_aliases).where(model_aliases.c.project == project)):
        place = (alias.model, alias.version)
        aliases[place] = (*aliases.get(place, ()), alias.alias)
    for row in connection.execute(_query(project, after)).mappings():
        yield _version_facts(row, aliases.get((row["model"], row["version"]), ()))


def _query(project: str, after: str) -> Select[Any]:
    manifest = model_versions.c.manifest
    spec = manifest["provenance"]["spec"]["model"]
    network = manifest["pipeline"]["network"]
    return (
        select(
            model_versions.c.model,
            model_versions.c.version,
            model_versions.c.metrics,
            model_versions.c.note,
            model_versions.c.tags,
            models.c.note.label("model_note"),
            models.c.tags.label("model_tags"),
            jobs.c.dataset,
            manifest["data"]["digest"].as_string().label("dataset_digest"),
            manifest["kind"].as_string().label("kind"),
            spec["encoding"]["name"].as_string().label("encoding"),
            spec["ansatz"]["name"].as_string().label("ansatz"),
            spec["ansatz"]["layers"].as_integer().label("layers"),
            network["n_qubits"].as_integer().label("n_qubits"),
            network["n_params"].as_integer().label("n_params"),
        )
        .join(models, (models.c.project == model_versions.c.project) & (models.c.name == model_versions.c.model))
        .join(jobs, jobs.c.id == model_versions.c.job_id)
        .where(
            model_versions.c.project == project,
            model_versions.c.model > after,
            model_versions.c.deleted_at.is_(None),
        )
        .order_by(model_versions.c.model, model_versions.c.version)
    )


def _version_facts(row: RowMapping, aliases: tuple[str, ...]) -> VersionFacts:
    numbers = {name: row[name] for name in ("version", "n_qubits", "n_params", "layers")} | dict(row["metrics"])
    return VersionFacts(
        model=row["model"],
        version=row["version"],
        notes=tuple(filter(None, (row["model_note"], row["note"]))),
        tags=_joined(row["model_tags"], row["tags"]),
        aliases=aliases,
        dataset=row["dataset"] or "",
        dataset_digest=row["dataset_digest"] or "",
        families=tuple(filter(None, (row["encoding"], row["ansatz"], row["kind"]))),
        numbers={name: float(value) for name, value in numbers.items() if isinstance(value, int | float)},
    )


def _joined(*tags: Mapping[str, str]) -> dict[str, frozenset[str]]:
    names = {name for some in tags for name in some}
    return {name: frozenset(some[name] for some in tags if name in some) for name in names}
