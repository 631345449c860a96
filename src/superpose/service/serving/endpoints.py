"""Endpoints: names under which model versions answer predictions, loaded on demand and computed in micro-batches.

A new version is loaded and tried before it takes over, and requests under way finish with the version they began with,
so that an update, a rollback or a promotion has no downtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, RowMapping, delete, select

from superpose.errors import ConflictError, NotFoundError, RequestError
from superpose.service.catalogue.models import Models, VersionRef, version_row
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name, new_id
from superpose.service.nouns import Clock, Event, ModelVersion, Page, Prediction, Principal, Role
from superpose.service.serving.answering import Answering, side_key
from superpose.service.serving.batching import BatchStats
from superpose.service.serving.deployment import Canary, Endpoint, Limits, Revision, SplitBy
from superpose.service.serving.endpoint_rows import (
    add_endpoint,
    add_revision,
    endpoint_of,
    find_endpoint,
    find_revision,
    revision_of,
    select_endpoints,
    write_canary,
    write_limits,
)
from superpose.service.serving.loaded_models import LoadedModels, Rows
from superpose.service.serving.traffic import SideStats
from superpose.service.store.database import Database
from superpose.service.store.history import append_event, read_events
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import endpoint_revisions, endpoints

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["Endpoints", "Rows"]


class Endpoints:
    """The endpoints of a service.

    Args:
        database: where they are kept.
        models: where model files come from.
        loaded: the models in memory.
        config: limits.
        clock: what tells the time.
    """

    def __init__(
        self, database: Database, models: Models, loaded: LoadedModels, config: ServiceConfig, clock: Clock
    ) -> None:
        self._database = database
        self._models = models
        self._loaded = loaded
        self._clock = clock
        self._answering = Answering(self._find, self._read, loaded, config)

    def create(
        self,
        principal: Principal,
        name: str,
        model: str,
        version: VersionRef = None,
        limits: Mapping[str, float | None] | None = None,
    ) -> Endpoint:
        """Put a model version behind a name: a number, an alias, or by default the newest one, which stays that one.

        An alias is looked up once: the endpoint keeps the version and the alias, and stays when the alias moves.

        Args:
            principal: the caller, an editor at least.
            name: of the endpoint.
            model: what answers.
            version: of the model.
            limits: some of ``Limits``.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unusable name, or a limit out of its range.
            NotFoundError: no such model version in the caller's project.
            ConflictError: the name is taken.
        """
        principal.require(Role.EDITOR)
        check_name(name)
        own = Limits().changed(limits or {})
        with self._database.write() as connection:
            found = version_row(connection, principal.project, model, version)
            named = select(endpoints.c.id).where(endpoints.c.project == principal.project, endpoints.c.name == name)
            if connection.execute(named).first() is not None:
                raise ConflictError(
                    f"Endpoint {name!r} exists. Update it, choose another name, or delete it first.",
                    kind="endpoint",
                    name=name,
                )
            made = Endpoint(
                id=new_id("ep"),
                name=name,
                project=principal.project,
                model=model,
                version=found.version,
                state="unloaded",
                created_at=self._clock(),
                alias=_alias(version),
                limits=own,
            )
            add_endpoint(connection, made, principal.key_id)
            self._record(connection, made, principal, "created")
        return made

    def list(self, principal: Principal, part: Part = Part()) -> Page[Endpoint]:  # noqa: B008  # frozen
        """Endpoints of the caller's project, by name."""
        principal.require(Role.VIEWER)
        query = select_endpoints(principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, endpoints.c.name, part, lambda row: endpoint_of(row, self._state(row)))

    def get(self, principal: Principal, name: str) -> Endpoint:
        """An endpoint of the caller's project.

        Raises:
            NotFoundError: there is none of this name.
        """
        principal.require(Role.PREDICTOR)
        return self._find(principal.project, name)

    def delete(self, principal: Principal, name: str) -> None:
        """Delete an endpoint with its revisions; the models stay, and so do its events.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = self._row(connection, principal.project, name)
            connection.execute(delete(endpoints).where(endpoints.c.id == found.id))
            self._record(connection, found, principal, "deleted")
        self._answering.forget_all_of(found)

    def update(
        self,
        principal: Principal,
        name: str,
        *,
        model: str | None = None,
        version: VersionRef = None,
        limits: Mapping[str, float | None] | None = None,
    ) -> Endpoint:
        """Put another model version behind an endpoint, change its limits, or both. No request fails meanwhile.

        Args:
            principal: the caller, an editor at least.
            name: the endpoint.
            model: the model; by default the one it has.
            version: its number or alias; by default the newest if ``model`` is given, else the one it has.
            limits: those of ``Limits`` that change; None as a value goes back to the service's setting.

        Raises:
            NotFoundError: no such endpoint or model version in the caller's project.
            ConflictError: a canary runs.
            RequestError: nothing to change, or a limit out of its range.
            ModelFileError, ArtifactError: the new version cannot be used; the old one goes on answering.
        """
        principal.require(Role.EDITOR)
        if model is None and version is None and not limits:
            raise RequestError("There is nothing to change. Give a version, a model or a limit.", field="version")
        before = self._find(principal.project, name)
        own = before.limits.changed(limits or {})
        wanted = self._wanted(before, model, version)
        if wanted is not None:
            _refuse_canary(before)
            self._answering.load(before, wanted.model, wanted.version)
        with self._database.write() as connection:
            found = self._row(connection, principal.project, name)
            if wanted is not None:
                _refuse_canary(found)
                add_revision(connection, found, wanted, _alias(version), self._clock(), principal.key_id)
            if limits:
                own = found.limits.changed(limits)
                write_limits(connection, found.id, own)
            after = self._row(connection, principal.project, name)
            if after != found:
                self._record(connection, after, principal, "updated")
        return self._switched(before, after)

    def rollback(self, principal: Principal, name: str, revision: int | None = None) -> Endpoint:
        """Put back what answered before, as a new revision. Limits stay.

        Args:
            principal: the caller, an editor at least.
            name: the endpoint.
            revision: which revision to repeat; by default the one before the present one, so that a second rollback
                goes back one further.

        Raises:
            NotFoundError: no such endpoint or revision in the caller's project.
            ConflictError: a canary runs, or there is nothing to go back to.
            ModelFileError, ArtifactError: that version cannot be used; the present one goes on answering.
        """
        principal.require(Role.EDITOR)
        before = self._find(principal.project, name)
        _refuse_canary(before)
        with self._database.read() as connection:
            target = self._target(connection, before, revision)
        self._answering.load(before, target.model, target.version)
        with self._database.write() as connection:
            found = self._row(connection, principal.project, name)
            _refuse_canary(found)
            if found.revision != before.revision:
                raise ConflictError(
                    f"Endpoint {name!r} was changed meanwhile, to revision {found.revision}. Look at it and try again.",
                    revision=found.revision,
                )
            add_revision(connection, found, target, None, self._clock(), principal.key_id)
            after = self._row(connection, principal.project, name)
            self._record(connection, after, principal, "rolled_back", origin=target.origin)
        return self._switched(before, after)

    def start_canary(
        self,
        principal: Principal,
        name: str,
        *,
        percent: float,
        version: VersionRef = None,
        model: str | None = None,
        by: SplitBy | str = SplitBy.REQUEST_ID,
        seed: int = 0,
    ) -> Endpoint:
        """Let another model version answer a share of the requests; again, to change share or version.

        Args:
            principal: the caller, an editor at least.
            name: the endpoint.
            percent: share of the requests, above 0 and below 100.
            version: what answers them, by number or alias; by default the newest version.
            model: its model; by default the endpoint's.
            by: "request_id" (the same id always meets the same side) or "random".
            seed: of the choice.

        Raises:
            NotFoundError: no such endpoint or model version in the caller's project.
            RequestError: a share, seed or way to choose that does not exist.
            ConflictError: the version is the one that answers already.
            ModelFileError, ArtifactError: the version cannot be used; nothing was changed.
        """
        principal.require(Role.EDITOR)
        before = self._find(principal.project, name)
        target_model = model or before.model
        with self._database.read() as connection:
            target = (target_model, version_row(connection, before.project, target_model, version).version)
        canary = Canary(*target, percent=percent, by=_split_by(by), seed=seed, started_at=self._clock())
        self._answering.load(before, *target)
        with self._database.write() as connection:
            found = self._row(connection, principal.project, name)
            if target == (found.model, found.version):
                raise ConflictError(
                    f"Version {target[1]} of {target[0]!r} is what endpoint {name!r} answers with already. Choose "
                    "another version for its canary.",
                    version=target[1],
                )
            write_canary(connection, found.id, found.project, canary)
            after = self._row(connection, principal.project, name)
            self._record(connection, after, principal, "canary_started", canary=canary.to_json())
        return self._switched(before, after)

    def stop_canary(self, principal: Principal, name: str) -> Endpoint:
        """Let the endpoint's own version answer all requests again.

        Raises:
            NotFoundError: no such endpoint in the caller's project.
            ConflictError: no canary runs.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            before = self._row(connection, principal.project, name)
            canary = _running(before)
            write_canary(connection, before.id, before.project, None)
            after = self._row(connection, principal.project, name)
            self._record(connection, after, principal, "canary_stopped", canary=canary.to_json())
        return self._switched(before, after)

    def promote(self, principal: Principal, name: str) -> Endpoint:
        """Let the canary answer all requests: a new revision, and the end of the canary.

        Raises:
            NotFoundError: no such endpoint in the caller's project.
            ConflictError: no canary runs.
        """
        principal.require(Role.EDITOR)
        before = self._find(principal.project, name)
        canary = _running(before)
        self._answering.load(before, canary.model, canary.version)
        with self._database.write() as connection:
            found = self._row(connection, principal.project, name)
            canary = _running(found)
            write_canary(connection, found.id, found.project, None)
            promoted = version_row(connection, found.project, canary.model, canary.version)
            add_revision(connection, found, promoted, None, self._clock(), principal.key_id)
            after = self._row(connection, principal.project, name)
            self._record(connection, after, principal, "promoted", canary=canary.to_json())
        return self._switched(before, after)

    def revisions(self, principal: Principal, name: str, part: Part = Part()) -> Page[Revision]:  # noqa: B008
        """Which model versions stood behind an endpoint, newest first.

        Raises:
            NotFoundError: there is no endpoint of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            found = self._row(connection, principal.project, name)
            query = select(endpoint_revisions).where(endpoint_revisions.c.endpoint_id == found.id)
            return read_page(connection, query, endpoint_revisions.c.number, part, revision_of, newest_first=True)

    def events(self, principal: Principal, name: str, after: int = 0, limit: int = 500) -> tuple[Event, ...]:
        """What happened to an endpoint, oldest first, behind the event numbered ``after``.

        Raises:
            NotFoundError: there is no endpoint of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            found = self._row(connection, principal.project, name)
            return tuple(read_events(connection, found.id, after, limit))

    def predictor(self, principal: Principal, name: str) -> tuple[Endpoint, Predictor]:
        """The endpoint and its model, loaded: what describes inputs and classes. Blocks while it loads.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
            ModelFileError, ArtifactError: the model file cannot be used.
        """
        found = self.get(principal, name)
        return found, self._answering.load(found, found.model, found.version).predictor

    def model_version(self, principal: Principal, name: str) -> ModelVersion:
        """The model version behind an endpoint.

        Raises:
            NotFoundError: there is no endpoint of this name in the caller's project.
        """
        found = self.get(principal, name)
        with self._database.read() as connection:
            return version_row(connection, found.project, found.model, found.version)

    async def predict(
        self,
        principal: Principal,
        name: str,
        rows: Rows,
        *,
        request_id: str | None = None,
        version: int | None = None,
    ) -> Prediction:
        """Class probabilities of rows, computed together with those of other callers that arrive meanwhile.

        Args:
            principal: the caller; any role.
            name: the endpoint.
            rows: one mapping of column names to values per row, one list of values in the model's order, or an array
                of numbers ``(n_rows, n_columns)``.
            request_id: what the answer is marked with, and what a canary may choose by; a new id by default.
            version: which of the endpoint's sides must answer; by default its canary's share decides.

        Raises:
            NotFoundError: there is none of this name in the caller's project, or it has no side of this version.
            RequestError: no rows, too many, or not a list of rows of one form.
            FeatureMismatchError: the rows do not have the model's columns; other callers are not touched by it.
            OverloadedError: too many rows wait at this endpoint.
            ModelFileError, ArtifactError: the model file cannot be used.
        """
        principal.require(Role.PREDICTOR)
        return await self._answering.predict(principal.project, name, rows, request_id=request_id, version=version)

    def stats(self, principal: Principal, name: str) -> BatchStats:
        """How the requests of the endpoint's own version were batched since its model was loaded.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        return self.traffic(principal, name)[0].batches

    def traffic(self, principal: Principal, name: str) -> tuple[SideStats, ...]:
        """What each side of an endpoint has answered since the server started: its own version, then its canary.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        return self._answering.stats(self._find(principal.project, name))

    def _wanted(self, found: Endpoint, model: str | None, version: VersionRef) -> ModelVersion | None:
        """The model version to change to; None for the one that answers already."""
        if model is None and version is None:
            return None
        with self._database.read() as connection:
            wanted = version_row(connection, found.project, model or found.model, version)
        known = (wanted.model, wanted.version, _alias(version)) == (found.model, found.version, found.alias)
        return None if known else wanted

    def _target(self, connection: Connection, found: Endpoint, number: int | None) -> Revision:
        """The revision to go back to."""
        if number is None:
            present = find_revision(connection, found.id, found.revision)
            number = (present.origin if present else 1) - 1
            if number < 1:
                raise ConflictError(
                    f"Endpoint {found.name!r} has no revision before the one that answers. Update it to a version.",
                    revision=found.revision,
                )
        target = find_revision(connection, found.id, number)
        if target is None:
            raise NotFoundError(
                f"Endpoint {found.name!r} has no revision {number}; the newest is {found.revision}.",
                kind="revision",
                id=number,
            )
        version_row(connection, found.project, target.model, target.version)
        return target

    def _switched(self, before: Endpoint, after: Endpoint) -> Endpoint:
        """Answer with what the store now says, and let go of what no longer answers."""
        self._answering.forget(after)
        kept = {side_key(after.id, after.model, after.version)}
        if after.canary is not None:
            kept.add(side_key(after.id, after.canary.model, after.canary.version))
        for key in kept:
            self._loaded.adjust(key, after.limits)
        gone = {side_key(before.id, before.model, before.version)}
        if before.canary is not None:
            gone.add(side_key(before.id, before.canary.model, before.canary.version))
        for key in gone - kept:
            self._loaded.unload(key)
        return after

    def _find(self, project: str, name: str) -> Endpoint:
        with self._database.read() as connection:
            return self._row(connection, project, name)

    def _row(self, connection: Connection, project: str, name: str) -> Endpoint:
        row = find_endpoint(connection, project, name)
        return endpoint_of(row, self._state(row))

    def _state(self, row: RowMapping) -> str:
        served = self._loaded.peek(side_key(row["id"], row["model"], row["version"]))
        return "unloaded" if served is None else "loaded"

    def _read(self, project: str, model: str, version: int) -> Predictor:
        from superpose.learning.predictor import Predictor

        with self._database.read() as connection:
            found = version_row(connection, project, model, version)
        return Predictor.load(self._models.content(found), expected_digest=found.digest)

    def _record(
        self, connection: Connection, endpoint: Endpoint, principal: Principal, kind: str, **facts: object
    ) -> None:
        append_event(
            connection,
            subject=endpoint.id,
            project=endpoint.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data={
                "name": endpoint.name,
                "model": endpoint.model,
                "version": endpoint.version,
                "alias": endpoint.alias,
                "revision": endpoint.revision,
                "limits": endpoint.limits.to_json(),
                "by": principal.key_id,
                **facts,
            },
        )


def _refuse_canary(endpoint: Endpoint) -> None:
    if endpoint.canary is not None:
        raise ConflictError(
            f"Version {endpoint.canary.version} answers {endpoint.canary.percent:g} % of the requests to endpoint "
            f"{endpoint.name!r} as a canary. Promote it or stop it first.",
            canary=endpoint.canary.to_json(),
        )


def _alias(version: VersionRef) -> str | None:
    return version if isinstance(version, str) else None


def _running(endpoint: Endpoint) -> Canary:
    if endpoint.canary is None:
        raise ConflictError(f"Endpoint {endpoint.name!r} has no canary. Start one first.", name=endpoint.name)
    return endpoint.canary


def _split_by(by: SplitBy | str) -> SplitBy:
    try:
        return SplitBy(by)
    except ValueError:
        allowed = [str(way) for way in SplitBy]
        raise RequestError(f"by must be {' or '.join(allowed)}, got {by!r}.", field="by", allowed=allowed) from None
