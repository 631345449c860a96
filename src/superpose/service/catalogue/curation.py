"""What people add to the registry and take away from it: notes and tags, and the deletion of versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, func, or_, select, update

from superpose.errors import RequestError, VersionInUseError
from superpose.learning.card import MAX_STATEMENT, STATEMENTS, compared_by, n_seen
from superpose.service.catalogue.models import VersionRef, model_row, model_subject, version_row
from superpose.service.names import check_name
from superpose.service.nouns import Clock, JobKind, Model, ModelVersion, Principal, Role
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import endpoint_canaries, endpoints, file_jobs, jobs, model_versions, models

__all__ = ["Curation"]

MAX_NOTE = 10_000
MAX_TAGS = 50
MAX_TAG_VALUE = 200


class Curation:
    """Notes, tags and deletion for a service's models.

    Args:
        database: where models are registered.
        artifacts: where their files lie.
        clock: what tells the time.
    """

    def __init__(self, database: Database, artifacts: Artifacts, clock: Clock) -> None:
        self._database = database
        self._artifacts = artifacts
        self._clock = clock

    def edit_model(
        self, principal: Principal, model: str, *, note: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> Model:
        """Change a model's note and tags; what was there before stands in its history.

        Args:
            principal: the caller; an editor.
            model: the model.
            note: the new note, empty to remove it; None leaves it.
            tags: values to set, None to remove a tag; tags not named stay.

        Raises:
            NotFoundError: no such model in the caller's project.
            RequestError: a note or tag that is too long, or no text.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = model_row(connection, principal.project, model)
            where = (models.c.project == principal.project) & (models.c.name == model)
            self._edit(connection, principal, found, models, where, _edits(found, note, tags))
            return model_row(connection, principal.project, model)

    def edit_version(
        self,
        principal: Principal,
        model: str,
        version: VersionRef,
        *,
        note: str | None = None,
        tags: Mapping[str, Any] | None = None,
        statements: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """Change a version's note and tags, as ``edit_model`` does a model's, and what is stated about it.

        Args:
            principal: the caller; an editor.
            model: the model.
            version: its version.
            note, tags: as for ``edit_model``.
            statements: ``intended_use``, ``limits`` and ``no_subgroups``, those that change; a statement that was made
                can be put in other words, not taken back.

        Raises:
            NotFoundError, RequestError: as for ``edit_model``, and of statements.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = version_row(connection, principal.project, model, version)
            where = _one(principal.project, model, found.version)
            after = {**_edits(found, note, tags), "statements": _statements(found, statements or {})}
            self._edit(connection, principal, found, model_versions, where, after)
            return version_row(connection, principal.project, model, found.version)

    def delete_version(self, principal: Principal, model: str, version: VersionRef) -> None:
        """Delete a version and its file. Its number is not given again, and its digest stays in the history.

        Raises:
            NotFoundError: no such version in the caller's project.
            VersionInUseError: an endpoint, an alias or a job that has not ended uses it; ``details`` name them.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = version_row(connection, principal.project, model, version)
            self._delete(connection, principal, found)
        self._remove_file(found.artifact)

    def delete_model(self, principal: Principal, model: str) -> None:
        """Delete all versions of a model, or none.

        Raises:
            NotFoundError, VersionInUseError: as for ``delete_version``.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = model_row(connection, principal.project, model)
            for version in found.versions:
                self._delete(connection, principal, version)
            self._edit(
                connection,
                principal,
                found,
                models,
                (models.c.project == principal.project) & (models.c.name == model),
                {"note": "", "tags": {}},
            )
        for version in found.versions:
            self._remove_file(version.artifact)

    def _delete(self, connection: Connection, principal: Principal, found: ModelVersion) -> None:
        users = _users(connection, principal.project, found)
        if users:
            named = ", ".join(f"{user['kind']} {user['name']!r}" for user in users[:5])
            raise VersionInUseError(
                f"Version {found.version} of model {found.model!r} cannot be deleted: it is used by {named}"
                f"{' and others' if users[5:] else ''}. Remove or move endpoints and aliases first; cancel jobs or "
                "wait for their end.",
                model=found.model,
                version=found.version,
                used_by=users[:50],
            )
        now = self._clock()
        connection.execute(
            update(model_versions)
            .where(_one(principal.project, found.model, found.version))
            .values(
                deleted_at=now,
                metrics={},
                evaluation={},
                manifest={},
                note="",
                tags={},
                evidence={},
                statements={},
                validations=[],
            )
        )
        connection.execute(  # of an import, which holds the same file
            update(file_jobs).where(file_jobs.c.job_id == found.job_id).values(input_artifact=None)
        )
        data = {"version": found.version, "digest": found.digest}
        self._record(connection, principal, found.model, "version_deleted", data)

    def _remove_file(self, artifact: str) -> None:
        """Remove a file that no version refers to any more; only after the deletion is certain."""
        with self._database.write() as connection:
            if not is_referred(connection, artifact):
                self._artifacts.remove(artifact)

    def _edit(
        self,
        connection: Connection,
        principal: Principal,
        found: Model | ModelVersion,
        table: Table,
        where: Any,
        after: Mapping[str, Any],
    ) -> None:
        before: dict[str, Any] = {"note": found.note, "tags": dict(found.tags)}
        if isinstance(found, ModelVersion):
            before["statements"] = dict(found.statements)
        changed = {name: value for name, value in after.items() if value != before[name]}
        if not changed:
            return
        connection.execute(update(table).where(where).values(**changed))
        name, version = (found.name, None) if isinstance(found, Model) else (found.model, found.version)
        data = {"version": version, "before": {name: before[name] for name in changed}, "after": changed}
        self._record(connection, principal, name, "edited", data)

    def _record(
        self, connection: Connection, principal: Principal, model: str, kind: str, data: Mapping[str, object]
    ) -> None:
        append_event(
            connection,
            subject=model_subject(principal.project, model),
            project=principal.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data=data,
        )


def _one(project: str, model: str, version: int) -> Any:
    return (
        (model_versions.c.project == project)
        & (model_versions.c.model == model)
        & (model_versions.c.version == version)
    )


def _users(connection: Connection, project: str, found: ModelVersion) -> list[dict[str, object]]:
    """What a version is needed for: kind and name of each."""
    own = {"project": project, "model": found.model, "version": found.version}
    deployed = connection.execute(select(endpoints.c.name).filter_by(**own)).scalars()
    canaries = connection.execute(
        select(endpoints.c.name)
        .join(endpoint_canaries, endpoint_canaries.c.endpoint_id == endpoints.c.id)
        .where(*(endpoint_canaries.c[name] == value for name, value in own.items()))
    ).scalars()
    predicting = (
        (jobs.c.kind == str(JobKind.PREDICT))
        & (jobs.c.model == found.model)
        & (func.json_extract(jobs.c.payload, "$.version") == found.version)
    )
    own_name = f"{found.model}:{found.version}"
    beginning = or_(
        *(
            (jobs.c.kind == str(kind)) & (func.json_extract(jobs.c.payload, path) == own_name)
            for kind, path in ((JobKind.TRAIN, "$.fine_tune.parent"), (JobKind.SWEEP, "$.spec.fine_tune.parent"))
        )
    )
    waiting = connection.execute(
        select(jobs.c.id).where(
            jobs.c.project == project, predicting | beginning, jobs.c.status.not_in([*map(str, FINAL)])
        )
    ).scalars()
    return [
        *({"kind": "endpoint", "name": name} for name in deployed),
        *({"kind": "canary", "name": name} for name in canaries),
        *({"kind": "alias", "name": alias} for alias in found.aliases),
        *({"kind": "job", "name": job_id} for job_id in waiting),
    ]


def _statements(found: ModelVersion, changes: Mapping[str, Any]) -> dict[str, str]:
    """What is stated about a version after an edit, checked."""
    merged = dict(found.statements)
    for name, value in changes.items():
        if name not in STATEMENTS:
            raise RequestError(
                f"There is no statement {name[:40]!r}; there are {', '.join(STATEMENTS)}.",
                field=f"statements.{name[:40]}",
                allowed=list(STATEMENTS),
            )
        text = " ".join(value.split()) if isinstance(value, str) else ""
        if not (0 < len(text) <= MAX_STATEMENT and any(map(str.isalnum, text)) and n_seen(text)):
            raise RequestError(
                f"Statement {name} must be a text of 1 to {MAX_STATEMENT:,} characters that is not blank, got "
                f"{f'{len(text):,} characters' if isinstance(value, str) else type(value).__name__}.",
                field=f"statements.{name}",
            )
        merged[name] = text
    if "no_subgroups" in changes and (columns := compared_by(found.evaluation)):
        raise RequestError(
            f"Version {found.version} of model {found.model!r} was measured in subgroups, by {', '.join(columns)}; "
            "no_subgroups does not hold.",
            field="statements.no_subgroups",
        )
    return merged


def _edits(found: Model | ModelVersion, note: str | None, tags: Mapping[str, Any] | None) -> dict[str, Any]:
    """The note and tags after an edit, checked."""
    if note is not None and len(note) > MAX_NOTE:
        raise RequestError(f"note has {len(note):,} characters; at most {MAX_NOTE:,} are kept.", field="note")
    merged = dict(found.tags)
    for name, value in (tags or {}).items():
        check_name(name, "tag")
        if value is None:
            merged.pop(name, None)
            continue
        if not isinstance(value, str) or len(value) > MAX_TAG_VALUE:
            raise RequestError(
                f"Tag {name!r} must have a text of at most {MAX_TAG_VALUE} characters as its value, or null to remove "
                f"it; got {type(value).__name__ if not isinstance(value, str) else f'{len(value)} characters'}.",
                field=f"tags.{name}",
            )
        merged[name] = value
    if len(merged) > MAX_TAGS:
        raise RequestError(f"There would be {len(merged)} tags; at most {MAX_TAGS} are kept.", field="tags")
    return {"note": found.note if note is None else note, "tags": merged}
